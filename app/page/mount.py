"""Put the page into the service's process without getting in the way of the API.

The page's library takes seconds to import, so the page is built in a thread while the model loads;
whoever asks for the page before that waits. Only addresses that are the page's are passed on to it:
everything else is answered by the API, problems and all.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from app.loading import Loader
from app.service import Service

_LOG = logging.getLogger("app")

#: First parts of the addresses that the page's library answers and its own front end asks for.
#: Its description, its monitoring and its log-in are not among them: the API has its own.
OWN = frozenset(
    {
        *("assets", "config", "favicon.ico", "gradio_api", "manifest.json", "pwa_icon"),
        *("robots.txt", "static", "svelte", "theme.css"),
    }
)


class PageMount(Mount):
    """A mount at the root that takes only the page's own addresses."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the page itself, and what it loads."""
        if scope["type"] != "http":
            return Match.NONE, {}
        first = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).split("/")[1:2]
        page = first in ([], [""]) and scope["method"] in ("GET", "HEAD")
        if not page and (not first or first[0] not in OWN):
            return Match.NONE, {}
        return super().matches(scope)


class Page:
    """The page as an ASGI application; requests that come before it is built wait for it."""

    def __init__(self, service: Service, loader: Loader) -> None:
        self.service, self.loader = service, loader
        self._stopped, self._built = asyncio.Event(), asyncio.Event()
        self._shell: ASGIApp | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the page."""
        if self._shell is None:
            assert self._task is not None  # requests come after the start
            built = asyncio.create_task(self._built.wait())
            await asyncio.wait({self._task, built}, return_when=asyncio.FIRST_COMPLETED)
            built.cancel()
            if self._task.done():
                self._task.result()  # tells why it was not built
        assert self._shell is not None
        await self._shell(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Build the page beside everything else, and end it with the service."""
        self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._stopped.set()
            (failed,) = await asyncio.gather(self._task, return_exceptions=True)
            if failed is not None:
                _LOG.error("the page failed", exc_info=failed)

    async def _run(self) -> None:
        """Build and hold: what a library starts in one task, it wants to end in the same."""
        shell = await asyncio.to_thread(_shell, self.service, self.loader)
        async with shell.router.lifespan_context(shell):
            self._shell = shell
            self._built.set()
            await self._stopped.wait()


def _shell(service: Service, loader: Loader) -> FastAPI:
    """Make an application that holds nothing but the page; imports its library."""
    from app.page.build import build

    shell = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    return build(shell, service, loader)


def page(app: FastAPI, service: Service, loader: Loader) -> FastAPI:
    """Add the page to the service; see `app.server.create`."""
    found = Page(service, loader)
    before: Any = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[Any]:
        async with before(running) as state, found.running():
            yield state

    app.router.lifespan_context = lifespan
    app.router.routes.append(PageMount("/", app=found, name="page"))
    return app
