"""The end of a run elsewhere, told to the repository that asked for it.

A ``repository_dispatch`` is all that GitHub takes from outside. It only wakes the workflow
``collect.yml``, which looks for itself what there is, and which wakes by the clock too: so a report
that is lost costs some minutes, and a forged one nothing.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2

#: Variables of the run: the repository, and a token that may write its contents.
REPORT_TO, REPORT_TOKEN = "REPORT_TO", "REPORT_TOKEN"
EVENT = "trained"
_TRIES, _PAUSE = 3, 5.0


def surroundings(repository: str) -> dict[str, str]:
    """Return the variables that a run needs to report to ``repository``."""
    api = os.environ.get("GITHUB_API_URL")
    return {REPORT_TO: repository} | ({"GITHUB_API_URL": api} if api else {})


@contextmanager
def told(fingerprint: str | None, say: Callable[[str], None]) -> Iterator[None]:
    """Report the end of what is done inside, however it ends, to whom `REPORT_TO` names."""
    try:
        yield
    finally:
        repository, token = os.environ.get(REPORT_TO), os.environ.get(REPORT_TOKEN)
        if repository and token:
            say(report(repository, token, fingerprint or ""))


def report(repository: str, token: str, fingerprint: str, *, pause: float = _PAUSE) -> str:
    """Tell a repository that a run has ended; return what came of it, since no run fails by it."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    body = {"event_type": EVENT, "client_payload": {"fingerprint": fingerprint}}
    why = ""
    for left in range(_TRIES - 1, -1, -1):
        try:
            answer = httpx2.post(
                f"{api}/repos/{repository}/dispatches", json=body, headers=headers, timeout=30
            )
        except httpx2.HTTPError as error:
            why = type(error).__name__
        else:
            if answer.status_code == 204:
                return f"Told {repository} that the run has ended."
            why = f"status {answer.status_code}"
            if answer.status_code < 500 and answer.status_code != 429:
                break
        if left:
            time.sleep(pause)
    return (
        f"{repository} could not be told that the run has ended ({why}); its workflow collect.yml "
        f"finds it by itself. {REPORT_TOKEN} needs to write the repository's contents."
    )
