"""Streams of events, as logs are sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from wire import Call, RefusalError

# lines so far and whether more may come; both asked again until the latter is false
Source = Callable[[], tuple[list[dict[str, Any]], bool]]
KEEP_ALIVE_SECONDS = 30.0
POLL_SECONDS = 0.02


def stream(path: str, handler: Callable[[Call], Source], event: str | None = None) -> Route:
    """A route that sends a source's rows as they come, and ends with it."""

    async def endpoint(request: Request) -> Response:
        state = request.app.state.hub
        try:
            who = state.tokens.of(request.headers.get("authorization"))
            params = {key: unquote(value) for key, value in request.path_params.items()}
            source = handler(Call(state, request, params, b"", who))
        except RefusalError as no:
            return no.response()
        return StreamingResponse(_events(source, event), media_type="text/event-stream")

    return Route(path, endpoint, methods=["GET"])


async def _events(source: Source, event: str | None) -> Any:
    sent, quiet = 0, 0.0
    while True:
        rows, more = source()
        for text in _texts(rows[sent:], event):
            yield text
            quiet = 0.0
        sent = len(rows)
        if not more:
            return
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS
        if quiet > KEEP_ALIVE_SECONDS:
            yield ": keep-alive\n\n"
            quiet = 0.0


def _texts(rows: list[dict[str, Any]], event: str | None) -> Iterator[str]:
    named = f"event: {event}\n" if event else ""
    for row in rows:
        yield f"{named}data: {json.dumps(row)}\n\n"
