"""How far a run is, read from its folder: folds, epochs, losses, time left."""

from dataclasses import dataclass
from pathlib import Path

from trainer.training.epochs import EpochLine, read_epochs
from trainer.training.status import read_status
from trainer.ui.orders import Order

#: Epochs from which the pace is taken, and seconds between two that are one sitting.
_RECENT, _PAUSE = 40, 900.0


@dataclass(frozen=True)
class Fold:
    """One fold."""

    fold: int
    epoch: int
    """Finished epochs."""
    loss: float | None
    val_loss: float | None


@dataclass(frozen=True)
class Progress:
    """A run so far."""

    share: float
    """Finished part of all epochs, 0 to 1."""
    trained: bool
    """Whether all folds are done, and only evaluation and upload are left."""
    seconds: float
    """Work so far, over all sittings."""
    eta_s: float | None
    """Seconds of training that are left, None where the pace is not known yet."""
    epochs: int
    folds: tuple[Fold, ...]
    curves: dict[int, list[tuple[int, float]]]
    """Epoch and loss, by fold."""


def progress(work: Path, order: Order) -> Progress:
    """Read how far a run is."""
    folder = work / order.fingerprint
    status, lines = read_status(folder), read_epochs(folder)
    epochs = int(status.get("epochs", order.epochs))
    finished = {int(k): int(v) for k, v in status.get("finished_epochs", {}).items()}
    # a fold that goes on from a checkpoint is behind what it had reached before it was killed
    kept = [x for x in lines if x.epoch <= finished.get(x.fold, 0)]
    last: dict[int, EpochLine] = {}
    curves: dict[int, list[tuple[int, float]]] = {}
    for line in sorted(kept, key=lambda x: x.epoch):
        last[line.fold] = line
        curves.setdefault(line.fold, []).append((line.epoch, line.loss))
    folds = tuple(
        Fold(
            i,
            finished.get(i, 0),
            last[i].loss if i in last else None,
            last[i].val_loss if i in last else None,
        )
        for i in range(order.folds)
    )
    total = epochs * order.folds
    left = total - sum(finished.values())
    return Progress(
        float(status.get("share", 0.0)),
        status.get("state") == "trained",
        float(status.get("seconds", 0.0)),
        _eta(lines, left),
        epochs,
        folds,
        curves,
    )


def _eta(lines: list[EpochLine], left: int) -> float | None:
    """Divide what is left by the pace of the last epochs of this sitting."""
    recent = lines[-_RECENT:]
    for i in range(len(recent) - 1, 0, -1):
        if recent[i].at - recent[i - 1].at > _PAUSE:
            recent = recent[i:]
            break
    if len(recent) < 4:
        return None
    taken = recent[-1].at - recent[0].at
    return left * taken / (len(recent) - 1)
