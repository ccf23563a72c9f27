"""Git behind a repository: objects by libgit2, every change of a ref by ``git update-ref``.

Reading and writing objects in this process costs microseconds; a ref moves only by the real
``git update-ref NEW OLD``, so that compare-and-swap is git's own, also against other processes.
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pathspec
import pygit2
from pygit2.enums import FileMode, ObjectType, SortMode
from wire import RefusalError, stamp

ZERO = "0" * 40
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_SUFFIXES = """
7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet
pb pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst"""
_RULE = "filter=lfs diff=lfs merge=lfs -text\n"
ATTRIBUTES = "".join(f"{p} {_RULE}" for p in [f"*.{s}" for s in _SUFFIXES.split()] + ["*tfevents*"])
_ENV = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


class Pointer(NamedTuple):
    """What an LFS pointer says: the sha256 of the content, its size, the pointer's own size."""

    sha256: str
    size: int
    pointer_size: int

    def blob(self) -> bytes:
        return POINTER + f"oid sha256:{self.sha256}\nsize {self.size}\n".encode()


class Entry(NamedTuple):
    """A file of a tree: path, blob oid, size of the content, pointer if it is in LFS."""

    path: str
    oid: str
    size: int
    lfs: Pointer | None


def make(path: Path, author: str) -> None:
    """Make a bare repository whose ``main`` holds ``.gitattributes``, as a new one on the Hub."""
    git = pygit2.init_repository(str(path), bare=True, initial_head="main")
    tree = build_tree(git, None, {".gitattributes": git.create_blob(ATTRIBUTES.encode())}, [])
    oid = commit(git, tree, [], author, "initial commit")
    if error := swap(path, "refs/heads/main", oid, ZERO):
        raise RuntimeError(f"a new repository has no main: {error}")


def opened(path: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(path))
    except pygit2.GitError as gone:
        raise RefusalError(404, "Repository not found", "RepoNotFound") from gone


def run(path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", f"--git-dir={path}", *args], capture_output=True, text=True, env=_ENV
    )


def swap(path: Path, ref: str, new: str, old: str) -> str:
    """Move ``ref`` from ``old`` to ``new`` (ZERO: make or delete); git's complaint, or ''."""
    command = ["update-ref", ref, new, old] if new != ZERO else ["update-ref", "-d", ref, old]
    done = run(path, *command)
    return done.stderr.strip() or "git update-ref failed" if done.returncode else ""


def head(git: pygit2.Repository, ref: str) -> str | None:
    """The oid a ref points to (a tag object's own), None without such a ref."""
    try:
        return str(git.references[ref].target)
    except (KeyError, ValueError, pygit2.GitError):
        return None


def resolve(git: pygit2.Repository, revision: str) -> str:
    """The commit of a branch, tag, full ref or (short) commit oid; 404 RevisionNotFound."""
    for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
        full = ref.startswith("refs/") and pygit2.reference_is_valid_name(ref)
        oid = head(git, ref) if full else None
        if oid:
            return str(git[oid].peel(pygit2.Commit).id)
    hexa = len(revision) >= 7 and all(c in "0123456789abcdef" for c in revision)
    if hexa and len(revision) <= 40:
        try:
            return str(git[revision].peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            pass
    raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def build_tree(
    git: pygit2.Repository, base: str | None, put: dict[str, pygit2.Oid], drop: list[str]
) -> pygit2.Oid:
    """The tree of commit ``base`` without ``drop`` and with the blobs ``put``."""
    index = pygit2.Index()
    if base:
        index.read_tree(git[base].tree)
    for path in drop:
        index.remove(path)
    for path, oid in put.items():
        index.add(pygit2.IndexEntry(path, oid, FileMode.BLOB))
    return index.write_tree(git)


def commit(
    git: pygit2.Repository, tree: pygit2.Oid, parents: list[str], author: str, message: str
) -> str:
    """Write a commit object; no ref moves."""
    who = pygit2.Signature(author, f"{author}@users.noreply.example", int(time.time()), 0)
    return str(
        git.create_commit(None, who, who, message, tree, [pygit2.Oid(hex=p) for p in parents])
    )


def tag_object(git: pygit2.Repository, name: str, target: str, author: str, message: str) -> str:
    """Write an annotated tag's object; no ref moves."""
    who = f"{author} <{author}@users.noreply.example> {int(time.time())} +0000"
    text = f"object {target}\ntype commit\ntag {name}\ntagger {who}\n\n{message}\n"
    return str(git.write(ObjectType.TAG, text.encode()))


@lru_cache(maxsize=65536)
def _pointer(content: bytes) -> Pointer | None:
    try:
        fields = dict(line.split(" ", 1) for line in content.decode().splitlines())
        return Pointer(fields["oid"].removeprefix("sha256:"), int(fields["size"]), len(content))
    except (ValueError, KeyError):
        return None


def entry(git: pygit2.Repository, path: str, oid: pygit2.Oid) -> Entry:
    blob = git[oid]
    assert isinstance(blob, pygit2.Blob)
    if blob.size < 200 and (content := blob.data).startswith(POINTER):
        lfs = _pointer(content)
        if lfs:
            return Entry(path, str(oid), lfs.size, lfs)
    return Entry(path, str(oid), blob.size, None)


def files(git: pygit2.Repository, commit_oid: str) -> list[tuple[str, pygit2.Oid]]:
    """All files of a commit with their blobs, sorted by path."""
    index = pygit2.Index()
    index.read_tree(git[commit_oid].tree)
    return [(e.path, e.id) for e in index]


def find(git: pygit2.Repository, commit_oid: str, path: str) -> pygit2.Object | None:
    """The blob or tree at a path of a commit, None when nothing is there."""
    tree = git[commit_oid].tree
    if not path:
        return tree
    try:
        return tree[path]
    except (KeyError, ValueError):
        return None


def log(git: pygit2.Repository, commit_oid: str) -> list[dict]:
    """The commits from one back to the first, newest first."""
    walk = git.walk(pygit2.Oid(hex=commit_oid), SortMode.TOPOLOGICAL | SortMode.TIME)
    return [commit_row(c) for c in walk]


def commit_row(c: pygit2.Commit) -> dict:
    title, _, rest = c.message.partition("\n")
    return {
        "id": str(c.id),
        "title": title,
        "message": rest.strip(),
        "date": stamp(float(c.commit_time)),
        "authors": [{"user": c.author.name}],
    }


@lru_cache(maxsize=256)
def _tracked(attributes: str) -> pathspec.PathSpec:
    lines = [row.split()[0] for row in attributes.splitlines() if "filter=lfs" in row]
    return pathspec.GitIgnoreSpec.from_lines(lines)


def lfs_tracked(attributes: str, path: str) -> bool:
    """Whether a ``.gitattributes`` sends this path to LFS."""
    return _tracked(attributes).match_file(path)


def attributes_of(git: pygit2.Repository, commit_oid: str) -> str:
    found = find(git, commit_oid, ".gitattributes")
    return found.data.decode("utf-8", "replace") if isinstance(found, pygit2.Blob) else ""


def with_rule(attributes: str, path: str) -> str:
    """The ``.gitattributes`` with one more file sent to LFS, as the Hub adds it."""
    gap = "" if not attributes or attributes.endswith("\n") else "\n"
    return f"{attributes}{gap}{path.replace(' ', '[[:space:]]')} {_RULE}"
