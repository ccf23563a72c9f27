"""Which members train together, where their files lie, and which of them are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.training.checkpoint import Arrays, CheckpointError, read_arrays


@dataclass(frozen=True)
class Group:
    """Members that are trained in one program."""

    members: tuple[int, ...]

    @property
    def name(self) -> str:
        """Such as ``member-03`` or ``members-00-09``."""
        first, last = self.members[0], self.members[-1]
        return f"member-{first:02d}" if first == last else f"members-{first:02d}-{last:02d}"

    def checkpoints(self, run: Path) -> Path:
        """Folder of its checkpoints."""
        return run / "checkpoints" / self.name

    def result(self, run: Path) -> Path:
        """File of its weights, history and out-of-fold predictions, once it is done."""
        return run / "members" / f"{self.name}.npz"

    def read(self, run: Path) -> Arrays | None:
        """Return its result; None if it is not done, or its file does not verify."""
        try:
            return read_arrays(self.result(run))
        except CheckpointError:
            return None


def make_groups(count: int, at_once: int) -> list[Group]:
    """Cut ``count`` members into groups of ``at_once``, the last one smaller if need be."""
    return [Group(tuple(range(i, min(i + at_once, count)))) for i in range(0, count, at_once)]


def share(groups: Sequence[Group], workers: int) -> list[list[Group]]:
    """Deal groups to workers, one after the other."""
    return [hand for hand in (list(groups[i::workers]) for i in range(workers)) if hand]
