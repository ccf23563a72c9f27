"""Files of a commit: lists with LFS facts, and downloads (LFS by redirect to the other host)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import gitstore
import lfs
import pygit2
from repo_api import REPO
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from wire import PREFIX, Call, RefusalError, page_link, ranged, route


def _file_row(git: pygit2.Repository, path: str, oid: pygit2.Oid) -> dict[str, Any]:
    entry = gitstore.entry(git, path, oid)
    row: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
    if entry.lfs:
        row["lfs"] = {
            "oid": entry.lfs.sha256,
            "size": entry.lfs.size,
            "pointerSize": entry.lfs.pointer_size,
        }
    return row


def _rows(git: pygit2.Repository, tree: pygit2.Tree, at: str, recursive: bool) -> list[dict]:
    rows = []
    for item in tree:
        path = f"{at}{item.name}"
        if isinstance(item, pygit2.Tree):
            rows.append({"type": "directory", "oid": str(item.id), "size": 0, "path": path})
            if recursive:
                rows += _rows(git, item, f"{path}/", True)
        else:
            rows.append(_file_row(git, path, item.id))
    return rows


def _with_last_commits(git: pygit2.Repository, oid: str, rows: list[dict]) -> list[dict]:
    """Add to each row the commit that last changed it (the ``expand`` of the client)."""
    open_paths = {row["path"]: row for row in rows}
    history = gitstore.log(git, oid)
    for this, older in zip(history, [*history[1:], None], strict=True):
        for path, row in list(open_paths.items()):
            now = gitstore.find(git, this["id"], path)
            before = gitstore.find(git, older["id"], path) if older else None
            if now is not None and (before is None or before.id != now.id):
                row["lastCommit"] = {k: this[k] for k in ("id", "title", "date")}
                del open_paths[path]
    return rows


def tree(call: Call) -> Response:
    git = call.state.readable(call).git()
    oid = gitstore.resolve(git, call.params["rev"])
    path = call.params.get("path", "").strip("/")
    found = gitstore.find(git, oid, path)
    if not isinstance(found, pygit2.Tree):
        raise RefusalError(404, f"{path} does not exist on {call.params['rev']!r}", "EntryNotFound")
    rows = _rows(git, found, f"{path}/" if path else "", call.flag("recursive"))
    start = int(call.query("cursor") or 0)
    limit = int(call.query("limit") or (50 if call.flag("expand") else 1000))
    shown = rows[start : start + limit]
    if call.flag("expand"):
        shown = _with_last_commits(git, oid, shown)
    more = start + limit < len(rows)
    return JSONResponse(shown, headers=page_link(call, cursor=start + limit) if more else {})


def paths_info(call: Call) -> Response:
    git = call.state.readable(call).git()
    oid = gitstore.resolve(git, call.params["rev"])
    form = call.form()
    rows: list[dict[str, Any]] = []
    for path in form.get("paths", []):
        found = gitstore.find(git, oid, path.strip("/"))
        if isinstance(found, pygit2.Blob):
            rows.append(_file_row(git, path, found.id))
        elif isinstance(found, pygit2.Tree) and path:
            rows.append({"type": "directory", "oid": str(found.id), "size": 0, "path": path})
    if str((form.get("expand") or [""])[0]).lower() in {"true", "1"}:
        rows = _with_last_commits(git, oid, rows)
    return JSONResponse(rows)


def resolve(call: Call) -> Response:
    """A file: regular ones at once, LFS ones by 302 with their digest and size in the headers."""
    repo = call.state.readable(call)
    git = repo.git()
    oid = gitstore.resolve(git, call.params["rev"])
    path = call.params["path"]
    found = gitstore.find(git, oid, path)
    if ".." in path.split("/"):
        raise RefusalError(400, f"Invalid path: {path}")
    headers = {"X-Repo-Commit": oid}
    if not isinstance(found, pygit2.Blob):
        no = RefusalError(404, "Entry not found", "EntryNotFound").response()
        no.headers.update(headers)
        return no
    entry = gitstore.entry(git, path, found.id)
    named = f"inline; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1])}"
    headers["Content-Disposition"] = named
    if not entry.lfs:
        return ranged(call, found.data, headers | {"ETag": f'"{entry.oid}"'})
    headers |= {
        "ETag": f'"{entry.lfs.sha256}"',
        "X-Linked-Etag": f'"{entry.lfs.sha256}"',
        "X-Linked-Size": str(entry.lfs.size),
        "Location": lfs.signed(call.state, "get", repo, entry.lfs.sha256),
        "Accept-Ranges": "bytes",
    }
    return Response(status_code=302, headers=headers)


def _web_routes(kind: str) -> list[Route]:
    def handler(call: Call) -> Response:
        call.params["kind"] = kind
        return resolve(call)

    path = f"/{PREFIX[kind]}{{ns}}/{{name}}/resolve/{{rev}}/{{path:path}}"
    return [route(path, "GET HEAD", handler)]


ROUTES = [
    route(f"{REPO}/tree/{{rev}}", "GET", tree),
    route(f"{REPO}/tree/{{rev}}/{{path:path}}", "GET", tree),
    route(f"{REPO}/paths-info/{{rev}}", "POST", paths_info),
    *_web_routes("datasets"),
    *_web_routes("spaces"),
    *_web_routes("models"),
]
