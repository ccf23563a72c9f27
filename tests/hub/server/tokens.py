"""Tokens and what each may do; ``whoami``."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response
from wire import Call, RefusalError, route, stamp

ROLES = ("read", "write", "fineGrained")


@dataclass(frozen=True)
class Token:
    """A token: of whom, with which role; ``repos`` are what a fine-grained one may write.

    An entry of ``repos`` is ``ns/name`` (any kind), ``models/ns/name`` (that kind only) or a bare
    ``ns`` (all of it, creation and jobs included).
    """

    value: str
    name: str
    user: str
    role: str
    repos: tuple[str, ...] = ()
    jobs: bool = False
    orgs: tuple[str, ...] = ()
    expires: float | None = None
    made: float = 0.0
    oidc: bool = False

    def namespaces(self) -> tuple[str, ...]:
        return (self.user, *self.orgs)

    def may_read(self, kind: str, repo_id: str) -> bool:
        """Whether a private repository can be seen with it."""
        if self.role == "fineGrained":
            return self._listed(kind, repo_id)
        return repo_id.split("/")[0] in self.namespaces()

    def may_write(self, kind: str, repo_id: str) -> bool:
        if self.role == "fineGrained":
            return self._listed(kind, repo_id)
        return self.role == "write" and repo_id.split("/")[0] in self.namespaces()

    def may_create(self, namespace: str) -> bool:
        """Whether it may make, move and delete repositories there."""
        if self.role == "fineGrained":
            return namespace in self.repos
        return self.role == "write" and namespace in self.namespaces()

    def may_job(self, namespace: str) -> bool:
        if self.role == "fineGrained":
            return self.jobs or namespace in self.repos
        return self.role == "write" and namespace in self.namespaces()

    def _listed(self, kind: str, repo_id: str) -> bool:
        wanted = {repo_id, f"{kind}/{repo_id}", repo_id.split("/")[0]}
        return not wanted.isdisjoint(self.repos)


class Tokens:
    """All tokens of a server, by their value."""

    def __init__(self) -> None:
        self._by_value: dict[str, Token] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def make(
        self,
        name: str = "owner",
        role: str = "write",
        repos: list[str] | None = None,
        namespace: str = "acme",
        *,
        jobs: bool = False,
        orgs: list[str] | None = None,
        seconds: float | None = None,
        prefix: str = "hf_",
        oidc: bool = False,
    ) -> Token:
        """Make a token of user ``namespace`` that lives for ``seconds`` (for ever without)."""
        if role not in ROLES:
            raise ValueError(f"role {role!r}, expected one of {', '.join(ROLES)}")
        value = prefix + secrets.token_hex(17)
        expires = None if seconds is None else time.time() + seconds
        token = Token(
            value,
            name,
            namespace,
            role,
            tuple(repos or ()),
            jobs,
            tuple(orgs or ()),
            expires,
            time.time(),
            oidc,
        )
        with self._lock:
            self._by_value[value] = token
        return token

    def revoke(self, value: str) -> None:
        with self._lock:
            self._by_value.pop(value, None)

    def find(self, header: str | None) -> Token | None:
        """The token of an Authorization header, None when there is none or it is not known."""
        token = self._by_value.get((header or "").removeprefix("Bearer ").strip())
        if token and token.expires is not None and token.expires < time.time():
            return None
        return token

    def of(self, header: str | None) -> Token | None:
        """The token of a header, or a refusal (401) when it is not a known one."""
        if not header:
            return None
        token = self.find(header)
        if token is None:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return token


def whoami(call: Call) -> Response:
    who = call.who
    if who is None:
        raise RefusalError(401, "Invalid username or password.")
    access: dict = {"displayName": who.name, "role": who.role, "createdAt": stamp(who.made)}
    if who.role == "fineGrained":
        scoped = []
        for entry in who.repos:
            kind, _, rest = entry.rpartition("/")[0].rpartition("/")
            named = {"models": "model", "datasets": "dataset", "spaces": "space"}.get(kind or rest)
            if "/" not in entry:
                entity = {"type": "user", "name": entry}
            else:
                name = "/".join(entry.split("/")[-2:])
                entity = {"type": named or "model", "name": name}
            granted = ["repo.content.read", "repo.write"]
            scoped.append({"entity": {"_id": entry, **entity}, "permissions": granted})
        everywhere = ["job.write"] if who.jobs else []
        access["fineGrained"] = {
            "canReadGatedRepos": False,
            "global": everywhere,
            "scoped": scoped,
        }
    orgs = [{"type": "org", "name": o, "fullname": o, "roleInOrg": "write"} for o in who.orgs]
    answer: dict = {"type": "user", "id": f"id-{who.user}", "name": who.user, "fullname": who.user}
    answer |= {"isPro": True, "canPay": True, "orgs": orgs}
    answer["auth"] = {"type": "access_token", "accessToken": access}
    return JSONResponse(answer)


ROUTES = [route("/api/whoami-v2", "GET", whoami)]
