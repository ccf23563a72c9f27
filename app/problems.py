"""Errors as the API tells them: RFC 9457 problems with the offending field."""

import json
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

_LOG = logging.getLogger("app")

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One kind of problem."""

    status: int
    title: str


KINDS = {
    "bad-request": Kind(400, "The request cannot be read"),
    "not-found": Kind(404, "There is nothing at this address"),
    "method-not-allowed": Kind(405, "This address does not answer that method"),
    "body-slow": Kind(408, "The body did not come in time"),
    "body-too-large": Kind(413, "The body is too large"),
    "too-many-rows": Kind(413, "Too many polymers at once"),
    "unsupported-media-type": Kind(415, "The body is of a type that is not read"),
    "invalid": Kind(422, "A field is missing or wrong"),
    "structure-too-large": Kind(422, "The structure is too large"),
    "cannot-predict": Kind(422, "This polymer cannot be predicted"),
    "crashes": Kind(422, "The chemistry library cannot handle this structure"),
    "internal": Kind(500, "The service failed"),
    "not-ready": Kind(503, "No model is being served yet"),
    "busy": Kind(503, "Too many requests at once"),
    "out-of-time": Kind(504, "The prediction took too long"),
}
_OF_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid",
}
#: Problems that pass by themselves, and after how many seconds to try again.
_RETRY = {"busy": 5, "not-ready": 10}


class Fault(NamedTuple):
    """What is wrong with one field."""

    detail: str
    pointer: str
    """JSON pointer into the body, as a URI fragment: ``#/monomers/1``."""


class Problem(Exception):  # noqa: N818 - the RFC calls it so
    """An answer that is none, with its status and reason.

    Parameters
    ----------
    code : str
        One of `KINDS`.
    detail : str
        What was received, what was expected, and what to do.
    field : sequence of str or int, optional
        The offending field, such as ``("monomers", 1)``; empty for the whole body.
    """

    def __init__(self, code: str, detail: str, field: Sequence[str | int] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.errors = [] if field is None else [Fault(detail, pointer(field))]

    @property
    def status(self) -> int:
        """HTTP status."""
        return KINDS[self.code].status

    def as_dict(self) -> dict[str, Any]:
        """Members of the problem (RFC 9457, section 3)."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [fault._asdict() for fault in self.errors]
        return body


class Ascii(JSONResponse):
    """JSON in ASCII: a lone surrogate in what a client sent cannot break the answer."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def respond(problem: Problem, more: dict[str, Any] | None = None) -> Response:
    """Make the HTTP answer; ``more`` holds further members."""
    wait = _RETRY.get(problem.code)
    headers = {"Retry-After": str(wait)} if wait else None
    content = problem.as_dict() | (more or {})
    return Ascii(content, problem.status, headers, MEDIA_TYPE)


def pointer(field: Sequence[str | int]) -> str:
    """Write a field as a JSON pointer (RFC 6901) in a URI fragment."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in field)
    return "#/" + "/".join(steps) if field else "#"


def invalid(error: RequestValidationError) -> Problem:
    """Turn a body that does not fit its schema into a problem that names every field."""
    problem = Problem("invalid", "The request does not fit its schema.")
    for found in error.errors():
        where = [step for step in found["loc"] if step != "body"]
        if found["type"] == "json_invalid":
            reason = found.get("ctx", {}).get("error", "it cannot be read")
            return Problem("bad-request", f"The body is not JSON: {reason}.")
        problem.errors.append(Fault(found["msg"], pointer(where)))
    first = problem.errors[0]
    problem.detail = f"{first.pointer}: {first.detail}."
    return problem


def handle(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(invalid(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _OF_STATUS.get(error.status_code, "internal")
        detail = f"{request.method} {request.url.path}: {error.detail}."
        answer = respond(Problem(code, detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _failed(request: Request, error: Exception) -> Response:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return respond(Problem("internal", "The failure was logged. Try again."))
