"""Runs on this machine: processes of their own that outlive whoever started them.

Each has a folder ``<work>/targets/<fingerprint>`` with ``run.json`` (process ids and start times),
``log.txt``, once it has ended ``exit_code``, and ``lock``: a file lock that passes from who starts
the run to its keeper and its command, and is let go by the last of them, however they end. So
nothing starts beside a run that starts or saves.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from trainer.targets.base import Handle, Leftover, RunSpec, State, TargetError

#: Waits for the command with its time limit. A keeper that is killed takes the command along: the
#: kernel then sends it SIGTERM, as the keeper would have.
_KEEPER = """
import ctypes, json, os, pathlib, signal, subprocess, sys, time
folder, limit, lock = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
command, keeper, started = sys.argv[4:], os.getpid(), time.time()
prctl = ctypes.CDLL(None).prctl
def born(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
def note(**known):
    part = folder / "run.part"
    mine = {"pid": keeper, "born": born(keeper), "started": started}
    part.write_text(json.dumps(mine | known))
    part.replace(folder / "run.json")
def tied():
    prctl(1, signal.SIGTERM)
    if os.getppid() != keeper:
        os._exit(143)
note()
asked = []
process = None
def stop(number, frame):
    asked.append(number)
    if process is not None:
        process.send_signal(signal.SIGTERM)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, signal.SIG_IGN)
with open(folder / "log.txt", "ab", buffering=0) as log:
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=tied, pass_fds=(lock,),
        )
        note(child=process.pid, child_born=born(process.pid))
        if asked:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            log.write(b"timeout: it is stopped\\n")
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(150)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            code = 124
    except OSError as error:
        log.write(str(error).encode() + b"\\n")
        code = 127
