"""A registry of container images for tests: the OCI distribution protocol over HTTP on loopback.

Like ghcr.io it sends clients for a token first, and gives one for the right password, whoever asks.
"""

import base64
import hashlib
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from road_kit import wait_for
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Oci:
    """What the registry holds, and who may write it."""

    password: str = field(default_factory=lambda: secrets.token_hex(12))
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """Media type and content, by repository and by tag or digest."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    logins: list[str] = field(default_factory=list)
    """What each question for content was signed with."""
    host: str = ""
    gives: Any = None
    """What it answers who asks for a token, if no token."""
    moved_to: str = ""
    """Where its content lies, if elsewhere."""

    def tags(self, name: str) -> list[str]:
        """Tags of a repository."""
        return [ref for repo, ref in self.manifests if repo == name and ":" not in ref]

    def application(self) -> Starlette:
        """Return it as an ASGI application."""
        any_ = ["GET", "HEAD", "POST", "PUT", "PATCH"]
        return Starlette(routes=[
            Route("/token", self._token),
            Route("/v2/{path:path}", self._answer, methods=any_),
        ])  # fmt: skip

    async def _token(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        if base64.b64decode(given).decode().partition(":")[2] != self.password:
            return Response(status_code=401)
        if self.gives is not None:
            return JSONResponse(self.gives)
        self.tokens.add(token := secrets.token_hex(12))
        return JSONResponse({"token": token, "access_token": token})

    async def _answer(self, request: Request) -> Response:
        self.logins.append(login := request.headers.get("authorization", ""))
        if login.removeprefix("Bearer ") not in self.tokens:
            realm = f'Bearer realm="http://{self.host}/token",service="test",scope="pull"'
            return Response(status_code=401, headers={"WWW-Authenticate": realm})
        if self.moved_to:
            return RedirectResponse(f"http://{self.moved_to}{request.url.path}")
        path, body = request.path_params["path"], await request.body()
        if not path:
            return JSONResponse({})
        name, kind, ref = re.fullmatch(r"(.+)/(blobs/uploads|blobs|manifests)/(.*)", path).groups()
        if kind == "blobs/uploads":
            return self._upload(request, name, ref, body)
        if kind == "blobs":
            return self._content("application/octet-stream", self.blobs.get(ref))
        if request.method == "PUT":
            held = (request.headers["content-type"], body)
            self.manifests[name, ref] = self.manifests[name, _digest(body)] = held
            return Response(status_code=201, headers={"Docker-Content-Digest": _digest(body)})
        return self._content(*self.manifests.get((name, ref), ("", None)))

    def _upload(self, request: Request, name: str, ref: str, body: bytes) -> Response:
        ref = ref or secrets.token_hex(8)
        self.uploads[ref] = self.uploads.get(ref, b"") + body
        headers = {"Location": f"/v2/{name}/blobs/uploads/{ref}", "Docker-Upload-UUID": ref}
        if request.method != "PUT":
            headers["Range"] = f"0-{max(len(self.uploads[ref]) - 1, 0)}"
            return Response(status_code=202, headers=headers)
        data = self.uploads.pop(ref)
        if _digest(data) != request.query_params["digest"]:
            return Response(status_code=400)
        self.blobs[_digest(data)] = data
        return Response(status_code=201, headers={"Docker-Content-Digest": _digest(data)})

    def _content(self, kind: str, data: bytes | None) -> Response:
        if data is None:
            return JSONResponse({"errors": [{"code": "UNKNOWN"}]}, 404)
        return Response(data, media_type=kind, headers={"Docker-Content-Digest": _digest(data)})


@contextmanager
def serving_images() -> Iterator[Oci]:
    """Serve an empty registry inside the block."""
    oci = Oci()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        oci.host = f"127.0.0.1:{listener.getsockname()[1]}"
        config: Any = {"log_config": None, "access_log": False, "lifespan": "off"}
        server = uvicorn.Server(uvicorn.Config(oci.application(), **config))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield oci
        finally:
            server.should_exit = True
            thread.join(30)
