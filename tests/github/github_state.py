"""What the test GitHub knows: users, comments, check runs, labels, refs, faults, requests."""

from __future__ import annotations

import itertools
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

COMMIT = re.compile(r"[0-9a-f]{40}")
ALL = frozenset({"issues", "checks", "contents", "actions"})
ACTIONS = {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"}
_DOCS = "https://docs.github.com/rest"


def now() -> str:
    """The time as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class User:
    """Whose token it is, and what it may write."""

    login: str
    may: frozenset[str] = ALL
    kind: str = "User"
    app: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the user as it stands in answers."""
        return {"login": self.login, "type": self.kind, "site_admin": False}


@dataclass
class Fault:
    """Coming requests that fail."""

    status: int
    method: str | None
    path: str | None
    times: int
    headers: dict[str, str]
    message: str
    after: bool


@dataclass
class Refused(Exception):  # noqa: N818 - an answer
    """An answer that is an error, in GitHub's form."""

    status: int
    message: str
    errors: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return it as HTTP."""
        content: dict[str, Any] = {"message": self.message}
        if self.errors:
            content["errors"] = self.errors
        content |= {"documentation_url": _DOCS, "status": str(self.status)}
        return JSONResponse(content, self.status, self.headers)


def invalid(resource: str, code: str, field_: str, message: str | None = None) -> Refused:
    """Return the 422 of a faulty field."""
    error = {"resource": resource, "code": code, "field": field_}
    return Refused(422, "Validation Failed", [error | ({"message": message} if message else {})])


class State:
    """Everything of one repository."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.repository_id = 812345678
        self.url = ""
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew; tokens stay valid."""
        self._numbers = itertools.count(1_000_001)
        self.comments: dict[int, dict[str, Any]] = {}
        self.checks: dict[int, dict[str, Any]] = {}
        self.labels: dict[int, list[str]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.runs: dict[int, dict[str, Any]] = {}
        self.dispatches: list[dict[str, Any]] = []
        self.started: list[dict[str, Any]] = []
        self.permissions: dict[str, str] = {}
        self.tags: dict[str, dict[str, Any]] = {}
        self.refs: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []

    def number(self) -> int:
        """A number that nothing has yet."""
        return next(self._numbers)

    def sha(self) -> str:
        """A hash that nothing has yet."""
        return secrets.token_hex(20)

    def url_of(self, kind: str, number: int) -> str:
        """Address of a thing in the API."""
        return f"{self.url}/repos/{self.repository}/{kind}/{number}"

    def user_of(self, header: str | None) -> User | None:
        """Whose request it is; None for an anonymous one."""
        if not header:
            return None
        user = self.users.get(header.partition(" ")[2].strip())
        if user is None:
            raise Refused(401, "Bad credentials")
        return user

    def add_comment(self, number: int, body: str, user: User) -> dict[str, Any]:
        """Make a comment on an issue or pull request."""
        id_ = self.number()
        made = {
            "id": id_,
            "number": number,
            "url": self.url_of("issues/comments", id_),
            "html_url": f"https://github.com/{self.repository}/pull/{number}#issuecomment-{id_}",
            "user": user.as_json(),
            "body": body,
            "created_at": now(),
            "updated_at": now(),
            "author_association": "CONTRIBUTOR",
            "performed_via_github_app": user.app,
        }
        self.comments[id_] = made
        return made

    def log(self, method: str, path: str, query: str) -> dict[str, Any]:
        """Write a request down; the rest of the entry comes with its answer."""
        entry = {"method": method, "path": path, "query": query, "status": 0, "fault": None}
        self.requests.append(entry)
        return entry

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        for fault in self.faults:
            if fault.method not in (None, method) or not re.search(fault.path or "", path):
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            return fault
        return None
