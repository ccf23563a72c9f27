"""Repositories: make, delete, move, copy, settings, what they hold, the card's check."""

from __future__ import annotations

import re
from typing import Any

import gitstore
import pygit2
import spaces
import yaml
from card_check import front_matter, problems
from starlette.responses import JSONResponse, Response
from state import Repo
from wire import KINDS, Call, RefusalError, route

NAME = re.compile(r"(?!.*(\.\.|--))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")


def _kind(payload: dict[str, Any]) -> str:
    kind = f"{payload.get('type') or 'model'}s"
    if kind not in KINDS:
        raise RefusalError(400, f"type {payload.get('type')!r}, expected model|dataset|space")
    return kind


def _named(call: Call, payload: dict[str, Any]) -> str:
    """The full name asked for, in a namespace where the caller may make repositories."""
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    name = str(payload.get("name") or "")
    namespace = payload.get("organization") or call.who.user
    if (
        not NAME.fullmatch(name)
        or name.endswith((".git", ".", "-"))
        or not NAME.fullmatch(namespace)
    ):
        raise RefusalError(400, f"Invalid repo name: {namespace}/{name}")
    return f"{namespace}/{name}"


def _may_create(call: Call, repo_id: str) -> None:
    assert call.who is not None
    namespace = repo_id.split("/")[0]
    if not call.who.may_create(namespace):
        text = f"You don't have the rights to create a model under the namespace {namespace!r}"
        raise RefusalError(403, text)


def _private(payload: dict[str, Any], default: bool) -> bool:
    if (visibility := payload.get("visibility")) is not None:
        if visibility not in {"public", "private", "protected"}:
            raise RefusalError(400, f"visibility {visibility!r}, expected public|private|protected")
        return visibility == "private"
    return bool(payload.get("private", default))


def create(call: Call) -> Response:
    payload = call.json()
    kind, repo_id = _kind(payload), _named(call, payload)
    _may_create(call, repo_id)
    if kind == "spaces" and payload.get("sdk") not in {"gradio", "docker", "static"}:
        raise RefusalError(400, f"sdk {payload.get('sdk')!r}, expected gradio|docker|static")
    if kind == "spaces" and payload["sdk"] != "static" and call.state.settings.get("free_account"):
        raise RefusalError(402, "Payment required: a Gradio or Docker Space needs a paid account")
    if kind == "spaces":
        spaces.Space.of(payload, {})  # refuses what cannot be, before anything is made
    assert call.who is not None
    repo = call.state.add(kind, repo_id, _private(payload, False), call.who.user)
    if kind == "spaces":
        repo.space = spaces.Space.of(payload, call.state.settings)
    url = call.state.url(kind, repo_id)
    return JSONResponse({"url": url, "name": repo_id, "id": f"{kind}-{repo_id}"})


def delete(call: Call) -> Response:
    payload = call.json()
    repo = call.state.readable(call, _kind(payload), _named(call, payload))
    _owned(call, repo)
    call.state.remove(repo)
    return Response(status_code=200)


def _owned(call: Call, repo: Repo) -> None:
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    if not call.who.may_create(repo.repo_id.split("/")[0]):
        raise RefusalError(403, f"You don't have the rights to change {repo.repo_id}")


def move(call: Call) -> Response:
    payload = call.json()
    repo = call.state.readable(call, _kind(payload), str(payload.get("fromRepo")))
    _owned(call, repo)
    namespace, _, name = str(payload.get("toRepo")).rpartition("/")
    repo_id = _named(call, {"organization": namespace, "name": name})
    _may_create(call, repo_id)
    call.state.move(repo, repo_id)
    return Response(status_code=200)


def duplicate(call: Call) -> Response:
    payload = call.json()
    source = call.state.readable(call)
    namespace, _, name = str(payload.get("repository")).rpartition("/")
    repo_id = _named(call, {"organization": namespace, "name": name})
    _may_create(call, repo_id)
    repo = call.state.copy(source, repo_id, _private(payload, source.private))
    if source.space:
        sdk = source.space.sdk
        repo.space = spaces.Space.of({"sdk": sdk, **payload}, call.state.settings)
    return JSONResponse({"url": call.state.url(repo.kind, repo_id), "filesCopyPending": False})


def settings(call: Call) -> Response:
    repo = call.state.writable(call)
    payload = call.json()
    repo.private = _private(payload, repo.private)
    repo.gated = payload.get("gated", repo.gated)
    return JSONResponse({"private": repo.private, "gated": repo.gated})


def info(call: Call) -> Response:
    repo = call.state.readable(call)
    git = repo.git()
    oid = gitstore.resolve(git, call.params.get("rev", "main"))
    return JSONResponse(described(call, repo, git, oid, blobs=call.flag("blobs")))


