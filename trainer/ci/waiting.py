"""Commits whose model is being trained elsewhere, longer than a workflow may run.

Such a commit carries a check run ``training`` in progress, which names the run, its target and the
workflow run that asked. ``python3 -m trainer.ci.waiting`` counts them before anything is installed:
standard library only.
"""

import os
import sys
from typing import NamedTuple
from urllib.parse import quote

from trainer.ci import outputs
from trainer.ci.github import GitHub, GitHubError

CHECK = "training"
#: How many of the newest workflow runs are looked at.
_NEWEST = 100


class Waiting(NamedTuple):
    """One commit that waits for its model."""

    commit: str
    check: int
    fingerprint: str
    target: str
    run: int
    """Number of the workflow run that asked."""


def mark(github: GitHub, commit: str, fingerprint: str, target: str) -> None:
    """Show on a commit that its model is being trained elsewhere."""
    run = os.environ["GITHUB_RUN_ID"]
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    summary = (
        f"Run {fingerprint} goes on without this workflow, which is started again when its "
        f"candidate is stored. Its log: `trainer logs {fingerprint} --target {target}`."
    )
    body = {
        "name": CHECK,
        "head_sha": commit,
        "status": "in_progress",
        "external_id": f"{fingerprint}/{target}/{run}",
        "details_url": f"{server}/{github.repository}/actions/runs/{run}",
        "output": {"title": f"Being trained on {target}", "summary": summary},
    }
    github.post("check-runs", body)


def waiting(github: GitHub, workflow: str) -> list[Waiting]:
    """List the commits that wait, of the newest runs of a workflow that are not green."""
    path = f"actions/workflows/{quote(workflow)}/runs?status=failure&per_page={_NEWEST}"
    runs = github.get(path)["workflow_runs"]
    found = []
    for commit in dict.fromkeys(run["head_sha"] for run in runs):
        path = f"commits/{commit}/check-runs?check_name={CHECK}"
        for check in github.get(path)["check_runs"]:
            named = str(check["external_id"] or "").split("/")
            if check["status"] == "in_progress" and len(named) == 3:
                fingerprint, target, run = named
                found.append(Waiting(commit, check["id"], fingerprint, target, int(run)))
    return found


def settle(github: GitHub, one: Waiting, conclusion: str, title: str, summary: str) -> None:
    """End the check run of a commit."""
    output = {"title": title, "summary": summary}
    github.patch(f"check-runs/{one.check}", {"conclusion": conclusion, "output": output})


def run_again(github: GitHub, one: Waiting) -> None:
    """Start the workflow run that asked once more."""
    github.post(f"actions/runs/{one.run}/rerun", {})


def main(workflow: str = "train.yml") -> int:
    """Give ``waiting``, the number of commits that wait."""
    try:
        found = waiting(GitHub.from_environment(), workflow)
    except GitHubError as error:
        outputs.notice("collect", str(error), "error")
        return 2
    print(f"{len(found)} of the newest runs of {workflow} wait for a model trained elsewhere.")
    outputs.set_outputs(waiting=str(len(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
