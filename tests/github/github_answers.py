"""How the GitHub for tests answers anything: permissions, faults, bodies, pages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from github_state import Fault, Refused, State, User
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Handler = Callable[[Request, dict[str, Any], User | None], Response]
NOT_FOUND = Refused(404, "Not Found")
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Answers:
    """What all handlers share; what they know is in ``state``."""

    routes: list[Route]

    def __init__(self, state: State) -> None:
        self.state = state

    def application(self) -> Any:
        """Return the ASGI application."""
        missing = self._guarded(self._missing, None)
        inner = Starlette(routes=[*self.routes, Route("/{path:path}", missing, methods=_METHODS)])

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            # pages are linked by the repository's number, as GitHub does
            by_number = f"/repositories/{self.state.repository_id}/"
            if scope["type"] == "http" and scope["path"].startswith(by_number):
                path = f"/repos/{self.state.repository}/{scope['path'].removeprefix(by_number)}"
                scope = {**scope, "path": path, "raw_path": path.encode()}
            await inner(scope, receive, send)

        return outer

    def _route(self, method: str, path: str, handler: Handler, needs: str | None = None) -> Route:
        return Route(path, self._guarded(handler, needs), methods=[method])

    def _guarded(
        self, handler: Handler, needs: str | None
    ) -> Callable[[Request], Awaitable[Response]]:
        """Put the log, faults and permissions around a handler."""

        async def serve(request: Request) -> Response:
            raw = await request.body()
            with self.state.lock:
                entry = self.state.log(request.method, request.url.path, str(request.url.query))
                fault = self.state.fault(request.method, request.url.path)
                if fault is not None:
                    entry["fault"] = fault.status
                if fault is not None and not fault.after:
                    response = fault_response(fault)
                else:
                    response = self._answer(request, handler, needs, raw, entry)
                    if fault is not None:
                        entry["executed"] = response.status_code
                        response = fault_response(fault)
                entry["status"] = response.status_code
                return response

        return serve

    def _answer(
        self,
        request: Request,
        handler: Handler,
        needs: str | None,
        raw: bytes,
        entry: dict[str, Any],
    ) -> Response:
        try:
            user = self.state.user_of(request.headers.get("authorization"))
            entry["user"] = user.login if user else None
            self._admit(request, needs, user)
            body = self._body(raw)
            entry["body"] = body
            return handler(request, body, user)
        except Refused as refused:
            return refused.response()

    def _admit(self, request: Request, needs: str | None, user: User | None) -> None:
        path = request.path_params
        if "owner" in path and f"{path['owner']}/{path['name']}" != self.state.repository:
            raise NOT_FOUND
        if needs and user is None:
            raise Refused(401, "Requires authentication")
        if needs and user and needs not in user.may:
            raise Refused(403, "Resource not accessible by integration")

    @staticmethod
    def _body(raw: bytes) -> dict[str, Any]:
        try:
            content = json.loads(raw) if raw else {}
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
        if not isinstance(content, dict):
            raise Refused(400, "Body should be a JSON object")
        return content

    def _missing(self, request: Request, body: dict[str, Any], user: User | None) -> Response:
        raise NOT_FOUND

    def _find(self, among: dict[int, Any], request: Request) -> Any:
        found = among.get(request.path_params["id"])
        if found is None:
            raise NOT_FOUND
        return found

    def _page(self, request: Request, items: list[Any], key: str | None = None) -> Response:
        """One page, with the ``Link`` to the others."""
        size = min(max(int(request.query_params.get("per_page", 30)), 1), 100)
        page = max(int(request.query_params.get("page", 1)), 1)
        last = max(-(-len(items) // size), 1)
        path = request.url.path.removeprefix(f"/repos/{self.state.repository}/")
        query = {k: v for k, v in request.query_params.items() if k != "page"}
        rest = "".join(f"{k}={v}&" for k, v in query.items()).replace(" ", "%20")
        base = f"{self.state.url}/repositories/{self.state.repository_id}/{path}?{rest}page="
        links = []
        if page < last:
            links += [f'<{base}{page + 1}>; rel="next"', f'<{base}{last}>; rel="last"']
        if page > 1:
            links += [f'<{base}1>; rel="first"', f'<{base}{page - 1}>; rel="prev"']
        shown = items[(page - 1) * size : page * size]
        content = {"total_count": len(items), key: shown} if key else shown
        return JSONResponse(content, headers={"Link": ", ".join(links)} if links else None)


def fault_response(fault: Fault) -> Response:
    """Answer as the fault says."""
    headers = fault.headers
    if fault.status >= 500 and not fault.message:  # GitHub's gateway answers in HTML
        return Response("<html><title>502</title></html>", fault.status, headers, "text/html")
    return Refused(fault.status, fault.message or "Injected fault", headers=headers).response()
