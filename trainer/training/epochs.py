"""``epochs.jsonl``: the learning curves of a run while it trains, one line an epoch of one fold.

A run that was killed does some epochs again; the last line of an epoch counts.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

_FILE = "epochs.jsonl"


class EpochLine(NamedTuple):
    """One epoch of one fold."""

    fold: int
    epoch: int
    loss: float
    val_loss: float | None
    """None where it was not validated."""
    at: float
    """When it ended, in seconds since 1970."""


def note(folder: Path, event: dict[str, Any]) -> None:
    """Append what an event says of epochs, if anything."""
    if event["event"] != "epoch":
        return
    rows = zip(event["members"], event["loss"], event["val_loss"], strict=True)
    now = round(time.time(), 3)
    text = "".join(
        json.dumps([fold, event["epoch"], loss, val_loss, now]) + "\n"
        for fold, loss, val_loss in rows
    )
    with (folder / _FILE).open("a", encoding="ascii") as file:
        file.write(text)


def read_epochs(folder: Path) -> list[EpochLine]:
    """Return the epochs of a run so far, in the order in which they ended; none before the first.

    A line that was cut by a kill is passed over.
    """
    try:
        text = (folder / _FILE).read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    found: dict[tuple[int, int], EpochLine] = {}
    for line in text.splitlines():
        try:
            row = EpochLine(*json.loads(line))
        except (ValueError, TypeError):
            continue
        found.pop((row.fold, row.epoch), None)
        found[row.fold, row.epoch] = row
    return list(found.values())
