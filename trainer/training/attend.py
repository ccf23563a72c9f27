"""Who stands by while a run trains, and the events that all of it is told in."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

Event = dict[str, Any]


class Attendant(Protocol):
    """Keeps a run's checkpoints, or sees whether it stands still.

    What it returns is heard like the events of the workers. It must neither block nor raise.
    """

    def arrive(self) -> Iterable[Event]:
        """Prepare, before it is asked what is left to train."""

    def look(self) -> Iterable[Event]:
        """Look on; called some times a second while the workers work."""

    def leave(self, done: bool) -> Iterable[Event]:
        """Finish, once all workers have ended; ``done`` if nothing is left to train."""


def leave(attendants: Sequence[Attendant], hear: Callable[[Event], None], done: bool) -> None:
    """Let all of them finish."""
    for attendant in attendants:
        for event in attendant.leave(done):
            hear(event)
