"""Training as it is watched: bars in a terminal, lines in a log."""

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

#: Least seconds between two lines of a log.
_EVERY = 10.0


class TrainingView:
    """Shows the events of `trainer.training.run.train`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = console.is_terminal
        self.bars: Progress | None = None
        self.tasks: dict[int, TaskID] = {}
        self.total: TaskID | None = None
        self.done: dict[int, int] = {}
        self.pace: dict[int, float] = {}
        self.last = 0.0
        self.members = self.epochs = self.workers = 0

    def __enter__(self) -> "TrainingView":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        getattr(self, f"_{event['event']}", self._other)(event)

    def _start(self, event: dict[str, Any]) -> None:
        self.members, self.epochs = event["members"], event["epochs"]
        self.workers = event["workers"]
        waiting = event["waiting"]
        self.done = {m: self.epochs for m in range(self.members) if m not in waiting}
        self.console.print(
            f"Training {self.members} folds × {self.epochs} epochs in {self.workers} "
            f"process{'es' if self.workers > 1 else ''}"
            + (f"; {len(self.done)} folds are done already." if self.done else ".")
            + (" The first epoch compiles." if event.get("compiles") else "")
        )
        if self.live:
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                TextColumn("{task.completed}/{task.total} epochs"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                console=self.console,
            )
            self.total = self.bars.add_task(
                "all folds", total=self.epochs * self.members, note="", completed=self._finished()
            )
            self.bars.start()

    def _finished(self) -> int:
        return sum(self.done.values())

    def _resume(self, event: dict[str, Any]) -> None:
        for member in event["members"]:
            self.done[member] = event["epoch"]
        self.console.print(
            f"Resuming fold {_names(event)} from epoch {event['epoch']} ({event['path']}).",
            soft_wrap=True,
        )

    def _warning(self, event: dict[str, Any]) -> None:
        self.console.print(
            f"[yellow]Warning:[/] {escape(event['text'])}", highlight=False, soft_wrap=True
        )

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("text"):
            self.console.print(escape(event["text"]), highlight=False, soft_wrap=True)

    def _epoch(self, event: dict[str, Any]) -> None:
        epoch, epochs = event["epoch"], event["epochs"]
        for i, member in enumerate(event["members"]):
            self.done[member] = epoch
            if epoch > 1:
                self.pace[member] = event["seconds"] / len(event["members"])
            if self.bars is not None and member not in self.tasks:
                self.tasks[member] = self.bars.add_task(f"fold {member}", total=epochs, note="")
            if self.bars is not None:
                self.bars.update(
                    self.tasks[member], completed=epoch, note=f"loss {event['loss'][i]:.3f}"
                )
        if self.bars is not None and self.total is not None:
            self.bars.update(self.total, completed=self._finished(), note=self._eta())
        elif time.monotonic() - self.last > _EVERY or epoch == epochs:
            self.last = time.monotonic()
            share = self._finished() / max(self.epochs * self.members, 1)
            losses = " ".join(f"{v:.3f}" for v in event["loss"])
            self.console.print(
                f"  fold {_names(event)} epoch {epoch}/{epochs}  loss {losses}{_val(event)}  "
                f"{share:4.0%} of the run  {self._eta()}",
                highlight=False,
            )

    def _eta(self) -> str:
        if not self.pace:
            return "ETA …"
        pace = sum(self.pace.values()) / len(self.pace)
        left = (self.epochs * self.members - self._finished()) * pace / max(self.workers, 1)
        return f"ETA {int(left // 60)}:{int(left % 60):02d}"

    def _other(self, event: dict[str, Any]) -> None:
        """Compile, done, interrupted and the like: the bars and lines above say enough."""


def _names(event: dict[str, Any]) -> str:
    return ", ".join(map(str, event["members"]))


def _val(event: dict[str, Any]) -> str:
    known = [v for v in event["val_loss"] if v is not None]
    return f"  validation {sum(known) / len(known):.3f}" if known else ""
