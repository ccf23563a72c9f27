"""Commits whose model is trained elsewhere: marked, found, and run again when it is there."""

import subprocess
import sys
from pathlib import Path

import pytest
from github_kit import GitHub as Hosted
from registry_kit import Run

from trainer.ci.collect import collect
from trainer.ci.github import GitHub, GitHubError
from trainer.ci.waiting import CHECK, mark
from trainer.registry import LocalRegistry
from trainer.reporting import report
from trainer.targets import Handle

ROOT = Path(__file__).parents[2]
SHA, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def job(github: Hosted, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """The API as a job of run 7 sees it, which asked for a model of a commit."""
    for name, value in (github.env() | {"GITHUB_RUN_ID": "7"}).items():
        monkeypatch.setenv(name, value)
    github.workflow_ran(7, SHA, "failure")
    github.workflow_ran(8, OTHER, "failure")  # for another reason
    return GitHub.from_environment()


def live(*fingerprints: str):
    """Return what says that these runs are live."""
    return lambda target, mark: [Handle(target, "1", "", mark)] if mark in fingerprints else []


def state(github: Hosted) -> tuple[str, str | None]:
    (check,) = (c for c in github.checks(SHA) if c["name"] == CHECK)
    return check["status"], check["conclusion"]


def test_a_commit_waits_until_its_candidate_is_there_and_is_then_judged(job, github, tmp_path):
    registry, run = LocalRegistry(tmp_path / "registry"), Run(tmp_path / "run").write()
    mark(job, SHA, run.fingerprint, "hf-jobs")
    (said,) = collect(job, "train.yml", registry, live(run.fingerprint))
    assert "is still being trained on hf-jobs" in said
    assert (state(github), github.attempts(7)) == (("in_progress", None), 1)

    registry.add_candidate(run.folder, run.fingerprint)
    (said,) = collect(job, "train.yml", registry, live())
    assert "is started again" in said
    assert (state(github), github.attempts(7)) == (("completed", "success"), 2)
    assert github.attempts(8) == 1
    assert collect(job, "train.yml", registry, live()) == []


def test_a_run_that_died_is_told_with_its_log(job, github, tmp_path):
    mark(job, SHA, "0" * 16, "hf-jobs")
    (said,) = collect(job, "train.yml", LocalRegistry(tmp_path / "registry"), live())
    assert f"trainer logs {'0' * 16} --target hf-jobs" in said
    assert (state(github), github.attempts(7)) == (("completed", "failure"), 1)


def test_what_is_cut_off_is_done_again(job, github, tmp_path):
    registry, run = LocalRegistry(tmp_path / "registry"), Run(tmp_path / "run").write()
    registry.add_candidate(run.folder, run.fingerprint)
    mark(job, SHA, run.fingerprint, "hf-jobs")
    github.inject(502, method="POST", path="rerun")
    with pytest.raises(GitHubError, match=r"rerun: GitHub says 502"):
        collect(job, "train.yml", registry, live())
    assert state(github) == ("in_progress", None)
    assert len(collect(job, "train.yml", registry, live())) == 1
    assert state(github) == ("completed", "success")


def test_they_are_counted_with_nothing_installed(job, github, tmp_path):
    mark(job, SHA, "0" * 16, "hf-jobs")
    out = tmp_path / "out"
    env = github.env() | {"GITHUB_OUTPUT": str(out), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-m", "trainer.ci.waiting"]  # -S: no installed packages
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.read_text() == "waiting=1\n"
    github.inject(403, path="workflows", message="no")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "see `permissions` of the job" in done.stdout


def test_a_report_is_sent_again_where_that_helps_and_never_fails_a_run(github, monkeypatch):
    for name in ("GITHUB_API_URL", "NO_PROXY"):
        monkeypatch.setenv(name, github.env()[name])
    github.inject(502, path="dispatches")
    assert "Told acme/polymers" in report("acme/polymers", github.token, "f", pause=0)
    assert github.dispatches == [{"event_type": "trained", "client_payload": {"fingerprint": "f"}}]
    asked = len(github.requests())
    reader = github.make_token("reader", ())
    said = report("acme/polymers", reader, "f", pause=0)
    assert "status 403" in said
    assert reader not in said
    assert len(github.requests()) == asked + 1
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert "ConnectError" in report("acme/polymers", github.token, "f", pause=0)
