"""One generation of checkpoints: which files it has, what they hash to, how far the run was.

A manifest is written after all its files, and its name carries its own SHA-256: cut short or
changed, it is not taken for one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from polyid.errors import PolyIDError

_NAME = re.compile(r"manifest-(\d{6})-([0-9a-f]{64})\.json")
#: What a manifest may name: it decides where files are put, and comes from outside.
_PATH = re.compile(r"members/[a-z0-9-]+\.npz|checkpoints/[a-z0-9-]+/epoch-\d{6}\.npz")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Manifest(NamedTuple):
    """The files of a run's folder at one moment."""

    number: int
    """Generations are counted from 1."""
    files: dict[str, str]
    """Path in the run's folder, and SHA-256."""
    progress: int
    """Finished epochs of all members."""
    status: dict[str, Any]
    """What ``status.json`` said: time spent so far."""

    def encoded(self) -> tuple[str, bytes]:
        """Return the file name and the bytes."""
        content = json.dumps(self._asdict(), indent=1, sort_keys=True).encode()
        return f"manifest-{self.number:06d}-{hashlib.sha256(content).hexdigest()}.json", content


def blob(digest: str) -> str:
    """Return the name under which a file is stored: its content's, so that it is stored once."""
    return f"data/{digest}.npz"


def group_of(path: str) -> str:
    """Return the group of members that a file belongs to, such as ``member-03``."""
    return path.split("/")[1].removesuffix(".npz")


def number_of(name: str) -> int | None:
    """Return the generation that a manifest's name tells, None for any other file."""
    matched = _NAME.fullmatch(name)
    return int(matched[1]) if matched else None


def decode(name: str, content: bytes) -> Manifest:
    """Read a manifest.

    Raises
    ------
    PolyIDError
        If it is not what was written under that name.
    """
    matched = _NAME.fullmatch(name)
    if matched is None or hashlib.sha256(content).hexdigest() != matched[2]:
        raise PolyIDError(f"{name} is not whole.")
    found: Mapping[str, Any] = json.loads(content)
    manifest = Manifest(**found)
    for path, digest in manifest.files.items():
        if not _PATH.fullmatch(path) or not _SHA256.fullmatch(digest):
            raise PolyIDError(f"{name} names the file {path!r}, which no run has.")
    return manifest
