"""A maintainer's label lets in the commit that it was given for, and no other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from github_kit import GitHub

ROOT = Path(__file__).parents[2]
SHA, LATER = "a" * 40, "b" * 40


def event(commit: str = SHA, sender: str = "alice") -> dict[str, Any]:
    return {
        "action": "labeled", "number": 4, "label": {"name": "train"}, "sender": {"login": sender},
        "pull_request": {"head": {"sha": commit, "repo": {"full_name": "eve/polymers"}}},
    }  # fmt: skip


@pytest.fixture
def labelled(github: GitHub) -> GitHub:
    """A fork's pull request with the label, which somebody who may push here has given."""
    github.pull(4, SHA, fork=True)
    github.label(4, "train")
    github.label(4, "data")
    github.permit("alice", "write")
    return github


def heard(github: GitHub, tmp_path: Path, content: dict[str, Any]) -> tuple[int, str]:
    """Run the step, with nothing installed; return its exit code and what it says."""
    place = tmp_path / "event.json"
    place.write_text(json.dumps(content))
    env = github.env() | {"GITHUB_EVENT_PATH": str(place), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-m", "trainer.ci.labelled"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_the_labelled_commit_is_trained_on_a_branch_and_the_label_is_used_up(labelled, tmp_path):
    code, said = heard(labelled, tmp_path, event())
    branch = f"review/4-{SHA[:12]}"
    assert code == 0, said
    (comment,) = labelled.comments(4)
    assert f"Commit {SHA} is being trained on the branch `{branch}`" in comment["body"]
    assert labelled.refs == {f"refs/heads/{branch}": SHA}
    assert labelled.started == [{"workflow": "train.yml", "ref": branch, "inputs": {}}]
    assert labelled.labels(4) == ["data"]


def test_a_second_label_for_the_same_commit_asks_again(labelled, tmp_path):
    for _ in range(2):
        assert heard(labelled, tmp_path, event())[0] == 0
        labelled.label(4, "train")
    assert len(labelled.started) == 2
    assert len(labelled.refs) == 1


def refused(github: GitHub, tmp_path: Path, content: dict[str, Any]) -> str:
    code, said = heard(github, tmp_path, content)
    assert code == 1
    assert github.started == []
    assert github.labels(4) == ["data"]
    (comment,) = github.comments(4)
    assert comment["body"].startswith("Nothing was trained. ")
    return said


def test_a_commit_that_came_after_is_not_let_in(labelled, tmp_path):
    labelled.pull(4, LATER, fork=True)
    said = refused(labelled, tmp_path, event())
    assert f"given for commit {SHA[:12]}, and the pull request is at {LATER[:12]}" in said
    assert labelled.refs == {}


@pytest.mark.parametrize("permission", ["read", "none"])
def test_who_may_not_push_here_lets_nothing_in(labelled, tmp_path, permission):
    labelled.permit("mallory", permission)
    said = refused(labelled, tmp_path, event(sender="mallory"))
    assert f"mallory gave the label train and has the permission '{permission}'" in said
    assert labelled.refs == {}


def test_a_commit_that_changes_workflows_is_to_be_pushed_by_hand(labelled, tmp_path):
    message = "refusing to allow a GitHub App to create or update workflow without `workflows`"
    labelled.inject(403, method="POST", path="/git/refs$", message=message)
    assert "push it by hand" in refused(labelled, tmp_path, event())


def test_a_branch_at_another_commit_is_not_taken_for_it(labelled, tmp_path):
    with labelled.state.lock:
        labelled.state.refs[f"refs/heads/review/4-{SHA[:12]}"] = LATER
    assert "could not be made" in refused(labelled, tmp_path, event())


def test_a_dispatch_that_fails_is_said(labelled, tmp_path):
    labelled.inject(403, path="dispatches", message="no")
    assert "see `permissions` of the job" in refused(labelled, tmp_path, event())


def test_a_pull_request_that_cannot_be_told_is_a_failure(labelled, tmp_path):
    labelled.inject(403, method="POST", path="comments", message="no")
    code, said = heard(labelled, tmp_path, event())
    assert code == 1
    assert "comments: GitHub says 403" in said
