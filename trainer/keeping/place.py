"""Where checkpoints can be kept: any file system that fsspec knows, or a branch on the Hub."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]
from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from polyid.errors import PolyIDError

_HUB = re.compile(r"hf://([\w.-]+/[\w.-]+)")


class KeepingError(PolyIDError):
    """A store of checkpoints cannot be used."""


class Place(Protocol):
    """Files by name. Methods raise what their file system raises: they run in a process apart."""

    def listing(self) -> dict[str, int]:
        """Return the names of all files, with their sizes in bytes."""

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file to ``to``."""

    def write(
        self, files: Mapping[str, Path], last: tuple[str, bytes], remove: Sequence[str]
    ) -> None:
        """Store ``files``, then the small file ``last``, then remove; all or a part in that order.

        A file that is there is written again.
        """

    def clear(self) -> None:
        """Remove everything; nothing is there already is well."""


class FilePlace:
    """A folder of a file system that fsspec knows: local, S3, GCS, Azure, SFTP and more."""

    def __init__(self, url: str) -> None:
        self.fs, path = url_to_fs(url, use_listings_cache=False)
        self.root = path.rstrip("/")

    def listing(self) -> dict[str, int]:
        """Return names and sizes; see `Place.listing`."""
        found = {}
        for where, info in self.fs.find(self.root, detail=True).items():
            found[where.removeprefix(self.root).lstrip("/")] = int(info["size"])
        return found

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file here; see `Place.fetch`."""
        self.fs.get_file(f"{self.root}/{name}", str(to))

    def write(
        self, files: Mapping[str, Path], last: tuple[str, bytes], remove: Sequence[str]
    ) -> None:
        """Store, then remove; see `Place.write`."""
        for folder in {f"{self.root}/{name}".rpartition("/")[0] for name in [*files, last[0]]}:
            self.fs.makedirs(folder, exist_ok=True)
        for name, path in files.items():
            self.fs.put_file(str(path), f"{self.root}/{name}")
        self.fs.pipe_file(f"{self.root}/{last[0]}", last[1])
        for name in remove:
            if self.fs.exists(f"{self.root}/{name}"):
                self.fs.rm_file(f"{self.root}/{name}")

    def clear(self) -> None:
        """Remove the folder; see `Place.clear`."""
        if self.fs.exists(self.root):
            self.fs.rm(self.root, recursive=True)


def require_usable(url: str) -> str:
    """Check what can be checked of an address without contacting it, and return it.

    Raises
    ------
    KeepingError
        If no such store can be opened from here, however long one waits.
    """
    parts = urlsplit(url)
    if parts.password:
        raise KeepingError(
            f"--checkpoints: received an address with a password in it ({parts.scheme}://…); "
            "expected one without: credentials go into the environment (AWS_SECRET_ACCESS_KEY, "
            "HF_TOKEN), where no log shows them."
        )
    if url.startswith("hf://"):
        if not _HUB.fullmatch(url):
            raise KeepingError(
                f"--checkpoints: received {url}; expected hf://namespace/name, a model repository. "
                "For a bucket of the Hub give its S3 address: s3://bucket/folder."
            )
        return url
    try:
        fsspec.get_filesystem_class(parts.scheme or "file")
    except (ValueError, ImportError) as error:
        raise KeepingError(
            f"--checkpoints: received {url}, and this environment cannot open it ({error}). "
            "Expected hf://namespace/name, s3://bucket/folder, file:///folder, or another address "
            "whose fsspec package is installed."
        ) from None
    return url


def open_place(url: str, fingerprint: str) -> Place:
    """Return the place of one run's checkpoints; nothing is contacted yet."""
    if matched := _HUB.fullmatch(url):
        from trainer.keeping.hub_place import HubPlace

        return HubPlace(matched[1], f"checkpoints/{fingerprint}")
    return FilePlace(f"{url.rstrip('/')}/{fingerprint}")
