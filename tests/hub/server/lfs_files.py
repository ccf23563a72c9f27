"""What a repository stores of large files, and taking them out of it for good."""

from __future__ import annotations

import re

from repo_api import REPO
from starlette.responses import JSONResponse, Response
from wire import Call, page_link, route, stamp

_SHA = re.compile(r"[0-9a-f]{64}")
_PAGE = 100


def listing(call: Call) -> Response:
    """All objects, also those that no commit names any more."""
    repo = call.state.readable(call)
    files = sorted(p for p in (repo.path / "lfs").glob("*/*") if _SHA.fullmatch(p.name))
    begin = int(call.query("cursor") or 0)
    more = page_link(call, cursor=begin + _PAGE) if begin + _PAGE < len(files) else {}
    rows = [
        {
            "fileOid": path.name,
            "filename": path.name,
            "oid": path.name,
            "pushedAt": stamp(path.stat().st_mtime),
            "size": path.stat().st_size,
        }
        for path in files[begin : begin + _PAGE]
    ]
    return JSONResponse(rows, headers=more)


def delete(call: Call) -> Response:
    """Remove objects from the storage; the commits that name them stay."""
    repo = call.state.writable(call)
    for sha256 in call.json()["deletions"]["sha"]:
        if _SHA.fullmatch(sha256):
            repo.lfs_file(sha256).unlink(missing_ok=True)
    return JSONResponse({})


ROUTES = [
    route(f"{REPO}/lfs-files", "GET", listing),
    route(f"{REPO}/lfs-files/batch", "POST", delete),
]
