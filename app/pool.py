"""Worker processes, and who may use one: started early, killed when stuck, replaced when dead."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

_LOG = logging.getLogger("app")

#: Seconds in which a worker must have imported its libraries, and have loaded and tested a model.
START_SECONDS = 180.0
#: Longest line a worker may answer, in bytes.
_LINE = 1 << 24
#: Seconds before a worker that did not start is started again, doubled up to the second.
_AGAIN = (1.0, 60.0)


class WorkerDiedError(Exception):
    """A worker process ended before it answered."""


class WorkerSlowError(Exception):
    """A worker process did not answer in time, and was killed."""


class NoWorkerError(Exception):
    """All workers stayed busy for as long as was waited."""


class LoadFailedError(Exception):
    """A worker refused the model, or its self-test failed; the text says why."""


@dataclass(eq=False)
class Worker:
    """One child process that answers line by line."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls) -> "Worker":
        """Start a process; it imports for some seconds before it can answer."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        worker = cls(process)
        try:
            await worker.answer(START_SECONDS)
        except BaseException:  # cancelled, too: no worker is left behind, nothing is swallowed
            await worker.kill()
            raise
        return worker

    async def ask(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for its answer; a worker that fails is killed."""
        assert self.process.stdin is not None
        line = json.dumps({**message, "seconds": seconds}).encode("ascii") + b"\n"
        if self.process.stdin.is_closing():  # writing then raises what the event loop pleases
            await self.kill()
            raise WorkerDiedError
        try:
            self.process.stdin.write(line)
            await self.process.stdin.drain()
            return await self.answer(seconds)
        except (BrokenPipeError, ConnectionResetError):
            await self.kill()
            raise WorkerDiedError from None
        except BaseException:  # cancelled, too: its answer would be taken for the next one's
            await self.kill()
            raise

    async def answer(self, seconds: float) -> dict[str, Any]:
        """Read one line of JSON."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise WorkerSlowError from None
        if not line.endswith(b"\n"):
            raise WorkerDiedError
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.returncode is None

    async def kill(self) -> None:
        """End the process now."""
        if self.alive:
            self.process.kill()
        await self.process.wait()


@dataclass(eq=False)
class Pool:
    """As many workers as wanted, each with the same model.

    Parameters
    ----------
    size
        Number of processes.
    on_event
        Told ``slow``, ``died`` or ``started`` when that happens to a worker.
    """

    size: int
    on_event: Callable[[str], None] = lambda event: None
    _workers: set[Worker] = field(default_factory=set)
    _idle: asyncio.Queue[Worker] = field(default_factory=asyncio.Queue)
    _warm: list[asyncio.Task[Worker]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _asked: int = 0
    _message: dict[str, Any] | None = None
    _closed: bool = False

    def warm(self) -> None:
        """Start processes that import while the model is being fetched."""
        if not self._warm:
            self._warm = [asyncio.create_task(Worker.start()) for _ in range(self.size)]

    async def load(self, folder: str) -> dict[str, Any]:
        """Load a model into every worker, and let them serve it.

        Returns
        -------
        dict
            What a worker says of the model.

        Raises
        ------
        LoadFailedError
            If one of them refuses it; then none serves, and another model can be loaded.
        """
        self.warm()
        try:
            started = await asyncio.gather(*self._warm)
            answers = await asyncio.gather(
                *(
                    worker.ask(_load(folder, place, self.size), START_SECONDS)
                    for place, worker in enumerate(started)
                )
            )
        except (WorkerDiedError, WorkerSlowError, OSError) as error:
            await self._drop()
            raise LoadFailedError(
                "A worker process ended while it loaded the model "
                f"({type(error).__name__}); is there enough memory?"
            ) from None
        for answer in answers:
            if "fault" in answer:
                raise LoadFailedError(answer["fault"])
        self._message = _load(folder, 0, self.size)
        for worker in started:
            self._join(worker)
        self._warm = []
        return answers[0] | {"tested": sum(answer["tested"] for answer in answers)}

    async def run(
        self, message: Mapping[str, Any], wait_seconds: float | None, run_seconds: float
    ) -> dict[str, Any]:
        """Let a worker answer.

        Parameters
        ----------
        message
            The request.
        wait_seconds
            How long to wait for a free worker; None for as long as it takes.
        run_seconds
            How long the answer may take.

        Raises
        ------
        NoWorkerError
            If none became free.
        WorkerSlowError, WorkerDiedError
            If the answer did not come; the worker is replaced.
        """
        async with self._borrowed(wait_seconds) as worker:
            self._asked += 1
            try:
                # cores that others do not need are this one's
                return await worker.ask({**message, "at_once": self._asked}, run_seconds)
            finally:
                self._asked -= 1

    @property
    def alive(self) -> int:
        """Workers that serve."""
        return sum(worker.alive for worker in self._workers)

    async def close(self) -> None:
        """End all processes; none is replaced any more."""
        self._closed = True
        await self._drop()

    async def _drop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for warm in self._warm:
            warm.cancel()
        for found in await asyncio.gather(*self._warm, return_exceptions=True):
            if isinstance(found, Worker):
                await found.kill()
        self._warm = []
        for worker in list(self._workers):
            await worker.kill()
        self._workers.clear()

    @asynccontextmanager
    async def _borrowed(self, seconds: float | None) -> AsyncIterator[Worker]:
        try:
            async with asyncio.timeout(seconds):
                while not (worker := await self._idle.get()).alive:
                    self.on_event("died")  # while it was idle: no question is to blame
                    self._give_up(worker)
        except TimeoutError:
            raise NoWorkerError from None
        try:
            yield worker
        except WorkerSlowError:
            self.on_event("slow")
            raise
        except WorkerDiedError:
            self.on_event("died")
            raise
        finally:
            if worker.alive:
                self._idle.put_nowait(worker)
            else:
                self._give_up(worker)

    def _give_up(self, worker: Worker) -> None:
        """Start another in the place of a dead one."""
        self._workers.discard(worker)
        if self._closed:
            return
        task = asyncio.create_task(self._replace())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        """Start a worker in the place of a dead one, however often it takes."""
        pause = _AGAIN[0]
        while True:
            worker = None
            try:
                worker = await Worker.start()
                assert self._message is not None
                answer = await worker.ask(self._message, START_SECONDS)
                if "fault" not in answer:
                    self._join(worker)
                    self.on_event("started")
                    return
                _LOG.error("a new worker refused the model: %s", answer["fault"])
            except (WorkerDiedError, WorkerSlowError, OSError) as error:
                _LOG.error("a new worker did not start: %r", error)
            except asyncio.CancelledError:
                if worker is not None:
                    await worker.kill()
                raise
            if worker is not None:
                await worker.kill()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _AGAIN[1])

    def _join(self, worker: Worker) -> None:
        self._workers.add(worker)
        self._idle.put_nowait(worker)


def _load(folder: str, place: int, workers: int) -> dict[str, Any]:
    """Ask for a model, tested on one worker's share of the reference polymers."""
    return {"do": "load", "folder": folder, "share": [place, workers]}
