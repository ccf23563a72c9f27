"""Large files: the batch request, uploads and downloads on the other host by signed addresses."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from state import Repo, State
from wire import Call, RefusalError, route, streamed

SHA = re.compile(r"[0-9a-f]{64}")
VALID_SECONDS = 3600


class Blob(FileResponse):
    """A file sent in large pieces."""

    chunk_size = 1 << 20


def signed(state: State, verb: str, repo: Repo, sha256: str, **more: str) -> str:
    """An address on the other host that works without a token for an hour."""
    until = str(int(time.time()) + VALID_SECONDS)
    path = f"/_cdn/{verb}/{repo.kind}/{repo.repo_id}/{sha256}"
    query = {"until": until, "signature": _sign(state, path, until), **more}
    return f"{state.cdn}{path}?{urlencode(query, quote_via=quote)}"


def _sign(state: State, path: str, until: str) -> str:
    return hmac.new(state.secret, f"{path} {until}".encode(), hashlib.sha256).hexdigest()


def _checked(request: Request) -> Repo:
    """The repository of a signed address, 403 when the signature is wrong or too old."""
    state: State = request.app.state.hub
    until = request.query_params.get("until", "0")
    good = _sign(state, request.scope["path"], until)
    given = request.query_params.get("signature", "")
    if not hmac.compare_digest(good, given) or int(until) < time.time():
        raise RefusalError(403, "the signature of this address is wrong or expired")
    at = request.path_params
    repo = state.repos.get((at["kind"], f"{at['ns']}/{at['name']}"))
    if repo is None:
        raise RefusalError(404, "no such object")
    return repo


def batch(call: Call) -> Response:
    """What to do with each object: nothing (it is there), or where to put it, or get it."""
    payload = call.json()
    upload = payload.get("operation") == "upload"
    repo = (call.state.writable if upload else call.state.readable)(call)
    rows = []
    for wanted in payload.get("objects", []):
        sha256, size = str(wanted.get("oid")), int(wanted.get("size", 0))
        row: dict = {"oid": sha256, "size": size}
        if not SHA.fullmatch(sha256):
            row["error"] = {"code": 422, "message": f"oid {sha256!r} is not a sha256"}
        elif not upload:
            if repo.has_lfs(sha256) is None:
                row["error"] = {"code": 404, "message": "Object does not exist"}
            else:
                href = signed(call.state, "get", repo, sha256)
                row["actions"] = {"download": {"href": href}}
        elif repo.has_lfs(sha256) is None:
            verify = f"{call.state.url(repo.kind, repo.repo_id)}.git/info/lfs/objects/verify"
            row["actions"] = {
                "upload": _upload_action(call.state, repo, sha256, size, payload),
                "verify": {"href": verify},
            }
        rows.append(row)
    parts = any(
        "chunk_size" in r.get("actions", {}).get("upload", {}).get("header", {}) for r in rows
    )
    return JSONResponse({"transfer": "multipart" if parts else "basic", "objects": rows})


def _upload_action(state: State, repo: Repo, sha256: str, size: int, payload: dict) -> dict:
    limit = state.settings["multipart_over"]
    if not limit or size <= limit or "multipart" not in payload.get("transfers", []):
        return {"href": signed(state, "put", repo, sha256)}
    numbers = range(1, -(-size // limit) + 1)
    header = {str(n): signed(state, "part", repo, sha256, part=str(n)) for n in numbers}
    header["chunk_size"] = str(limit)
    return {"href": signed(state, "join", repo, sha256), "header": header}


def verify(call: Call) -> Response:
    repo = call.state.writable(call)
    wanted = call.json()
    size = repo.has_lfs(str(wanted.get("oid")))
    if size is None:
        raise RefusalError(404, f"object {wanted.get('oid')} was not uploaded")
    if size != wanted.get("size"):
        raise RefusalError(422, f"object has {size} bytes, {wanted.get('size')} were announced")
    return JSONResponse({})


async def _receive(request: Request, target: Path) -> str:
    """Write the body next to ``target``; the digest of what came, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as out:
        async for piece in request.stream():
            digest.update(piece)
            size += len(piece)
            out.write(piece)
    announced = request.headers.get("content-length")
    if announced is not None and int(announced) != size:
        raise RefusalError(400, f"{size} bytes came, {announced} were announced")
    return digest.hexdigest()


async def put(request: Request) -> Response:
    """PUT of a whole object; only content with the promised digest is kept."""
    repo, sha256 = _checked(request), request.path_params["sha"]
    target = repo.lfs_file(sha256)
    partial = target.with_name(f"{sha256}.{secrets.token_hex(4)}.tmp")
    try:
        found = await _receive(request, partial)
        if found != sha256:
            raise RefusalError(400, f"content has sha256 {found}, {sha256} was promised")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return Response(headers={"ETag": f'"{sha256}"'})


def _part(repo: Repo, sha256: str, number: int) -> Path:
    return repo.path / "parts" / f"{sha256}.{number}"


async def put_part(request: Request) -> Response:
    """PUT of one part of an object."""
    repo, number = _checked(request), int(request.query_params["part"])
    part = _part(repo, request.path_params["sha"], number)
    return Response(headers={"ETag": f'"{await _receive(request, part)}"'})


async def join(request: Request) -> Response:
    """The end of an upload in parts: put them together and check the digest."""
    repo, sha256 = _checked(request), request.path_params["sha"]
    payload = await request.json()
    parts = [_part(repo, sha256, int(p["partNumber"])) for p in payload["parts"]]
    if missing := [part.name for part in parts if not part.exists()]:
        raise RefusalError(400, f"parts were not uploaded: {', '.join(missing)}")
    target = repo.lfs_file(sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = target.with_name(f"{sha256}.{secrets.token_hex(4)}.tmp")
    digest = hashlib.sha256()
    with whole.open("wb") as out:
        for part in parts:
            piece = part.read_bytes()
            digest.update(piece)
            out.write(piece)
    if digest.hexdigest() != sha256:
        whole.unlink()
        raise RefusalError(400, f"the parts make sha256 {digest.hexdigest()}, not {sha256}")
    whole.replace(target)
    for part in parts:
        part.unlink()
    return JSONResponse({})


async def get(request: Request) -> Response:
    """Download of an object, whole or a range, by its signed address."""
    repo, sha256 = _checked(request), request.path_params["sha"]
    path = repo.lfs_file(sha256)
    if not path.exists():
        raise RefusalError(404, "no such object")
    headers = {"ETag": f'"{sha256}"'}
    return Blob(path, headers=headers, media_type="application/octet-stream")


def _git_routes(prefix: str, kind: str) -> list[Route]:
    def of(handler):  # the kind is in the path's first word, models have none
        def inner(call: Call) -> Response:
            call.params["kind"] = kind
            return handler(call)

        return inner

    at = f"/{prefix}{{ns}}/{{name}}.git/info/lfs/objects"
    return [route(f"{at}/batch", "POST", of(batch)), route(f"{at}/verify", "POST", of(verify))]


_CDN = "{kind:kind}/{ns}/{name}/{sha}"
ROUTES = [
    streamed(f"/_cdn/put/{_CDN}", "PUT", put),
    streamed(f"/_cdn/part/{_CDN}", "PUT", put_part),
    streamed(f"/_cdn/join/{_CDN}", "POST", join),
    streamed(f"/_cdn/get/{_CDN}", "GET HEAD", get),
    *_git_routes("datasets/", "datasets"),
    *_git_routes("spaces/", "spaces"),
    *_git_routes("", "models"),
]
