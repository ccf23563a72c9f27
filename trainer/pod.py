"""What runs in a rented pod: the command, then a note of how it ended, then the pod's own end.

A pod is billed until it is given back, and its host may start the container again when the command
ends. So the note comes before all else, and whoever finds one gives the pod back and does no more.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO, TypeVar

from polyid.errors import PolyIDError
from trainer import endnote
from trainer.endnote import EndNote
from trainer.targets.runpod_api import Client

T = TypeVar("T")

TIMEOUT, INTERRUPTED = 124, 75
#: Seconds that the command has to save itself when its time is up.
_PATIENCE_S = 150.0
#: Seconds between tries to give the pod back.
_PAUSES_S = (1.0, 5.0, 15.0, 60.0)


def run(
    command: Sequence[str],
    machine: str,
    repo: str,
    fingerprint: str,
    until: float,
    say: Callable[[str], None],
) -> int:
    """Run ``command`` in pod ``machine`` and give the pod back; return the command's exit code.

    Parameters
    ----------
    command
        What to run. It does not get the pod's key.
    machine
        The pod's id.
    repo, fingerprint
        Where the note goes.
    until
        Time at which the command is stopped, in seconds since 1970.
    say
        Told every line, the command's and our own.
    """
    note = endnote.read(repo, fingerprint)
    if note is not None and note.machine == machine:
        say(f"This run ended here already, with exit code {note.exit_code}.")
        _give_back(machine, say)
        return note.exit_code
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        say(line)

    began = time.time()
    code = _carried_out(command, until, hear)
    if code is None:
        say("It was asked to stop: what was saved stays, and the run goes on elsewhere.")
        return INTERRUPTED
    hear(f"The command ended with exit code {code}.")
    api = Client()
    pod = _tried(lambda: api.pod(machine), say)
    price = pod.usd_per_hour if pod else None
    ended = EndNote(machine, code, time.time() - began, price)
    _tried(lambda: endnote.write(repo, fingerprint, ended, "\n".join(lines)), say)
    _give_back(machine, say)
    return code


def _carried_out(command: Sequence[str], until: float, hear: Callable[[str], None]) -> int | None:
    """Run a command to its end or its time limit; None if we were asked to stop."""
    env = {name: value for name, value in os.environ.items() if name != "RUNPOD_API_KEY"}
    asked: list[int] = []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    )

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        process.send_signal(signal.SIGTERM)

    old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, hear), daemon=True)
    reader.start()
    try:
        code = process.wait(max(0.0, until - time.time()))
    except subprocess.TimeoutExpired:
        hear("timeout: it is stopped")
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        code = TIMEOUT
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    reader.join(5)
    if asked:
        return None
    return code if code >= 0 else 128 - code


def _read(stream: IO[str], hear: Callable[[str], None]) -> None:
    for line in stream:
        hear(line.rstrip("\n"))


def _give_back(machine: str, say: Callable[[str], None]) -> None:
    say(f"Pod {machine} gives itself back.")
    for pause in (*_PAUSES_S, 0.0):
        try:
            Client().terminate(machine)
        except PolyIDError as error:
            say(f"{error}")
            time.sleep(pause)
        else:
            return
    say("It could not: `trainer reap --target runpod` does, and so does whoever follows the run.")


def _tried(what: Callable[[], T], say: Callable[[str], None]) -> T | None:
    """Do what should be done; if it cannot be, the pod must be given back all the same."""
    try:
        return what()
    except PolyIDError as error:
        say(f"{error}")
        return None
