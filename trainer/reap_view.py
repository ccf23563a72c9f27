"""What the reaper found, for the console and for a workflow's page; and the ages it is given."""

import re
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polyid.errors import PolyIDError
from trainer.reap import Found, Reaped, hours_text, summary

_UNITS = {"": "hours", "m": "minutes", "h": "hours", "d": "days"}
_HEADINGS = ("What", "Run", "Hardware", "Age", "Cost", "", "Why")


def age_of(text: str) -> timedelta:
    """Read an age such as ``90m``, ``24h``, ``2d`` or ``0``.

    Raises
    ------
    PolyIDError
        If it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd]?)", text.strip())
    if not found or (not found[2] and float(found[1])):
        raise PolyIDError(
            f"--older-than: expected a number with m, h or d behind it, such as 90m, 24h or 2d, "
            f"or 0; received {text!r}."
        )
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def render(reaped: Reaped, console: Console) -> None:
    """Print what was found, and what it cost."""
    if reaped.found:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for heading in _HEADINGS:
            table.add_column(heading, overflow="fold")
        for found in reaped.found:
            table.add_row(*map(Text, _cells(found)))
        console.print(table)
    console.print(summary(reaped), markup=False, highlight=False, soft_wrap=True)


def markdown(reaped: Reaped) -> str:
    """Write the same for a workflow's page."""
    text = f"**reap**: {summary(reaped)}\n\n"
    if not reaped.found:
        return text
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_cells, reaped.found)]
    lines = (
        " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows
    )
    return text + "".join(f"| {line} |\n" for line in lines) + "\n"


def _cells(found: Found) -> tuple[str, ...]:
    it = found.leftover
    cost = "not known" if found.usd is None else f"${found.usd:.2f}"
    return (
        f"{it.target} {it.kind} {it.id}",
        it.fingerprint,
        it.hardware or "–",
        hours_text(timedelta(hours=found.hours)),
        cost if it.usd_per_hour != 0 else "–",
        found.fate,
        found.why,
    )
