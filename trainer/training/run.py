"""Training a plan in worker processes: start them, follow them, stop them, tell how it goes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from types import FrameType
from typing import Any

from polyid.errors import PolyIDError
from trainer.plan import Plan
from trainer.provenance import hardware
from trainer.training import status
from trainer.training.groups import Group, make_groups, share
from trainer.training.worker import INTERRUPTED, WorkerSpec

Event = dict[str, Any]


class TrainingError(PolyIDError):
    """A worker failed; the message names its log."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop; the same command resumes it."""


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
    waiting = [g for g in groups if g.read(plan.folder) is None]
    book = status.open_book(plan, groups, waiting)
    if not waiting:
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
        }
    )
    queue: Queue[Event] = Queue()
    threads = max(1, machine.cores // len(hands))
    with _stop_asked() as asked:
        crew = [_start(plan, i, hand, threads, queue) for i, hand in enumerate(hands)]
        try:
            _follow(crew, queue, [book.take, on_event], asked)
        finally:
            _end(crew)
            book.close()
    failed = [(i, p.returncode) for i, p in enumerate(crew) if p.returncode not in (0, INTERRUPTED)]
    if failed and not asked:
        index, code = failed[0]
        raise TrainingError(
            f"training worker {index} ended with exit code {code}"
            f"{' (killed, perhaps for memory)' if code == -signal.SIGKILL else ''}. Its log is "
            f"{_log(plan, index)}; the last lines:\n{_tail(_log(plan, index))}\n"
            "Run the same command again: it resumes."
        )
    if asked or any(p.returncode == INTERRUPTED for p in crew):
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
) -> "subprocess.Popen[str]":
    folder = plan.folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    spec = WorkerSpec(
        str(plan.data.resolve()),
        plan.params.plain(),
        str(plan.work.resolve()),
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
    threading.Thread(target=_read, args=(process, queue), daemon=True).start()
    return process


def _environment(plan: Plan, threads: int) -> dict[str, str]:
    """Return ours, with one compiled-program cache for all workers and quiet logs."""
    compiled = (plan.cache / "xla").resolve()
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
        if line.startswith("{"):
            queue.put(json.loads(line))


def _follow(
    crew: "list[subprocess.Popen[str]]",
    queue: "Queue[Event]",
    listeners: list[Callable[[Event], None]],
    asked: list[int],
) -> None:
    """Hand on events until all workers are done, one failed, or the run is asked to stop."""
    told = False
    while True:
        codes = [p.poll() for p in crew]
        try:
            event = queue.get(timeout=0.2)
            for listener in listeners:
                listener(event)
            continue
        except Empty:
            pass
        if asked and not told:
            told = True
            for process in crew:
                process.send_signal(signal.SIGTERM)
        if all(code is not None for code in codes):
            return
        if any(code not in (None, 0, INTERRUPTED) for code in codes):
            return


def _end(crew: "list[subprocess.Popen[str]]") -> None:
    """Leave no worker behind: ask, wait, then kill."""
    for process in crew:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 120
    for process in crew:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


def _tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
