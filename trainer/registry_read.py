"""Candidates and releases as plain data, read from a registry's folder without a lock."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from polyid.store import (
    CANDIDATES,
    RELEASES,
    UnknownModelError,
    current_tag,
    find_candidate,
    latest_review,
    read_json,
    release_tags,
)
from trainer.journal import RELEASE, event_from
from trainer.promotion import GATE, Change
from trainer.staging import RegistryError


@dataclass(frozen=True)
class Candidate:
    """What one run made."""

    fingerprint: str
    folder: Path
    review: Path
    """Folder of its newest verdict: its own, or one that was given later."""
    gate: dict[str, Any] | None
    """That verdict, None if it was never judged."""

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, ``inconclusive`` or ``not judged``."""
        return str(self.gate.get("verdict")) if self.gate else "not judged"


@dataclass(frozen=True)
class Release:
    """A published candidate."""

    tag: str
    fingerprint: str
    folder: Path
    previous: str | None
    """The release that was current when it was published."""
    change: Change
    reasons: tuple[str, ...]
    """What was changed since then."""
    time: str
    """When it was published, in UTC."""
    content: str
    """Hash of the model's files, equal to the candidate's."""
    status: Literal["published", "already published", "would be published"] = "already published"
    """What the call that returned it did."""


def read_candidate(registry: Path, fingerprint: str) -> Candidate:
    """Find a candidate; the fingerprint may be shortened while it stays unique.

    Raises
    ------
    UnknownModelError
        If there is none, or more than one; the message lists those there are.
    """
    fingerprint = find_candidate(registry, fingerprint)
    folder = registry / CANDIDATES / fingerprint
    review = latest_review(registry, fingerprint) or folder
    gate = read_json(review / GATE) if (review / GATE).is_file() else None
    return Candidate(fingerprint, folder, review, gate)


def read_release(registry: Path, tag: str) -> Release:
    """Read one release.

    Raises
    ------
    UnknownModelError
        If there is none of this tag; the message lists those there are.
    RegistryError
        If its ``release.json`` is not one.
    """
    if tag not in (tags := release_tags(registry)):
        raise UnknownModelError(
            f"{registry} has no release {tag!r}; it has {', '.join(tags) or 'none'}."
        )
    folder = registry / RELEASES / tag
    content = read_json(folder / RELEASE)
    event = event_from(content, folder / RELEASE)
    try:
        return Release(
            tag=tag,
            fingerprint=event.fingerprint,
            folder=folder,
            previous=event.previous,
            change=content["change"],
            reasons=tuple(content["reasons"]),
            time=event.time,
            content=content["content"],
        )
    except KeyError as error:
        raise RegistryError(f"{folder / RELEASE}: the field {error} is missing.") from None


def read_current(registry: Path) -> Release | None:
    """Read the release in use, None before the first."""
    tag = current_tag(registry)
    return read_release(registry, tag) if tag else None
