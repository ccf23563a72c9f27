"""Tells trackers what a run does, through a bounded queue to a process of each.

A tracker that is missing, fails or hangs costs its own record and one warning, never the run.
"""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from queue import Full, Queue

from trainer.plan import Plan
from trainer.training.attend import Event
from trainer.watching.trackers import PACKAGES, Session

#: Events that may wait; a tracker that is further behind misses some.
_WAITING = 1000
#: Seconds that a tracker has to finish when the run has ended.
_PATIENCE = 30.0


class Tracked:
    """One tracker of a run (see `trainer.training.attend.Attendant`).

    Parameters
    ----------
    plan : Plan
        The run.
    name : str
        One of `trainer.watching.trackers.PACKAGES`.
    patience_s : float
        Seconds to finish.
    command : list of str, optional
        The process, for tests.
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        patience_s: float = _PATIENCE,
        command: list[str] | None = None,
    ) -> None:
        self.name, self.patience_s = name, patience_s
        self.folder = plan.folder / "tracking" / name
        self.log = self.folder.with_name(f"{name}.log")
        self.warned = self.missed = False
        self.queue: Queue[str | None] = Queue(_WAITING)
        self.process: subprocess.Popen[str] | None = None
        package = PACKAGES[name]
        if package is not None and importlib.util.find_spec(package) is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "trainer.watching.trackers"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )
        where = str(self.folder.resolve())
        session = Session(name, where, plan.fingerprint, plan.params.plain())
        self.queue.put(json.dumps(asdict(session)))
        self.feeder = threading.Thread(target=self._feed, daemon=True)
        self.feeder.start()

    def arrive(self) -> Iterable[Event]:
        """Say where to look, or why there is nothing."""
        if self.process is None:
            yield self._warning(
                f"--track {self.name}: the package {PACKAGES[self.name]} is not installed, so "
                f"nothing is tracked there. Install it beside this one: uv pip install {self.name}."
            )
            return
        says = {"folder": str(self.folder), "log": str(self.log)}
        text = f"Tracked by {self.name} in {self.folder}."
        yield {"event": "note", "about": f"tracking_{self.name}", "says": says, "text": text}

    def hear(self, event: Event) -> None:
        """Take an event, at once."""
        if event["event"] != "epoch" or self.process is None:
            return
        try:
            self.queue.put_nowait(json.dumps(event))
        except Full:
            self.missed = True

    def look(self) -> Iterable[Event]:
        """Say, once, that the tracker has ended or is behind."""
        if self.process is None or self.warned:
            return
        code = self.process.poll()
        if code is not None:
            self.warned = True
            yield self._warning(
                f"--track {self.name} ended with exit code {code}: {_last_line(self.log)}. "
                f"Training goes on without it. Its log is {self.log}."
            )
        elif self.missed:
            self.warned = True
            yield self._warning(
                f"--track {self.name} does not take what it is told, and misses some of it. "
                f"Training goes on. Its log is {self.log}."
            )

    def leave(self, done: bool) -> Iterable[Event]:
        """Let the tracker finish, within its time."""
        if self.process is None:
            return
        deadline = time.monotonic() + self.patience_s
        if self.process.poll() is None:
            _until(deadline, self._close)
            self.feeder.join(max(0.0, deadline - time.monotonic()))
            try:
                self.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.warned = True
                yield self._warning(
                    f"--track {self.name} did not finish within {self.patience_s:g} s and was "
                    f"ended; its record may lack the last epochs. Its log is {self.log}."
                )
        if self.process.returncode != 0:
            yield from self.look()

    def end(self) -> None:
        """Leave no process behind, however the run ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _close(self) -> bool:
        try:
            self.queue.put_nowait(None)
        except Full:
            return False
        return True

    def _feed(self) -> None:
        """Write to the process what waits for it; blocked is this thread, not the run."""
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            while (line := self.queue.get()) is not None:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):
            return  # it has ended; `look` says so

    def _warning(self, text: str) -> Event:
        return {"event": "warning", "members": [], "text": text}


def _until(deadline: float, what: Callable[[], bool]) -> None:
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
