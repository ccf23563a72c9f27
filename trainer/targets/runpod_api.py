"""RunPod's REST API v2, as far as training needs it: pods, their logs, the price list.

The older interfaces (REST v1, GraphQL) are not spoken. The key is read from ``RUNPOD_API_KEY`` and
goes nowhere but into the header of requests to ``RUNPOD_API_URL``.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx2

from polyid.hub_errors import without_secrets
from trainer.targets.base import TargetError

T = TypeVar("T")

URL = "https://api.runpod.io/v2"
#: Seconds without an answer after which a request counts as lost.
_PATIENCE_S = 60.0
#: How often a request is made that changes nothing, or nothing more, when it is made again.
_TRIES = 5
_BACKOFF_S = 0.5
#: The longest that the server's wish to wait is followed; limits are counted per minute and hour.
_LONGEST_WAIT_S = 120.0
_KEY = re.compile(r"\brpa_\w+")

_HINTS = {
    400: "The pod cannot be placed so. Give other GPU types with --gpu, or try again later.",
    401: "The key is wrong or expired. Make one in RunPod's settings, `export RUNPOD_API_KEY=...`, "
    "then run the same command again.",
    402: "Nothing was started. Add credit in RunPod's billing page, or give --target local, then "
    "run the same command again.",
    403: "This key has no right to that. Make one in RunPod's settings that may write pods, then "
    "run the same command again.",
    409: "The pod is not in a state that allows that (it may be part of a cluster). Look at it in "
    "RunPod's console, then run the same command again.",
    422: "The request itself is wrong, and will be wrong again: the interface may have changed.",
    429: "Too many requests: wait some minutes, and run the same command again.",
}


class RunPodError(TargetError):
    """RunPod refused, failed or could not be reached.

    Parameters
    ----------
    text : str
        The message; anything that looks like a key or a token is taken out.
    status : int, optional
        The HTTP status, None where there was no answer.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(_KEY.sub("***", without_secrets(text)))
        self.status = status

    @property
    def unanswered(self) -> bool:
        """Whether the request may have been carried out all the same."""
        return self.status is None or self.status >= 500


class Pod(NamedTuple):
    """A rented machine."""

    id: str
    name: str
    status: str
    usd_per_hour: float
    """0 once it has stopped."""
    gpu: str
    created: datetime
    marks: Mapping[str, str]
    """Those of its variables that are ours and are no secret."""


class Gpu(NamedTuple):
    """A line of the price list."""

    id: str
    memory_gb: int
    usd_per_hour: float
    """On the secure cloud; 0 if it is not offered there."""
    stock: str
    """``NONE``, ``LOW``, ``MEDIUM`` or ``HIGH``."""
    nvidia: bool


class Line(NamedTuple):
    """A line of a pod's log."""

    id: str
    text: str


