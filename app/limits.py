"""What one request may ask for, and the middleware that keeps bodies small and quick."""

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import Problem, respond


@dataclass(frozen=True)
class Limits:
    """Bounds of requests, waiting and memory."""

    body: int = 2_000_000
    """Bytes of a request's body."""
    body_seconds: float = 30.0
    """Seconds in which a body must have come."""
    rows: int = 5_000
    """Polymers of a batch."""
    characters: int = 10_000
    """Characters of one structure; the longest chain of the training table has 2 000."""
    atoms: int = 2_500
    """Heavy atoms of one structure as it is written; the largest chain of the table has 1 306."""
    wait_seconds: float = 10.0
    """Seconds that a polymer may wait for a free worker."""
    run_seconds: float = 20.0
    """Seconds that one polymer may take."""
    waiting: int = 64
    """Single predictions that may wait or run at once."""
    batches: int = 4
    """Batches that may run at once."""
    cached: int = 2_048
    """Answers that are kept."""


class BodyLimit:
    """ASGI middleware: 413 for a body that is too large, 408 for one that does not come."""

    #: How many times the limit is read and thrown away, so that a client gets its answer and not
    #: a connection that breaks while it is still sending.
    DRAIN = 8

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body first, then pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                body, left = await self._read(receive)
        except TimeoutError:
            seconds = self.limits.body_seconds
            problem = Problem("body-slow", f"The body did not come within {seconds:g} s.")
            await respond(problem)(scope, receive, send)
            return
        if left:
            return
        if body is None:
            problem = Problem(
                "body-too-large",
                f"The body has more than {self.limits.body} bytes, which is the limit. "
                "Send fewer rows at a time.",
            )
            await respond(problem)(scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)

    async def _read(self, receive: Receive) -> tuple[bytes | None, bool]:
        """Return the body, None if it is too large, and whether the client has left."""
        parts: list[bytes] = []
        size, more = 0, True
        while more and size <= self.limits.body * self.DRAIN:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None, True
            part = message.get("body", b"")
            size += len(part)
            if size <= self.limits.body:
                parts.append(part)
            else:
                parts.clear()
            more = message.get("more_body", False)
        return (b"".join(parts) if size <= self.limits.body else None), False


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that has been read, and after it what comes from the client."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message
