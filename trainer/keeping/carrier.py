"""Carrying checkpoints in a process apart: no store, however slow or broken, can stop a run.

``python -m trainer.keeping.carrier`` reads a task as JSON from its standard input, does it, and
prints what came of it as JSON. It ends when its parent is gone.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from polyid.hub_errors import without_secrets

#: Seconds between two looks of a carrier at whether its parent lives.
_WATCH_S = 1.0


@dataclass(frozen=True)
class Task:
    """What to carry."""

    do: Literal["save", "restore", "clear", "probe"]
    url: str
    fingerprint: str
    folder: str = ""
    """The run's folder; when saving, the folder of what is to be saved."""
    files: Mapping[str, str] = field(default_factory=dict)
    """When saving: path in the run's folder, and SHA-256."""
    progress: int = 0
    status: Mapping[str, Any] = field(default_factory=dict)


class Carried(NamedTuple):
    """How it ended."""

    ok: bool
    answer: dict[str, Any]
    text: str = ""
    """If not well: why."""


class Carrier:
    """One task on its way."""

    def __init__(self, task: Task, limit_s: float) -> None:
        self.task = task
        self.deadline = time.monotonic() + limit_s
        self.limit_s = limit_s
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainer.keeping.carrier", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: dict[str, str] = {}
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self.process.stdout), ("err", self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(asdict(task)))
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended at once; `look` says how

    def _read(self, name: str, stream: IO[str] | None) -> None:
        assert stream is not None
        self._said[name] = stream.read()

    def look(self) -> Carried | None:
        """Say how it ended; None while it goes on. After its limit it is killed."""
        code = self.process.poll()
        if code is None:
            if time.monotonic() < self.deadline:
                return None
            self.process.kill()
            self.process.wait()
            return Carried(False, {}, f"no answer within {self.limit_s:g} s")
        for reader in self._readers:
            reader.join(5)
        if code == 0:
            return Carried(True, json.loads(self._said["out"]))
        lines = [line for line in self._said.get("err", "").splitlines() if line.strip()]
        return Carried(False, {}, lines[-1] if lines else f"exit code {code}")

    def wait(self) -> Carried:
        """Wait for its end, or its limit."""
        while (carried := self.look()) is None:
            time.sleep(0.05)
        return carried


def clear(url: str, fingerprint: str, limit_s: float = 60.0) -> str | None:
    """Remove a run's checkpoints; None, or why they are still there."""
    carried = Carrier(Task("clear", url, fingerprint), limit_s).wait()
    return None if carried.ok else carried.text


def _do(task: Task) -> dict[str, Any]:
    from trainer.keeping import store
    from trainer.keeping.place import open_place

    place = open_place(task.url, task.fingerprint)
    folder = Path(task.folder)
    if task.do == "save":
        files = [store.Kept(path, folder / path, digest) for path, digest in task.files.items()]
        return store.save(place, files, task.progress, dict(task.status))._asdict()
    if task.do == "restore":
        return store.restore(place, folder)._asdict()
    if task.do == "probe":
        store.probe(place)
    place.clear()
    return {}


def main() -> int:
    """Do the task on standard input."""
    parent = int(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        # a terminal or a scheduler asks the whole group to stop; the last upload comes after that
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    task = Task(**json.loads(sys.stdin.read()))
    sys.excepthook = _tell
    print(json.dumps(_do(task)))
    return 0


def _tell(kind: type[BaseException], error: BaseException, _: Any) -> None:
    """Say in one line what failed: file systems raise whatever they like."""
    text = " ".join(str(error).split()) or "no reason given"
    name = "" if kind.__module__.startswith(("polyid", "trainer")) else f"{kind.__name__}: "
    print(without_secrets(name + text), file=sys.stderr)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
