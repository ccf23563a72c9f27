"""The application behind `github_kit`: GitHub's REST API for comments, checks, labels, tags.

Paths, fields, statuses and error bodies are those of the public documentation of version
2022-11-28. Only what the pipeline's workflows call is there; anything else is a 404, as on GitHub.
"""

from __future__ import annotations

import re
from typing import Any

from github_answers import NOT_FOUND
from github_runs import Runs
from github_state import COMMIT, Refused, State, User, invalid, now
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CONCLUSIONS = (
    *("action_required", "cancelled", "failure", "neutral"),
    *("success", "skipped", "stale", "timed_out"),
)
STATUSES = ["queued", "in_progress", "completed", "waiting", "requested", "pending"]
LONGEST = 65_536


class Api(Runs):
    """The handlers."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        repo = "/repos/{owner}/{name}"
        number = repo + "/issues/{number:int}"
        self.routes = [
            *self.run_routes(),
            self._route("GET", "/user", self.user),
            self._route("GET", repo, self.repository),
            self._route("GET", repo + "/collaborators/{login}/permission", self.permission),
            self._route("GET", repo + "/pulls/{number:int}", self.pull),
            self._route("GET", number + "/comments", self.comments),
            self._route("POST", number + "/comments", self.comment, "issues"),
            self._route("GET", repo + "/issues/comments/{id:int}", self.comment_of),
            self._route("PATCH", repo + "/issues/comments/{id:int}", self.edit, "issues"),
            self._route("DELETE", repo + "/issues/comments/{id:int}", self.delete, "issues"),
            self._route("GET", number + "/labels", self.labels),
            self._route("POST", number + "/labels", self.add_labels, "issues"),
            self._route("DELETE", number + "/labels/{label}", self.remove_label, "issues"),
            self._route("POST", repo + "/check-runs", self.check, "checks"),
            self._route("GET", repo + "/check-runs/{id:int}", self.check_of),
            self._route("PATCH", repo + "/check-runs/{id:int}", self.change_check, "checks"),
            self._route("GET", repo + "/commits/{ref:path}/check-runs", self.checks),
            self._route("GET", repo + "/actions/runs/{id:int}/jobs", self.jobs),
            self._route("POST", repo + "/dispatches", self.dispatch, "contents"),
            self._route("POST", repo + "/git/tags", self.tag, "contents"),
            self._route("POST", repo + "/git/refs", self.make_ref, "contents"),
            self._route("GET", repo + "/git/ref/{ref:path}", self.ref),
            self._route("PATCH", repo + "/git/refs/{ref:path}", self.move_ref, "contents"),
            self._route("DELETE", repo + "/git/refs/{ref:path}", self.remove_ref, "contents"),
        ]

    def user(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        if user is None:
            raise Refused(401, "Requires authentication")
        if user.kind == "Bot":
            raise Refused(403, "Resource not accessible by integration")
        return JSONResponse(user.as_json())

    def repository(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        owner, name = self.state.repository.split("/")
        return JSONResponse(
            {
                "id": self.state.repository_id,
                "name": name,
                "full_name": self.state.repository,
                "owner": {"login": owner},
                "private": False,
                "default_branch": "main",
            }
        )

    def permission(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        login = request.path_params["login"]
        said = self.state.permissions.get(login, "read")  # everybody reads what is public
        return JSONResponse({"permission": said, "user": {"login": login}})

    def pull(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        pull = self.state.pulls.get(request.path_params["number"])
        if pull is None:
            raise NOT_FOUND
        return JSONResponse(pull | {"labels": self._labels(pull["number"])})

    # comments -------------------------------------------------------------------------------

    def comments(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        number = request.path_params["number"]
        found = [c for c in self.state.comments.values() if c["number"] == number]
        return self._page(request, [_shown(c) for c in found])

    def comment(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        assert user is not None
        text = _text(body)
        made = self.state.add_comment(request.path_params["number"], text, user)
        return JSONResponse(_shown(made), 201)

    def comment_of(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        return JSONResponse(_shown(self._find(self.state.comments, request)))

    def edit(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        found = self._find(self.state.comments, request)
        found |= {"body": _text(body), "updated_at": now()}
        return JSONResponse(_shown(found))

    def delete(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        self._find(self.state.comments, request)
        del self.state.comments[request.path_params["id"]]
        return Response(status_code=204)

    # labels ---------------------------------------------------------------------------------

    def _labels(self, number: int) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.state.labels.get(number, [])]

    def labels(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        return self._page(request, self._labels(request.path_params["number"]))

    def add_labels(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        number, names = request.path_params["number"], body.get("labels")
        if not isinstance(names, list) or not names:
            raise invalid("Label", "missing_field", "labels")
        kept = self.state.labels.setdefault(number, [])
        kept += [name for name in names if name not in kept]
        return JSONResponse(self._labels(number))

    def remove_label(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        number, name = request.path_params["number"], request.path_params["label"]
        if name not in self.state.labels.get(number, []):
            raise Refused(404, "Label does not exist")
        self.state.labels[number].remove(name)
        return JSONResponse(self._labels(number))

    # check runs -----------------------------------------------------------------------------

    def check(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        assert user is not None
        for field in ("name", "head_sha"):
            if not body.get(field):
                raise invalid("CheckRun", "missing_field", field)
        if not COMMIT.fullmatch(str(body["head_sha"])):
            raise Refused(422, f"No commit found for SHA: {body['head_sha']}")
        made = {"id": self.state.number(), "app": user.app, "started_at": now(), "status": "queued"}
        made |= {"conclusion": None, "completed_at": None, "details_url": None, "external_id": ""}
        made["output"] = {"title": None, "summary": None, "text": None, "annotations_count": 0}
        self.state.checks[made["id"]] = made
        return JSONResponse(_checked(made, body, self.state.url_of("check-runs", made["id"])), 201)

    def check_of(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        return JSONResponse(self._find(self.state.checks, request))

    def change_check(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        assert user is not None
        found = self._find(self.state.checks, request)
        if found["app"] != user.app:
            raise Refused(403, "Invalid app_id `0` - check run can only be modified by its app.")
        return JSONResponse(_checked(found, body, found["url"]))

    def checks(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        query = request.query_params
        found = [
            c for c in self.state.checks.values() if c["head_sha"] == request.path_params["ref"]
        ]
        if "check_name" in query:
            found = [c for c in found if c["name"] == query["check_name"]]
        if query.get("filter", "latest") == "latest":
            newest = {(c["name"], (c["app"] or {}).get("id")): c for c in found}
            found = list(newest.values())
        return self._page(request, found, "check_runs")

    def jobs(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        return self._page(request, self._find(self.state.jobs, request), "jobs")

    # dispatches, tags and refs --------------------------------------------------------------

    def dispatch(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        event, payload = body.get("event_type"), body.get("client_payload", {})
        if not isinstance(event, str) or not event or len(event) > 100:
            raise Refused(422, 'Invalid request.\n\n"event_type" wasn\'t supplied or is too long.')
        if not isinstance(payload, dict) or len(payload) > 10:
            raise Refused(422, "No more than 10 properties are allowed; client_payload has more.")
        self.state.dispatches.append({"event_type": event, "client_payload": payload})
        return Response(status_code=204)

    def tag(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        for field in ("tag", "message", "object", "type"):
            if not body.get(field):
                raise Refused(422, f'Invalid request.\n\n"{field}" wasn\'t supplied.')
        self._commit(body["object"])
        made = {"sha": self.state.sha(), "tag": body["tag"], "message": body["message"]}
        made["object"] = {"type": body["type"], "sha": body["object"]}
        self.state.tags[made["sha"]] = made
        return JSONResponse(made, 201)

    def make_ref(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        name, sha = body.get("ref"), body.get("sha")
        if not isinstance(name, str) or not re.fullmatch(r"refs/[^/]+/.+", name):
            raise Refused(422, "Reference name must start with 'refs/' and have two slashes.")
        self._commit(sha)
        if name in self.state.refs:
            raise Refused(422, "Reference already exists")
        self.state.refs[name] = str(sha)
        return JSONResponse(self._ref(name), 201)

    def ref(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        return JSONResponse(self._ref(f"refs/{request.path_params['ref']}"))

    def move_ref(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        name = f"refs/{request.path_params['ref']}"
        if name not in self.state.refs:
            raise Refused(422, "Reference does not exist")
        self._commit(body.get("sha"))
        self.state.refs[name] = str(body["sha"])
        return JSONResponse(self._ref(name))

    def remove_ref(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        if self.state.refs.pop(f"refs/{request.path_params['ref']}", None) is None:
            raise Refused(422, "Reference does not exist")
        return Response(status_code=204)

    def _commit(self, sha: object) -> None:
        if not isinstance(sha, str) or not COMMIT.fullmatch(sha):
            raise Refused(422, "Object does not exist")

    def _ref(self, name: str) -> dict[str, Any]:
        if name not in self.state.refs:
            raise NOT_FOUND
        sha = self.state.refs[name]
        return {
            "ref": name,
            "object": {"sha": sha, "type": "tag" if sha in self.state.tags else "commit"},
        }


def _shown(comment: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in comment.items() if key != "number"}


def _text(body: dict[str, Any]) -> str:
    text = body.get("body")
    if not isinstance(text, str) or not text.strip():
        raise invalid("IssueComment", "missing_field", "body")
    if len(text) > LONGEST:
        message = f"Body is too long (maximum is {LONGEST} characters)"
        raise invalid("IssueComment", "unprocessable", "data", message)
    return text


def _checked(check: dict[str, Any], body: dict[str, Any], url: str) -> dict[str, Any]:
    """Apply what a request says about a check run, or refuse it whole."""
    output = body.get("output")
    conclusion, status = body.get("conclusion"), body.get("status")
    if conclusion is not None and conclusion not in CONCLUSIONS:
        raise Refused(422, f'Invalid request.\n\n"{conclusion}" is not a possible conclusion.')
    if status is not None and status not in STATUSES:
        raise Refused(422, f'Invalid request.\n\n"{status}" is not a possible status.')
    if status == "completed" and conclusion is None:
        raise Refused(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.')
    if output is not None:
        if not output.get("title") or not output.get("summary"):
            raise Refused(422, 'Invalid request.\n\n"title", "summary" weren\'t supplied.')
        if any(len(output.get(key) or "") >= LONGEST for key in ("summary", "text")):
            raise Refused(422, "Only 65535 characters are allowed; more were supplied.")
        check["output"] = {"annotations_count": 0, "text": None} | output
    known = ("name", "head_sha", "details_url", "external_id", "status", "conclusion")
    check |= {key: body[key] for key in known if key in body}
    if conclusion is not None:
        check |= {"status": "completed", "completed_at": now()}
    check["url"] = url
    return check
