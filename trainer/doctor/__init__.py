"""Can a run start here, or there, and will its end be allowed? Each answer with what to do."""

from collections.abc import Sequence
from pathlib import Path

from trainer.doctor.basics import everywhere
from trainer.doctor.case import Case
from trainer.doctor.finding import Finding, Question, answered
from trainer.registry import Registry

__all__ = ["Case", "Finding", "Question", "answered", "everywhere", "examine"]


def examine(
    data: Path, params: str, gates: Path, overrides: Sequence[str], registry: Registry, work: Path
) -> list[Finding]:
    """Ask what would otherwise stop a run after hours of work, wherever it happens.

    Parameters
    ----------
    data, params, gates, overrides
        What would be trained, and what judges it.
    registry
        Where it is to be kept. On the Hub nothing is written; a folder is created.
    work
        Where the run would work.
    """
    return answered(everywhere(Case(data, params, gates, registry, work, overrides)))
