"""The client for GitHub's API, against a GitHub that answers over HTTP."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trainer.ci.github import GitHub, GitHubError

SHA = "a" * 40


@pytest.fixture
def client(github):
    return GitHub(github.url, github.repository, github.token, waits=(0, 0))


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes = b"[]") -> Iterator[list[str]]:
    """Serve one answer on loopback; yields its address and what was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        asked.append(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def test_all_pages_are_read(github, client):
    for i in range(45):
        github.say(7, f"comment {i}")
    found = client.pages("issues/7/comments?per_page=20")
    assert [one["body"] for one in found] == [f"comment {i}" for i in range(45)]
    assert len(github.requests("GET")) == 3


def test_the_token_follows_neither_links_nor_redirects_to_another_origin(client):
    with answering(200, {}) as foreign:
        link = {"Link": f'<{foreign[0]}/next?page=2>; rel="next"'}
        with answering(200, link) as asked:
            with pytest.raises(GitHubError, match="not followed"):
                list(GitHub(asked[0], "acme/polymers", "secret").pages("issues/7/comments"))
            assert asked[1] == "/repos/acme/polymers/issues/7/comments Bearer secret"
        with answering(302, {"Location": f"{foreign[0]}/elsewhere"}) as asked:
            with pytest.raises(GitHubError, match="302"):
                GitHub(asked[0], "acme/polymers", "secret", waits=()).get("pulls/7")
            assert len(asked) == 2
        assert len(foreign) == 1


@pytest.mark.parametrize("url", ["http://example.org", "ftp://127.0.0.1", "api.github.com"])
def test_the_token_is_not_sent_in_the_open(url):
    with pytest.raises(GitHubError, match="expected an https address"):
        GitHub(url, "acme/polymers", "secret")


@pytest.mark.parametrize("status", [502, 503, 429])
def test_what_may_be_repeated_is(github, client, status):
    github.inject(status, times=2)
    assert client.get("issues/7/comments") == []
    assert [r["fault"] for r in github.requests()] == [status, status, None]


def test_it_ends_when_github_stays_away(github, client):
    github.inject(502, times=9)
    with pytest.raises(GitHubError, match=r"GitHub says 502.*Run the job again") as caught:
        client.get("issues/7/comments")
    assert caught.value.unsettled
    assert len(github.requests()) == 3


def test_a_creation_is_asked_for_once_unless_it_was_refused_for_its_haste(github, client):
    github.inject(502, method="POST")
    with pytest.raises(GitHubError) as caught:
        client.post("issues/7/comments", {"body": "one"})
    assert caught.value.unsettled
    assert len(github.requests("POST")) == 1
    github.inject(403, method="POST", headers={"Retry-After": "0"}, message="secondary rate limit")
    assert client.post("issues/7/comments", {"body": "one"})["body"] == "one"
    assert len(github.comments(7)) == 1


def test_a_wait_that_is_too_long_is_an_error(github, client):
    github.inject(429, headers={"Retry-After": "3600"})
    with pytest.raises(GitHubError, match="429"):
        client.get("issues/7/comments")
    assert len(github.requests()) == 1


@pytest.mark.parametrize(
    ("who", "advice"),
    [("wrong", "token is not valid"), ("reader", "see `permissions` of the job")],
)
def test_a_refusal_says_what_is_missing_and_not_the_token(github, who, advice):
    given = github.make_token("bot", (), bot=True) if who == "reader" else "ghs_secret"
    client = GitHub(github.url, github.repository, given, waits=())
    with pytest.raises(GitHubError, match=advice) as caught:
        client.post("issues/7/comments", {"body": "one"})
    assert given not in str(caught.value)


def test_details_of_a_refusal_are_shown(github, client):
    with pytest.raises(GitHubError, match=r"Validation Failed.*missing_field"):
        client.post("issues/7/comments", {"body": " "})


def test_nobody_there_is_unsettled():
    with pytest.raises(GitHubError, match="no answer from GitHub") as caught:
        GitHub("http://127.0.0.1:9", "acme/polymers", "t", waits=()).get("pulls/7")
    assert caught.value.unsettled


def test_what_is_gone_already_is_removed(client):
    client.delete("issues/comments/12345")
    with pytest.raises(GitHubError, match="404"):
        client.get("issues/comments/12345")


def test_the_environment_is_read_or_asked_for(github, monkeypatch):
    for name in ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(GitHubError, match="GITHUB_TOKEN not set"):
        GitHub.from_environment()
    for name, value in github.env().items():
        monkeypatch.setenv(name, value)
    assert GitHub.from_environment().get("pulls/7?x=") if github.pull(7, SHA) else True
