"""Checksums of a model folder: what belongs to it, byte for byte, and nothing else.

A candidate and a release carry ``checksums.json``, which names every other file with its SHA-256.
Checksums prove that a folder is whole and unchanged since it was written; they do not prove who
wrote it (whoever can rewrite every file can rewrite the checksums too).
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from polyid.errors import PolyIDError

CHECKSUMS = "checksums.json"

#: Files that ``checksums.json`` does not list: itself, and the one that a Hub repository adds.
UNLISTED = frozenset({CHECKSUMS, ".gitattributes"})

#: Suffixes of files that run code when they are loaded. They are neither written nor read.
PICKLES = frozenset({".pk", ".pkl", ".pickle", ".joblib"})

_CHUNK = 1 << 20


class TamperedError(PolyIDError):
    """A model folder is not what its checksums say.

    Parameters
    ----------
    folder : Path
        The folder that was checked.
    missing, extra, changed : sequence of str
        Paths relative to the folder: listed but absent, present but not listed, other content.
    refused : mapping of str to str
        Paths that no model folder may hold, with the reason.
    """

    def __init__(
        self,
        folder: Path,
        *,
        missing: tuple[str, ...] = (),
        extra: tuple[str, ...] = (),
        changed: tuple[str, ...] = (),
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.missing, self.extra, self.changed = missing, extra, changed
        self.refused = dict(refused or {})
        faults = [
            *(f"missing: {name}" for name in missing),
            *(f"extra (not in {CHECKSUMS}): {name}" for name in extra),
            *(f"changed: {name}" for name in changed),
            *(f"refused: {name} ({why})" for name, why in self.refused.items()),
        ]
        super().__init__(
            f"{folder} is not the folder that was saved:\n  "
            + "\n  ".join(faults)
            + "\nNothing of it was loaded. Use another release, or fetch or train this one again."
        )


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def scan(folder: Path, *, links_within: Path | None = None) -> tuple[list[str], dict[str, str]]:
    """Find the files of a model folder, and those that must not be there.

    Parameters
    ----------
    folder : Path
        The model folder.
    links_within : Path, optional
        Links may point to files below this folder; by default below ``folder`` itself. (The cache
        of a Hub client keeps a snapshot as links to files beside it.)

    Returns
    -------
    files : list of str
        Relative POSIX paths, sorted, without those of ``UNLISTED``.
    refused : dict of str to str
        Relative path and reason: pickles, links that leave, devices and pipes.
    """
    home = (links_within or folder).resolve()
    files: list[str] = []
    refused: dict[str, str] = {}
    for base, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(base, name)
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if stat.S_ISLNK(mode):
                if reason := _bad_link(path, home):
                    refused[relative] = reason
                    continue
            elif not stat.S_ISREG(mode):
                refused[relative] = "neither a file nor a folder"
                continue
            if is_pickle(relative):
                refused[relative] = "a pickle, which can run code when it is loaded"
            elif relative not in UNLISTED:
                files.append(relative)
    return sorted(files), refused


def _bad_link(path: Path, home: Path) -> str:
    """Say why a link is refused, or return an empty string."""
    target = path.resolve()
    if not target.is_relative_to(home):
        return f"a link that leaves the folder, to {path.readlink()}"
    if not target.is_file():
        return f"a link to {path.readlink()}, which is not a file"
    return ""


def is_pickle(name: str) -> bool:
    """Whether a file's name says pickle, compressed or not."""
    return not PICKLES.isdisjoint(suffix.lower() for suffix in PurePosixPath(name).suffixes)


def write_checksums(folder: Path) -> dict[str, str]:
    """Write ``checksums.json`` for all files of ``folder`` as they are now.

    Returns
    -------
    dict of str to str
        Relative POSIX path and SHA-256, sorted by path.

    Raises
    ------
    TamperedError
        If the folder holds a pickle, a link that leaves it, or something that is not a file.
    """
    names, refused = scan(folder)
    if refused:
        raise TamperedError(folder, refused=refused)
    files = {name: file_hash(folder / name) for name in names}
    save_checksums(folder, files)
    return files


def save_checksums(folder: Path, files: Mapping[str, str]) -> None:
    """Write ``checksums.json`` with hashes that are known already; in one step or not at all."""
    partial = folder / f".{CHECKSUMS}.partial"
    with partial.open("w", encoding="utf-8") as handle:
        handle.write(checksums_text(files))
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(folder / CHECKSUMS)


def checksums_text(files: Mapping[str, str]) -> str:
    """Return the content of ``checksums.json``: the same for the same files."""
    content = {"algorithm": "sha256", "files": dict(sorted(files.items()))}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_checksums(folder: Path) -> dict[str, str]:
    """Read and check ``checksums.json``.

    Raises
    ------
    TamperedError
        If it is missing, cut off, of another form, or names a path outside the folder.
    """
    try:
        content = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise TamperedError(folder, missing=(CHECKSUMS,)) from None
    except ValueError as error:
        raise TamperedError(folder, refused={CHECKSUMS: f"not whole JSON: {error}"}) from None
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or content.get("algorithm") != "sha256":
        reason = 'expected {"algorithm": "sha256", "files": {path: hash}}'
        raise TamperedError(folder, refused={CHECKSUMS: reason})
    refused = {name: reason for name in files if (reason := _bad_name(name))}
    if refused:
        raise TamperedError(folder, refused=refused)
    return files


def _bad_name(name: str) -> str:
    """Say why a path in ``checksums.json`` is refused, or return an empty string."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or path.as_posix() != name:
        return "a path that may leave the folder"
    if is_pickle(name):
        return "a pickle, which can run code when it is loaded"
    return ""


def verify(folder: Path, *, links_within: Path | None = None) -> None:
    """Check that ``folder`` holds exactly the files of its ``checksums.json``, unchanged.

    Parameters
    ----------
    folder : Path
        A candidate, a release, or what ``save_pretrained`` wrote.
    links_within : Path, optional
        See `scan`.

    Raises
    ------
    TamperedError
        With every missing, extra, changed and refused file at once.
    """
    expected = read_checksums(folder)
    found, refused = scan(folder, links_within=links_within)
    both = [name for name in found if name in expected]
    changed = tuple(name for name in both if file_hash(folder / name) != expected[name])
    missing = tuple(sorted(set(expected) - set(found) - set(refused)))
    extra = tuple(sorted(set(found) - set(expected)))
    if missing or extra or changed or refused:
        raise TamperedError(folder, missing=missing, extra=extra, changed=changed, refused=refused)
