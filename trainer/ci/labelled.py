"""A fork's change that a maintainer lets in by a label: ``python3 -m trainer.ci.labelled``.

The label holds for the commit that it was given for. That one is put on a branch of this
repository, and the workflow train is dispatched on the branch, so that its check `gate` is the
commit's own, which the pull request waits for. The label is used up by it, and by any refusal.
Standard library only, since the job may write.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polyid.errors import PolyIDError
from trainer.ci import outputs
from trainer.ci.github import GitHub, GitHubError

LABEL = "train"
WORKFLOW = "train.yml"
#: Who may push here may let a change in: GitHub counts maintainers among them, and triage not.
_MAY = ("admin", "write")


def hand_over(github: GitHub, event: Mapping[str, Any]) -> str:
    """Put the labelled commit on a branch, and dispatch its training; return the branch.

    Raises
    ------
    PolyIDError
        If who labelled it may not, or the pull request has another commit by now.
    """
    number, commit = int(event["number"]), str(event["pull_request"]["head"]["sha"])
    try:
        _require_maintainer(github, str(event["sender"]["login"]))
        now = github.get(f"pulls/{number}")["head"]["sha"]
        if now != commit:
            raise PolyIDError(
                f"The label was given for commit {commit[:12]}, and the pull request is at "
                f"{str(now)[:12]} by now. Read that one, and give the label again."
            )
        branch = f"review/{number}-{commit[:12]}"
        _put(github, branch, commit)
        github.post(f"actions/workflows/{WORKFLOW}/dispatches", {"ref": branch})
    finally:
        github.delete(f"issues/{number}/labels/{LABEL}")
    return branch


def _require_maintainer(github: GitHub, login: str) -> None:
    said = github.get(f"collaborators/{quote(login)}/permission")["permission"]
    if said not in _MAY:
        raise PolyIDError(
            f"{login} gave the label {LABEL} and has the permission {said!r} here; expected one "
            f"of {', '.join(_MAY)}. Let somebody who may push here read the change and give it."
        )


def _put(github: GitHub, branch: str, commit: str) -> None:
    try:
        github.post("git/refs", {"ref": f"refs/heads/{branch}", "sha": commit})
    except GitHubError as refusal:
        # it is there from an earlier label, or was made without an answer
        try:
            found = github.get(f"git/ref/heads/{branch}")["object"]["sha"]
        except GitHubError:
            found = None
        if found != commit:
            raise PolyIDError(
                f"The branch {branch} could not be made (status {refusal.status}). GitHub lets no "
                "workflow bring in a commit that changes workflows: push it by hand, as "
                "docs/setup.md says under forks."
            ) from None


def answer(github: GitHub, event: Mapping[str, Any]) -> tuple[bool, str]:
    """Do what the label asks, and tell the pull request; return whether it was done, and the text.

    Raises
    ------
    GitHubError
        If the pull request cannot be told.
    """
    commit = str(event["pull_request"]["head"]["sha"])
    try:
        branch = hand_over(github, event)
        done, text = True, (
            f"Commit {commit} is being trained on the branch `{branch}`. The check `gate` of it "
            "says what came of it, and its run has the report."
        )  # fmt: skip
    except PolyIDError as error:
        done, text = False, f"Nothing was trained. {error}"
    github.post(f"issues/{int(event['number'])}/comments", {"body": text})
    return done, text


def main() -> int:
    """Read the event from the environment; exit 1 if the change is not let in."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    try:
        done, text = answer(GitHub.from_environment(), event)
    except GitHubError as error:
        done, text = False, str(error)
    outputs.notice("fork", text, "notice" if done else "error")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
