"""``status.json``: what a run is doing, for whoever looks on, rewritten at every event."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainer.plan import Plan
from trainer.training.groups import Group

STATUS = "status.json"
#: So many of the last warnings are kept.
_WARNINGS = 10


class Book:
    """Keeps count of a run over all its sittings."""

    def __init__(self, path: Path, fingerprint: str, epochs: int, members: int) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.epochs, self.members = epochs, members
        old = read_status(path.parent)
        self._before = float(old.get("seconds", 0.0))
        self.started = str(old.get("started") or _now())
        self._began = time.monotonic()
        self.finished: dict[int, int] = {}
        self.state = "training"
        self.warnings: list[str] = []
        self.notes: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Work in all sittings."""
        return self._before + time.monotonic() - self._began

    @property
    def share(self) -> float:
        """Finished part of all epochs, 0 to 1."""
        return sum(self.finished.values()) / max(self.epochs * self.members, 1)

    def take(self, event: dict[str, Any]) -> None:
        """Note an event, and write."""
        kind = event["event"]
        for member in event.get("members", []) if isinstance(event.get("members"), list) else []:
            if kind in ("epoch", "resume"):
                self.finished[member] = int(event["epoch"])
            if kind == "done":
                self.finished[member] = self.epochs
        if kind == "warning":
            self.warnings = [*self.warnings, event["text"]][-_WARNINGS:]
        if kind == "note":  # of an attendant: what it wants to be known under its name
            self.notes[event["about"]] = event["says"]
        self.write()

    def close(self) -> None:
        """Write the last word."""
        done = len(self.finished) == self.members and self.share >= 1.0
        self.state = "trained" if done else "stopped"
        self.write()

    def write(self) -> None:
        """Write ``status.json`` in one step."""
        content = {
            "state": self.state,
            "fingerprint": self.fingerprint,
            "epochs": self.epochs,
            "finished_epochs": {str(k): v for k, v in sorted(self.finished.items())},
            "share": round(self.share, 4),
            "seconds": round(self.seconds, 1),
            "started": self.started,
            "updated": _now(),
            "warnings": self.warnings,
            **self.notes,
        }
        write_status(self.path, content)


def open_book(plan: Plan, groups: list[Group], waiting: list[Group]) -> Book:
    """Start or go on with the book of a run."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    book = Book(
        plan.folder / STATUS,
        plan.fingerprint,
        plan.params.training.epochs,
        plan.params.folds.count,
    )
    for group in groups:
        if group not in waiting:
            book.finished |= dict.fromkeys(group.members, book.epochs)
    if not waiting:
        book.state = "trained"
    book.write()
    return book


def read_status(folder: Path) -> dict[str, Any]:
    """Return the status in a run's folder, empty if there is none yet."""
    try:
        found = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_status(path: Path, content: dict[str, Any]) -> None:
    """Write ``status.json`` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _now() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat()
