"""Estimates as a table on the console, and in Markdown."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.costs.estimate import Estimate

HEADINGS = ("Target", "Hardware", "$/h", "Price of", "Hours", "Throughput", "Total", "Runs")


def hours_text(hours: float) -> str:
    """Write hours for a reader; a little that is not nothing is not written as nothing."""
    if 0 < hours < 1 / 60:
        return "under 1 min"
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"


def usd_text(usd: float) -> str:
    """Write dollars; a little that is not nothing is not written as nothing."""
    return "nothing" if usd == 0 else f"${max(usd, 0.01):,.2f}"


def render(
    estimates: Sequence[Estimate], budget: float | None, console: Console, what: str
) -> None:
    """Print a line per hardware, cheapest first, and what the figures rest on."""
    console.print(what, markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in HEADINGS[: None if budget is not None else -1]:
        table.add_column(heading, overflow="fold")
    for it in in_order(estimates):
        table.add_row(*map(Text, cells(it, budget)))
    console.print(table)
    for basis in dict.fromkeys(it.known.basis for it in in_order(estimates)):
        console.print(f"Throughput: {basis}.", markup=False, highlight=False, soft_wrap=True)


def in_order(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Order by what a run costs, then by how long it takes."""
    return sorted(estimates, key=lambda it: (it.usd, it.hours))


def cells(it: Estimate, budget: float | None) -> tuple[str, ...]:
    """Return a line of the table."""
    price = it.price
    row = (
        price.target,
        price.hardware + (f" ({price.machine.name})" if price.machine.tflops else ""),
        f"{price.usd_per_hour:.2f}" if price.usd_per_hour else "–",
        f"{price.date}{' (weak)' if price.weak else ''}",
        hours_text(it.hours),
        "measured" if it.known.measured else "estimated",
        usd_text(it.usd),
    )
    if budget is None:
        return row
    runs = it.runs(budget)
    return (*row, "any number" if runs is None else f"{runs:,}")
