"""The routes: one polymer, batches, the model, health and metrics."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from app import batches
from app.loading import Loader
from app.problems import KINDS, MEDIA_TYPE, Ascii, Problem
from app.schemas import Ask, Health, ModelAnswer, Prediction, ProblemOut
from app.service import Service

_ROWS = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Ask"}]},
    "example": ["*CC(*)c1ccccc1", {"monomers": ["CC(O)C(=O)O"], "mechanism": "ester"}],
}
_TABLE = "smiles,mechanism\nC=Cc1ccccc1,\nCC(O)C(=O)O,ester\n"
_BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _ROWS},
            "text/csv": {"schema": {"type": "string", "example": _TABLE}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line per row, in the order of the rows; a row that cannot be "
        "predicted says why.",
        "content": {
            batches.NDJSON: {"schema": {"type": "string"}},
            batches.CSV: {"schema": {"type": "string"}},
        },
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route for OpenAPI."""
    titles: dict[int, list[str]] = {}
    for kind in KINDS.values():
        titles.setdefault(kind.status, []).append(kind.title)
    schema = {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}
    return {
        status: {
            "model": ProblemOut,
            "description": "; or ".join(titles[status]) + ".",
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


#: What any route with a body may answer.
BODY = (400, 408, 413, 422, 503)


def routes(service: Service, loader: Loader) -> APIRouter:
    """Make the routes of one service."""
    router = APIRouter(default_response_class=Ascii)

    @router.post(
        "/predict",
        response_model=Prediction,
        responses=problems(*BODY, 504),
        tags=["predictions"],
        summary="Predict one polymer",
    )
    async def predict(ask: Ask) -> Response:
        return Ascii(await service.predict(ask))

    @router.post(
        "/predict/batch",
        response_class=StreamingResponse,
        responses=_STREAMED | problems(*BODY, 415),
        openapi_extra=_BATCH_BODY,
        tags=["predictions"],
        summary="Predict many polymers",
        description="A JSON list, CSV in the body, or CSV as an upload named `file`. JSON is "
        "answered as NDJSON and CSV as CSV, unless `Accept` asks for the other.",
    )
    async def predict_batch(request: Request) -> Response:
        service.model()
        batch, came_as = await _read(request, service.limits.rows)
        media_type = _wanted(request, came_as)
        if not service.begin_batch():
            raise Problem("busy", f"{service.limits.batches} batches are running already.")
        lines = _counted(service, batches.stream(service, batch, media_type))
        return StreamingResponse(lines, media_type=media_type)

    @router.get(
        "/model",
        response_model=ModelAnswer,
        responses=problems(503),
        tags=["model"],
        summary="Which model is served",
    )
    async def model() -> Response:
        served = service.model()
        return Ascii({**served.identity, **served.about})

    @router.get("/health/live", tags=["health"], summary="Whether the process answers")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get(
        "/health/ready",
        response_model=Health,
        responses={503: {"model": Health, "description": "Predictions are not answered."}},
        tags=["health"],
        summary="Whether predictions are answered",
    )
    async def ready() -> Response:
        found = health(service, loader)
        return Ascii(found.model_dump(), 200 if found.ready else 503)

    @router.get("/health", response_model=Health, tags=["health"], summary="How the service is")
    async def whole() -> Response:
        return Ascii(health(service, loader).model_dump())

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        tags=["health"],
        summary="For Prometheus",
    )
    async def metrics() -> Response:
        service.metrics.alive.set(service.pool.alive)
        service.metrics.ready.set(service.ready)
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @router.get(
        "/problems/{code}",
        responses=problems(404, 422),
        tags=["health"],
        summary="What a problem's type means",
    )
    async def problem(code: str) -> dict[str, Any]:
        if code not in KINDS:
            known = ", ".join(KINDS)
            raise Problem("not-found", f"There is no such problem; there are {known}.")
        return {"status": KINDS[code].status, "title": KINDS[code].title}

    return router


def health(service: Service, loader: Loader) -> Health:
    """Put together how the service is."""
    status, ready = loader.status, service.ready
    phase, reason = status.phase, status.reason
    if phase in ("ready", "degraded") and not ready:
        phase, reason = "not ready", "All worker processes are being started anew."
    return Health.model_validate(
        {
            "status": phase,
            "live": True,
            "ready": ready,
            "requested": loader.requested,
            "model": service.served.identity if service.served else None,
            "reason": reason,
            "warnings": status.warnings,
            "self_test": status.tested,
            "workers": service.pool.alive,
        }
    )


async def _read(request: Request, most: int) -> tuple[batches.Batch, str]:
    """Read a batch, and say whether it came as JSON or CSV."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await request.body()
        return await asyncio.to_thread(batches.from_json, body, most), batches.NDJSON
    if kind == batches.CSV:
        body = await request.body()
        return await asyncio.to_thread(batches.from_csv, body, most), batches.CSV
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                detail = "The form has no file named 'file'; expected a CSV file there."
                raise Problem("invalid", detail, ["file"])
            body = await file.read()
        return await asyncio.to_thread(batches.from_csv, body, most), batches.CSV
    raise Problem(
        "unsupported-media-type",
        f"The body is {kind[:80] or 'of no type'!r}; expected application/json, text/csv, or "
        "multipart/form-data with a CSV file named 'file'.",
    )


def _wanted(request: Request, came_as: str) -> str:
    """Choose the answer's type: what `Accept` names, else what came."""
    accepted = request.headers.get("accept", "").lower()
    if batches.CSV in accepted:
        return batches.CSV
    if batches.NDJSON in accepted or "application/json" in accepted:
        return batches.NDJSON
    return came_as


async def _counted(service: Service, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for line in lines:
            yield line
    finally:
        service.end_batch()
