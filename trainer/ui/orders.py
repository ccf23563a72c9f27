"""What was asked for and how it ended, on disk: the page itself keeps nothing.

In ``<work>/desk``: ``order.json`` (the run that was started last), ``params.yaml`` (its recipe),
``stop.json`` (somebody asked it to stop) and ``outcome.json`` (how it ended).
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Stage = Literal["done", "failed", "stopped"]


@dataclass(frozen=True)
class Order:
    """A run that somebody started."""

    fingerprint: str
    recipe: str
    """Its name, for a reader."""
    data: str
    params: str
    gates: str
    by: str
    """Who started it."""
    at: str
    epochs: int
    folds: int
    properties: tuple[str, ...]
    command: tuple[str, ...] = ()
    """What does it, where a dispatch asked for it; empty for a person on the page."""
    attempt: str = ""
    """Which dispatch that was."""
    seconds: int = 0
    """It is stopped after so many; 0 for the page's own limit."""
    keeping: tuple[str, ...] = ()
    """Options that say where its checkpoints are kept."""
    estimate: str = ""
    """What it was expected to take, as the run keeps it in its record; empty for a dispatch."""

    @property
    def started(self) -> float:
        """When it was started, in seconds since 1970."""
        return datetime.fromisoformat(self.at).timestamp()


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    stage: Stage
    message: str
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    address: str = ""
    """Where its candidate is."""
    at: str = ""
    given_back: str = ""
    """What became of the hardware, empty while that is open."""


def now() -> str:
    """Return the time as it is kept and shown."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


class Orders:
    """The files.

    Parameters
    ----------
    work
        Folder of all runs.
    """

    def __init__(self, work: Path) -> None:
        self.folder = work / "desk"

    @property
    def params(self) -> Path:
        """Where the recipe of the order stands."""
        return self.folder / "params.yaml"

    def order(self) -> Order | None:
        """Return the newest order."""
        found = self._read("order.json")
        if not found:
            return None
        lists = ("properties", "command", "keeping")
        return Order(**found | {key: tuple(found.get(key, ())) for key in lists})

    def outcome(self) -> Outcome | None:
        """Return how it ended; None while it has not."""
        found = self._read("outcome.json")
        return Outcome(**found | {"reasons": tuple(found["reasons"])}) if found else None

    def stop_asked(self) -> str:
        """Return who asked it to stop, empty if nobody did."""
        return str(self._read("stop.json").get("by", ""))

    def begin(self, order: Order) -> None:
        """Make this the order; whatever ended before is forgotten."""
        self._write("order.json", asdict(order))
        for name in ("stop.json", "outcome.json"):
            (self.folder / name).unlink(missing_ok=True)

    def ask_stop(self, by: str) -> None:
        """Note that somebody wants it to stop."""
        self._write("stop.json", {"by": by, "at": now()})

    def end(self, outcome: Outcome) -> None:
        """Note how it ended."""
        self._write("outcome.json", asdict(outcome))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{name}.part"
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(self.folder / name)
