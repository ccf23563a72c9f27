"""Which release is current, and the history of how it came to be.

Every change is one numbered `Event`. A publication's event stands in the release's own
``release.json`` first, then in ``current.json``, then in ``history.jsonl``; a roll-back's in
``current.json``, then in ``history.jsonl``. So whichever step a process dies at, `recover` sees
from the numbers what is left to do, and finishes it. The caller holds the registry's lock, except
for `read_events`.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyid.checksums import verify
from polyid.registry import CURRENT, RELEASES, read_json, release_tags
from trainer.registry.base import RELEASE, Event, RegistryError
from trainer.registry.staging import write_whole

HISTORY = "history.jsonl"


def event_from(content: dict[str, Any], where: Path) -> Event:
    """Read an event out of a JSON object, which may hold more.

    Raises
    ------
    RegistryError
        If a field is missing or of another type.
    """
    try:
        event = Event(**{name: content[name] for name in Event.__dataclass_fields__})
    except KeyError as error:
        raise RegistryError(f"{where}: the field {error} is missing.") from None
    if not isinstance(event.sequence, int) or not isinstance(event.tag, str):
        raise RegistryError(f"{where}: expected a numbered event with a tag, received {content}.")
    return event


def read_events(registry: Path) -> list[Event]:
    """All events, oldest first.

    A last line without its end was cut off by a crash and is left out; `recover` writes it again.
    """
    path = registry / HISTORY
    if not path.exists():
        return []
    *lines, _cut = path.read_text(encoding="utf-8").split("\n")
    try:
        return [event_from(json.loads(line), path) for line in lines]
    except json.JSONDecodeError as error:
        raise RegistryError(f"{path} is damaged: {error}.") from None


def current_event(registry: Path) -> Event | None:
    """Read the event that made the current release current, None before the first."""
    path = registry / CURRENT
    return event_from(read_json(path), path) if path.exists() else None


def next_number(registry: Path) -> int:
    """Return the number of the next event."""
    event = current_event(registry)
    return event.sequence + 1 if event else 1


def commit(registry: Path, event: Event) -> None:
    """Make an event's release current, then write the event into the history."""
    write_whole(registry, registry / CURRENT, json.dumps(asdict(event), indent=2) + "\n")
    _append(registry, event)


def recover(registry: Path) -> None:
    """Finish what a killed process began.

    Raises
    ------
    TamperedError
        If the release that is to become current is not what its checksums say.
    """
    _cut_torn_line(registry / HISTORY)
    number = next_number(registry)
    logged = read_events(registry)
    event = current_event(registry)
    if event and (not logged or logged[-1].sequence < event.sequence):
        _append(registry, event)
    for tag in release_tags(registry):
        folder = registry / RELEASES / tag
        pending = event_from(read_json(folder / RELEASE), folder / RELEASE)
        if pending.sequence >= number:
            verify(folder)
            commit(registry, pending)


def _append(registry: Path, event: Event) -> None:
    with (registry / HISTORY).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(asdict(event)) + "\n")
        handle.flush()
        os.fsync(handle.fileno())


def _cut_torn_line(path: Path) -> None:
    """Remove a last line that has no end."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
