"""Discussions and pull requests: commits on ``refs/pr/N``, merged as one commit on the base."""

from __future__ import annotations

import secrets
from typing import Any

import gitstore
import pygit2
from repo_api import REPO
from starlette.responses import JSONResponse, Response
from state import Repo
from wire import KINDS, Call, RefusalError, route, stamp


def _event(kind: str, user: str, **data: Any) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(12),
        "type": kind,
        "createdAt": stamp(),
        "author": {"name": user, "type": "user"},
        "data": data,
    }


def _comment(user: str, text: str) -> dict[str, Any]:
    latest = {"raw": text, "html": text, "updatedAt": stamp(), "author": {"name": user}}
    return _event("comment", user, edited=False, hidden=False, latest=latest, numEdits=0)


def _open(repo: Repo, user: str, title: str, text: str, status: str, base: str | None) -> dict:
    with repo.lock:
        found: dict[str, Any] = {
            "num": len(repo.discussions) + 1,
            "title": title,
            "status": status,
            "author": {"name": user, "type": "user"},
            "createdAt": stamp(),
            "isPullRequest": base is not None,
            "repo": {"name": repo.repo_id, "type": KINDS[repo.kind]},
            "events": [_comment(user, text)],
        }
        if base is not None:
            found |= {"changes": {"base": f"refs/heads/{base.removeprefix('refs/heads/')}"}}
        repo.discussions.append(found)
    return found


def open_pull(repo: Repo, user: str, title: str, text: str, *, base: str, oid: str) -> dict:
    """Open a pull request whose ``refs/pr/N`` is the commit ``oid``."""
    found = _open(repo, user, title, text, "open", base)
    found["events"].append(_event("commit", user, subject=title, oid=oid))
    _place(repo, found["num"], oid)
    return found


def _place(repo: Repo, number: int, oid: str) -> None:
    if error := gitstore.swap(repo.path, f"refs/pr/{number}", oid, gitstore.ZERO):
        raise RefusalError(409, f"Cannot open refs/pr/{number}: {error}")


def _user(call: Call) -> str:
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    if call.who.role == "read":
        raise RefusalError(403, f"the token {call.who.name!r} (role read) may not take part")
    return call.who.user


def _found(call: Call) -> tuple[Repo, dict[str, Any]]:
    repo = call.state.readable(call)
    number = call.params["num"]
    if not number.isdigit() or not 0 < int(number) <= len(repo.discussions):
        raise RefusalError(404, f"discussion {number} does not exist")
    return repo, repo.discussions[int(number) - 1]


def listing(call: Call) -> Response:
    repo = call.state.readable(call)
    kind, status, author = call.query("type"), call.query("status"), call.query("author")
    rows = [
        {k: v for k, v in d.items() if k != "events"}
        for d in reversed(repo.discussions)
        if kind in (None, "all", "pull_request" if d["isPullRequest"] else "discussion")
        and (status in (None, "all") or (d["status"] in ("open", "draft")) == (status == "open"))
        and author in (None, d["author"]["name"])
    ]
    start = int(call.query("p") or 0) * 50
    answer = {"discussions": rows[start : start + 50], "count": len(rows), "start": start}
    return JSONResponse(answer)


def create(call: Call) -> Response:
    repo, user = call.state.readable(call), _user(call)
    payload = call.json()
    title = str(payload.get("title") or "")
    if len(title) < 3:
        raise RefusalError(400, f"title {title!r} is shorter than 3 characters")
    pull = bool(payload.get("pullRequest"))
    text = str(payload.get("description") or "")
    status, base = ("draft", "main") if pull else ("open", None)
    found = _open(repo, user, title, text, status, base)
    if pull:
        _place(repo, found["num"], gitstore.resolve(repo.git(), "main"))
    return JSONResponse({"num": found["num"], "title": title, "pullRequest": pull})


