"""Nobody sees the page without signing in: by a password, or by the Hub and a list of names."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn
from road_kit import ROOT, wait_for
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from polyid.errors import PolyIDError
from trainer.ui.signin import USER, Doors, OAuth, SignIn


async def page(scope: Any, receive: Any, send: Any) -> None:
    """What is behind the door: says who is there."""
    if scope["type"] == "http":
        request = Request(scope, receive)
        await PlainTextResponse(f"{request.method}: {scope[USER]}")(scope, receive, send)


@contextmanager
def serving(doors: Doors) -> Iterator[httpx2.Client]:
    config = uvicorn.Config(SignIn(page, doors), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def enter(client: httpx2.Client, password: str) -> httpx2.Response:
    return client.post("/sign-in", data={"user": "Ann", "password": password})


def test_without_the_password_nothing_is_seen():
    with serving(Doors("right")) as client:
        seen = client.get("/", headers={"accept": "text/html"})
        assert (seen.status_code, seen.headers["location"]) == (303, "/sign-in")
        for path in ("/gradio_api/info", "/config", "/anything", "/sign-in/../config"):
            assert client.get(path).status_code == 401
        assert client.post("/gradio_api/queue/join", json={}).status_code == 401
        assert "Password of this page" in client.get("/sign-in").text
        assert enter(client, "wrong").status_code == 401
        assert client.get("/").status_code == 401
        assert client.get("/healthz").json() == {"ok": True}


def test_the_password_opens_for_a_name_and_the_cookie_cannot_be_forged():
    with serving(Doors("right")) as client:
        assert enter(client, "right").status_code == 303
        assert client.get("/").text == "GET: Ann"
        assert client.get("/sign-in").status_code == 303  # in already
        cookie = client.cookies["polyid_training"]
        body, _, mark = cookie.partition(".")
        for forged in (f"{body}x.{mark}", f"{body}.{'0' * 64}", body, "", "é."):
            client.cookies.clear()
            given = {"cookie": f"polyid_training={forged}".encode()}
            assert client.get("/", headers=given).status_code == 401, forged
    with serving(Doors("another")) as client:  # a new password signs everybody out
        given = {"cookie": f"polyid_training={cookie}"}
        assert client.get("/", headers=given).status_code == 401


def test_another_site_cannot_press_the_buttons_of_who_is_signed_in():
    with serving(Doors("right")) as client:
        enter(client, "right")
        own = str(client.base_url).rstrip("/")
        for origin, status in ((own, 200), ("https://evil.example", 403), ("null", 403)):
            assert client.post("/x", headers={"origin": origin}).status_code == status


class Provider(BaseHTTPRequestHandler):
    """The Hub's sign-in as far as this page sees it; the code is who it is."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012 - of the one server of a test

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
        self.seen.append(form | {"authorization": self.headers["authorization"]})
        self._answer({"access_token": form["code"]}, 400 if form["code"] == "bad" else 200)

    def do_GET(self) -> None:
        name = self.headers["authorization"].removeprefix("Bearer ")
        self._answer({"preferred_username": name}, 200)

    def _answer(self, content: dict[str, Any], status: int) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [("ann", 303, ""), ("eve", 403, "not among the users"), ("bad", 502, "did not say who")],
)
def test_the_hub_says_who_it_is_and_the_list_says_whether_that_will_do(
    provider: str, code: str, status: int, text: str
):
    Provider.seen.clear()
    oauth = OAuth("client", "hidden", provider, "openid profile")
    with serving(Doors(None, frozenset({"ann", "bob"}), oauth)) as client:
        assert "Sign in with Hugging Face" in client.get("/sign-in").text
        away = urlsplit(client.get("/sign-in/hub").headers["location"])
        asked = {k: v[0] for k, v in parse_qs(away.query).items()}
        assert asked["redirect_uri"] == f"{str(client.base_url).rstrip('/')}/login/callback"
        back = client.get("/login/callback", params={"code": code, "state": asked["state"]})
        assert back.status_code == status, back.text
        assert text in back.text
        assert Provider.seen[0]["client_id"] == "client"
        assert Provider.seen[0]["authorization"].startswith("Basic ")
        entered = client.get("/").text == "GET: ann"
        assert entered == (status == 303)


def test_a_sign_in_that_nobody_began_is_refused(provider: str):
    oauth = OAuth("client", "hidden", provider, "openid profile")
    with serving(Doors(None, frozenset({"ann"}), oauth)) as client:
        for state in ("", "guessed"):
            given = {"code": "ann", "state": state}
            assert client.get("/login/callback", params=given).status_code == 400
        assert client.get("/").status_code == 401


HUB = {"OAUTH_CLIENT_ID": "a", "OAUTH_CLIENT_SECRET": "b", "OPENID_PROVIDER_URL": "https://x"}


@pytest.mark.parametrize(
    ("env", "bind", "opens"),
    [
        ({}, "127.0.0.1", True),
        ({}, "0.0.0.0", False),  # noqa: S104
        ({"SPACE_ID": "a/b"}, "127.0.0.1", False),
        ({"UI_PASSWORD": "x"}, "0.0.0.0", True),  # noqa: S104
        (HUB, "0.0.0.0", False),  # noqa: S104 - everybody on the Hub is no list
        (HUB | {"UI_USERS": "ann, bob"}, "0.0.0.0", True),  # noqa: S104
    ],
)
def test_a_page_without_a_door_is_served_on_this_machine_only(env, bind, opens):
    if opens:
        doors = Doors.of(env, bind)
        assert doors.open == (env == {})
    else:
        with pytest.raises(PolyIDError, match="UI_PASSWORD"):
            Doors.of(env, bind)


@pytest.mark.slow
def test_the_command_refuses_to_listen_to_all_without_a_sign_in(tmp_path):
    command = [sys.executable, "-m", "trainer.cli", "ui", "--host", "0.0.0.0"]  # noqa: S104
    done = subprocess.run(
        [*command, "--work", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "nobody would have to sign in" in " ".join(done.stderr.split())
