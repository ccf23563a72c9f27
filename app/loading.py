"""From an address to a model that is served: resolved, verified, tested; else the last good one."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.identity import Described, describe, exact
from app.last_good import LastGood
from app.pool import LoadFailedError
from app.service import Served, Service
from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES
from polyid.store import ResolvedModel, resolve

_LOG = logging.getLogger("app")

#: Seconds after which a service without any model tries again: a Hub comes back.
AGAIN_SECONDS = 60.0

UNTESTED = (
    "This release has no reference.json, so its predictions could not be compared with what it "
    "predicted when it was made. Releases of newer pipelines have one."
)


class ModelRefusedError(PolyIDError):
    """A model is not served."""


@dataclass
class Status:
    """What `/health` tells of loading."""

    phase: Literal["starting", "ready", "degraded", "not ready"] = "starting"
    reason: str | None = None
    """Why the requested model is not served."""
    warnings: list[str] = field(default_factory=list)
    tested: int = 0
    """Reference polymers that were predicted as they should be."""


def address(model: str, revision: str | None) -> str:
    """Join a model's address and a revision that was given apart from it.

    Raises
    ------
    PolyIDError
        If the address names another revision already.
    """
    if not revision:
        return model
    place, mark, named = model.rpartition("@")
    if mark and not Path(model).expanduser().exists():
        if named != revision:
            raise PolyIDError(
                f"--model {model} names the revision {named!r}, and MODEL_REVISION is "
                f"{revision!r}. Give one of them: --model {place}, or unset MODEL_REVISION."
            )
        return model
    return f"{model}@{revision}"


class Loader:
    """Loads one model into a service, at start and, while there is none, again.

    Parameters
    ----------
    requested
        Address of the model, see `polyid.store.resolve`.
    cache
        Folder that remembers the last good model.
    service
        What is to serve it.
    again_seconds
        Pause between attempts while nothing is served.
    """

    def __init__(
        self, requested: str, cache: Path, service: Service, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        self.requested, self.service = requested, service
        self.last_good, self.again_seconds = LastGood(cache), again_seconds
        self.status = Status()

    async def run(self) -> None:
        """Load the model, or the last good one; try again until one is served."""
        while True:
            await self.load()
            if self.service.served is not None:
                return
            await asyncio.sleep(self.again_seconds)

    async def load(self) -> None:
        """Try the requested model, then the last good one; `status` says what came of it."""
        self.service.pool.warm()
        model: ResolvedModel | None = None
        try:
            model = await self._resolve(self.requested)
            await self._serve(model)
        except PolyIDError as error:
            _LOG.error("%s is not served: %s", self.requested, error)
            await self._fall_back(model, str(error))
            return
        self.status.phase, self.status.reason = "ready", None
        _LOG.info("serving %s", model.revision or model.folder)
        found = exact(model)
        if model.registry and found:
            self.last_good.keep(model.registry, found)

    async def _fall_back(self, failed: ResolvedModel | None, reason: str) -> None:
        registry = failed.registry if failed else registry_of(self.requested)
        found = self.last_good.of(registry) if registry else None
        if found is None or (failed is not None and found == exact(failed)):
            self.status.phase, self.status.reason = "not ready", reason
            return
        try:
            await self._serve(await self._resolve(found))
        except PolyIDError as error:
            self.status.phase = "not ready"
            self.status.reason = f"{reason} The last good release, {found}, failed too: {error}"
            return
        self.status.phase = "degraded"
        self.status.reason = f"{reason} The last good release, {found}, is served instead."

    async def _resolve(self, wanted: str) -> ResolvedModel:
        # it hashes files and talks to the Hub: not on the event loop
        return await asyncio.to_thread(resolve, wanted)

    async def _serve(self, model: ResolvedModel) -> None:
        described = await asyncio.to_thread(describe, model)
        try:
            about = await self.service.pool.load(str(model.folder))
        except LoadFailedError as error:
            raise ModelRefusedError(str(error)) from None
        self.status.tested = about["tested"]
        self.status.warnings = [] if about["tested"] else [UNTESTED]
        self.service.serve(_served(described, about, model.folder))


def registry_of(wanted: str) -> str | None:
    """Registry that an address names, as `ResolvedModel` would; None if it cannot be told."""
    if wanted.startswith("hf://"):
        return wanted.partition("@")[0]
    path = Path(wanted).expanduser()
    place = path if path.exists() or "@" not in wanted else Path(wanted.rpartition("@")[0])
    return str(place.expanduser())


def _served(described: Described, about: dict[str, Any], folder: Path) -> Served:
    return Served(
        described.identity,
        {
            "properties": {name: PROPERTIES[name].unit for name in about["properties"]},
            "takes_pm": about["takes_pm"],
            "interval_level": about["interval_level"],
            "record": described.record,
            "release": described.release,
        },
        about["interval_level"],
        folder,
    )
