"""Checkpoints that are whole or absent: written aside, hashed, renamed."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError

Arrays = dict[str, NDArray]
_NAME = re.compile(r"epoch-(\d{6})\.npz")
#: A damaged newest checkpoint leaves the one before it.
KEEP = 2


class CheckpointError(PolyIDError):
    """Arrays cannot be written or trusted."""


class Found(NamedTuple):
    """What was found on disk."""

    epoch: int
    arrays: Arrays
    path: Path


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write ``path`` (.npz) and its SHA-256 beside it; a reader sees both whole, or neither.

    Raises
    ------
    CheckpointError
        If the disk is full or cannot be written; nothing half is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    digest = part.with_name(f"{part.name}.sha256")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
            file.flush()
            os.fsync(file.fileno())
        digest.write_text(_digest(part) + "\n", encoding="ascii")
        # everything is on disk; a kill between these leaves arrays that do not verify
        _beside(path).unlink(missing_ok=True)
        part.replace(path)
        digest.replace(_beside(path))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror or error}. Free disk space or choose "
            "another --work folder, then run the same command again: it resumes."
        ) from error
    finally:
        for rest in (part, digest):
            with suppress(OSError):  # what cannot be removed is not what went wrong
                rest.unlink()


def read_arrays(path: Path) -> Arrays:
    """Read what `write_arrays` wrote.

    Raises
    ------
    CheckpointError
        If it is missing, cut short or changed.
    """
    try:
        stated = _beside(path).read_text(encoding="ascii").strip()
        if _digest(path) != stated:
            raise CheckpointError(f"{path} does not have the checksum beside it.")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def save(folder: Path, epoch: int, arrays: Mapping[str, NDArray]) -> Path:
    """Write the checkpoint of ``epoch``, and drop all but the newest `KEEP`."""
    path = folder / f"epoch-{epoch:06d}.npz"
    write_arrays(path, arrays)
    for begun in folder.glob(".epoch-*.part*"):  # by a process that was killed
        begun.unlink(missing_ok=True)
    for old in list(_newest_first(folder))[KEEP:]:
        remove(old)
    return path


def newest(folder: Path) -> tuple[Found | None, list[str]]:
    """Return the newest checkpoint that verifies, and a warning for each that does not."""
    warnings = []
    for path in _newest_first(folder):
        try:
            arrays = read_arrays(path)
        except CheckpointError as error:
            warnings.append(f"{error} It is passed over.")
            continue
        epoch = epoch_of(path)
        assert epoch is not None
        return Found(epoch, arrays, path), warnings
    return None, warnings


def epoch_of(path: Path) -> int | None:
    """Return the epoch that a checkpoint's name tells, None for any other file."""
    matched = _NAME.fullmatch(path.name)
    return int(matched[1]) if matched else None


def remove(path: Path) -> None:
    """Remove a file of arrays with its checksum."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def _newest_first(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
