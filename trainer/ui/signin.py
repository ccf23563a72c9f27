"""Who may see the page: everything is refused until somebody has signed in.

Two ways, one or both: a password that all share, and the Hub's own sign-in, held to a list of user
names. A signed cookie remembers who it was; nothing is kept on the server.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlencode, urlsplit

import jinja2
from huggingface_hub.utils import httpx
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from polyid.errors import PolyIDError

#: Key of the ASGI scope under which the signed-in name stands.
USER = "polyid_user"
_COOKIE, _STATE = "polyid_training", "polyid_sign_in"
_DAYS = 7
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class OAuth:
    """The Hub's sign-in, as a Space with ``hf_oauth: true`` is told it."""

    client: str
    secret: str
    provider: str
    scopes: str


@dataclass(frozen=True)
class Doors:
    """Ways in; none of them means that nobody is asked."""

    password: str | None = None
    users: frozenset[str] = frozenset()
    """Names on the Hub that may enter by its sign-in."""
    oauth: OAuth | None = None
    host: str | None = None
    """Where a Space is reached from outside."""

    @property
    def open(self) -> bool:
        """Whether nobody is asked."""
        return self.password is None and self.oauth is None

    @classmethod
    def of(cls, env: Mapping[str, str], bind: str) -> "Doors":
        """Read them from the environment.

        Raises
        ------
        PolyIDError
            If there is none, and the page would be reached from other machines.
        """
        users = frozenset(u.strip() for u in env.get("UI_USERS", "").split(",") if u.strip())
        names = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL")
        client, secret, provider = (env.get(name, "") for name in names)
        scopes = env.get("OAUTH_SCOPES", "openid profile")
        given = bool(client and secret and provider)
        oauth = OAuth(client, secret, provider, scopes) if given else None
        doors = cls(
            env.get("UI_PASSWORD") or None,
            users,
            oauth if users else None,
            env.get("SPACE_HOST", "").partition(",")[0] or None,
        )
        if doors.open and (bind not in _LOOPBACK or env.get("SPACE_ID")):
            raise PolyIDError(
                f"--host {bind}: this page starts runs that cost money, and nobody would have to "
                "sign in. Set the secret UI_PASSWORD, or in a Space with `hf_oauth: true` the "
                "variable UI_USERS to the names that may enter (name,name); or listen on "
                "127.0.0.1."
            )
        return doors


