"""Keyless tokens: a CI's id token for a short-lived one that may write one repository."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from wire import KINDS, Call, RefusalError, route

if TYPE_CHECKING:
    from state import State

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name, not a secret
LIFE_SECONDS = 3600


@dataclass(frozen=True)
class Publisher:
    """A workflow trusted to write ``resource``: every claim must be equal."""

    resource: str
    repository: str
    workflow: str | None = None
    branch: str | None = None


class Publishers:
    """Trusted publishers, and the CI jobs that may ask the stub of GitHub for an id token."""

    def __init__(self) -> None:
        self.trusted: list[Publisher] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _mac(state: State, text: str) -> str:
    return _b64(hmac.new(state.secret, text.encode(), hashlib.sha256).digest())


def id_token(state: State, claims: dict[str, Any]) -> str:
    """A signed id token (HS256 with the server's secret: GitHub's and the Hub's side in one)."""
    head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    text = f"{head}.{_b64(json.dumps(claims).encode())}"
    return f"{text}.{_mac(state, text)}"


def _claims(state: State, token: str) -> dict[str, Any]:
    text, _, signature = token.rpartition(".")
    if not text or not hmac.compare_digest(signature, _mac(state, text)):
        raise _invalid("the id token's signature is not valid")
    body = text.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if claims["exp"] < time.time():
        raise _invalid("the id token has expired")
    if claims["aud"].rstrip("/") != state.endpoint:
        raise _invalid(f"audience {claims['aud']!r}, expected {state.endpoint!r}")
    return claims


def _invalid(why: str) -> RefusalError:
    no = RefusalError(400, why)
    no.body = {"error": "invalid_grant", "error_description": why}
    return no


def github(call: Call) -> Response:
    """The CI's own endpoint: an id token for the job that asks."""
    bearer = (call.request.headers.get("authorization") or "").removeprefix("Bearer ")
    job = call.state.publishers.jobs.get(bearer)
    if job is None:
        raise RefusalError(401, "the request token of this CI job is not known")
    now = int(time.time())
    branch = job["branch"]
    workflow = f"{job['repository']}/.github/workflows/{job['workflow']}"
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "sub": f"repo:{job['repository']}:ref:refs/heads/{branch}",
        "aud": call.query("audience") or "",
        "repository": job["repository"],
        "ref": f"refs/heads/{branch}",
        "workflow_ref": f"{workflow}@refs/heads/{branch}",
        "iat": now,
        "exp": now + 300,
    }
    return JSONResponse({"value": id_token(call.state, claims)})


def exchange(call: Call) -> Response:
    payload = call.json()
    if payload.get("grant_type") != GRANT or payload.get("subject_token_type") != ID_TOKEN:
        raise _invalid(f"grant_type {payload.get('grant_type')!r}, expected {GRANT!r}")
    claims = _claims(call.state, str(payload.get("subject_token")))
    resource = str(payload.get("resource"))
    branch = claims["ref"].removeprefix("refs/heads/")
    workflow = claims["workflow_ref"].split("@")[0].rsplit("/", 1)[-1]
    for one in call.state.publishers.trusted:
        same = one.resource == resource and one.repository == claims["repository"]
        if same and one.workflow in (None, workflow) and one.branch in (None, branch):
            break
    else:
        raise _invalid(f"no trusted publisher of {resource} matches the claims of this job")
    kind, _, rest = resource.partition("/")
    repo = resource if kind in KINDS else f"models/{resource}"
    token = call.state.tokens.make(
        f"oidc:{claims['repository']}",
        "fineGrained",
        [repo],
        (rest if kind in KINDS else resource).split("/")[0],
        seconds=call.state.settings.get("oidc_seconds", LIFE_SECONDS),
        prefix="hf_jwt_",
        oidc=True,
    )
    answer = {"access_token": token.value, "token_type": "bearer", "expires_in": LIFE_SECONDS}
    return JSONResponse(answer | {"scope": f"write:{resource}"})


ROUTES = [
    route("/oauth/token", "POST", exchange, anyone=True),
    route("/_github/id-token", "GET", github, anyone=True),
]
