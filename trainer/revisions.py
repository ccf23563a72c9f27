"""Which release or candidate is meant by a tag, a fingerprint or a commit, and what is known of it.

Only the protocol of `trainer.registry` is used, so a folder and the Hub answer alike.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyid.properties import PROPERTIES
from polyid.registry import TAG, UnknownModelError, read_json
from trainer.record import RECORD, Record, read_record
from trainer.registry import Candidate, Registry, Release
from trainer.registry.base import GATE, METRICS, RELEASE

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-f]{1,16}")
_KINDS = ("candidate/", "review/")


@dataclass(frozen=True)
class Model:
    """A release or a candidate, and what the registry holds on it."""

    revision: str
    """Tag, or ``candidate/<fingerprint>``."""
    fingerprint: str
    address: str
    """Where a person finds it: a folder or a URL."""
    release: Release | None
    """None for a candidate."""
    released_as: str | None
    """Tag under which this candidate is released, if it is."""
    current: bool
    """Whether this is the release in use."""
    record: Record | None
    """The record with the newest verdict; None if there is none, likewise the next two."""
    metrics: dict[str, Any] | None
    gate: dict[str, Any] | None
    folder: Path
    """Verified folder with ``checksums.json`` and the other files that were asked for."""

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, ``inconclusive`` or ``not judged``."""
        return str(self.gate.get("verdict")) if self.gate else "not judged"

    @property
    def state(self) -> str:
        """What it is, in a word or three."""
        if self.release is not None:
            return "current release" if self.current else "release"
        return f"candidate, released as {self.released_as}" if self.released_as else "candidate"


def look_up(registry: Registry, asked: str | None = None, names: Sequence[str] = ()) -> Model:
    """Find a release or a candidate, and read what is known of it.

    Parameters
    ----------
    registry : Registry
        Where to look.
    asked : str, optional
        A tag, ``candidate/<fingerprint>``, a fingerprint (both may be shortened while they stay
        unique) or, on the Hub, a commit; the current release if None.
    names : sequence of str
        Further files that are to be in ``folder``, where the revision has them.

    Raises
    ------
    UnknownModelError
        If there is no such revision; the message says what there is.
    """
    found = _find(registry, asked)
    current = registry.current()
    wanted = [METRICS, RECORD, GATE, *names]
    if isinstance(found, Release):
        folder = registry.folder(found.tag, wanted)
        return Model(
            revision=found.tag,
            fingerprint=found.fingerprint,
            address=found.address,
            release=found,
            released_as=found.tag,
            current=current is not None and current.tag == found.tag,
            record=_record(folder),
            metrics=_json(folder / METRICS),
            gate=_json(folder / GATE),
            folder=folder,
        )
    revision = f"candidate/{found.fingerprint}"
    folder = registry.folder(revision, wanted)
    newest = registry.folder(f"review/{found.fingerprint}", [RECORD])
    tags = [r.tag for r in registry.releases() if r.fingerprint == found.fingerprint]
    return Model(
        revision=revision,
        fingerprint=found.fingerprint,
        address=found.address,
        release=None,
        released_as=tags[0] if tags else None,
        current=False,
        record=_record(newest) or _record(folder),
        metrics=_json(folder / METRICS),
        gate=found.gate,
        folder=folder,
    )


def in_order(metrics: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    """Scores of ``metrics.json`` by property, in the product's order; unknown ones last."""
    scored = (metrics or {}).get("properties") or {}
    order = {name: place for place, name in enumerate(PROPERTIES)}
    return sorted(scored.items(), key=lambda item: order.get(item[0], len(order)))


def _find(registry: Registry, asked: str | None) -> Release | Candidate:
    if asked is None:
        current = registry.current()
        if current is None:
            raise UnknownModelError(_no_release(registry))
        return current
    text = asked.strip()
    for kind in _KINDS:
        if text.startswith(kind):
            return registry.candidate(text.removeprefix(kind))
    if TAG.fullmatch(text):
        return registry.release(text)
    if TAG.fullmatch(f"v{text}"):
        return registry.release(f"v{text}")
    if _COMMIT.fullmatch(text):
        return _of_commit(registry, text)
    if _HEX.fullmatch(text):
        return registry.candidate(text)
    raise UnknownModelError(
        f"{asked!r} is no revision; expected a tag such as v1.0.0, candidate/<fingerprint>, a "
        "fingerprint (its first 4 characters or more) or, on the Hub, a commit of 40 hexadecimal "
        f"digits. `trainer list --registry {registry}` lists what there is."
    )


def _of_commit(registry: Registry, commit: str) -> Release | Candidate:
    """Find what a commit on the Hub is."""
    for release in registry.releases():
        if release.commit == commit:
            return release
    try:
        folder = registry.folder(commit, [RELEASE, RECORD])
    except UnknownModelError as error:
        made = _made_by(registry, commit)
        hint = (
            f"\nIt is the commit of the code that made {', '.join(made)}: give one of these."
            if made
            else f"\n`trainer list --registry {registry}` lists what there is."
        )
        raise UnknownModelError(f"{error}{hint}") from None
    release_file, record = _json(folder / RELEASE), _record(folder)
    if release_file is not None:
        return registry.release(str(release_file.get("tag")))
    if record is None:
        raise UnknownModelError(
            f"{registry}@{commit} holds neither a release nor a candidate. "
            f"`trainer list --registry {registry}` lists what there is."
        )
    return registry.candidate(record.fingerprint)


def _made_by(registry: Registry, commit: str) -> list[str]:
    """Revisions whose code was at a git commit, releases first."""
    tags = {r.fingerprint: r.tag for r in registry.releases()}
    made = []
    for candidate in registry.candidates():
        revision = f"candidate/{candidate.fingerprint}"
        record = _record(registry.folder(revision, [RECORD]))
        if record is not None and record.code.commit == commit:
            made.append(tags.get(candidate.fingerprint, revision))
    return sorted(made, key=lambda name: name.startswith("candidate/"))


def _record(folder: Path) -> Record | None:
    return read_record(folder) if (folder / RECORD).is_file() else None


def _json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def _no_release(registry: Registry) -> str:
    made = [f"candidate/{c.fingerprint} ({c.verdict})" for c in registry.candidates()]
    if made:
        return f"{registry} has no release yet. Name a candidate: {', '.join(made)}."
    return (
        f"{registry} has neither releases nor candidates. Check --registry, or make one: "
        f"`trainer run --registry {registry} --publish`."
    )
