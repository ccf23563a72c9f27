"""What differs between two releases or candidates, on the console."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polyid.properties import PROPERTIES
from polyid.smiles import shorten
from trainer.changes import ParamChange, RowChange
from trainer.difference import Difference, Pair, Side
from trainer.show_view import line
from trainer.view import COLOURS, number, ratio

_SIGNS = {"came": ("+", "green"), "went": ("-", "red"), "changed": ("~", "yellow")}


def render(found: Difference, console: Console, limit: int = 20) -> None:
    """Print a difference; at most ``limit`` rows of the data."""
    _side("-", "red", found.old, console)
    _side("+", "green", found.new, console)
    if found.old.fingerprint == found.new.fingerprint:
        line(console, "Both are the same run: the same data, parameters and code.")
    _scores(found, console)
    _changes("Parameters", found.params, console)
    _data(found, console, limit)
    _changes("Code", found.code, console)
    _changes("Packages", found.packages, console)
    _changes("Run", found.rest, console)
    _files(found, console)


def _side(sign: str, style: str, side: Side, console: Console) -> None:
    line(
        console,
        Text.assemble(
            (f"{sign} {side.revision}", f"bold {style}"),
            f"  {side.state}, ",
            (side.verdict, COLOURS.get(side.verdict, "default")),
            (f"  {side.address}", "dim"),
        ),
    )


def _heading(title: str, note: str, console: Console) -> None:
    console.print()
    line(console, Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim")))


def _scores(found: Difference, console: Console) -> None:
    if not found.scores:
        _heading("Scores", "none on either side", console)
        return
    notes = {
        True: "both on the same folds of the same data",
        False: "other folds or other data: part of a difference may come from them",
        None: "one side has no metrics",
    }
    _heading("Scores", notes[found.comparable], console)
    table = _table("Property", "Unit", right=("n", "MAE", "", "RMSE", "", "R²"))
    for score in found.scores:
        unit = score.unit
        table.add_row(
            Text(score.title),
            Text(unit),
            _both(score.n, "n"),
            _both(score.mae, unit),
            _step(score.mae, unit),
            _both(score.rmse, unit),
            _step(score.rmse, unit),
            _both(score.r2, ""),
        )
    console.print(table)


def _data(found: Difference, console: Console, limit: int) -> None:
    data = found.data
    same = {True: "the same file", False: "another file", None: "not recorded on one side"}
    _heading("Data", same[data.same_file], console)
    _pairs(data.facts, console)
    if data.left_out:
        names = ", ".join(data.left_out)
        line(console, f"Predicted by one of the two only, so not compared row by row: {names}.")
    if data.rows is None:
        line(console, "One side has no predictions.parquet, so the rows cannot be compared.")
        return
    if not data.rows:
        line(console, "No label came, went or changed.")
        return
    counts = _table("Property", "Mechanism", right=("came", "went", "changed"))
    for count in data.counts:
        title = PROPERTIES[count.property].title if count.property in PROPERTIES else count.property
        numbers = (str(number) for number in (count.came, count.went, count.changed))
        counts.add_row(Text(title), Text(count.mechanism or "none"), *numbers)
    console.print(counts)
    console.print()
    for row in data.rows[:limit]:
        line(console, _row(row))
    if len(data.rows) > limit:
        more = len(data.rows) - limit
        line(console, f"… and {more} more: `--rows {len(data.rows)}`, or all with `--json`.")


def _row(row: RowChange) -> Text:
    sign, style = _SIGNS[row.kind]
    known = PROPERTIES.get(row.property)
    unit = known.unit if known else ""
    values = " → ".join(_exact(value) for value in (row.old, row.new) if value is not None)
    lines = [str(place) for place in (row.old_line, row.new_line) if place is not None]
    where = f"line {' → '.join(dict.fromkeys(lines))}" if lines else ""
    mechanism = row.mechanism or "no mechanism"
    if row.old_mechanism is not None:
        mechanism = f"{row.old_mechanism or 'none'} → {mechanism}"
    shown = shorten(row.monomers or row.smiles, 70)[1:-1]
    return Text.assemble(
        (f"{sign} ", style),
        f"{known.symbol if known else row.property} {values} {unit}, {mechanism}, {shown}",
        (f"  {where}", "dim"),
    )


def _changes(title: str, changes: Sequence[ParamChange], console: Console) -> None:
    _heading(title, "" if changes else "the same", console)
    _pairs(changes, console)


def _pairs(changes: Sequence[ParamChange], console: Console) -> None:
    for change in changes:
        line(
            console,
            Text.assemble((f"{change.key}: ", "dim"), change.old, (" → ", "dim"), change.new),
        )


def _files(found: Difference, console: Console) -> None:
    files = found.files
    old, new = (_bytes(size) for size in files.size[:2])
    _heading("Files", f"{files.old} ({old}) → {files.new} ({new})", console)
    for word, names in (
        ("came", files.came),
        ("went", files.went),
        ("other content", files.changed),
    ):
        if names:
            line(console, Text.assemble((f"{word}: ", "dim"), _brief(names)))


def _brief(names: Sequence[str]) -> str:
    """Names of files; a model's members are put together."""
    members = sorted({name.split("/")[0] for name in names if "/" in name})
    alone = [name for name in names if "/" not in name]
    return ", ".join([*(f"{folder}/" for folder in members), *alone])


def _bytes(size: float | None) -> str:
    if size is None:
        return "size unknown: its weights were not fetched"
    return f"{size / 1e6:.1f} MB"


def _both(pair: Pair, unit: str) -> str:
    if unit == "n":
        texts = ["–" if value is None else f"{value:.0f}" for value in pair[:2]]
    elif unit == "":
        texts = [ratio(value) for value in pair[:2]]
    else:
        texts = [number(value, unit) for value in pair[:2]]
    return " → ".join(dict.fromkeys(texts))


def _step(pair: Pair, unit: str) -> Text:
    """Return the difference of an error: green if it became smaller."""
    if pair.difference is None:
        return Text("")
    style = "green" if pair.difference < 0 else "red" if pair.difference > 0 else ""
    return Text(number(pair.difference, unit, sign=True), style=style)


def _exact(value: float) -> str:
    """Write a measured value as it was given."""
    return f"{value:.6g}"


def _table(*left: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
