"""The run that a dispatch asks a Space for: begun when the page starts, and told how it ended.

The Space's variables name it. A note on the branch of the run's inputs (`trainer.endnote`) says how
it ended, so that a Space which is started again does not do it a second time.
"""

import shlex
import time
from collections.abc import Mapping
from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer import endnote, inputs
from trainer.endnote import EndNote
from trainer.targets.base import MARK
from trainer.targets.space_files import ATTEMPT, COMMAND, REGISTRY, SECONDS
from trainer.training.worker import INTERRUPTED
from trainer.ui.choices import Offer
from trainer.ui.desk import Desk
from trainer.ui.orders import Order, Outcome, now

_HUB = "hf://"
_CODES = {"done": 0, "failed": 1, "stopped": INTERRUPTED}


class Errand(NamedTuple):
    """One run that was asked for once."""

    fingerprint: str
    attempt: str
    command: tuple[str, ...]
    repo: str
    seconds: int
    """It is stopped after so many."""

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Errand | None":
        """Read it from the variables of the Space; None where nobody dispatched one.

        Raises
        ------
        PolyIDError
            If they ask for something else than a run.
        """
        if not env.get(ATTEMPT):
            return None
        command = tuple(shlex.split(env.get(COMMAND, "")))
        registry = env.get(REGISTRY, "")
        if command[:2] != ("trainer", "job") or not registry.startswith(_HUB):
            raise PolyIDError(
                f"{COMMAND} and {REGISTRY}: received {env.get(COMMAND)!r} and {registry!r}; "
                "expected `trainer job …` and hf://namespace/name. Dispatch again: trainer "
                "dispatch --target hf-space"
            )
        return cls(
            env.get(MARK, ""),
            env[ATTEMPT],
            command,
            registry.removeprefix(_HUB),
            int(env.get(SECONDS, "21600")),
        )

    def offer(self, offer: Offer) -> Offer:
        """Offer the errand's own data, recipe and gate where this machine has no data."""
        if offer.files():
            return offer
        _, files = inputs.fetch(self.repo, self.fingerprint, offer.work)
        return Offer(files.params, files.data, files.gates, offer.work)

    def begin(self, desk: Desk) -> bool:
        """Start it, or go on with it after a restart; say whether there is anything to do.

        Raises
        ------
        PolyIDError
            If it cannot be started; `refuse` tells who asked.
        """
        old = desk.orders.order()
        if old is not None and old.attempt == self.attempt:
            return desk.recover()
        note = endnote.read(self.repo, self.fingerprint)
        if note is not None and note.machine == self.attempt:
            return False
        plan, files = inputs.fetch(self.repo, self.fingerprint, desk.work)
        desk.start_dispatched(
            Order(
                self.fingerprint,
                plan.params.recipe,
                str(files.data),
                str(files.params),
                str(files.gates),
                "trainer dispatch",
                now(),
                plan.params.training.epochs,
                plan.params.folds.count,
                tuple(plan.properties),
                self.command,
                self.attempt,
                self.seconds,
            )
        )
        return True

    def tell(self, order: Order, outcome: Outcome, log: list[str]) -> None:
        """Note how it ended, if it is this errand that did."""
        if order.attempt != self.attempt:
            return
        note = EndNote(
            self.attempt,
            _CODES[outcome.stage],
            round(time.time() - order.started, 1),
            cancelled=outcome.stage == "stopped",
        )
        endnote.write(self.repo, self.fingerprint, note, "\n".join([*log, outcome.message]))

    def refuse(self, why: str) -> None:
        """Note that it was not started."""
        endnote.write(self.repo, self.fingerprint, EndNote(self.attempt, 2, 0.0), why)
