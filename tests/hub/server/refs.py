"""Branches, tags, the list of refs, the list of commits, squashing a branch."""

from __future__ import annotations

import gitstore
import pygit2
from repo_api import REPO
from starlette.responses import JSONResponse, Response
from state import Repo
from wire import Call, RefusalError, page_link, route


def listing(call: Call) -> Response:
    git = call.state.readable(call).git()
    rows: dict[str, list] = {"heads/": [], "tags/": [], "pr/": [], "convert/": []}
    for ref in sorted(git.references):
        for prefix, found in rows.items():
            name = ref.removeprefix(f"refs/{prefix}")
            target = gitstore.head(git, ref) if name != ref else None
            if target:
                commit = str(git[target].peel(pygit2.Commit).id)
                shown = name if prefix != "pr/" else ref
                found.append({"name": shown, "ref": ref, "targetCommit": commit})
    answer = {"branches": rows["heads/"], "tags": rows["tags/"], "converts": rows["convert/"]}
    if call.flag("include_prs"):
        answer["pullRequests"] = rows["pr/"]
    return JSONResponse(answer)


def _make(repo: Repo, ref: str, oid: str) -> None:
    """Make a ref that was not there; 409 when it was, 400 when it cannot be."""
    if not pygit2.reference_is_valid_name(ref):
        raise RefusalError(400, f"Invalid reference name: {ref}")
    if error := gitstore.swap(repo.path, ref, oid, gitstore.ZERO):
        if gitstore.head(repo.git(), ref):
            what = "Tag" if ref.startswith("refs/tags/") else "Reference"
            raise RefusalError(409, f"{what} reference exists already: {ref}")
        raise RefusalError(400, f"Cannot create {ref}: {error}")


def _drop(repo: Repo, ref: str) -> None:
    old = gitstore.head(repo.git(), ref)
    if old is None:
        raise RefusalError(404, f"Reference does not exist: {ref}", "RevisionNotFound")
    if error := gitstore.swap(repo.path, ref, gitstore.ZERO, old):
        raise RefusalError(409, f"Cannot delete {ref}: {error}")


def make_branch(call: Call) -> Response:
    repo = call.state.writable(call)
    start = call.json().get("startingPoint") or "main"
    oid = gitstore.resolve(repo.git(), start)
    _make(repo, f"refs/heads/{call.params['branch']}", oid)
    return JSONResponse({}, 201)


def drop_branch(call: Call) -> Response:
    repo = call.state.writable(call)
    if call.params["branch"] == "main":
        raise RefusalError(403, "Cannot delete refs/heads/main")
    _drop(repo, f"refs/heads/{call.params['branch']}")
    return JSONResponse({})


def make_tag(call: Call) -> Response:
    repo = call.state.writable(call)
    payload = call.json()
    name, message = payload.get("tag"), payload.get("message")
    if not isinstance(name, str) or not name:
        raise RefusalError(400, f"tag {name!r}, expected a name")
    git = repo.git()
    oid = gitstore.resolve(git, call.params["rev"])
    if gitstore.head(git, f"refs/tags/{name}"):
        raise RefusalError(409, f"Tag reference exists already: refs/tags/{name}")
    if message:
        assert call.who is not None
        oid = gitstore.tag_object(git, name, oid, call.who.user, message)
    _make(repo, f"refs/tags/{name}", oid)
    return JSONResponse({}, 201)


def drop_tag(call: Call) -> Response:
    _drop(call.state.writable(call), f"refs/tags/{call.params['rev']}")
    return JSONResponse({})


def commits(call: Call) -> Response:
    git = call.state.readable(call).git()
    rows = gitstore.log(git, gitstore.resolve(git, call.params["rev"]))
    page = int(call.query("p") or 0)
    limit = int(call.query("limit") or call.state.settings["page"])
    shown = rows[page * limit : (page + 1) * limit]
    if "formatted" in call.request.query_params.getlist("expand[]"):
        shown = [r | {"formatted": {"title": r["title"], "message": r["message"]}} for r in shown]
    more = (page + 1) * limit < len(rows)
    headers = {"X-Total-Count": str(len(rows))}
    return JSONResponse(shown, headers=headers | (page_link(call, p=page + 1) if more else {}))


def squash(call: Call) -> Response:
    repo = call.state.writable(call)
    git = repo.git()
    ref = f"refs/heads/{call.params['branch']}"
    old = gitstore.head(git, ref)
    if old is None:
        raise RefusalError(404, f"Invalid rev id: {call.params['branch']}", "RevisionNotFound")
    assert call.who is not None
    message = call.json().get("message") or "Super-squash branch"
    oid = gitstore.commit(git, git[old].tree.id, [], call.who.user, message)
    if error := gitstore.swap(repo.path, ref, oid, old):
        raise RefusalError(409, f"Cannot squash {ref}: {error}")
    return JSONResponse({})


ROUTES = [
    route(f"{REPO}/refs", "GET", listing),
    route(f"{REPO}/branch/{{branch}}", "POST", make_branch),
    route(f"{REPO}/branch/{{branch}}", "DELETE", drop_branch),
    route(f"{REPO}/tag/{{rev}}", "POST", make_tag),
    route(f"{REPO}/tag/{{rev}}", "DELETE", drop_tag),
    route(f"{REPO}/commits/{{rev}}", "GET", commits),
    route(f"{REPO}/super-squash/{{branch}}", "POST", squash),
]
