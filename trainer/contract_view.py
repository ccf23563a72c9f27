"""Show a data check's report on a terminal: grouped by rule, long lists cut, the verdict last."""

from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainer.contract_report import RULES, Fault, Report

_STYLES = {"error": "bold red", "warning": "yellow"}
_VALUE_WIDTH = 48


def render(report: Report, console: Console, *, limit: int = 10) -> None:
    """Print ``report`` on ``console``, at most ``limit`` faults per rule."""
    for (severity, rule), group in groupby(report.faults, key=lambda f: (f.severity, f.rule)):
        faults = list(group)
        style = _STYLES[severity]
        console.print(f"[{style}]{severity}[/] {RULES[rule]} [dim]({len(faults)})[/]")
        _faults(faults[:limit], console)
        if len(faults) > limit:
            console.print(f"  … and {len(faults) - limit} more (see --json)", style="dim")
    console.print(_closing(report))


def _faults(faults: list[Fault], console: Console) -> None:
    """Print one table; what all its faults share is said once, below."""
    values = {f.value for f in faults}
    shared = values.pop() if len(faults) > 1 and len(values) == 1 else None
    table = Table(box=None, pad_edge=True, header_style="dim")
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("column", overflow="fold")
    if shared is None:
        table.add_column("found", overflow="fold", max_width=_VALUE_WIDTH)
    table.add_column("expected", overflow="fold")
    for fault in faults:
        cells = [str(fault.row or "–"), fault.column or "–"]
        if shared is None:
            cells.append(fault.value if fault.rule == "missing_column" else shown(fault.value))
        table.add_row(*(Text(cell) for cell in [*cells, fault.expected]))
    console.print(table)
    if shared is not None:
        console.print(f"  found: {escape(shared)}", highlight=False)


def shown(value: str) -> str:
    """Shorten a long value, such as the SMILES of a chain, to its two ends."""
    if not value:
        return "(empty)"
    if len(value) <= 2 * _VALUE_WIDTH:
        return value
    return f"{value[: _VALUE_WIDTH - 10]} … {value[-_VALUE_WIDTH + 10 :]}"


def _closing(report: Report) -> str:
    errors, warnings = len(report.errors), len(report.warnings)
    counts = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    place = escape(report.file) + (f" ({report.rows} rows)" if report.rows else "")
    if errors:
        return (
            f"[bold red]✗[/] {counts} in {place}: correct the errors, then run "
            "`trainer check` again."
        )
    return f"[bold green]✓[/] {counts} in {place}: ready to train."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
