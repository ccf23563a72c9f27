"""Writes the review of this commit's model: of its candidate, or of why there is none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyid.errors import PolyIDError
from trainer.contract_report import RULES
from trainer.plan import Plan
from trainer.registry import Registry
from trainer.review import data
from trainer.review.facts import facts
from trainer.review.page import enforced, headline, page
from trainer.review.tables import table
from trainer.review.texts import code, prose
from trainer.review.written import Review
from trainer.training.status import read_status

_MOST_FAULTS = 25


def write(
    plan: Plan,
    registry: Registry,
    params: Path,
    gates: Path,
    base: str | None = None,
    check: Path | None = None,
) -> Review:
    """Write it.

    Parameters
    ----------
    plan
        The run; its fingerprint is looked for in ``registry``.
    params, gates
        Files of recipe and gate in the repository.
    base
        Commit to compare data, recipe and gate with.
    check
        What ``trainer check --out`` wrote: says why nothing was trained.
    """
    if not registry.has_candidate(plan.fingerprint):
        return Review("none", True, "Model gate: no verdict", _without(plan, check))
    found = facts(registry, plan.fingerprint)
    if base is not None:
        try:
            found = replace(found, change=data.change(plan, params, gates, base))
        except PolyIDError as error:
            found = replace(found, change_note=f"It was not compared with its base: {error}")
    gate = found.model.gate
    return Review(found.model.verdict, enforced(gate), headline(found), page(found))


def _without(plan: Plan, check: Path | None) -> str:
    """Say what is known of a run that has no candidate."""
    report = _read(check) if check is not None and check.is_file() else {}
    if report and not report.get("ok", True):
        return _contract(report)
    status = read_status(plan.folder)
    if not status:
        return f"Run {code(plan.fingerprint)} did not begin to train.\n"
    return (
        f"Run {code(plan.fingerprint)} was {prose(status.get('state'))} at "
        f"{float(status.get('share', 0.0)):.0%} of its epochs, last seen "
        f"{prose(status.get('updated'))}. It has no candidate, so there is no verdict.\n"
    )


def _contract(report: dict[str, Any]) -> str:
    """Show the errors of the data contract."""
    errors = [fault for fault in report["faults"] if fault["severity"] == "error"]
    lines = [
        f"The data break their contract: {len(errors)} errors in {code(report['file'])}. Nothing "
        "was trained.",
        "",
        *table(
            ["Line", "Column", "Received", "Expected", "Rule"],
            (
                [
                    "–" if fault["row"] is None else str(fault["row"]),
                    code(fault["column"] or ""),
                    code(fault["value"], 80),
                    prose(fault["expected"], 200),
                    prose(RULES.get(fault["rule"], fault["rule"])),
                ]
                for fault in errors[:_MOST_FAULTS]
            ),
            "rllll",
        ),
    ]
    if len(errors) > _MOST_FAULTS:
        lines += ["", f"… and {len(errors) - _MOST_FAULTS} more."]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
