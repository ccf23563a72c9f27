"""Paths of the first app, for clients that still call them.

The names are its names, for what the model really predicts: scores that the first app made up
are left out. Errors are problems that also carry its ``error`` and ``error_code``.
"""

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.api import BODY, problems
from app.problems import Ascii, Problem, respond
from app.schemas import Ask, OldAnswer, OldAsk, OldBatch, OldBatchAnswer
from app.service import Service

#: Property → its name there. Units are the product's: °C, GPa.
_NAMES = {
    "Glass_Transition": "glass_transition_temp",
    "Melt_Temp": "melting_temp",
    "YoungMod": "youngs_modulus",
    "Density": "density",
}
#: Logarithm of a permeability in barrer → the permeability's name.
_PERMEABILITIES = {
    "log10_Permeability_O2": "oxygen_permeability",
    "log10_Permeability_N2": "nitrogen_permeability",
    "log10_Permeability_CO2": "carbon_dioxide_permeability",
}
_PARTLY: dict[int | str, dict[str, Any]] = {
    207: {"model": OldBatchAnswer, "description": "Some could not be predicted."}
}


def old_routes(service: Service) -> APIRouter:
    """Make the routes of one service."""
    router = APIRouter(default_response_class=Ascii, tags=["first app"])

    @router.post(
        "/run/predict",
        response_model=OldAnswer,
        responses=problems(*BODY, 504),
        summary="Predict one polymer, the first app's way",
    )
    async def run_predict(ask: OldAsk) -> Response:
        begun = time.perf_counter()
        smiles = ask.smiles if ask.smiles is not None else (ask.data or [None])[0]
        if not isinstance(smiles, str) or not smiles:
            where: list[str | int] = ["smiles"] if ask.data is None else ["data", 0]
            problem = Problem("invalid", "Expected a SMILES string.", where)
            return respond(problem, _error(problem, "MISSING_SMILES"))
        try:
            answer = await service.predict(Ask(smiles=smiles))
        except Problem as problem:
            return respond(problem, _error(problem))
        return Ascii(_answer(smiles, answer) | {"processing_time_seconds": _since(begun)})

    @router.post(
        "/batch_predict",
        response_model=OldBatchAnswer,
        responses=_PARTLY | problems(*BODY),
        summary="Predict up to 100 polymers, the first app's way",
    )
    async def batch_predict(ask: OldBatch) -> Response:
        begun = time.perf_counter()
        service.model()
        if not service.begin_batch():
            raise Problem("busy", f"{service.limits.batches} batches are running already.")
        try:
            results = await asyncio.gather(*(_row(service, text) for text in ask.smiles_list))
        finally:
            service.end_batch()
        failed = sum("error" in result for result in results)
        summary = {
            "total": len(results),
            "successful": len(results) - failed,
            "failed": failed,
            "processing_time_seconds": _since(begun),
        }
        body = {"results": results, "summary": summary, "timestamp": _now()}
        return Ascii(body, 207 if failed else 200)

    return router


async def _row(service: Service, smiles: str) -> dict[str, Any]:
    if not smiles:
        return _failed(smiles, Problem("invalid", "The structure is empty.", ["smiles"]))
    try:
        return _answer(smiles, await service.predict(Ask(smiles=smiles), patient=True))
    except Problem as problem:
        return _failed(smiles, problem)


def _failed(smiles: str, problem: Problem) -> dict[str, Any]:
    return {"polymer_id": None, "smiles": smiles, "properties": {}} | _error(problem)


def _answer(smiles: str, answer: dict[str, Any]) -> dict[str, Any]:
    values = {name: found["value"] for name, found in answer["properties"].items()}
    named = {_NAMES[name]: value for name, value in values.items() if name in _NAMES}
    named |= {
        _PERMEABILITIES[name]: 10**value
        for name, value in values.items()
        if name in _PERMEABILITIES
    }
    # the same polymer, the same number: the first app drew one at random
    digest = hashlib.sha256(answer["smiles_polymer"].encode()).hexdigest()
    return {
        "polymer_id": f"POLY-{digest[:8].upper()}",
        "smiles": smiles,
        "properties": named,
        "timestamp": _now(),
        "prediction": answer,
    }


def _error(problem: Problem, code: str | None = None) -> dict[str, Any]:
    refused = "INVALID_SMILES" if problem.status == 422 else "PREDICTION_ERROR"
    return {"error": problem.detail, "error_code": code or refused, "timestamp": _now()}


def _since(begun: float) -> float:
    return round(time.perf_counter() - begun, 3)


def _now() -> str:
    return datetime.now(UTC).isoformat()
