"""How long an application did not answer, measured by those who asked it."""

import time
from dataclasses import dataclass, field

from trainer.smoke import Seen


@dataclass
class Gap:
    """Measures from an application's last answer to its next: an upper bound."""

    first: Seen
    last: float = field(default_factory=time.monotonic)
    total: float = 0.0
    _open: bool = False
    _requested: str | None = None

    def __post_init__(self) -> None:
        self._requested = self.first.requested

    def saw(self, seen: Seen) -> None:
        """Note an answer, or that there was none."""
        now = time.monotonic()
        if seen.ready:
            # another process answers: there was a gap, though nobody asked within it
            if self._open or seen.requested != self._requested:
                self.total += now - self.last
            self.last, self._requested = now, seen.requested
        self._open = not seen.ready

    @property
    def seconds(self) -> float | None:
        """The whole gap so far; None if there was no service to interrupt."""
        if not self.first.ready:
            return None
        return round(self.total + (time.monotonic() - self.last if self._open else 0.0), 2)
