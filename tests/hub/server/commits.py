"""Preupload (how each file will travel) and commits, guarded by their parent."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

import discussions
import gitstore
import pathspec
import pygit2
from card_check import problems
from repo_api import REPO
from starlette.responses import JSONResponse, Response
from state import Repo
from wire import KINDS, Call, RefusalError, route

REGULAR_LIMIT = 10 << 20
STALE = "The branch was updated since you opened this page. Please refresh and try again."
RACED = "A commit has happened since. Please refresh and try again."


class Asked(NamedTuple):
    """A commit as it came: message, parent, files by path (bytes or pointer), deletions."""

    message: str
    parent: str | None
    put: dict[str, bytes | gitstore.Pointer]
    files: list[str]
    folders: list[str]


def good_path(path: object) -> str:
    """A path that can stand in a repository; 400 for anything that leaves it."""
    parts = path.split("/") if isinstance(path, str) else []
    bad = {"", ".", ".."}
    if not isinstance(path, str) or "\0" in path or "\\" in path or bad.intersection(parts):
        raise RefusalError(400, f"Invalid path in commit: {path!r}")
    if any(part.lower() == ".git" for part in parts):
        raise RefusalError(400, f"Invalid path in commit: {path!r} (.git)")
    return path


def preupload(call: Call) -> Response:
    repo = call.state.writable(call) if not call.flag("create_pr") else call.state.readable(call)
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    git = repo.git()
    oid = gitstore.resolve(git, call.params["rev"])
    payload = call.json()
    attributes = gitstore.attributes_of(git, oid)
    ignored = pathspec.GitIgnoreSpec.from_lines((payload.get("gitIgnore") or "").splitlines())
    rows = []
    for file in payload.get("files", []):
        path = good_path(file.get("path"))
        sample = base64.b64decode(file.get("sample", ""))
        large = int(file["size"]) > REGULAR_LIMIT or b"\0" in sample
        lfs = path != ".gitattributes" and (large or gitstore.lfs_tracked(attributes, path))
        row: dict[str, Any] = {
            "path": path,
            "uploadMode": "lfs" if lfs else "regular",
            "shouldIgnore": ignored.match_file(path),
        }
        found = gitstore.find(git, oid, path)
        if isinstance(found, pygit2.Blob):
            entry = gitstore.entry(git, path, found.id)
            row["oid"] = entry.lfs.sha256 if entry.lfs else entry.oid
        rows.append(row)
    return JSONResponse({"files": rows, "commitOid": oid})


def _asked(repo: Repo, body: bytes) -> Asked:
    """Read the lines of a commit and check each against what was uploaded."""
    header: dict[str, Any] | None = None
    put: dict[str, bytes | gitstore.Pointer] = {}
    files, folders = [], []
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            key, value = row["key"], row["value"]
            if key == "header":
                header = value
            elif key == "file":
                content = value["content"]
                plain = value.get("encoding") != "base64"
                data = content.encode() if plain else base64.b64decode(content, validate=True)
                put[good_path(value["path"])] = data
            elif key == "lfsFile":
                put[good_path(value["path"])] = _pointer(repo, value)
            elif key == "deletedFile":
                files.append(good_path(value["path"]))
            elif key == "deletedFolder":
                folders.append(good_path(value["path"].rstrip("/")))
            else:
                raise RefusalError(400, f"unknown operation {key!r} in commit")
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as bad:
            raise RefusalError(400, f"a line of the commit cannot be read: {bad!r}") from bad
    if header is None or not str(header.get("summary") or "").strip():
        raise RefusalError(400, "the commit has no header with a summary")
    body_text = str(header.get("description") or "")
    message = header["summary"] + (f"\n\n{body_text}" if body_text else "")
    return Asked(message, header.get("parentCommit"), put, files, folders)


def _pointer(repo: Repo, value: dict[str, Any]) -> gitstore.Pointer:
    sha256 = str(value["oid"])
    size = repo.has_lfs(sha256) if len(sha256) == 64 else None
    if size is None:
        text = (
            "Your push was rejected because an LFS pointer pointed to a file that does not exist. "
            f"Offending file: {value['path']} (oid {sha256})"
        )
        raise RefusalError(400, text)
    if value.get("size") not in (None, size):
        raise RefusalError(
            400, f"{value['path']}: {size} bytes uploaded, {value['size']} announced"
        )
    return gitstore.Pointer(sha256, size, 0)


def _tree(repo: Repo, git: pygit2.Repository, parent: str, asked: Asked) -> pygit2.Oid:
    """The tree after the commit's operations on ``parent``."""
    drop = []
    for path in asked.files:
        if not isinstance(gitstore.find(git, parent, path), pygit2.Blob):
            raise RefusalError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        drop.append(path)
    for path in asked.folders:
        if not isinstance(gitstore.find(git, parent, path), pygit2.Tree):
            text = f"A folder with this name doesn't exist: {path}"
            raise RefusalError(404, text, "EntryNotFound")
        inside = [p for p, _ in gitstore.files(git, parent) if p.startswith(f"{path}/")]
        drop += [p for p in inside if p not in drop]
    blobs: dict[str, pygit2.Oid] = {}
    attributes = before = gitstore.attributes_of(git, parent)
    if isinstance(new := asked.put.get(".gitattributes"), bytes):
        attributes = before = new.decode("utf-8", "replace")
    for path, what in asked.put.items():
        if isinstance(what, gitstore.Pointer):
            blobs[path] = git.create_blob(what.blob())
            if not gitstore.lfs_tracked(attributes, path):
                attributes = gitstore.with_rule(attributes, path)
            continue
        if len(what) > REGULAR_LIMIT:
            raise RefusalError(400, f"{path}: files over 10 MiB must go through LFS")
        if path == "README.md":
            errors, _ = problems(what.decode("utf-8", "replace"), KINDS[repo.kind])
            if errors:
                raise RefusalError(400, f"Invalid metadata in README.md: {'; '.join(errors)}")
        blobs[path] = git.create_blob(what)
    if attributes != before and ".gitattributes" not in drop:
        blobs[".gitattributes"] = git.create_blob(attributes.encode())
    return gitstore.build_tree(git, parent, blobs, drop)


