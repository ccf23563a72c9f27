"""The job that delivers: verdicts, failures, and runs that were overtaken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trainer.review import failure, post
from trainer.review.deliver import BOT, MARKER
from trainer.review.written import Review, read

ROOT = Path(__file__).parents[2]
SHA, RUN = "c" * 40, 12
EVENT = {"number": 7, "pull_request": {"number": 7, "head": {"sha": SHA, "ref": "x"}}}


class Job:
    """The environment of the step, and what it did."""

    def __init__(self, github, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.summary = folder / "summary.md"
        (folder / "event.json").write_text(json.dumps(EVENT))
        github.pull(7, SHA)

    def run(self, result: str, review: Review | None = None, **changes: str):
        """Deliver as the workflow does, in a Python without any package but ours."""
        if review is not None:
            review.save(self.folder / "review")
        outputs = {"verdict": "", "fingerprint": "f" * 16}
        needs = {"decide": {"result": "success"}, "train": {"result": result, "outputs": outputs}}
        env = self.github.env() | {
            "PATH": os.environ["PATH"],
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_RUN_ID": str(RUN),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "NEEDS": json.dumps(needs),
            "REVIEW": str(self.folder / "review"),
        }
        return subprocess.run(
            [sys.executable, "-S", "-m", "trainer.review.post"], cwd=ROOT, env=env | changes,
            capture_output=True, text=True,
        )  # fmt: skip

    @property
    def comment(self) -> str:
        (found,) = [c for c in self.github.comments(7) if c["user"]["login"] == BOT]
        return found["body"]

    @property
    def check(self) -> dict:
        return self.github.checks(SHA)[-1]


@pytest.fixture
def job(github, tmp_path) -> Job:
    return Job(github, tmp_path)


def review(verdict: str, enforced: bool = True) -> Review:
    return Review(verdict, enforced, f"Model gate: {verdict}", f"## {verdict}\n\nthe page\n")


@pytest.mark.parametrize(
    ("verdict", "result", "enforced", "conclusion"),
    [
        ("pass", "success", True, "success"),
        ("inconclusive", "success", True, "neutral"),
        ("fail", "failure", True, "failure"),
        ("fail", "failure", False, "neutral"),
        ("pass", "success", False, "success"),
    ],
)
def test_the_verdict_is_commented_and_concluded(job, verdict, result, enforced, conclusion):
    done = job.run(result, review(verdict, enforced))
    assert done.returncode == 0, done.stdout + done.stderr
    address = f"https://github.com/acme/polymers/actions/runs/{RUN}"
    assert job.comment == (
        f"{MARKER}\n## {verdict}\n\n<sub>Commit `{SHA[:12]}`, [run {RUN}]({address}), attempt 1. "
        "Updated with every push.</sub>\n\nthe page\n"
    )
    assert (job.check["name"], job.check["conclusion"]) == ("model gate", conclusion)
    assert job.check["output"]["title"] == f"Model gate: {verdict}"
    assert job.check["output"]["summary"] == review(verdict).page
    # what was written by the training job is on the run's page already: only the address is added
    assert "the page" not in job.summary.read_text()


def test_a_model_that_is_trained_elsewhere_is_told_and_judged_later(job):
    outputs = {"verdict": "running", "fingerprint": "f" * 16}
    needs = {"decide": {"result": "success"}, "train": {"result": "success", "outputs": outputs}}
    done = job.run("success", NEEDS=json.dumps(needs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no verdict yet, the model is being trained elsewhere" in job.comment
    assert job.check["conclusion"] == "neutral"
    job.run("success", review("pass"), GITHUB_RUN_ATTEMPT="2")
    assert job.comment.startswith(f"{MARKER}\n## pass")


def test_a_second_push_changes_the_comment(job):
    job.run("failure", review("fail"))
    first = job.github.comments(7)[0]["id"]
    job.run("success", review("pass"), GITHUB_RUN_ID="13")
    assert job.comment.startswith(f"{MARKER}\n## pass")
    assert job.github.comments(7)[0]["id"] == first
    assert [c["conclusion"] for c in job.github.checks(SHA)] == ["failure", "success"]


def test_a_failed_step_is_named_with_its_log_and_the_next_command(job):
    job.github.ran(RUN, "decide", "success", decide="success")
    job.github.ran(RUN, "train", "failure", set_up="success",
                   hold_data_and_recipe_to_the_contract="failure", keep="failure")  # fmt: skip
    faulty = Review("none", True, "t", "the rows that are faulty\n")
    done = job.run("failure", faulty, DATA="data/mine`.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    text = job.comment
    assert "💥 Model gate: no verdict, the run failed" in text
    assert "Job **train**, step **hold data and recipe to the contract**: failure" in text
    assert "/actions/runs/12/job/" in text
    assert "`.venv/bin/trainer check --data data/mine_.csv`" in text
    assert "gh run view 12 --log-failed" in text
    assert "the rows that are faulty" in text
    assert job.check["conclusion"] == "failure"
    assert "no verdict" in job.summary.read_text()


@pytest.mark.parametrize("result", ["failure", "skipped"])
def test_a_run_of_which_nothing_is_known_is_reported_too(job, result):
    done = job.run(result)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ended as {result}" in job.comment
    assert f"https://github.com/acme/polymers/actions/runs/{RUN}" in job.comment
    assert "Which step failed is not known" in done.stdout
    assert job.check["conclusion"] == "failure"


def test_a_cancelled_run_is_no_verdict(job):
    job.run("cancelled", review("pass"))
    assert "⏹️ Model gate: no verdict, the run was cancelled" in job.comment
    assert job.check["conclusion"] == "cancelled"


def test_what_failed_after_a_pass_is_no_pass(job):
    job.github.ran(RUN, "train", "failure", keep_the_report="failure")
    job.run("failure", review("pass"))
    assert "Model gate: pass, but the run failed after it" in job.comment
    assert "## pass" in job.comment
    assert job.check["conclusion"] == "failure"


def test_a_run_that_was_overtaken_leaves_the_comment_alone(job):
    job.run("success", review("pass"))
    job.github.pull(7, "d" * 40)
    done = job.run("cancelled", GITHUB_RUN_ID="11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "## pass" in job.comment
    assert "A newer commit" in done.stdout
    assert [c["conclusion"] for c in job.github.checks(SHA)] == ["success", "cancelled"]


def test_what_could_not_be_delivered_is_an_error_and_the_rest_is_delivered(job):
    token = job.github.make_token(BOT, {"checks"}, bot=True)
    done = job.run("success", review("pass"), GITHUB_TOKEN=token)
    assert done.returncode == 1
    assert "::error title=review::The comment was not written" in done.stdout
    assert "see `permissions` of the job" in done.stdout
    assert token not in done.stdout + done.stderr
    assert job.check["conclusion"] == "success"
    token = job.github.make_token(BOT, {"issues"}, bot=True)
    done = job.run("success", GITHUB_TOKEN=token)
    assert done.returncode == 1
    assert "The check was not written" in done.stdout
    assert job.comment


def test_a_missing_variable_is_said(job):
    done = job.run("success", review("pass"), GITHUB_TOKEN="")
    assert done.returncode == 1
    assert "GITHUB_TOKEN not set" in done.stdout


def test_a_review_that_cannot_be_read_is_said_and_the_run_is_reported(job):
    review("pass").save(job.folder / "review")
    for text in ("{", '{"verdict": "wonderful", "enforced": true, "title": "t"}', "[]"):
        (job.folder / "review" / "review.json").write_text(text)
        done = job.run("success")
        assert done.returncode == 1
        assert "::error title=review::" in done.stdout
        assert job.check["conclusion"] == "failure"


def test_a_review_is_read_as_it_was_written(tmp_path):
    made = review("inconclusive", enforced=False)
    made.save(tmp_path)
    assert read(tmp_path) == made
    assert read(tmp_path / "nowhere") is None


def test_the_steps_with_advice_are_those_of_the_workflow():
    text = (ROOT / ".github" / "workflows" / "train.yml").read_text()
    steps = [step for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]
    assert set(failure.NEXT) <= {step.get("name") for step in steps}


def test_the_command_does_the_same(job, monkeypatch):
    from typer.testing import CliRunner

    from trainer.cli import app

    review("pass").save(job.folder / "review")
    for name, value in job.github.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(job.folder / "event.json"))
    monkeypatch.setenv("GITHUB_RUN_ID", "12")
    monkeypatch.setenv("NEEDS", json.dumps({"train": {"result": "success"}}))
    monkeypatch.setenv("REVIEW", "")
    done = CliRunner().invoke(app, ["review", "post", str(job.folder / "review")])
    assert done.exit_code == 0, done.output
    assert "## pass" in job.comment
    assert post.Run.from_environment().attempt == "1"
