"""The GitHub for tests answers as GitHub's REST API does."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from github_kit import BOT, GitHub

SHA = "a" * 40


@pytest.fixture
def call(github: GitHub) -> Any:
    def send(method: str, path: str, token: str | None = "", **content: Any) -> httpx.Response:
        token = github.token if token == "" else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = path if path.startswith("http") else f"{github.url}/repos/acme/polymers/{path}"
        json = {"json": content} if content else {}
        return httpx.request(method, url, headers=headers, **json, trust_env=False)

    return send


def test_comments_come_in_pages_linked_by_number(github: GitHub, call: Any) -> None:
    for i in range(45):
        github.say(7, f"comment {i}")
    first = call("GET", "issues/7/comments?per_page=20")
    assert len(first.json()) == 20
    assert 'rel="last"' in first.headers["Link"]
    seen = [c["body"] for c in first.json()]
    page = first
    while "next" in page.links:
        assert "/repositories/" in page.links["next"]["url"]
        page = call("GET", page.links["next"]["url"])
        seen += [c["body"] for c in page.json()]
    assert seen == [f"comment {i}" for i in range(45)]
    assert call("GET", "issues/8/comments").json() == []


def test_a_comment_is_made_edited_and_deleted(github: GitHub, call: Any) -> None:
    made = call("POST", "issues/7/comments", body="one")
    assert made.status_code == 201
    assert made.json()["user"]["login"] == BOT
    path = f"issues/comments/{made.json()['id']}"
    assert call("PATCH", path, body="two").json()["body"] == "two"
    assert [c["body"] for c in github.comments(7)] == ["two"]
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        (None, 401, "Requires authentication"),
        ("ghp_wrong", 401, "Bad credentials"),
        ("(reader)", 403, "Resource not accessible by integration"),
    ],
)
def test_who_may_not_write_is_refused(
    github: GitHub, call: Any, token: str | None, status: int, message: str
) -> None:
    if status == 403:
        token = github.make_token(BOT, (), bot=True)
    done = call("POST", "issues/7/comments", token, body="one")
    assert (done.status_code, done.json()["message"]) == (status, message)
    assert github.comments(7) == []


@pytest.mark.parametrize("body", ["", "  ", "x" * 65_537])
def test_a_faulty_comment_is_422(call: Any, body: str) -> None:
    done = call("POST", "issues/7/comments", body=body)
    assert done.status_code == 422
    assert done.json()["message"] == "Validation Failed"
    assert done.json()["errors"][0]["resource"] == "IssueComment"


def test_a_check_run_ends_with_a_conclusion(github: GitHub, call: Any) -> None:
    made = call("POST", "check-runs", name="model gate", head_sha=SHA, status="in_progress")
    assert made.status_code == 201
    path = f"check-runs/{made.json()['id']}"
    assert call("PATCH", path, status="completed").status_code == 422
    assert call("PATCH", path, conclusion="wonderful").status_code == 422
    output = {"title": "t", "summary": "s"}
    assert call("PATCH", path, conclusion="neutral", output=output).status_code == 200
    found = call("GET", f"commits/{SHA}/check-runs?check_name=model%20gate").json()
    assert found["total_count"] == 1
    assert found["check_runs"][0]["conclusion"] == "neutral"
    assert github.checks(SHA)[0]["status"] == "completed"
    assert call("POST", "check-runs", name="x", head_sha="short").status_code == 422
    other = github.make_token("alice")
    assert call("PATCH", path, other, conclusion="success").status_code == 403


def test_tags_and_refs(github: GitHub, call: Any) -> None:
    tag = call("POST", "git/tags", tag="v1.0.0", message="m", object=SHA, type="commit").json()
    assert call("POST", "git/refs", ref="refs/tags/v1.0.0", sha=tag["sha"]).status_code == 201
    again = call("POST", "git/refs", ref="refs/tags/v1.0.0", sha=tag["sha"])
    assert (again.status_code, again.json()["message"]) == (422, "Reference already exists")
    assert call("GET", "git/ref/tags/v1.0.0").json()["object"]["type"] == "tag"
    assert github.refs == {"refs/tags/v1.0.0": SHA}
    assert call("GET", "git/ref/tags/v2.0.0").status_code == 404


def test_labels_and_dispatches(github: GitHub, call: Any) -> None:
    call("POST", "issues/7/labels", labels=["train"])
    assert [one["name"] for one in call("GET", "issues/7/labels").json()] == ["train"]
    assert call("DELETE", "issues/7/labels/train").json() == []
    assert call("DELETE", "issues/7/labels/train").status_code == 404
    done = call("POST", "dispatches", event_type="done", client_payload={"run": "1"})
    assert done.status_code == 204
    assert github.dispatches == [{"event_type": "done", "client_payload": {"run": "1"}}]
    many = {str(i): i for i in range(11)}
    assert call("POST", "dispatches", event_type="x", client_payload=many).status_code == 422


def test_faults_before_and_after_the_work(github: GitHub, call: Any) -> None:
    github.inject(502, method="POST", path="comments", after=True)
    assert call("POST", "issues/7/comments", body="one").status_code == 502
    assert len(github.comments(7)) == 1
    github.inject(429, headers={"Retry-After": "3"}, message="slow down")
    limited = call("GET", "issues/7/comments")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")
    assert call("GET", "issues/7/comments").status_code == 200
    assert [r["fault"] for r in github.requests()] == [502, 429, None]
    assert github.requests("POST")[0]["executed"] == 201


def test_what_is_not_there_is_404(call: Any) -> None:
    assert call("GET", "nothing/of/this").json()["message"] == "Not Found"
