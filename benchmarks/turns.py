"""How a measuring process and the one that asks it take turns; standard library only.

A worker gets its task as the first line of its standard input, and gives one JSON object per
answer. Between its turns it waits for the next line and uses no core. When its input ends, it ends.
"""

import json
import os
import resource
import sys
import time
from typing import Any


class Turns:
    """The worker's end. What libraries print goes to stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.task: dict[str, Any] = self.wait()

    def wait(self) -> dict[str, Any]:
        """Next line from the one that asks."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        return json.loads(line)

    def answer(self, **facts: Any) -> None:
        """Tell, with the largest memory so far in MB."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**facts, "peak_mb": round(peak)}), file=self._out, flush=True)


class Meter:
    """Counts updates inside a running ``fit``; after each round the turn goes over."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.began = turns, time.perf_counter()
        self.done, self.wanted = 0, 1  # the first round is the first update alone

    def __call__(self) -> bool:
        """Note one update; never asks to stop."""
        self.done += 1
        if self.done == self.wanted:
            seconds = time.perf_counter() - self.began
            self.turns.answer(seconds=seconds, count=self.done)
            self.wanted = self.turns.wait()["count"]
            self.done, self.began = 0, time.perf_counter()
        return False


def rounds(turns: Turns, act: Any) -> None:
    """Answer each turn with the seconds that ``act(*its items)`` took."""
    while True:
        items = turns.wait()["items"]
        began = time.perf_counter()
        act(items)
        turns.answer(seconds=time.perf_counter() - began, count=len(items))
