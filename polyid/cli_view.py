"""What `polyid predict` prints: a table per polymer, readable at 80 columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from polyid.properties import PROPERTIES
from polyid.smiles import shorten

if TYPE_CHECKING:
    from polyid.predict import Result
    from polyid.trust import Near

_COLOURS = {"well inside": "green", "inside": "green", "edge": "yellow", "outside": "red"}
_KINDS = {
    "monomers": "built from monomers",
    "repeat_unit": "built from a repeat unit",
    "oligomer": "taken as a whole chain",
}
_DECIMALS = {"°C": 0}
_MONOMER_WIDTH = 64


def number(value: float, unit: str) -> str:
    """Write a value with the decimals that suit its unit; never a minus before a zero."""
    text = f"{value:.{_DECIMALS.get(unit, 2)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def show(console: Console, results: "Sequence[Result]", level: float) -> None:
    """Print all results, and which model gave them.

    Parameters
    ----------
    console
        Where to print.
    results
        At least one.
    level
        Nominal level of the intervals.
    """
    for result in results:
        console.print(_block(result, level))
        console.print()
    source = {key: value for key, value in results[0].model.items() if value}
    place = source.get("registry") or source.get("folder") or ""
    if "registry" in source and "revision" in source:
        place += f"@{source['revision']}"
    known = [("commit", 12), ("data_hash", 12), ("fingerprint", 16)]
    parts = [f"{key.replace('_', ' ')} {source[key][:n]}" for key, n in known if key in source]
    console.print(Text(" · ".join([f"Model {place}", *parts]), style="dim"))


def _block(result: "Result", level: float) -> RenderableType:
    title = Text(shorten(result.query.name or result.query.text, 70).strip("'"), style="bold")
    if not result.ok:
        fault = Text(f"✗ {result.error}", style="red")
        return Group(title, Padding(fault, (0, 0, 0, 2), expand=False))
    parts: list[RenderableType] = [title]
    if result.polymer is not None:
        made = _KINDS[result.polymer.kind]
        if result.polymer.mechanism:
            made += f", {result.polymer.mechanism}"
        parts.append(
            Padding(Text(f"{made}. {result.note}".strip(), style="dim"), (0, 0, 0, 2), expand=False)
        )
    parts.append(_properties(result, level))
    if result.validity is not None:
        word = result.validity.word
        line = Text.assemble(
            "Validity: ", (word, f"bold {_COLOURS[word]}"), f". {result.validity.message}"
        )
        parts.append(Padding(line, (0, 0, 0, 2), expand=False))
        parts.append(
            Padding(Text("Nearest training polymers, as measured:"), (0, 0, 0, 2), expand=False)
        )
        parts += [
            Padding(_near(near), (0, 0, 0, 4), expand=False) for near in result.validity.nearest
        ]
    return Group(*parts)


def _properties(result: "Result", level: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column("Property")
    table.add_column("Value", justify="right")
    table.add_column(f"{100 * level:g} % interval", justify="right")
    table.add_column("Unit")
    for name, found in (result.properties or {}).items():
        low, high = number(found.low, found.unit), number(found.high, found.unit)
        table.add_row(
            PROPERTIES[name].title,
            number(found.value, found.unit),
            f"{low} … {high}",
            found.unit,
        )
    return table


def _near(near: "Near") -> Text:
    monomers = shorten(near.smiles_monomer, _MONOMER_WIDTH).strip("'")
    measured = ", ".join(
        f"{PROPERTIES[name].symbol if name in PROPERTIES else name} "
        f"{number(entry['value'], entry['unit'])} {entry['unit']}"
        for name, entry in near.measured.items()
    )
    return Text(f"{near.similarity:.2f}  {monomers}\n      {measured or 'nothing measured'}")
