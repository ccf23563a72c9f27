"""Logs for machines: one JSON object a line, for every event and every line that people read."""

import io
import json
import sys
from datetime import UTC, datetime
from typing import IO, Any

from rich.console import Console

from trainer.training.attend import Event


class JsonLines(io.TextIOBase):
    """A stream that turns each line that is written to it into a JSON object."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        """Take text; whole lines go on."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self.write_event({"event": "text", "text": line.rstrip()})
        return len(text)

    def write_event(self, event: Event) -> None:
        """Write one object."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        print(json.dumps({"time": at, **event}, ensure_ascii=False), file=self.stream, flush=True)


def json_console(as_json: bool) -> Console:
    """Return a console whose lines are JSON; standard output is kept for a result that is."""
    stream: Any = JsonLines(sys.stderr if as_json else sys.stdout)
    return Console(file=stream, width=100, soft_wrap=True, force_terminal=False, no_color=True)


class JsonView:
    """Tells the events of a run as they are (see `trainer.training.view.TrainingView`)."""

    def __init__(self, console: Console) -> None:
        stream: Any = console.file
        self.lines: JsonLines = stream

    def __enter__(self) -> "JsonView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        self.lines.write_event(event)