def described(
    call: Call, repo: Repo, git: pygit2.Repository, oid: str, *, blobs: bool = False
) -> dict[str, Any]:
    """A repository at a commit, as ``model_info`` and its like read it."""
    siblings = []
    for path, blob in gitstore.files(git, oid):
        row: dict[str, Any] = {"rfilename": path}
        if blobs:
            entry = gitstore.entry(git, path, blob)
            row |= {"size": entry.size, "blobId": entry.oid}
            if entry.lfs:
                row["lfs"] = {
                    "sha256": entry.lfs.sha256,
                    "size": entry.lfs.size,
                    "pointerSize": entry.lfs.pointer_size,
                }
        siblings.append(row)
    commit = git[oid]
    assert isinstance(commit, pygit2.Commit)
    card = _card(git, oid)
    answer: dict[str, Any] = {
        "_id": f"{repo.kind}-{repo.repo_id}",
        "id": repo.repo_id,
        "author": repo.repo_id.split("/")[0],
        "sha": oid,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "createdAt": repo.made,
        "lastModified": gitstore.commit_row(commit)["date"],
        "tags": list(card.get("tags") or []),
        "siblings": siblings,
        "usedStorage": 0,
    }
    if card:
        answer["cardData"] = card
    if repo.kind == "models":
        answer["modelId"] = repo.repo_id
        for key in ("pipeline_tag", "library_name", "model-index"):
            if key in card:
                answer[key] = card[key]
    if repo.space:
        answer |= {"sdk": repo.space.sdk, "runtime": repo.space.runtime()}
        answer["subdomain"] = repo.repo_id.replace("/", "-").lower()
        answer["host"] = f"https://{answer['subdomain']}.hf.space"
    return answer


def _card(git: pygit2.Repository, oid: str) -> dict[str, Any]:
    readme = gitstore.find(git, oid, "README.md")
    if not isinstance(readme, pygit2.Blob):
        return {}
    try:
        card = front_matter(readme.data.decode("utf-8", "replace"))
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def listing(call: Call) -> Response:
    author, search = call.query("author"), (call.query("search") or "").lower()
    rows = []
    for (kind, repo_id), repo in sorted(call.state.repos.items()):
        hidden = repo.private and not (call.who and call.who.may_read(kind, repo_id))
        if kind != call.params["kind"] or hidden or search not in repo_id.lower():
            continue
        if author and repo_id.split("/")[0] != author:
            continue
        git = repo.git()
        rows.append(described(call, repo, git, gitstore.resolve(git, "main")))
    return JSONResponse(rows[: int(call.query("limit") or 1000)])


def mine(call: Call) -> Response:
    """All repositories of the caller, as ``hf repos list`` shows them."""
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    rows = [
        {
            "id": repo_id,
            "type": KINDS[kind],
            "updatedAt": repo.made,
            "visibility": "private" if repo.private else "public",
            "storage": 0,
        }
        for (kind, repo_id), repo in sorted(call.state.repos.items())
        if repo_id.split("/")[0] == call.who.user and call.who.may_read(kind, repo_id)
    ]
    return JSONResponse(rows)


def harnesses(_: Call) -> Response:
    """A list that each ``hf`` command asks for once per HF_HOME; empty here."""
    return JSONResponse({"standardEnvVars": [], "harnesses": {}})


def auth_check(call: Call) -> Response:
    call.state.readable(call)
    return JSONResponse({})


def auth_check_write(call: Call) -> Response:
    call.state.writable(call)
    return JSONResponse({})


def validate_yaml(call: Call) -> Response:
    payload = call.json()
    errors, warnings = problems(str(payload.get("content", "")), payload.get("repoType") or "model")
    answer = {
        "errors": [{"message": m} for m in errors],
        "warnings": [{"message": m} for m in warnings],
    }
    return JSONResponse(answer, 400 if errors else 200)


REPO = "/api/{kind:kind}/{ns}/{name}"
ROUTES = [
    route("/api/repos/create", "POST", create),
    route("/api/repos/delete", "DELETE", delete),
    route("/api/repos/move", "POST", move),
    route("/api/validate-yaml", "POST", validate_yaml),
    route("/api/settings/repositories", "GET", mine),
    route("/api/agent-harnesses", "GET", harnesses),
    route("/api/{kind:kind}", "GET", listing),
    route(REPO, "GET", info),
    route(f"{REPO}/revision/{{rev}}", "GET", info),
    route(f"{REPO}/settings", "PUT", settings),
    route(f"{REPO}/duplicate", "POST", duplicate),
    route(f"{REPO}/auth-check", "GET", auth_check),
    route(f"{REPO}/auth-check/write", "GET", auth_check_write),
]
