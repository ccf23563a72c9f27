"""Predictions for requests: limits, a cache of answers, one calculation for equal questions."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from app.limits import Limits
from app.metrics import Metrics
from app.pool import NoWorkerError, Pool, WorkerDiedError, WorkerSlowError
from app.problems import Problem
from app.schemas import Ask

#: Seconds for which a structure that took too long is not tried again.
_AVOIDED = 600.0
#: A structure that kills this many workers is to blame, not the machine.
_DEATHS = 2


class Served(NamedTuple):
    """The model that is served."""

    identity: dict[str, Any]
    """What every answer names, see `app.schemas.ModelOut`."""
    about: dict[str, Any]
    """What `GET /model` says beside it."""
    interval_level: float
    folder: Path | None = None
    """Where its files are, for the page about it."""


class Lru:
    """The newest entries of a mapping.

    Parameters
    ----------
    size
        How many are kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """Return an entry, which is the newest then; None if there is none."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Keep an entry, and drop the oldest if there are too many."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self.size:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(eq=False)
class Service:
    """What the API and a page in the same process ask for predictions.

    Attributes
    ----------
    served : Served or None
        The model; None until one is ready.
    """

    pool: Pool
    limits: Limits
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    served: Served | None = None
    _answers: Lru = field(init=False)
    _avoided: Lru = field(init=False)
    _running: dict[Hashable, asyncio.Task[dict[str, Any]]] = field(default_factory=dict)
    _waiting: int = 0
    _batches: int = 0

    def __post_init__(self) -> None:
        self._answers, self._avoided = Lru(self.limits.cached), Lru(1_024)

    @property
    def ready(self) -> bool:
        """Whether predictions are answered."""
        return self.served is not None and self.pool.alive > 0

    def serve(self, served: Served) -> None:
        """Serve a model that the pool has loaded."""
        self.served = served
        self._answers.clear()
        names = ("tag", "revision", "hub_commit", "fingerprint")
        self.metrics.model.clear()
        self.metrics.model.labels(*(served.identity[name] or "" for name in names)).set(1)

    def model(self) -> Served:
        """Return the model that is served.

        Raises
        ------
        Problem
            If there is none.
        """
        if self.served is None:
            raise Problem("not-ready", "No model is loaded; GET /health says why.")
        return self.served

    def begin_batch(self) -> bool:
        """Take a place for a batch, which `end_batch` gives back; False if there is none."""
        if self._batches >= self.limits.batches:
            return False
        self._batches += 1
        return True

    def end_batch(self) -> None:
        """Give a batch's place back."""
        self._batches -= 1

    async def predict(self, ask: Ask, *, patient: bool = False) -> dict[str, Any]:
        """Predict one polymer.

        Parameters
        ----------
        ask
            The polymer.
        patient
            For a row of a batch, which waits for its turn as long as it takes.

        Returns
        -------
        dict
            As `app.schemas.Prediction`.

        Raises
        ------
        Problem
            If there is no prediction, with the reason and the field.
        """
        model = self.model()
        self._check_length(ask)
        key = _key(ask)
        found = self._answers.get(key)
        if found is not None:
            self.metrics.predictions.labels("cached").inc()
        else:
            found = await self._join(key, ask, patient)
        if "answer" not in found:
            raise Problem(found["code"], found["error"], found["field"])
        level = model.interval_level
        return {
            "name": ask.name,
            **found["answer"],
            "input": ".".join(ask.monomers) if ask.monomers else ask.smiles,
            "interval_level": level,
            "model": model.identity,
        }

    async def draw(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Draw a polymer that was predicted; see `app.drawing.draw`.

        Raises
        ------
        Problem
            If it cannot be drawn now.
        """
        self.model()
        key = ("draw", json.dumps(wanted, sort_keys=True))
        found = self._answers.get(key)
        if found is None:
            message = {"do": "draw", "monomers": None, **wanted}
            found = await self._run(key, message, self.limits.wait_seconds)
            self._answers.put(key, found)
        if "answer" not in found:
            raise Problem(found["code"], found["error"], found["field"])
        answer: dict[str, Any] = found["answer"]
        return answer

    async def _join(self, key: Hashable, ask: Ask, patient: bool) -> dict[str, Any]:
        """Wait for the calculation of ``key``, which is begun if nobody else has."""
        task = self._running.get(key)
        if task is None:
            if not patient and self._waiting >= self.limits.waiting:
                self.metrics.predictions.labels("turned away").inc()
                raise Problem("busy", f"{self._waiting} predictions are waiting already.")
            task = asyncio.create_task(self._calculate(key, ask, patient))
            self._running[key] = task
            self._count(1)
            task.add_done_callback(lambda done: self._finished(key, done))
        longest = None if patient else self.limits.wait_seconds + self.limits.run_seconds
        try:
            async with asyncio.timeout(longest):
                # a client that leaves must not take the answer from another that waits for it
                return await asyncio.shield(task)
        except TimeoutError:
            raise Problem("out-of-time", f"There was no answer in {longest:g} s.") from None

    def _finished(self, key: Hashable, task: asyncio.Task[dict[str, Any]]) -> None:
        del self._running[key]
        self._count(-1)
        if not task.cancelled():
            task.exception()  # it was told to those who waited, if any is left

    def _count(self, change: int) -> None:
        self._waiting += change
        self.metrics.waiting.set(self._waiting)

    async def _calculate(self, key: Hashable, ask: Ask, patient: bool) -> dict[str, Any]:
        until = self._avoided.get(key)
        if until is not None and self.clock() < until:
            raise Problem("out-of-time", f"{self._slow()} It is not tried again for a while.")
        message = {
            "do": "predict",
            "smiles": ask.smiles,
            "monomers": ask.monomers,
            "mechanism": ask.mechanism,
            "pm": ask.pm,
            "kind": "monomers" if ask.monomers else ask.kind,
            "atoms": self.limits.atoms,
        }
        found = await self._run(key, message, None if patient else self.limits.wait_seconds)
        self.metrics.predictions.labels("predicted" if "answer" in found else "refused").inc()
        self._answers.put(key, found)
        return found

    async def _run(
        self, key: Hashable, message: dict[str, Any], wait_seconds: float | None
    ) -> dict[str, Any]:
        for _ in range(_DEATHS):
            try:
                return await self.pool.run(message, wait_seconds, self.limits.run_seconds)
            except NoWorkerError:
                self.metrics.predictions.labels("turned away").inc()
                raise Problem("busy", f"No worker became free in {wait_seconds:g} s.") from None
            except WorkerSlowError:
                self.metrics.predictions.labels("out of time").inc()
                self._avoided.put(key, self.clock() + _AVOIDED)
                raise Problem("out-of-time", self._slow()) from None
            except WorkerDiedError:
                continue
        field = ["monomers"] if message["monomers"] else ["smiles"]
        detail = f"{_DEATHS} processes ended while they read this structure; give a simpler one."
        return {"code": "crashes", "error": detail, "field": field}

    def _slow(self) -> str:
        return (
            f"This structure took longer than {self.limits.run_seconds:g} s. "
            "Give a simpler one: the repeat unit with two *, or the monomers."
        )

    def _check_length(self, ask: Ask) -> None:
        most = self.limits.characters
        texts: list[tuple[list[str | int], str]]
        if ask.monomers:
            texts = [(["monomers", place], text) for place, text in enumerate(ask.monomers)]
        else:
            texts = [(["smiles"], ask.smiles or "")]
        for where, text in texts:
            if len(text) > most:
                raise Problem(
                    "structure-too-large",
                    f"The structure has {len(text)} characters; at most {most} are read. "
                    "Give the repeat unit with two *, or the monomers.",
                    where,
                )


def _key(ask: Ask) -> Hashable:
    """Return what decides an answer; equal polymers in one spelling are one."""
    text = tuple(sorted(part.strip() for part in ask.monomers)) if ask.monomers else None
    return (ask.smiles and ask.smiles.strip(), text, ask.mechanism, ask.pm, ask.kind)
