"""Runs on this machine: processes of their own that outlive whoever started them.

Each has a folder ``<work>/targets/<fingerprint>`` with ``run.json`` (process id and start time),
``log.txt`` and, once it has ended, ``exit_code``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer.targets.base import Handle, RunSpec, State, TargetError

_KEEPER = """
import json, os, pathlib, signal, subprocess, sys
folder, limit, command = pathlib.Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
stat = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
part = folder / "run.part"
part.write_text(json.dumps({"pid": os.getpid(), "born": stat[19]}))
part.replace(folder / "run.json")
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
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
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
_POLL_S = 0.1
_STARTING_S = 60.0


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
        if live := self.find(spec.fingerprint):
            return Handle(self.name, live[0].id, live[0].url, spec.fingerprint, adopted=True)
        missing = [name for name in spec.secrets if name not in os.environ]
        if missing:
            raise TargetError(f"The run needs {', '.join(missing)} in the environment: export it.")
        folder = self.root / spec.fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("run.json", "exit_code", "log.txt"):
            (folder / name).unlink(missing_ok=True)
        (folder / "log.txt").touch()
        place = str(folder.resolve())
        keeper = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, place, str(spec.timeout_s), *spec.command],
            env=os.environ | dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _STARTING_S
        while not (folder / "run.json").is_file():
            if keeper.poll() is not None or time.monotonic() > deadline:
                keeper.kill()
                raise TargetError(f"The run could not be started in {folder}: is the disk full?")
            time.sleep(0.01)
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
        if not _alive(folder):
            return
        os.kill(_read(folder)["pid"], signal.SIGTERM)
        while not self.status(handle).ended:
            time.sleep(_POLL_S)

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our processes; see `Target.find`."""
        if not self.root.is_dir():
            return []
        folders = [p for p in self.root.iterdir() if fingerprint in (None, p.name)]
        folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        return [self._handle(p.name) for p in folders if ended or _alive(p)]

    def _handle(self, name: str) -> Handle:
        return Handle(self.name, name, str(self.root / name), name)


def _read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


def _alive(folder: Path) -> bool:
    """Whether the process that was started there lives, and is not another of the same number."""
    if (folder / "exit_code").is_file() or not (folder / "run.json").is_file():
        return False
    run = _read(folder)
    try:
        stat = Path(f"/proc/{run['pid']}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    words = stat.rpartition(")")[2].split()
    return words[0] != "Z" and words[19] == run["born"]
