"""What a run left, on the console: the table, the verdict, where things are, what is next."""

from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.registry import Registry
from trainer.road import Outcome
from trainer.view import summary_table

_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def show(outcome: Outcome, registry: object, publish: bool, console: Console) -> None:
    """Print the outcome of a run."""
    gate = outcome.gate
    console.print(summary_table(outcome.metrics, gate))
    colour = _COLOURS.get(gate["verdict"], "white")
    mode = "" if gate.get("enforced", True) else " (dry run: not enforced)"
    console.print(f"Gate: [bold {colour}]{gate['verdict']}[/]{mode}", soft_wrap=True)
    for sentence in [*gate["reasons"], *gate.get("warnings", [])]:
        console.print(f"  {sentence}", highlight=False, soft_wrap=True)
    release = outcome.release
    if release is not None:
        console.print(
            f"Release   {release.tag} ({release.status}): {release.address}", soft_wrap=True
        )
    else:
        console.print(f"Candidate {outcome.address}", highlight=False, soft_wrap=True)
        if gate["verdict"] == "pass" and not publish:
            console.print(
                f"          to release it: trainer publish --registry {registry} "
                f"--candidate {outcome.fingerprint}",
                highlight=False,
                soft_wrap=True,
            )
    console.print(f"Report    {outcome.report}", highlight=False, soft_wrap=True)


def listing(registry: Registry) -> dict[str, Any]:
    """Return releases and candidates as plain data."""
    current = registry.current()
    return {
        "registry": str(registry),
        "current": None if current is None else current.tag,
        "releases": [
            {"tag": r.tag, "fingerprint": r.fingerprint, "time": r.time, "change": r.change}
            for r in registry.releases()
        ],
        "candidates": [
            {"fingerprint": c.fingerprint, "verdict": c.verdict} for c in registry.candidates()
        ],
    }


def listing_table(content: dict[str, Any]) -> Table:
    """Return the same as a table."""
    table = Table("what", "fingerprint", "state", title=str(content["registry"]))
    for release in content["releases"]:
        state = "current" if release["tag"] == content["current"] else release["change"]
        table.add_row(release["tag"], release["fingerprint"], state)
    for candidate in content["candidates"]:
        table.add_row("candidate", candidate["fingerprint"], candidate["verdict"])
    return table
