"""Training a plan in worker processes: start them, follow them, stop them, tell how it goes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from types import FrameType
from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer.plan import Plan
from trainer.provenance import hardware
from trainer.training import epochs, status
from trainer.training.attend import Attendant, Event, leave
from trainer.training.groups import Group, make_groups, share
from trainer.training.worker import INTERRUPTED, WorkerSpec

#: Seconds that a worker has to finish its step and save.
_PATIENCE = 120.0


class TrainingError(PolyIDError):
    """A worker failed; the message names its log."""


class Interrupted(BaseException):
    """The run was asked to stop; the same command resumes it.

    Like `KeyboardInterrupt`, nothing on the way up may take it for an error.
    """


class _Worker(NamedTuple):
    """A worker process, and the thread that reads what it says."""

    process: "subprocess.Popen[str]"
    reader: threading.Thread

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self.process.poll()

    @property
    def failed(self) -> bool:
        """Whether it ended without being done and without being asked to."""
        return self.code not in (None, 0, INTERRUPTED, -signal.SIGTERM)


@dataclass(frozen=True)
class Trained:
    """What training left."""

    groups: list[Group]
    seconds: float
    """Work in this and all earlier sittings."""


def train(
    plan: Plan,
    on_event: Callable[[Event], None],
    workers: int | None = None,
    attendants: Sequence[Attendant] = (),
) -> Trained:
    """Train all members of ``plan``; finished ones are kept, started ones resumed.

    Parameters
    ----------
    plan
        The run.
    on_event
        Told every event of the workers, and ``start`` and ``resume`` of the run.
    workers
        Processes; by default one per core, or one where there is a GPU. It does not change the
        result.
    attendants
        Who stands by. They do not change it either.

    Raises
    ------
    Interrupted
        After SIGTERM or SIGINT; everything up to the last finished epochs is on disk.
    TrainingError
        If a worker failed.
    """
    machine = hardware()
    count = plan.params.folds.count
    groups = groups_of(plan)
    early: list[Event] = []
    for event in (e for attendant in attendants for e in attendant.arrive()):
        early.append(event)
        on_event(event)
    waiting = [g for g in groups if g.read(plan.folder) is None]
    book = status.open_book(plan, groups, waiting)
    for event in early:
        book.take(event)
    told: list[str] = []

    def hear(event: Event) -> None:
        book.take(event)
        epochs.note(plan.folder, event)
        on_event(event)
        if event["event"] == "failed":
            told.append(event["text"])

    if not waiting:
        leave(attendants, hear, True)
        return Trained(groups, book.seconds)
    number = workers or (1 if machine.gpus else min(machine.cores, len(waiting)))
    hands = share(waiting, number)
    on_event(
        {
            "event": "start",
            "members": count,
            "waiting": [m for g in waiting for m in g.members],
            "workers": len(hands),
            "epochs": plan.params.training.epochs,
            "compiles": bool(machine.gpus),
        }
    )
    queue: Queue[Event] = Queue()
    threads = max(1, machine.cores // len(hands))
    with _stop_asked() as asked:
        crew = [_start(plan, i, hand, threads, queue) for i, hand in enumerate(hands)]
        try:
            _follow(crew, queue, hear, asked, attendants)
        finally:
            _end(crew)
            _hear_out(crew, queue, hear)
            leave(attendants, hear, book.share >= 1.0)
            book.close()
    if asked:
        raise Interrupted
    for index, worker in enumerate(crew):
        if worker.failed:
            raise TrainingError(told[0] if told else _what_happened(plan, index, worker.code))
    if any(worker.code != 0 for worker in crew):
        raise Interrupted
    return Trained(groups, book.seconds)


def groups_of(plan: Plan) -> list[Group]:
    """Return the groups of members: all at once on a GPU, one by one on a CPU.

    A GPU is bound by kernel launches, which members in one program share; on a CPU one program
    per core is faster.
    """
    count = plan.params.folds.count
    return make_groups(count, count if hardware().gpus else 1)


def _start(
    plan: Plan, index: int, hand: list[Group], threads: int, queue: "Queue[Event]"
) -> _Worker:
    folder = plan.folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    spec = WorkerSpec(
        plan.as_json(),
        [list(g.members) for g in hand],
        threads,
        os.getpid(),
    )
    path = folder / f"worker-{index}.json"
    spec.save(path)
    with _log(plan, index).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.training.worker", str(path)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(plan, threads),
        )
    reader = threading.Thread(target=_read, args=(process, queue), daemon=True)
    reader.start()
    return _Worker(process, reader)


def _environment(plan: Plan, threads: int) -> dict[str, str]:
    """Return ours, with one compiled-program cache for all workers and quiet logs."""
    # machine code of one kind of processor may not run on another
    cpu = hashlib.sha256(hardware().cpu.encode()).hexdigest()[:8]
    compiled = (plan.cache / f"xla-{cpu}").resolve()
    compiled.mkdir(parents=True, exist_ok=True)
    flags = f"--tf_xla_persistent_cache_directory={compiled}"
    return os.environ | {
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "TF_XLA_FLAGS": f"{os.environ.get('TF_XLA_FLAGS', '')} {flags}".strip(),
    }


def _read(process: "subprocess.Popen[str]", queue: "Queue[Event]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{") and line.endswith("\n"):  # not cut by a kill
            queue.put(json.loads(line))


def _follow(
    crew: list[_Worker],
    queue: "Queue[Event]",
    hear: Callable[[Event], None],
    asked: list[int],
    attendants: Sequence[Attendant],
) -> None:
    """Hand on events until all workers are done, one failed, or the run is asked to stop."""
    while not asked and not any(worker.failed for worker in crew):
        ended = all(worker.code is not None for worker in crew)
        for attendant in attendants:
            for event in attendant.look():
                hear(event)
        try:
            hear(queue.get(timeout=0.2))
        except Empty:
            if ended:
                return


def _end(crew: list[_Worker]) -> None:
    """Leave no worker behind: ask, wait, then kill."""
    for worker in crew:
        if worker.code is None:
            worker.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    for worker in crew:
        try:
            worker.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def _hear_out(crew: list[_Worker], queue: "Queue[Event]", hear: Callable[[Event], None]) -> None:
    """Hand on what the workers said last."""
    for worker in crew:
        worker.reader.join(timeout=5)
    while not queue.empty():
        hear(queue.get())


def _what_happened(plan: Plan, index: int, code: int | None) -> str:
    """Say how a worker ended that could not say it itself."""
    log = _log(plan, index)
    last = "" if code == -signal.SIGKILL else f", which ends with: {_last_line(log)}"
    killed = " (killed, perhaps for memory)" if code == -signal.SIGKILL else ""
    return (
        f"training worker {index} ended with exit code {code}{killed}. Its log is {log}{last}\n"
        "Start it again, with the same command or `Resume` on the page: it resumes."
    )


@contextmanager
def _stop_asked() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    old = {n: signal.signal(n, note) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _log(plan: Plan, index: int) -> Path:
    return plan.folder / "workers" / f"worker-{index}.log"


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
