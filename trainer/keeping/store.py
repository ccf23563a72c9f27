"""Saving a run's folder to a place, and restoring it: whole generations, verified, two of them."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from polyid.checksums import file_hash
from polyid.errors import PolyIDError
from polyid.registry import UnknownModelError
from trainer.keeping.manifest import Manifest, blob, decode, group_of, number_of
from trainer.keeping.place import Place

#: A damaged newest generation leaves the one before it.
KEEP = 2


#: What a place says of a file that it does not have.
_ABSENT = (FileNotFoundError, UnknownModelError)


class Kept(NamedTuple):
    """A file that goes into a generation."""

    path: str
    """In the run's folder."""
    source: Path
    digest: str
    """SHA-256 that stood beside it."""


class Saved(NamedTuple):
    """What saving did."""

    number: int
    """Generation that holds the run's state now."""
    sent: int
    """Bytes that had to be sent."""


class Restored(NamedTuple):
    """What restoring found."""

    files: list[str]
    warnings: list[str]
    status: dict[str, Any]
    progress: int
    """Of the newest generation; 0 if there is none."""


def save(place: Place, files: Sequence[Kept], progress: int, status: dict[str, Any]) -> Saved:
    """Store a generation, data first and manifest last, and drop all but the newest `KEEP`.

    A file that the place has is not sent again. Where the newest generation is further than
    ``progress``, nothing is written: that happens if it could not be restored.

    Raises
    ------
    PolyIDError
        If none of the files is what its checksum says.
    """
    there = place.listing()
    names = _manifests(there)
    whole = [f for f in files if file_hash(f.source) == f.digest]
    if not whole:
        raise PolyIDError("no checkpoint verifies: nothing was stored.")
    older = [m for name in names if (m := _read(place, name)) is not None]
    if older and older[0].progress > progress:
        return Saved(older[0].number, 0)
    number = (number_of(names[0]) or 0) + 1 if names else 1
    manifest = Manifest(number, {f.path: f.digest for f in whole}, progress, status)
    if older and older[0].files == manifest.files:
        return Saved(older[0].number, 0)
    new = {
        blob(f.digest): f.source
        for f in whole
        if there.get(blob(f.digest)) != f.source.stat().st_size
    }
    last = manifest.encoded()
    place.write(new, last, _superseded(names, [manifest, *older[: KEEP - 1]], older[KEEP - 1 :]))
    return Saved(number, sum(path.stat().st_size for path in new.values()) + len(last[1]))


def _superseded(
    names: Sequence[str], kept: Sequence[Manifest], old: Sequence[Manifest]
) -> list[str]:
    """Return manifests that are old or damaged, and data that only they name.

    Data without any manifest stay: another machine may be about to write theirs.
    """
    stay = {m.encoded()[0] for m in kept} | {blob(d) for m in kept for d in m.files.values()}
    gone = [*names, *(blob(d) for m in old for d in m.files.values())]
    return [name for name in dict.fromkeys(gone) if name not in stay]


def restore(place: Place, folder: Path) -> Restored:
    """Put into a run's folder what it lacks, from the newest generation that verifies.

    Each group of members is looked for by itself: where its file in the newest generation is
    damaged, the one before it is taken, with a warning. What the folder has already, as new or
    newer, stays.
    """
    files: list[str] = []
    warnings: list[str] = []
    status: dict[str, Any] = {}
    found: set[str] = set()
    progress = 0
    for name in _manifests(place.listing()):
        manifest = _read(place, name)
        if manifest is None:
            warnings.append(f"{name} in the store is damaged. It is passed over.")
            continue
        progress = progress or manifest.progress
        status = status or manifest.status
        for path, digest in sorted(manifest.files.items(), reverse=True):
            group = group_of(path)
            if group in found:
                continue
            if _has(folder, path) or _fetch(place, path, digest, folder):
                found.add(group)
                files.append(path)
            else:
                warnings.append(
                    f"{path} of generation {manifest.number} in the store does not have its "
                    "checksum. It is passed over."
                )
    return Restored(files, warnings, status, progress)


def probe(place: Place) -> None:
    """Write a small file to a place, and read it back.

    Raises
    ------
    PolyIDError
        If something else comes back.
    """
    name, content = "probe", os.urandom(64)
    place.write({}, (name, content), [])
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / name
        place.fetch(name, to)
        if to.read_bytes() != content:
            raise PolyIDError("what was read is not what was written.")


def _has(folder: Path, path: str) -> bool:
    """Whether the folder has this file of a group, or a later one."""
    group = group_of(path)
    if (folder / "members" / f"{group}.npz.sha256").is_file():
        return True
    if path.startswith("members/"):
        return False
    here = (folder / "checkpoints" / group).glob("epoch-*.npz.sha256")
    return any(p.name.removesuffix(".sha256") >= Path(path).name for p in here)


def _fetch(place: Place, path: str, digest: str, folder: Path) -> bool:
    """Fetch a file with its checksum beside it; say whether it is what it should be."""
    to = folder / path
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        try:
            place.fetch(blob(digest), part)
        except _ABSENT:
            return False
        if file_hash(part) != digest:
            return False
        beside = to.with_name(f"{to.name}.sha256")
        beside.unlink(missing_ok=True)
        part.replace(to)
        beside.write_text(digest + "\n", encoding="ascii")
        return True
    finally:
        part.unlink(missing_ok=True)


def _manifests(listing: dict[str, int]) -> list[str]:
    """Names of manifests, newest first."""
    return sorted((name for name in listing if number_of(name) is not None), reverse=True)


def _read(place: Place, name: str) -> Manifest | None:
    """Read a manifest; None if it is damaged or gone."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / name
        try:
            place.fetch(name, to)
            return decode(name, to.read_bytes())
        except (*_ABSENT, PolyIDError):
            return None
