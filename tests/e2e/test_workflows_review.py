"""The job that writes to pull requests, as text: what it may do, holds and runs."""

from pathlib import Path
from typing import Any

import pytest
import workflow_rules as rules
import yaml

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"
MAY_BE_USED = {"actions/checkout", "actions/download-artifact"}


def faults(job: dict[str, Any]) -> list[str]:
    """Return what such a job must not have, and what it lacks."""
    found = []
    if "secrets." in str(job) or "environment" in job:
        found.append("it holds a secret")
    used = {s["uses"].partition("@")[0] for s in job["steps"] if "uses" in s}
    if used - MAY_BE_USED:
        found.append("it runs code of others")
    if [s["run"] for s in job["steps"] if "run" in s] != ["python3 -m trainer.review.post"]:
        found.append("it does more than deliver")
    for needed in ("always()", "'pull_request'", "foreign == 'false'"):
        if needed not in job["if"]:
            found.append(f"it does not ask for {needed}")
    return found


def review() -> dict[str, Any]:
    return yaml.safe_load((WORKFLOWS / "train.yml").read_text())["jobs"]["review"]


def test_it_holds_no_secret_installs_nothing_and_sees_no_fork():
    assert faults(review()) == []
    assert set(review()["permissions"].items()) == {
        ("contents", "read"), ("pull-requests", "write"), ("checks", "write"), ("actions", "read"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"environment": "train"},
        {"env": {"HF_TOKEN": "${{ secrets.HF_TOKEN }}"}},
        {"if": "always()"},
        {"if": "github.event_name == 'pull_request' && foreign == 'false'"},
        {"steps": [{"uses": "somebody/comment@" + "a" * 40}]},
        {"steps": [{"run": "make setup"}, {"run": "python3 -m trainer.review.post"}]},
    ],
)
def test_a_job_that_does_is_found(change):
    assert faults(review() | change)


def test_no_other_job_may_write_to_pull_requests():
    for path in WORKFLOWS.glob("*.yml"):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            if job.get("permissions", {}).get("pull-requests") == "write":
                assert (path.name, name) in {("train.yml", "review"), ("fork.yml", "hand-over")}


def test_a_failed_delivery_does_not_change_the_verdict():
    jobs = yaml.safe_load((WORKFLOWS / "train.yml").read_text())["jobs"]
    assert "review" not in jobs["gate"]["needs"]
    assert "pull_request" in rules.triggers(yaml.safe_load((WORKFLOWS / "train.yml").read_text()))
