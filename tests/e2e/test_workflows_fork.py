"""The workflow that hears a maintainer's label: as text, and run by act."""

from pathlib import Path
from typing import Any

import pytest
import workflow_rules as rules
import yaml
from act_kit import REPOSITORY, Workshop
from github_kit import GitHub
from road_kit import small_table

FORK = Path(__file__).parents[2] / ".github" / "workflows" / "fork.yml"


def parsed() -> rules.Workflow:
    return yaml.safe_load(FORK.read_text())


def test_nothing_of_the_fork_is_checked_out_or_run():
    assert rules.no_dangerous_trigger(parsed(), "") == []
    (job,) = parsed()["jobs"].values()
    assert set(job["permissions"]) == {"contents", "actions", "pull-requests"}


HEAD = "${{ github.event.pull_request.head.sha }}"


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "actions/checkout@" + "a" * 40, "with": {"ref": HEAD}},
        {"uses": "actions/checkout@" + "a" * 40, "with": {"repository": "eve/code"}},
        {"uses": "somebody/label@" + "a" * 40},
        {"run": "make setup"},
        {"run": "python3 -m trainer.ci.labelled", "env": {"T": "${{ secrets.HF_TOKEN }}"}},
    ],
)
def test_a_step_that_could_is_found(step: dict[str, Any]):
    workflow = parsed()
    workflow["jobs"]["hand-over"]["steps"].append(step)
    assert rules.no_dangerous_trigger(workflow, "") == ["pull_request_target"]


def test_another_event_of_a_pull_request_is_found():
    workflow = parsed()
    rules.triggers(workflow)["pull_request_target"]["types"] = ["labeled", "synchronize"]
    assert rules.no_dangerous_trigger(workflow, "") == ["pull_request_target"]


def labelled(shop: Workshop, label: str, head: str) -> dict[str, Any]:
    event = shop.request(6, head=head)
    return event | {"action": "labeled", "label": {"name": label}, "sender": {"login": "alice"}}


@pytest.mark.slow
def test_a_label_has_the_commit_dispatched_and_no_other_label_does(
    tmp_path: Path, property_table: Path
):
    shop = Workshop.made(tmp_path, small_table(property_table))
    with GitHub.start(REPOSITORY) as github:
        shop.on(github)
        github.permit("alice", "admin")
        commit = shop.git("rev-parse", "HEAD")
        github.pull(6, commit, fork=True)
        github.label(6, "train")
        for event in (labelled(shop, "data", "eve/code"), labelled(shop, "train", REPOSITORY)):
            ran = shop.run("pull_request_target", "fork.yml", event)
            assert ran.code == 0, ran.output
            assert "hand-over" not in ran.jobs
            assert github.labels(6) == ["train"]
        ran = shop.run("pull_request_target", "fork.yml", labelled(shop, "train", "eve/code"))
        assert ran.code == 0, ran.output
        assert github.refs == {f"refs/heads/review/6-{commit[:12]}": commit}
        assert [s["workflow"] for s in github.started] == ["train.yml"]
        assert github.labels(6) == []
