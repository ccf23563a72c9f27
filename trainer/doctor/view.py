"""What the doctor found, on the console: a green or a red line each."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from trainer.doctor.finding import Finding


def render(findings: Sequence[Finding], console: Console) -> None:
    """Print the findings."""
    for finding in findings:
        mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        console.print(
            f"{mark} {finding.check}: {escape(finding.detail)}", highlight=False, soft_wrap=True
        )
    bad = sum(not finding.ok for finding in findings)
    if bad:
        console.print(f"[red]{bad} of {len(findings)} are to be mended before a run.[/]")
    else:
        console.print("[green]A run can start here.[/]")