def commit(call: Call) -> Response:
    """One commit: refused when its parent is not the head, won by ``git update-ref``."""
    pull = call.flag("create_pr")
    repo = call.state.readable(call) if pull else call.state.writable(call)
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    git, revision = repo.git(), call.params["rev"]
    ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
    parent = gitstore.head(git, ref) if pygit2.reference_is_valid_name(ref) else None
    if parent is None or not ref.startswith(("refs/heads/", "refs/pr/")):
        raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    asked = _asked(repo, call.body)
    if asked.parent and asked.parent != parent:
        if not pull:
            raise RefusalError(412, STALE)
        parent = gitstore.resolve(git, asked.parent)
    tree = _tree(repo, git, parent, asked)
    oid = gitstore.commit(git, tree, [parent], call.who.user, asked.message)
    url = call.state.url(repo.kind, repo.repo_id)
    answer = {
        "success": True,
        "commitOid": oid,
        "commitUrl": f"{url}/commit/{oid}",
        "hookOutput": "",
    }
    if pull:
        title, _, rest = asked.message.partition("\n\n")
        found = discussions.open_pull(repo, call.who.user, title, rest, base=revision, oid=oid)
        answer["pullRequestUrl"] = f"{url}/discussions/{found['num']}"
    elif gitstore.swap(repo.path, ref, oid, parent):
        raise RefusalError(412, STALE if asked.parent else RACED)
    elif repo.space and ref == "refs/heads/main":
        repo.space.rebuild(oid)
    return JSONResponse(answer)


ROUTES = [
    route(f"{REPO}/preupload/{{rev}}", "POST", preupload),
    route(f"{REPO}/commit/{{rev}}", "POST", commit),
]