def details(call: Call) -> Response:
    repo, found = _found(call)
    answer = dict(found)
    if found["isPullRequest"]:
        git = repo.git()
        _, conflicts = _merged(git, found)
        answer["filesWithConflicts"] = conflicts
        base = gitstore.resolve(git, found["changes"]["base"])
        if call.flag("diff"):
            tip = gitstore.resolve(git, f"refs/pr/{found['num']}")
            start = git.merge_base(base, tip)
            diff = git[start].tree.diff_to_tree(git[tip].tree) if start else None
            answer["diff"] = (diff.patch if diff else "") or ""
    return JSONResponse(answer)


def _merged(git: pygit2.Repository, found: dict[str, Any]) -> tuple[pygit2.Index, list[str]]:
    """The base with the pull request's changes, and the files where both changed."""
    base = gitstore.resolve(git, found["changes"]["base"])
    tip = gitstore.resolve(git, f"refs/pr/{found['num']}")
    start = git.merge_base(base, tip)
    if start is None:
        raise RefusalError(409, "the pull request and its base have no common commit")
    index = git.merge_trees(git[start].tree, git[base].tree, git[tip].tree)
    names = {e.path for row in index.conflicts or () for e in row if e is not None}
    return index, sorted(names)


def merge(call: Call) -> Response:
    repo, found = _found(call)
    call.state.writable(call)
    user = _user(call)
    if not found["isPullRequest"]:
        raise RefusalError(400, f"discussion {found['num']} is not a pull request")
    with repo.lock:
        if found["status"] != "open":
            raise RefusalError(400, f"the pull request is {found['status']}, expected open")
        git = repo.git()
        ref = found["changes"]["base"]
        old = gitstore.resolve(git, ref)
        index, conflicts = _merged(git, found)
        if conflicts:
            raise RefusalError(409, f"Merge conflicts in {', '.join(conflicts)}")
        message = f"{found['title']} (#{found['num']})"
        oid = gitstore.commit(git, index.write_tree(git), [old], user, message)
        if gitstore.swap(repo.path, ref, oid, old):
            raise RefusalError(409, "the base was updated meanwhile, try again")
        found["status"] = "merged"
        found["changes"]["mergeCommitId"] = oid
        if comment := call.json().get("comment"):
            found["events"].append(_comment(user, comment))
        found["events"].append(_event("status-change", user, status="merged"))
    if repo.space and ref == "refs/heads/main":
        repo.space.rebuild(oid)
    return JSONResponse({"ok": True})


def comment(call: Call) -> Response:
    repo, found = _found(call)
    event = _comment(_user(call), str(call.json().get("comment") or ""))
    with repo.lock:
        found["events"].append(event)
    return JSONResponse({"newMessage": event})


def status(call: Call) -> Response:
    repo, found = _found(call)
    user, payload = _user(call), call.json()
    wanted = payload.get("status")
    if wanted not in {"open", "closed"} or found["status"] == "merged":
        raise RefusalError(400, f"a {found['status']} discussion cannot become {wanted!r}")
    with repo.lock:
        found["status"] = wanted
        event = _event("status-change", user, status=wanted)
        found["events"].append(event)
        if payload.get("comment"):
            found["events"].append(_comment(user, payload["comment"]))
    return JSONResponse({"newStatus": event})


def title(call: Call) -> Response:
    repo, found = _found(call)
    user, new = _user(call), str(call.json().get("title") or "")
    with repo.lock:
        event = _event("title-change", user, **{"from": found["title"], "to": new})
        found["title"] = new
        found["events"].append(event)
    return JSONResponse({"newTitle": event})


ROUTES = [
    route(f"{REPO}/discussions", "GET", listing),
    route(f"{REPO}/discussions", "POST", create),
    route(f"{REPO}/discussions/{{num}}", "GET", details),
    route(f"{REPO}/discussions/{{num}}/merge", "POST", merge),
    route(f"{REPO}/discussions/{{num}}/comment", "POST", comment),
    route(f"{REPO}/discussions/{{num}}/status", "POST", status),
    route(f"{REPO}/discussions/{{num}}/title", "POST", title),
]
