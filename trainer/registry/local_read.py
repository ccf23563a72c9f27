"""Candidates and releases as plain data, read from a registry's folder without a lock."""

from pathlib import Path

from polyid.registry import (
    CANDIDATES,
    RELEASES,
    UnknownModelError,
    current_tag,
    find_candidate,
    latest_review,
    read_json,
    release_tags,
)
from trainer.registry.base import GATE, RELEASE, Candidate, RegistryError, Release
from trainer.registry.journal import event_from


def read_candidate(registry: Path, fingerprint: str) -> Candidate:
    """Find a candidate; the fingerprint may be shortened while it stays unique.

    Raises
    ------
    UnknownModelError
        If there is none, or more than one; the message lists those there are.
    """
    fingerprint = find_candidate(registry, fingerprint)
    gate = review_folder(registry, fingerprint) / GATE
    address = str(registry / CANDIDATES / fingerprint)
    return Candidate(fingerprint, read_json(gate) if gate.is_file() else None, address)


def review_folder(registry: Path, fingerprint: str) -> Path:
    """Folder of a candidate's newest verdict: its own, or one that was given later."""
    return latest_review(registry, fingerprint) or registry / CANDIDATES / fingerprint


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
            address=str(folder),
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