part = folder / "exit.part"
part.write_text(("cancelled " if asked else "") + str(code))
part.replace(folder / "exit_code")
"""
_LOCK = "lock"
_POLL_S = 0.1
_STARTING_S = 180.0
#: Seconds that a run has to save itself before it is killed.
_PATIENCE_S = 150.0


class LocalTarget:
    """Runs as processes of this machine.

    Parameters
    ----------
    work : Path
        Folder of runs.
    """

    name = "local"

    def __init__(self, work: Path) -> None:
        self.root = work / "targets"

    def submit(self, spec: RunSpec) -> Handle:
        """Start a process of its own, or adopt the one that runs; see `Target.submit`."""
        missing = [name for name in spec.secrets if name not in os.environ]
        if missing:
            raise TargetError(f"The run needs {', '.join(missing)} in the environment: export it.")
        folder = self.root / spec.fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _STARTING_S
        with (folder / _LOCK).open("ab") as lock:
            while not _take(lock, fcntl.LOCK_EX):
                # somebody else starts it, it runs, or it is about to end
                if _alive(folder) and _read(folder):
                    return self._handle(spec.fingerprint, adopted=True)
                if time.monotonic() > deadline:
                    raise TargetError(
                        f"Another start of {spec.fingerprint}, or its end, takes longer than "
                        f"{_STARTING_S:g} s in {folder}. `trainer reap --target local "
                        "--older-than 0` stops it; then dispatch again."
                    )
                time.sleep(0.01)
            self._start(folder, spec, lock, deadline)
        return self._handle(spec.fingerprint)

    def status(self, handle: Handle) -> State:
        """Say how a process stands; see `Target.status`."""
        folder = self.root / handle.id
        ended = folder / "exit_code"
        if not ended.is_file():
            if _alive(folder):
                return State("running")
            if not ended.is_file():  # asked again: it may have ended between the two looks
                return State("failed", "it was killed, or the machine was restarted")
        said = ended.read_text(encoding="ascii").split()
        code = int(said[-1])
        if len(said) > 1:
            return State("cancelled", "it was stopped", code)
        if code == 0:
            return State("done", "", 0)
        text = "timeout" if code == 124 else f"it ended with exit code {code}"
        return State("failed", text, code)

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a process's log; see `Target.logs`."""
        path = self.root / handle.id / "log.txt"
        with path.open(encoding="utf-8", errors="replace") as log:
            rest = ""
            while True:
                ended = not follow or self.status(handle).ended  # asked first, then read to the end
                while text := log.readline():
                    rest += text
                    if rest.endswith("\n"):
                        yield rest.rstrip("\n")
                        rest = ""
                if ended:
                    if rest:
                        yield rest
                    return
                time.sleep(_POLL_S)

    def cancel(self, handle: Handle) -> None:
        """Ask a process to save and leave, and wait for it; see `Target.cancel`."""
        folder = self.root / handle.id
        began, told = time.monotonic(), False
        while _alive(folder):
            if time.monotonic() - began > _PATIENCE_S:
                _tell(folder, signal.SIGKILL)
            elif not told:  # once: a second one would disturb it as it saves
                told = _tell(folder, signal.SIGTERM)
            time.sleep(_POLL_S)

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our processes; see `Target.find`."""
        if not self.root.is_dir():
            return []
        folders = [p for p in self.root.iterdir() if fingerprint in (None, p.name)]
        folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        return [self._handle(p.name) for p in folders if ended or _alive(p)]

    def leftovers(self) -> list[Leftover]:
        """Find all runs that go on here; nobody is billed for them. See `Target.leftovers`."""
        found = []
        for handle in self.find():
            started = _read(Path(handle.url)).get("started", time.time())
            since = datetime.fromtimestamp(started, UTC)
            found.append(
                Leftover(self.name, "process", handle.id, handle.fingerprint, since, handle.url)
            )
        return found

    def remove(self, leftover: Leftover) -> None:
        """Stop a run, and wait for it; see `Target.remove`."""
        self.cancel(Handle(self.name, leftover.id, leftover.url, leftover.fingerprint))

    def _start(self, folder: Path, spec: RunSpec, lock: IO[bytes], deadline: float) -> None:
        for name in ("run.json", "exit_code", "log.txt"):
            (folder / name).unlink(missing_ok=True)
        (folder / "log.txt").touch()
        words = [str(folder.resolve()), str(spec.timeout_s), str(lock.fileno()), *spec.command]
        keeper = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, *words],
            env=os.environ | dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        while not (folder / "run.json").is_file():
            if keeper.poll() is not None or time.monotonic() > deadline:
                keeper.kill()
                raise TargetError(f"The run could not be started in {folder}: is the disk full?")
            time.sleep(0.01)

    def _handle(self, name: str, *, adopted: bool = False) -> Handle:
        return Handle(self.name, name, str(self.root / name), name, adopted)


def _take(lock: IO[bytes], kind: int) -> bool:
    """Take a file lock if nobody has one that forbids it."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(folder: Path) -> dict[str, Any]:
    """Return what the keeper noted; empty before it has."""
    try:
        text = (folder / "run.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    content: dict[str, Any] = json.loads(text)
    return content


def _alive(folder: Path) -> bool:
    """Whether a run starts, goes on or saves there: its lock is held."""
    if (folder / "exit_code").is_file():
        return False
    try:
        with (folder / _LOCK).open("rb") as lock:
            return not _take(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _tell(folder: Path, number: int) -> bool:
    """Send a signal to the keeper, and SIGKILL to the command as well; say whether one got it."""
    run = _read(folder)
    told = False
    for pid, born in (("pid", "born"), ("child", "child_born")):
        wanted = pid == "pid" or number == signal.SIGKILL
        if wanted and pid in run and _born(run[pid]) == run[born]:
            os.kill(run[pid], number)
            told = True
    return told


def _born(pid: int) -> str | None:
    """Return when a process was started, in the kernel's count; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    words = stat.rpartition(")")[2].split()
    return None if words[0] == "Z" else words[19]
