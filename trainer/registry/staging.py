"""Write folders and small files into a registry in one step, or not at all.

A folder is built under ``.staging/`` and renamed to its place when every byte is on disk. What a
killed process leaves there is removed by the next writer, which holds the registry's lock.
"""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

from polyid.checksums import CHECKSUMS, save_checksums
from trainer.registry.base import RegistryError

STAGING = ".staging"

_CHUNK = 1 << 20
_READ_ONLY = 0o444
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: What file systems answer that cannot link two names to one file, or not once more.
_NO_LINK = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def explained(registry: Path, needed: int = 0) -> Iterator[None]:
    """Turn an operating system's refusal inside the block into a `RegistryError`.

    Parameters
    ----------
    registry : Path
        The registry that is written.
    needed : int
        Bytes that the block is to write, for the message.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or registry
        if error.errno in _FULL:
            raise RegistryError(_full(registry, where, needed, str(error.strerror))) from error
        if error.errno in _FORBIDDEN:
            raise RegistryError(
                f"The registry {registry} cannot be written: {error.strerror}: {where}. "
                "Give this user the right to write there, or another folder: --registry DIR"
            ) from error
        raise RegistryError(f"The registry {registry} failed: {error}.") from error


def _full(registry: Path, where: object, needed: int, reason: str) -> str:
    free = shutil.disk_usage(_existing(registry)).free
    return (
        f"No room in the registry {registry} ({reason}: {where}): {size_text(needed)} needed, "
        f"{size_text(free)} free on its disk. What was there before is untouched. "
        "Free some space or raise the limit, and run the same command again."
    )


def require_space(registry: Path, needed: int) -> None:
    """Raise `RegistryError` if ``needed`` bytes do not fit, before anything is written."""
    if shutil.disk_usage(_existing(registry)).free < needed:
        raise RegistryError(_full(registry, registry, needed, "the disk is too small"))


def size_text(size: int) -> str:
    """Write a number of bytes for a reader, such as ``1.5 MB``."""
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def folder_size(folder: Path, names: list[str]) -> int:
    """Bytes of the files ``names`` of ``folder``."""
    return sum((folder / name).stat().st_size for name in names)


def clean(registry: Path) -> None:
    """Remove what killed processes left half written. The caller holds the lock."""
    staging = registry / STAGING
    if staging.is_dir():
        for path in staging.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


class Stage:
    """A folder in the making; see `stage`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, str] = {}

    def copy(self, source: Path, name: str) -> None:
        """Copy a file's bytes, hashing them on the way."""
        digest = hashlib.sha256()
        with source.open("rb") as reader, self._create(name) as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        self.files[name] = digest.hexdigest()

    def link(self, source: Path, name: str, digest: str) -> None:
        """Give a file that is read-only and of known hash a second name; copy it if that fails."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self.copy(source, name)
        else:
            self.files[name] = digest

    def write(self, name: str, text: str) -> None:
        """Write a small text file."""
        data = text.encode("utf-8")
        with self._create(name) as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        self.files[name] = hashlib.sha256(data).hexdigest()

    def commit(self, target: Path) -> Path:
        """Write the checksums, make everything read-only and durable, and move it to ``target``."""
        save_checksums(self.folder, self.files)
        for name in [*self.files, CHECKSUMS]:
            (self.folder / name).chmod(_READ_ONLY)
        for base, _, _ in os.walk(self.folder, topdown=False):
            sync_folder(Path(base))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folder.rename(target)
        sync_folder(target.parent)
        return target

    def _create(self, name: str) -> BufferedWriter:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")


@contextmanager
def stage(registry: Path) -> Iterator[Stage]:
    """Open a `Stage` inside ``registry``; whatever was not committed is removed at the end."""
    folder = registry / STAGING / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield Stage(folder)
    finally:
        if folder.exists():
            shutil.rmtree(folder)


def write_whole(registry: Path, path: Path, text: str) -> None:
    """Replace the small file ``path`` of ``registry`` in one step."""
    partial = registry / STAGING / uuid.uuid4().hex
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("x", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _existing(path: Path) -> Path:
    """Find the nearest parent that exists (or the path itself)."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
