"""What every room of the server speaks: a call, its answer, a refusal with the Hub's headers."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from state import State
    from tokens import Token

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
GONE = 499  # in the list of calls: the client went away in the middle of its request
PREFIX = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}


class Kind(Convertor[str]):
    """The first word of an API path: models, datasets or spaces."""

    regex = "models|datasets|spaces"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("kind", Kind())


class RefusalError(Exception):
    """An answer of 4xx: ``code`` goes to X-Error-Code, ``message`` to X-Error-Message and body."""

    def __init__(self, status: int, message: str, code: str | None = None, **body: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body

    def response(self) -> Response:
        plain = self.message.replace("\n", " ").encode("latin-1", "replace").decode("latin-1")
        headers = {"X-Error-Message": plain}
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.body}, self.status, headers)


@dataclass
class Call:
    """One request: the path's parts unquoted, the body read, the token looked up."""

    state: State
    request: Request
    params: dict[str, str]
    body: bytes
    who: Token | None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return self.state.endpoint

    def query(self, key: str, default: str | None = None) -> str | None:
        return self.request.query_params.get(key, default)

    def flag(self, key: str) -> bool:
        return (self.query(key) or "").lower() in {"1", "true"}

    def json(self) -> dict[str, Any]:
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as bad:
            raise RefusalError(400, f"the body is not JSON: {bad}") from bad
        if not isinstance(value, dict):
            raise RefusalError(400, f"the body is a {type(value).__name__}, expected an object")
        return value

    def form(self) -> dict[str, list[str]]:
        if self.request.headers.get("content-type", "").startswith("application/json"):
            return {k: v if isinstance(v, list) else [v] for k, v in self.json().items()}
        return parse_qs(self.body.decode())


Handler = Callable[[Call], Response]


def route(path: str, methods: str, handler: Handler, *, anyone: bool = False) -> Route:
    """A route whose handler is plain code in a worker thread (git and disk never block the loop).

    With ``anyone`` the Authorization header is not a token of the Hub and not looked at here.
    """

    async def endpoint(request: Request) -> Response:
        state: State = request.app.state.hub
        try:
            who = None if anyone else state.tokens.of(request.headers.get("authorization"))
            params = {key: unquote(value) for key, value in request.path_params.items()}
            call = Call(state, request, params, await request.body(), who)
            return await run_in_threadpool(handler, call)
        except RefusalError as no:
            return no.response()
        except ClientDisconnect:
            return Response(status_code=GONE)

    return Route(path, endpoint, methods=methods.split())


def streamed(path: str, methods: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route whose handler reads the body itself, piece by piece; no token is looked at."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusalError as no:
            return no.response()
        except ClientDisconnect:
            return Response(status_code=GONE)

    return Route(path, endpoint, methods=methods.split())


def stamp(moment: datetime | float | None = None) -> str:
    """A time as the client parses it: ``2026-01-01T00:00:00.000Z``."""
    if moment is None:
        moment = datetime.now(UTC)
    elif not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def ranged(call: Call, content: bytes, headers: dict[str, str]) -> Response:
    """Content, whole or the one range asked for (206, or 416 past the end)."""
    headers = {"Accept-Ranges": "bytes", **headers}
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", call.request.headers.get("range", ""))
    kind = "application/octet-stream"
    if not wanted or wanted.groups() == ("", ""):
        return Response(content, headers=headers, media_type=kind)
    first, last = wanted.groups()
    size = len(content)
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or start >= stop:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], 206, headers=headers, media_type=kind)


def page_link(call: Call, **changed: Any) -> dict[str, str]:
    """The ``Link`` header to the next page of this listing."""
    path = call.request.scope["path"]
    query = call.request.url.include_query_params(**changed).query
    return {"Link": f'<{call.endpoint}{path}?{query}>; rel="next"'}
