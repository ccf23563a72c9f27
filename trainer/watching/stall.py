"""An alarm when no step ends within many times the usual: it says so, and stops nothing."""

import os
import time
from collections.abc import Callable, Iterable

from trainer.training.attend import Event

#: Least seconds without a step before an alarm, whatever is usual: validation takes a while too.
_LEAST_S = float(os.environ.get("POLYID_STALL_SECONDS", "60"))
#: Seconds that compiling the first step may take.
_FIRST_S = 1800.0
_BEATS = ("step", "epoch", "done", "resume", "compile")


class _Pulse:
    """When a group of members last moved, and how long it takes at most as a rule."""

    def __init__(self, now: float) -> None:
        self.last, self.usual = now, 0.0
        self.stepped = self.stalled = False


class StallAlarm:
    """Stands by a run (see `trainer.training.attend.Attendant`).

    Parameters
    ----------
    times : float
        How many times the usual is too long.
    least_s : float
        But no less than this.
    clock : callable
        Seconds, for tests.
    """

    def __init__(
        self,
        times: float,
        least_s: float = _LEAST_S,
        first_s: float = _FIRST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.times, self.least_s, self.first_s, self.clock = times, least_s, first_s, clock
        self.groups: dict[tuple[int, ...], _Pulse] = {}

    def hear(self, event: Event) -> None:
        """Take an event."""
        kind, members = event["event"], tuple(event.get("members") or ()) if (
            isinstance(event.get("members"), list)
        ) else ()  # fmt: skip
        if not members or kind not in (*_BEATS, "interrupted"):
            return
        if kind in ("done", "interrupted"):
            self.groups.pop(members, None)
            return
        now = self.clock()
        pulse = self.groups.setdefault(members, _Pulse(now))
        if kind in ("step", "epoch"):
            if pulse.stepped and not pulse.stalled:
                pulse.usual = max(pulse.usual, now - pulse.last)
            pulse.stepped = True
        pulse.last = now

    def arrive(self) -> Iterable[Event]:
        """Have nothing to prepare."""
        return ()

    def look(self) -> Iterable[Event]:
        """Raise the alarm once, and take it back when the run moves again."""
        now, changed = self.clock(), False
        for members, pulse in self.groups.items():
            still = now - pulse.last
            limit = max(self.times * pulse.usual, self.least_s) if pulse.stepped else self.first_s
            if (still > limit) == pulse.stalled:
                continue
            pulse.stalled, changed = still > limit, True
            if pulse.stalled:
                yield self._alarm(members, still, pulse)
        if changed:
            yield {"event": "note", "about": "stalled", "says": self._stalled(), "text": ""}

    def leave(self, done: bool) -> Iterable[Event]:
        """Take the alarm back: the run has ended."""
        self.groups.clear()
        yield {"event": "note", "about": "stalled", "says": [], "text": ""}

    def _stalled(self) -> list[int]:
        return sorted(m for members, pulse in self.groups.items() if pulse.stalled for m in members)

    def _alarm(self, members: tuple[int, ...], still: float, pulse: _Pulse) -> Event:
        usual = f"; {pulse.usual:.2g} s at most are usual" if pulse.stepped else " of compiling"
        text = (
            f"No step of fold {', '.join(map(str, members))} has ended for {still:.0f} s{usual}. "
            "The run is left as it is. Look at the machine (`top`, `nvidia-smi`) and the worker's "
            "log; SIGTERM saves and stops the run, and the same command resumes it."
        )
        return {"event": "warning", "members": list(members), "text": text}
