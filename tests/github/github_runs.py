"""Workflows on the GitHub for tests: dispatched, their runs listed, and started again."""

from __future__ import annotations

from typing import Any

from github_answers import Answers
from github_state import Refused, User
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Runs(Answers):
    """The handlers."""

    def run_routes(self) -> list[Route]:
        repo = "/repos/{owner}/{name}/actions"
        return [
            self._route("GET", repo + "/workflows/{file}/runs", self.runs),
            self._route("POST", repo + "/runs/{id:int}/rerun", self.rerun, "actions"),
            self._route("POST", repo + "/workflows/{file}/dispatches", self.start, "actions"),
        ]

    def runs(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        path, query = f".github/workflows/{request.path_params['file']}", request.query_params
        found = [run for run in reversed(self.state.runs.values()) if run["path"] == path]
        if wanted := query.get("status"):  # a status or a conclusion
            found = [run for run in found if wanted in (run["status"], run["conclusion"])]
        return self._page(request, found, "workflow_runs")

    def rerun(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        found = self._find(self.state.runs, request)
        if found["status"] != "completed":
            raise Refused(403, "The workflow run is already running")
        found |= {"status": "queued", "conclusion": None, "run_attempt": found["run_attempt"] + 1}
        return JSONResponse({}, 201)

    def start(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        ref, file = body.get("ref"), request.path_params["file"]
        if not {f"refs/heads/{ref}", f"refs/tags/{ref}"} & self.state.refs.keys():
            raise Refused(422, f"No ref found for: {ref}")
        asked = {"workflow": file, "ref": ref, "inputs": body.get("inputs", {})}
        self.state.started.append(asked)
        return Response(status_code=204)
