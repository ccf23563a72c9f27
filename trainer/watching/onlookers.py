"""Who looks on while a run trains: the alarm and the trackers that were asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.conduct import Conduct
from trainer.plan import Plan
from trainer.watching.stall import StallAlarm
from trainer.watching.tracked import Tracked


@contextmanager
def onlookers(plan: Plan, conduct: Conduct) -> Iterator[list[StallAlarm | Tracked]]:
    """Return who is to hear of a run; no process of theirs outlives the block."""
    trackers = [Tracked(plan, name) for name in conduct.track]
    try:
        yield [StallAlarm(conduct.stall), *trackers]
    finally:
        for tracker in trackers:
            tracker.end()
