"""Publishing by hand: a verdict that was overtaken by another release is given anew first."""

from pathlib import Path

from rich.console import Console

from trainer.gates_config import load_gates
from trainer.plan import Plan
from trainer.registry import Candidate, Registry, Release
from trainer.registry.promotion import judged_against
from trainer.road import judge_and_store


def publish(
    registry: Registry,
    fingerprint: str,
    plan: Plan | None,
    gates: Path,
    console: Console,
    *,
    version: str | None = None,
    dry_run: bool = False,
) -> Release:
    """Release a candidate whose verdict is ``pass`` against the release that is current now.

    Parameters
    ----------
    registry, fingerprint
        The candidate.
    plan
        The inputs at hand. If they are those of the candidate, an overtaken verdict is given anew;
        without them the registry refuses, and says how to judge it.
    gates
        The gate that judges then.
    version, dry_run
        See `Registry.publish`.

    Raises
    ------
    NotPublishable
        If its verdict is not ``pass``.
    """
    candidate = registry.candidate(fingerprint)
    current = registry.current()
    ours = plan is not None and plan.fingerprint == candidate.fingerprint
    if plan is not None and ours and not dry_run and _overtaken(registry, candidate, current):
        champion = current.tag if current else "no champion"
        console.print(f"Judging {candidate.fingerprint} again, against {champion} …")
        judge_and_store(plan, load_gates(gates), registry)
    return registry.publish(candidate.fingerprint, version=version, dry_run=dry_run)


def _overtaken(registry: Registry, candidate: Candidate, current: Release | None) -> bool:
    """Whether another release became current after the candidate passed."""
    if candidate.gate is None or candidate.verdict != "pass":
        return False
    if any(release.fingerprint == candidate.fingerprint for release in registry.releases()):
        return False
    return judged_against(candidate.gate) != (current.tag if current else None)
