"""What the doctor looks at: a run that is wanted, and where it is to happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from trainer.config import Params, load_params
from trainer.doctor.finding import Question
from trainer.registry import Registry


@dataclass(frozen=True)
class Case:
    """A run before it is started."""

    data: Path
    params: str
    gates: Path
    registry: Registry
    work: Path
    overrides: Sequence[str] = ()
    checkpoints: str | None = None
    """Store of checkpoints, as the command line names it."""
    image: str = ""
    flavor: str = ""
    namespace: str | None = None
    timeout_s: int = 21600
    gpu: bool = False
    """Whether a machine without a GPU will not do."""

    def recipe(self) -> Params:
        """Return the recipe."""
        return load_params(self.params, self.overrides)


@runtime_checkable
class Asks(Protocol):
    """A target that has questions of its own (see `trainer.targets.Target`)."""

    def questions(self, case: Case) -> list[Question]:
        """Return what is to be asked before a run is sent there."""
