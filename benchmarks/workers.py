"""The asking end of `turns`: processes that are measured, in turn."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class WorkerError(RuntimeError):
    """A measuring process ended; the message holds the end of its log."""


class Worker:
    """One process that measures."""

    def __init__(
        self,
        python: Path,
        script: str,
        task: Mapping[str, Any],
        logs: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"{Path(script).stem}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(python), str(HERE / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(environment or {}),
            )
        self.tell(**task)

    def tell(self, **message: Any) -> None:
        """Give it the turn."""
        assert self.process.stdin
        try:
            print(json.dumps(message), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self) -> dict[str, Any]:
        """Wait for its answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def ask(self, **message: Any) -> dict[str, Any]:
        """Give it the turn and wait."""
        self.tell(**message)
        return self.hear()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()

    def _ended(self) -> WorkerError:
        code = self.process.wait()
        text = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return WorkerError(f"{self.process.args} ended with {code}; {self.log} ends with:\n{text}")


def together(workers: Sequence[Worker], **message: Any) -> dict[str, float]:
    """Give all the turn at once; updates and wall time of all, and the largest memory summed."""
    began = time.perf_counter()
    for worker in workers:
        worker.tell(**message)
    answers = [worker.hear() for worker in workers]
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "count": sum(a["count"] for a in answers),
        "peak_mb": sum(a["peak_mb"] for a in answers),
    }
