"""One comment per pull request and one check per run, whatever GitHub does."""

import pytest

from trainer.ci.github import GitHub, GitHubError
from trainer.review import deliver
from trainer.review.deliver import BOT, CHECK, MARKER

SHA = "a" * 40


@pytest.fixture
def client(github):
    return GitHub(github.url, github.repository, github.token, waits=(0, 0))


def conclude(client, conclusion="success", run="12-1", summary="s"):
    deliver.check(client, SHA, conclusion, "t", summary, run, "https://github.com/run")


def test_a_second_review_changes_the_first_ones_comment(github, client):
    deliver.comment(client, 7, "one")
    (first,) = github.comments(7)
    where = deliver.comment(client, 7, "two")
    (second,) = github.comments(7)
    assert first["id"] == second["id"]
    assert second["body"] == f"{MARKER}\ntwo"
    assert where == second["html_url"]


def test_it_is_found_behind_a_hundred_others(github, client):
    for i in range(130):
        github.say(7, f"comment {i}")
    deliver.comment(client, 7, "one")
    for i in range(130):
        github.say(7, f"comment {i}")
    deliver.comment(client, 7, "two")
    ours = [c for c in github.comments(7) if c["user"]["login"] == BOT]
    assert [c["body"] for c in ours] == [f"{MARKER}\ntwo"]


@pytest.mark.parametrize(
    ("login", "body"),
    [
        ("mallory", f"{MARKER}\nall is well"),
        (BOT, f"> {MARKER}\nquoted"),
        (BOT, f"coverage\n{MARKER}"),
        ("github-actions", f"{MARKER}\nall is well"),
    ],
)
def test_comments_of_others_and_quotations_are_left_alone(github, client, login, body):
    github.say(7, body, login)
    deliver.comment(client, 7, "one")
    assert [c["body"] for c in github.comments(7)] == [body, f"{MARKER}\none"]


def test_a_persons_token_finds_that_persons_comment(github):
    client = GitHub(github.url, github.repository, github.make_token("alice"), waits=())
    github.say(7, f"{MARKER}\nthe bot's", BOT)
    for text in ("one", "two"):
        deliver.comment(client, 7, text)
    assert [c["body"] for c in github.comments(7)] == [f"{MARKER}\nthe bot's", f"{MARKER}\ntwo"]


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_makes_no_second_comment(github, client, after):
    github.inject(502, method="POST", path="comments$", after=after)
    deliver.comment(client, 7, "one")
    assert [c["body"] for c in github.comments(7)] == [f"{MARKER}\none"]


def test_github_that_stays_away_is_an_error(github, client):
    github.inject(502, method="POST", path="comments$", times=9)
    with pytest.raises(GitHubError, match="502"):
        deliver.comment(client, 7, "one")


def test_a_comment_that_somebody_removes_meanwhile_is_made_anew(github, client):
    github.say(7, f"{MARKER}\nold", BOT)
    github.inject(404, method="PATCH", path="comments")
    github.inject(404, method="PATCH", path="comments")
    deliver.comment(client, 7, "one")
    assert github.comments(7)[0]["body"] == f"{MARKER}\none"


def test_of_two_comments_one_remains(github, client):
    for text in ("one", "two", "three"):
        github.say(7, f"{MARKER}\n{text}", BOT)
    deliver.comment(client, 7, "four")
    assert [c["body"] for c in github.comments(7)] == [f"{MARKER}\nfour"]


def test_no_right_to_comment_is_said(github):
    token = github.make_token(BOT, {"checks"}, bot=True)
    with pytest.raises(GitHubError, match="permissions"):
        deliver.comment(GitHub(github.url, github.repository, token, waits=()), 7, "one")


def test_what_is_too_long_is_cut_at_a_line_with_its_details_closed(github, client):
    page = "## verdict\n\n<details><summary>x</summary>\n\n" + "zwölf µm ≤ 3 🎉\n" * 9000
    deliver.comment(client, 7, page)
    body = github.comments(7)[0]["body"]
    assert len(body.encode()) <= 65_536
    assert body.startswith(f"{MARKER}\n## verdict\n")
    assert body.count("<details>") == body.count("</details>") == 1
    assert "Cut here" in body
    conclude(client, summary=page)
    summary = github.checks(SHA)[0]["output"]["summary"]
    assert len(summary.encode()) < 65_536
    assert "Cut here" in summary


@pytest.mark.parametrize("conclusion", ["success", "failure", "neutral", "cancelled"])
def test_the_check_concludes_as_the_verdict(github, client, conclusion):
    conclude(client, conclusion)
    (check,) = github.checks(SHA)
    assert (check["name"], check["status"], check["conclusion"]) == (CHECK, "completed", conclusion)
    assert check["output"]["summary"] == "s"


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_makes_no_second_check(github, client, after):
    github.inject(502, method="POST", path="check-runs$", after=after)
    conclude(client, "failure")
    assert [c["conclusion"] for c in github.checks(SHA)] == ["failure"]


def test_the_same_attempt_changes_its_check_and_another_makes_its_own(github, client):
    conclude(client, "failure", "12-1")
    conclude(client, "success", "12-1")
    conclude(client, "neutral", "12-2")
    assert [c["conclusion"] for c in github.checks(SHA)] == ["success", "neutral"]


def test_a_long_title_is_cut(github, client):
    deliver.check(client, SHA, "failure", "t" * 999, "s", "12-1", "https://github.com/run")
    assert len(github.checks(SHA)[0]["output"]["title"]) == 200
