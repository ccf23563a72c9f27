"""The outermost layer: keeps the list of calls and makes requests fail as told."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from tokens import Tokens

STATUSES = {
    "400": "Bad request",
    "401": "Invalid username or password.",
    "403": "You have been denied access to this resource",
    "404": "Not found",
    "409": "Another conflicting operation is in progress",
    "412": "A commit has happened since. Please refresh and try again.",
    "429": "Too many requests",
    "500": "Internal Error - We're working hard to fix this as soon as possible!",
    "502": "Bad gateway",
    "503": "Service unavailable",
    "504": "Gateway timeout",
}
KINDS = (*STATUSES, "drop", "drop_after", "slow", "truncate")


@dataclass
class Fault:
    """A fault and which requests it meets: from the ``nth`` match on, ``times`` of them."""

    kind: str
    nth: int = 1
    times: int = 1
    method: str | None = None
    path: str | None = None
    more: dict[str, Any] = field(default_factory=dict)
    seen: int = 0

    def meets(self, method: str, path: str) -> bool:
        if self.method and self.method.upper() != method:
            return False
        if self.path and not re.search(self.path, path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class Faults:
    """An ASGI layer around the whole application."""

    def __init__(self, app: Any, tokens: Tokens) -> None:
        self.app, self.tokens = app, tokens
        self.calls: list[dict[str, Any]] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._count = 0

    def inject(self, fault: str, nth: int | None, times: int, **more: Any) -> None:
        method, path = more.pop("method", None), more.pop("path", None)
        if fault not in KINDS:
            raise ValueError(f"fault {fault!r}, expected one of {', '.join(KINDS)}")
        with self._lock:
            self._faults.append(Fault(fault, nth or 1, times, method, path, more))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def taken(self, clear: bool) -> list[dict[str, Any]]:
        with self._lock:
            calls = [dict(c) for c in self.calls]
            if clear:
                self.calls.clear()
        return calls

    def _begin(self, scope: dict[str, Any]) -> tuple[dict[str, Any], Fault | None]:
        path, method = scope["path"], scope["method"]
        token = self.tokens.find(dict(scope["headers"]).get(b"authorization", b"").decode())
        with self._lock:
            self._count += 1
            call = {
                "n": self._count,
                "method": method,
                "path": path,
                "query": scope["query_string"].decode(),
                "status": 0,
                "token_name": token.name if token else None,
                "fault": None,
            }
            self.calls.append(call)
            met = [f for f in self._faults if f.meets(method, path)]
        if met:
            call["fault"] = met[0].kind
        return call, met[0] if met else None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        # revisions come as candidate%2Fx: routes must see the path before it is decoded
        scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        call, fault = self._begin(scope)
        scope["call"] = call
        kind = fault.kind if fault else ""
        if fault is not None and kind in STATUSES:
            await _answer(call, fault, send)
        elif kind == "drop":
            await hang_up(send)
        elif kind == "drop_after":
            await self.app(scope, receive, _swallow(call))
            await hang_up(send)
        elif fault is not None and kind == "slow":
            seconds = float(fault.more.get("seconds", 1.0))
            if fault.more.get("before"):
                await asyncio.sleep(seconds)
            await self.app(scope, receive, _late(call, send, seconds, fault))
        elif kind == "truncate":
            await self.app(scope, receive, _half(call, send))
        else:
            await self.app(scope, receive, _seen(call, send))


async def hang_up(send: Any) -> None:
    """Close the connection without a word (uvicorn's ``send`` is bound to its connection)."""
    transport = send.__self__.transport
    transport.close()
    while not send.__self__.disconnected:
        await asyncio.sleep(0.001)


async def _answer(call: dict[str, Any], fault: Fault, send: Any) -> None:
    text = str(fault.more.get("message", STATUSES[fault.kind]))
    headers = {"X-Error-Message": text, **fault.more.get("headers", {})}
    await _send_json(call, send, int(fault.kind), text, headers)


async def _send_json(call: dict, send: Any, status: int, text: str, headers: dict) -> None:
    body = json.dumps({"error": text}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    rows = [(k.lower().encode(), str(v).encode("latin-1")) for k, v in headers.items()]
    call["status"] = status
    await send({"type": "http.response.start", "status": status, "headers": rows})
    await send({"type": "http.response.body", "body": body})


def _seen(call: dict[str, Any], send: Any) -> Any:
    async def inner(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            call["status"] = message["status"]
            rows = [(b"x-request-id", f"Root=1-{secrets.token_hex(8)}".encode())]
            rows.append((b"date", formatdate(usegmt=True).encode()))
            message["headers"] = [*message.get("headers", []), *rows]
        await send(message)

    return inner


def _swallow(call: dict[str, Any]) -> Any:
    """Takes the whole answer and passes nothing on; ``executed`` holds the status it had."""

    async def inner(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            call["executed"] = message["status"]

    return inner


def _late(call: dict[str, Any], send: Any, seconds: float, fault: Fault) -> Any:
    passed = _seen(call, send)

    async def inner(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and not fault.more.get("before"):
            await asyncio.sleep(seconds)
        await passed(message)

    return inner


def _half(call: dict[str, Any], send: Any) -> Any:
    """Passes on half of the announced body, then hangs up."""
    passed = _seen(call, send)
    left = -1

    async def inner(message: dict[str, Any]) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            sizes = [int(v) for k, v in message["headers"] if k.lower() == b"content-length"]
            left = sizes[0] // 2 if sizes else 0
            await passed(message)
            return
        body = message.get("body", b"")
        if left < 0:
            return
        if len(body) < left:
            left -= len(body)
            await passed({**message, "more_body": True})
            return
        await passed({"type": "http.response.body", "body": body[:left], "more_body": True})
        left = -1
        await hang_up(send)

    return inner