class Client:
    """One account.

    Parameters
    ----------
    key, url : str, optional
        By default what the environment says.
    """

    def __init__(self, key: str | None = None, url: str | None = None) -> None:
        self._key = (key or os.environ.get("RUNPOD_API_KEY", "")).strip()
        self.url = (url or os.environ.get("RUNPOD_API_URL") or URL).rstrip("/")
        if not self._key:
            raise TargetError(
                "RUNPOD_API_KEY: received nothing, expected a key of its REST API. Make one in "
                "RunPod's settings, `export RUNPOD_API_KEY=...`, then run the same command again."
            )
        place = urlsplit(self.url)
        if place.scheme != "https" and place.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise TargetError(
                f"RUNPOD_API_URL: received {self.url}, where the key would travel unencrypted; "
                f"expected an https address. Unset it to use {URL}."
            )
        # the header is made anew for each request: a client's own are shown when it is printed
        self._http = httpx2.Client(timeout=httpx2.Timeout(_PATIENCE_S, connect=20.0))

    def gpus(self) -> list[Gpu]:
        """Return the price list of single GPUs, with what is in stock."""
        query = {"include": "AVAILABILITY", "product": "POD", "count": 1, "cloud": "SECURE"}
        answer = self._ask("GET", "/catalog/gpus", "asking for prices", params=query)
        return _understood(lambda: [_gpu(row) for row in answer["gpus"]])

    def create(self, body: Mapping[str, Any]) -> Pod:
        """Rent a pod. When no answer came, it may have been rented all the same."""
        answer = self._ask("POST", "/pods", "renting a pod", body=body)
        return _understood(lambda: _pod(answer))

    def pod(self, number: str) -> Pod | None:
        """Return a pod; None if it is gone."""
        try:
            answer = self._ask("GET", f"/pods/{number}", f"looking at pod {number}")
        except RunPodError as error:
            if error.status == 404:
                return None
            raise
        return _understood(lambda: _pod(answer))

    def pods(self) -> list[Pod]:
        """Return all pods of the account."""
        found: list[Pod] = []
        query: dict[str, Any] = {}
        while True:
            answer = self._ask("GET", "/pods", "listing pods", params=query)
            found += _understood(partial(_listed, answer))
            cursor = answer.get("nextCursor")
            if not cursor or cursor == query.get("cursor"):
                return found
            query = {"cursor": cursor}

    def terminate(self, number: str) -> None:
        """Give a pod back; one that is gone is no error."""
        try:
            self._ask("DELETE", f"/pods/{number}", f"giving pod {number} back")
        except RunPodError as error:
            if error.status != 404:
                raise

    def log(self, number: str, after: str = "", idle_s: float = 10.0) -> Iterator[Line]:
        """Lines of the container's log after one's id, until nothing comes for ``idle_s``."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        doing = f"reading the log of pod {number}"
        try:
            with self._http.stream(
                "GET",
                f"{self.url}/pods/{number}/logs",
                params={"source": "container", "tail": 5000},
                headers=headers | self._bearer,
                timeout=httpx2.Timeout(_PATIENCE_S, read=idle_s),
            ) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise _refused(doing, answer)
                yield from _events(answer.iter_lines())
        except httpx2.ReadTimeout:
            return
        except httpx2.HTTPError as error:
            raise _unanswered(doing, error) from None

    def _ask(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a request; again if it was refused for now, or failed and may be made again."""
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(
                    method, self.url + path, json=body, params=params, headers=self._bearer
                )
            except httpx2.HTTPError as error:
                failure, wait = _unanswered(doing, error), None
            else:
                if answer.is_success:
                    return _understood(answer.json) if answer.content else None
                failure, wait = _refused(doing, answer), _wanted(answer)
            again = failure.status == 429 or (failure.unanswered and method != "POST")
            if not again or attempt == _TRIES:
                raise failure
            time.sleep(_BACKOFF_S * 2**attempt if wait is None else min(wait, _LONGEST_WAIT_S))
        raise AssertionError

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


def _understood(read: Callable[[], T]) -> T:
    """Read an answer; one of another form is an error with a text."""
    try:
        return read()
    except (KeyError, TypeError, ValueError) as error:
        raise RunPodError(
            f"RunPod answered something that this version does not understand "
            f"({type(error).__name__}: {error}). Look at RUNPOD_API_URL and at RunPod's release "
            "notes, and in its console at what runs."
        ) from None


def _wanted(answer: httpx2.Response) -> float | None:
    """Return how many seconds the server asks to wait; None if it does not."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


def _refused(doing: str, answer: httpx2.Response) -> RunPodError:
    status = answer.status_code
    try:
        problem = json.loads(answer.text)
        told = "; ".join([str(problem["detail"]), *map(str, problem.get("errors", []))])
    except (ValueError, KeyError, TypeError):
        told = answer.reason_phrase
    hint = _HINTS.get(status, "Run the same command again; it finishes the job.")
    if status == 429 and (wait := _wanted(answer)) is not None:
        hint = f"Too many requests: run the same command again in {wait:g} s."
    return RunPodError(f"RunPod: {doing} failed: HTTP {status}, {told.rstrip('.')}. {hint}", status)


def _unanswered(doing: str, error: httpx2.HTTPError) -> RunPodError:
    return RunPodError(
        f"RunPod: {doing} failed: no answer ({type(error).__name__}). Run the same command again: "
        "what was rented is found by its name, and not rented twice."
    )


def _events(lines: Iterator[str]) -> Iterator[Line]:
    number, data = "", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            number = value
        elif field == "data":
            data += value
        elif not line and data:
            yield Line(number, str(json.loads(data)["line"]))
            data = ""


def _listed(answer: Mapping[str, Any]) -> list[Pod]:
    return [_pod(row) for row in answer["pods"]]


def _pod(row: Mapping[str, Any]) -> Pod:
    marks = {k: v for k, v in row["env"].items() if k.startswith("POLYID_")}
    return Pod(
        row["id"],
        row["name"],
        row["status"],
        float(row["cost"]),
        (row.get("gpu") or {}).get("id", ""),
        datetime.fromisoformat(row["createdAt"]),
        marks,
    )


def _gpu(row: Mapping[str, Any]) -> Gpu:
    price = float(row["price"]["secure"]) if row["secure"] else 0.0
    stock = row.get("availability", "NONE")
    return Gpu(row["id"], row["memory"], price, stock, row["manufacturer"] == "NVIDIA")