class SignIn:
    """Lets only those in who have signed in; an ASGI middleware around the whole page.

    Parameters
    ----------
    app
        What is behind the door.
    doors
        Ways in.
    """

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self.app, self.doors = app, doors
        # a restart signs everybody out where there is only a random key
        seed = (doors.password or "") + (doors.oauth.secret if doors.oauth else "")
        self._key = hashlib.sha256(f"polyid training {seed}".encode()).digest()
        self._pages = Starlette(
            routes=[
                Route("/sign-in", self._page, methods=["GET"]),
                Route("/sign-in", self._by_password, methods=["POST"]),
                Route("/sign-in/hub", self._to_hub, methods=["GET"]),
                Route("/login/callback", self._from_hub, methods=["GET"]),
                Route("/healthz", _health, methods=["GET"]),
            ]
        )
        self._own = {route.path for route in self._pages.routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or ask who it is."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        seen = HTTPConnection(scope)
        method = scope.get("method", "GET")
        if method not in _SAFE and not self._from_here(seen):
            refusal: Response = PlainTextResponse("Asked from another site.", 403)
            await refusal(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] in self._own:
            await self._pages(scope, receive, send)
            return
        user = "this machine" if self.doors.open else self._user(seen)
        if user is not None:
            await self.app({**scope, USER: user}, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        asked = seen.headers.get("accept", "")
        page = method == "GET" and "text/html" in asked
        answer = (
            RedirectResponse("/sign-in", 303)
            if page
            else JSONResponse({"detail": "Sign in first, at /sign-in."}, 401)
        )
        await answer(scope, receive, send)

    def _from_here(self, seen: HTTPConnection) -> bool:
        """Whether a browser asks from this very page; other programs do not say."""
        origin = seen.headers.get("origin")
        if origin is None:
            return True
        return urlsplit(origin).netloc in {seen.headers.get("host"), self.doors.host}

    def _user(self, seen: HTTPConnection) -> str | None:
        content = self._open(seen.cookies.get(_COOKIE, ""))
        return str(content["user"]) if content and "user" in content else None

    async def _page(self, request: Request) -> Response:
        if self.doors.open or self._user(request) is not None:
            return RedirectResponse("/", 303)
        return self._ask()

    def _ask(self, error: str = "", status: int = 200) -> Response:
        text = (resources.files("trainer") / "templates" / "ui_signin.html.j2").read_text("utf-8")
        page = jinja2.Environment(autoescape=True).from_string(text)
        oauth = "/sign-in/hub" if self.doors.oauth else None
        return HTMLResponse(
            page.render(error=error, oauth=oauth, password=self.doors.password is not None), status
        )

    async def _by_password(self, request: Request) -> Response:
        form = await request.form()
        user, given = str(form.get("user", "")).strip()[:80], str(form.get("password", ""))
        right = self.doors.password or ""
        if not right or not user or not hmac.compare_digest(given.encode(), right.encode()):
            return self._ask("This is not the password of this page.", 401)
        return self._enter(user)

    async def _to_hub(self, request: Request) -> Response:
        oauth = self.doors.oauth
        if oauth is None:
            return self._ask("There is no sign-in by the Hub here.", 404)
        state = secrets.token_urlsafe(24)
        query = {
            "client_id": oauth.client,
            "redirect_uri": self._callback(request),
            "response_type": "code",
            "scope": oauth.scopes,
            "state": state,
        }
        answer = RedirectResponse(f"{oauth.provider}/oauth/authorize?{urlencode(query)}", 303)
        self._give(answer, _STATE, {"state": state}, 600)
        return answer

    async def _from_hub(self, request: Request) -> Response:
        oauth, asked = self.doors.oauth, self._open(request.cookies.get(_STATE, ""))
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        if oauth is None or asked is None or not code or asked.get("state") != state:
            return self._ask("The sign-in was cut off: try again.", 400)
        try:
            async with httpx.AsyncClient(timeout=30) as client:
                tokens = await client.post(
                    f"{oauth.provider}/oauth/token",
                    data={
                        "grant_type": "authorization_code",
                        "code": code,
                        "redirect_uri": self._callback(request),
                        "client_id": oauth.client,
                    },
                    auth=(oauth.client, oauth.secret),
                )
                tokens.raise_for_status()
                bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
                told = await client.get(f"{oauth.provider}/oauth/userinfo", headers=bearer)
                told.raise_for_status()
                name = str(told.json()["preferred_username"])
        except (httpx.HTTPError, KeyError, ValueError):
            return self._ask("The Hub did not say who you are: try again.", 502)
        if name not in self.doors.users:
            return self._ask(f"{name} is not among the users of this page (UI_USERS).", 403)
        return self._enter(name)

    def _callback(self, request: Request) -> str:
        host = self.doors.host
        return f"https://{host}/login/callback" if host else str(request.url_for("_from_hub"))

    def _enter(self, user: str) -> Response:
        answer = RedirectResponse("/", 303)
        self._give(answer, _COOKIE, {"user": user}, _DAYS * 86400)
        return answer

    def _give(self, answer: Response, name: str, content: dict[str, str], seconds: int) -> None:
        """Set a signed cookie. A Space is shown inside another site's frame."""
        framed = self.doors.host is not None
        answer.set_cookie(
            name,
            self._sign(content | {"until": str(int(time.time()) + seconds)}),
            max_age=seconds,
            httponly=True,
            secure=framed,
            samesite="none" if framed else "lax",
        )

    def _sign(self, content: dict[str, str]) -> str:
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{body}.{hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()}"

    def _open(self, cookie: str) -> dict[str, str] | None:
        body, _, mark = cookie.partition(".")
        right = hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(mark.encode(), right.encode()):
            return None
        content: dict[str, str] = json.loads(base64.urlsafe_b64decode(body))
        return content if int(content["until"]) > time.time() else None


async def _health(request: Request) -> Response:
    return JSONResponse({"ok": True})


def take_secret(name: str) -> str | None:
    """Read a secret and take it out of the environment: what is started here need not know it."""
    return os.environ.pop(name, None)
