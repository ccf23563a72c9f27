"""Watches the run from inside the page's process, and gives the hardware back when it is over."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from polyid.errors import PolyIDError
from trainer import space_hardware
from trainer.space_hardware import FREE, After
from trainer.ui.desk import Desk
from trainer.ui.orders import Order, Outcome

#: What is noted before a Space is asked to pause: that ends this very process.
ASKED = "The hardware is being given back."


class Keeper(threading.Thread):
    """Notes how a run ends, tells who asked for it, and gives hardware back.

    What the run's log says is handed on. A run that is done or failed ends the rent at once. One
    that was stopped, or a page on which nobody starts anything, ends it after ``idle_s`` seconds;
    free hardware is left alone.

    Parameters
    ----------
    desk
        The run.
    after
        What becomes of the hardware.
    idle_s
        Seconds for which paid hardware may stand idle.
    on_outcome
        Told how a run ended, before the hardware is given back.
    say
        Told what was done.
    linger_s
        Seconds between the end of a run and the end of the rent, for open pages to show it.
    pace_s
        Seconds between two looks.
    """

    def __init__(
        self,
        desk: Desk,
        after: After,
        idle_s: float,
        on_outcome: Callable[[Order, Outcome], None],
        say: Callable[[str], None],
        *,
        linger_s: float = 15.0,
        pace_s: float = 1.0,
    ) -> None:
        super().__init__(daemon=True, name="keeper")
        self.desk, self.after, self.idle_s = desk, after, idle_s
        self.linger_s, self.pace_s = linger_s, pace_s
        self._on_outcome, self._say = on_outcome, say
        self._ended = threading.Event()
        self._busy_at = time.monotonic()
        self._untold: tuple[Order, Outcome] | None = None
        self._told: tuple[str, int] = ("", 0)
        self._due = False
        self.trouble = ""
        """What went wrong last, and may cost money; empty if all is well."""

    def run(self) -> None:
        """Look until told to end."""
        wait = self.pace_s
        while not self._ended.wait(wait):
            try:
                self.step()
                self.trouble, wait = "", self.pace_s
            except (PolyIDError, OSError) as error:
                if str(error) != self.trouble:
                    self._say(str(error))
                self.trouble, wait = str(error), min(max(wait, self.pace_s) * 2, 60.0)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join(timeout=10)

    def step(self) -> None:
        """Look once."""
        self._echo()
        ended = self.desk.settle()
        if ended is not None:
            outcome = ended[1]
            self._say(f"The run is {outcome.stage}. {outcome.message} {outcome.verdict}".rstrip())
            self._busy_at = time.monotonic()
            self._untold, self._due = ended, outcome.stage != "stopped"
        if self.desk.see().busy:
            self._busy_at, self._due = time.monotonic(), False
            return
        if self._untold is not None:
            (order, told), self._untold = self._untold, None
            try:  # a word that cannot be said must not keep the hardware
                self._on_outcome(order, told)
            except PolyIDError as error:
                self._say(str(error))
        if self.desk.space is None or self.after == "stay":
            return
        if not self._due and time.monotonic() - self._busy_at > self.idle_s:
            self._due = space_hardware.hardware(self.desk.space)[1] != FREE
            self._busy_at = time.monotonic()
            if self._due:
                self._say(f"Nothing ran for {self.idle_s:g} s on paid hardware.")
        if self._due and time.monotonic() - self._busy_at > self.linger_s:
            self._give_back(self.desk.space)

    def give_up(self) -> None:
        """Give the hardware back: what it was rented for cannot be done."""
        self._due = True

    def _echo(self) -> None:
        """Hand the new lines of the run's log on, for the log of the Space."""
        order = self.desk.orders.order()
        if order is None:
            return
        key, at = self._told
        if key != (key := f"{order.fingerprint} {order.at}"):
            at = 0
        text, at = self.desk.log_from(order, at)
        for line in text:
            self._say(line)
        self._told = key, at

    def _give_back(self, space: str) -> None:
        noted = self.desk.orders.outcome()
        if noted is not None:
            self.desk.orders.end(replace(noted, given_back=ASKED))
        done = space_hardware.give_back(space, self.after)
        self._due = False
        self._say(done)
        if noted is not None:
            self.desk.orders.end(replace(noted, given_back=done))
