"""The application of a Space as a process of this machine: started, replaced and ended.

Like a container it has a home folder of its own at each start, the Space's variables and secrets,
and nothing of the server's environment, and nothing of it outlives it: processes that it started
in sessions of their own are found by a mark in their environment. It is told its port by ``PORT``
(a real Docker Space has ``app_port`` in its README instead), which stays the same over restarts.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import hardware

HOST = "127.0.0.1"
#: Variable that everything in one container carries.
MARK = "TEST_HUB_CONTAINER"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


@dataclass
class Application:
    """What runs in a Space."""

    command: list[str]
    folder: Path
    """Logs, and the home of each start."""
    cwd: str | None
    surroundings: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    closed: bool = False
    home: Path = field(init=False)
    """Of the newest start."""
    _order: int = 0
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.home = self.folder

    @property
    def domain(self) -> str:
        return f"{HOST}:{self.port}"

    def replace(self, settings: dict[str, str], after: float, start: bool) -> None:
        """End the old process ``after`` seconds, and ``start`` a new one; a later call wins."""
        with self._lock:
            self._order += 1
            timer = threading.Timer(after, self._swap, (self._order, settings, start))
            timer.daemon = True
            timer.start()

    def stop(self) -> None:
        """End the process now."""
        with self._lock:
            self._order += 1
            self._kill()

    def close(self) -> None:
        """End it for good."""
        with self._lock:
            self.closed = True
            self.stop()

    def stage(self) -> str:
        """What the Hub shows of it: starting until its port answers, an error once it ended."""
        process = self.process
        if process is None:
            return "APP_STARTING"
        if process.poll() is not None:
            return "RUNTIME_ERROR"
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return "APP_STARTING"
        return "RUNNING"

    def _swap(self, order: int, settings: dict[str, str], start: bool) -> None:
        with self._lock:
            if self.closed or order != self._order:
                return
            self._kill()
            if start:
                self._start(settings)

    def _start(self, settings: dict[str, str]) -> None:
        self.home = home = self.folder / str(next(self._numbers))
        home.mkdir(parents=True)
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **hardware.kernels(),
            **self.surroundings,
            **settings,
            "PORT": str(self.port),
            MARK: str(home),
        }
        with (home / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd or home,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _kill(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while left := self._inmates():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _inmates(self) -> list[int]:
        """Living processes of the container that was started last."""
        mark, found = f"{MARK}={self.home}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                there = mark in (folder / "environ").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, UnicodeDecodeError):
                continue  # it has ended meanwhile, or is another user's
            if there and state != "Z":
                found.append(int(folder.name))
        return found

    def log(self) -> list[str]:
        """Whole lines that the application has printed since it was started last."""
        path = self.home / "log.txt"
        if self.home == self.folder or not path.is_file():
            return []
        text = path.read_text(encoding="utf-8", errors="replace")
        return text[: text.rfind("\n") + 1].splitlines()
