"""Put the service together: pool, loader, routes and middleware in one FastAPI application."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from app.api import routes
from app.limits import BodyLimit, Limits
from app.loading import Loader
from app.metrics import Measured, Metrics
from app.old_paths import old_routes
from app.pool import Pool
from app.problems import handle
from app.service import Service

_ABOUT = """Polymer properties with 90 % intervals and a word on validity, by an ensemble of graph
neural networks. Every answer names the model, its data and its code. Errors are problems after
RFC 9457."""

#: Adds a page to the application; it may ask the service for predictions.
Mount = Callable[[FastAPI, Service, Loader], FastAPI]


@dataclass(frozen=True)
class Settings:
    """What is served, and how."""

    model: str
    """Address of the model, with its revision."""
    cache: Path
    """Folder of what is remembered between starts."""
    workers: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """Processes that predict."""
    limits: Limits = field(default_factory=Limits)


def create(settings: Settings, mount: Mount | None = None) -> FastAPI:
    """Make the application; the model is loaded once it runs.

    Parameters
    ----------
    settings
        What is served.
    mount
        Adds a page in the same process and returns the application to run, as
        ``gradio.mount_gradio_app`` does. The page calls ``await service.predict(Ask(...))``.
    """
    metrics = Metrics()
    pool = Pool(settings.workers, lambda event: metrics.workers.labels(event).inc())
    service = Service(pool, settings.limits, metrics)
    loader = Loader(settings.model, settings.cache, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(loader.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await pool.close()

    app = FastAPI(title="PolyID", version="1", description=_ABOUT, lifespan=lifespan)
    app.state.service, app.state.loader = service, loader
    handle(app)
    app.include_router(routes(service, loader))
    app.include_router(old_routes(service))
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Measured, metrics=metrics)
    return mount(app, service, loader) if mount else app
