"""Puts a review where it is read: one comment of the pull request, and one check of its commit.

Standard library only. Both are safe to repeat: what is there is looked for and changed in place.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from trainer.ci.github import GitHub, GitHubError
from trainer.review.texts import fitted

#: First line of the comment, not seen by readers: by it the comment is found again.
MARKER = "<!-- polyid-model-review -->"
CHECK = "model gate"
#: Whose comments a workflow's own token writes.
BOT = "github-actions[bot]"

_LONGEST_COMMENT, _LONGEST_SUMMARY, _LONGEST_TITLE = 65_535, 65_534, 200
_CUT = "**Cut here: too long for GitHub.** The whole review is the artifact `review` of the run."


def comment(github: GitHub, number: int, page: str) -> str:
    """Write the review of a pull request: a new comment, or the old one changed.

    Parameters
    ----------
    number
        The pull request's.
    page
        Markdown, cut if it is too long for GitHub.

    Returns
    -------
    str
        Address of the comment.

    Raises
    ------
    GitHubError
        If GitHub refuses or fails.
    """
    body = {"body": fitted(f"{MARKER}\n{page}", _LONGEST_COMMENT, _CUT)}
    me = _login(github)

    def find() -> list[dict[str, Any]]:
        found = github.pages(f"issues/{number}/comments?per_page=100")
        return [one for one in found if _is_ours(one, me)]

    def change(old: list[dict[str, Any]]) -> Any:
        for twin in old[1:]:  # of two runs at once, each may have written one
            github.delete(f"issues/comments/{twin['id']}")
        return github.patch(f"issues/comments/{old[0]['id']}", body)

    made = _once(find, change, lambda: github.post(f"issues/{number}/comments", body))
    return str(made.get("html_url", ""))


def check(
    github: GitHub, commit: str, conclusion: str, title: str, summary: str, run: str, run_url: str
) -> None:
    """Conclude the check ``model gate`` of a commit.

    Parameters
    ----------
    commit
        The head of the pull request.
    conclusion
        Of GitHub's conclusions.
    run
        Names this attempt of this run: a repeated call changes its own check.

    Raises
    ------
    GitHubError
        If GitHub refuses or fails.
    """
    body = {
        "name": CHECK,
        "head_sha": commit,
        "external_id": run,
        "details_url": run_url,
        "status": "completed",
        "conclusion": conclusion,
        "output": {
            "title": title[:_LONGEST_TITLE],
            "summary": fitted(summary, _LONGEST_SUMMARY, _CUT),
        },
    }
    where = f"commits/{commit}/check-runs?per_page=100&filter=all&check_name={quote(CHECK)}"

    def find() -> list[dict[str, Any]]:
        found = github.pages(where, "check_runs")
        return [one for one in found if one.get("external_id") == run]

    def change(old: list[dict[str, Any]]) -> Any:
        kept = {key: value for key, value in body.items() if key != "head_sha"}
        return github.patch(f"check-runs/{old[0]['id']}", kept)

    _once(find, change, lambda: github.post("check-runs", body))


def _once(
    find: Callable[[], list[dict[str, Any]]],
    change: Callable[[list[dict[str, Any]]], Any],
    make: Callable[[], Any],
) -> Any:
    """Change what is there or make it, so that one is there even if an answer is lost."""
    for last in (False, False, True):
        old = find()
        try:
            return change(old) if old else make()
        except GitHubError as error:
            # removed between looking and changing, or made without an answer: look again
            gone = bool(old) and error.status == 404
            if last or not (gone or (not old and error.unsettled)):
                raise
    raise AssertionError("the last try returns or raises")


def _login(github: GitHub) -> str:
    """Whose token it is; a workflow's own may not ask."""
    try:
        return str(github.get("/user")["login"])
    except GitHubError as error:
        if error.status == 403:
            return BOT
        raise


def _is_ours(found: dict[str, Any], me: str) -> bool:
    """Whether a comment is the review: anybody can write or quote the marker."""
    author = (found.get("user") or {}).get("login")
    return author == me and str(found.get("body") or "").startswith(MARKER)
