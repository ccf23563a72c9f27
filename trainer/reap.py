"""What still stands of runs that nobody follows any more: found by label and age, and stopped.

A run ends by itself, at its time limit at the latest, if its provider keeps its word. This is what
stands outside: it asks every target that is set up here, and needs nothing that a controller knew.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from polyid.errors import PolyIDError
from trainer.targets import Leftover


class Asked(Protocol):
    """Where something may be left: a target, or inputs that were staged."""

    name: str

    def leftovers(self) -> list[Leftover]:
        """Find all that stands there because of us."""

    def remove(self, leftover: Leftover) -> None:
        """Stop or delete it."""


class Found(NamedTuple):
    """One thing that stood there, and what became of it."""

    leftover: Leftover
    hours: float
    usd: float | None
    """What it has cost so far; None where that is not known."""
    fate: str
    """``stopped``, ``would be stopped``, ``kept``, or ``failed``."""
    why: str

    def as_json(self) -> dict[str, object]:
        """Return plain data."""
        it = self.leftover
        return {
            "target": it.target, "kind": it.kind, "id": it.id, "fingerprint": it.fingerprint,
            "url": it.url, "hardware": it.hardware, "since": it.since.isoformat(),
            "hours": round(self.hours, 3), "usd_per_hour": it.usd_per_hour,
            "usd": None if self.usd is None else round(self.usd, 4),
            "fate": self.fate, "why": self.why,
        }  # fmt: skip


class Reaped(NamedTuple):
    """What was found everywhere."""

    found: list[Found]
    unasked: dict[str, str]
    """Places that could not be asked, and why."""

    @property
    def clean(self) -> bool:
        """Whether every place was asked, and nothing stands that was to be stopped."""
        return not self.unasked and all(found.fate != "failed" for found in self.found)

    @property
    def usd(self) -> float:
        """What everything that was to be stopped has cost, as far as it is known."""
        return sum(found.usd or 0.0 for found in self.found if found.fate != "kept")


def reap(
    places: Iterable[Asked],
    older_than: timedelta,
    *,
    dry_run: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Reaped:
    """Stop what is older than ``older_than``, and what is there twice at any age.

    Staged inputs go when they are old enough and their run is nowhere live.

    Parameters
    ----------
    places
        Whom to ask; staged inputs last.
    older_than
        Age from which on something is taken for forgotten.
    dry_run
        Only say what would be done.
    now
        Tells the time.
    """
    found: list[Found] = []
    unasked: dict[str, str] = {}
    for place in places:
        try:
            leftovers = place.leftovers()
        except PolyIDError as error:
            unasked[place.name] = str(error)
            continue
        running = {f.leftover.fingerprint for f in found if f.fate in ("kept", "failed")}
        for leftover in leftovers:
            why = _reason(leftover, older_than, now(), running, asked_all=not unasked)
            found.append(_end(place, leftover, why, now(), dry_run))
    return Reaped(found, unasked)


def _reason(
    it: Leftover, older_than: timedelta, now: datetime, running: set[str], *, asked_all: bool
) -> tuple[bool, str]:
    """Say whether something is to go, and why."""
    if it.kind == "inputs" and it.fingerprint in running:
        return False, "its run goes on"
    if it.kind == "inputs" and not asked_all:
        return False, "whether its run goes on could not be asked everywhere"
    if it.spare:
        return True, "there is another one of the same run"
    old = now - it.since >= older_than
    return old, f"{'at least' if old else 'younger than'} {hours_text(older_than)} old"


def _end(
    place: Asked, it: Leftover, reason: tuple[bool, str], now: datetime, dry_run: bool
) -> Found:
    goes, why = reason
    fate = "would be stopped" if goes else "kept"
    if goes and not dry_run:
        try:
            place.remove(it)
            fate = "stopped"
        except PolyIDError as error:
            fate, why = "failed", str(error)
    return Found(it, it.hours(now), it.usd(now), fate, why)


def hours_text(age: timedelta) -> str:
    """Write an age for a reader."""
    hours = age.total_seconds() / 3600
    return f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.3g} min"


def summary(reaped: Reaped) -> str:
    """Say in a sentence or two what was found and what it cost."""
    gone: Sequence[Found] = [f for f in reaped.found if f.fate != "kept"]
    if not reaped.found and not reaped.unasked:
        return "Nothing of ours stands anywhere."
    unpriced = sum(f.usd is None for f in gone)
    parts = [f"{len(reaped.found)} found, {len(reaped.found) - len(gone)} kept"]
    for fate in ("stopped", "would be stopped", "failed"):
        some = [f for f in gone if f.fate == fate]
        if some:
            parts.append(f"{len(some)} {'could not be stopped' if fate == 'failed' else fate}")
    text = f"{', '.join(parts)}. It has cost ${reaped.usd:.2f}"
    if unpriced:
        text += f", without {unpriced} whose price is not known"
    text += "."
    for name, why in reaped.unasked.items():
        text += f" {name} could not be asked: {why}"
    return text
