"""What a tracker is told of a run: TensorBoard's files, Trackio, or Weights & Biases.

``python -m trainer.watching.trackers`` reads a `Session` and then events as JSON lines from its
standard input. It is a process apart: what fails or hangs here does not reach the run.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainer.watching.eventfile import EventFile

#: Package that each needs.
PACKAGES = {"tensorboard": None, "trackio": "trackio", "wandb": "wandb"}
PROJECT = "polyid"


@dataclass(frozen=True)
class Session:
    """The run that is tracked."""

    tracker: str
    folder: str
    """Where it may write."""
    fingerprint: str
    recipe: Mapping[str, Any]


class Tracker(Protocol):
    """Takes numbers as they come."""

    def take(self, numbers: Mapping[str, float], epoch: int, finished: int) -> None:
        """Keep the numbers of an ``epoch``, the ``finished``-th of the run's folds together."""

    def close(self) -> None:
        """Finish."""


class TensorBoard:
    """Event files; `tensorboard --logdir` shows them."""

    def __init__(self, session: Session) -> None:
        self.file = EventFile(Path(session.folder))

    def take(self, numbers: Mapping[str, float], epoch: int, finished: int) -> None:
        """Write at the fold's own epoch; see `Tracker.take`."""
        self.file.add(numbers, epoch)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Trackio:
    """Trackio: a database here, or a Space where ``TRACKIO_SPACE_ID`` names one."""

    def __init__(self, session: Session) -> None:
        os.environ.setdefault("TRACKIO_DIR", session.folder)
        import trackio

        self.trackio = trackio
        trackio.init(
            os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=session.fingerprint,
            space_id=os.environ.get("TRACKIO_SPACE_ID"),
            config=dict(session.recipe),
            resume="allow",
            embed=False,
        )

    def take(self, numbers: Mapping[str, float], epoch: int, finished: int) -> None:
        """Log at the count of all folds' epochs, which only grows; see `Tracker.take`."""
        self.trackio.log(dict(numbers), step=finished)

    def close(self) -> None:
        """Send what is left."""
        self.trackio.finish()


class WeightsAndBiases:
    """Weights & Biases: files for `wandb sync`, or its service where there is a key."""

    def __init__(self, session: Session) -> None:
        import wandb

        online = bool(os.environ.get("WANDB_API_KEY"))
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=session.fingerprint,
            name=session.fingerprint,
            dir=session.folder,
            config=dict(session.recipe),
            mode=os.environ.get("WANDB_MODE", "online" if online else "offline"),  # type: ignore[arg-type]
            resume="allow",
        )

    def take(self, numbers: Mapping[str, float], epoch: int, finished: int) -> None:
        """Log at the count of all folds' epochs, which only grows; see `Tracker.take`."""
        self.run.log(dict(numbers), step=finished)

    def close(self) -> None:
        """Send what is left."""
        self.run.finish()


_KINDS: dict[str, type[TensorBoard] | type[Trackio] | type[WeightsAndBiases]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}


def numbers_of(event: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an ``epoch`` event, by name and fold."""
    found: dict[str, float] = {}
    for place, member in enumerate(event["members"]):
        for name in ("loss", "val_loss"):
            value = event[name][place]
            if value is not None:
                found[f"{name}/fold_{member}"] = float(value)
        found[f"seconds/fold_{member}"] = float(event["seconds"])
    return found


def main() -> int:
    """Track the session on standard input to its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the run says when it ends, by closing the pipe
    session = Session(**json.loads(sys.stdin.readline()))
    tracker: Tracker = _KINDS[session.tracker](session)
    finished: dict[int, int] = {}
    for line in sys.stdin:
        event = json.loads(line)
        finished |= dict.fromkeys(event["members"], int(event["epoch"]))
        tracker.take(numbers_of(event), int(event["epoch"]), sum(finished.values()))
    tracker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
