"""What was left running: found on every target, stopped by age, and told with what it cost."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hub_kit import Hub
from road_kit import ROOT, TRAINER, wait_for

from polyid.errors import PolyIDError
from trainer.reap import reap, summary
from trainer.reap_view import age_of, markdown
from trainer.targets import Leftover, RunSpec, TargetError, open_target, set_up

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY = timedelta(hours=24)
ONE, TWO = "1" * 16, "2" * 16


def job(name: str, hours: float, **more) -> Leftover:
    known = {"fingerprint": ONE, "usd_per_hour": 0.8, "hardware": "l4x1"} | more
    return Leftover("there", known.pop("kind", "job"), name, since=NOW - timedelta(hours=hours),
                    **known)  # fmt: skip


class Place:
    """A target that holds what a test says."""

    name = "there"

    def __init__(self, *held: Leftover, stuck: str = "") -> None:
        self.held, self.stuck = list(held), stuck

    def leftovers(self) -> list[Leftover]:
        return list(self.held)

    def remove(self, leftover: Leftover) -> None:
        if leftover.id == self.stuck:
            raise TargetError("it does not let go")
        self.held.remove(leftover)


class Away(Place):
    name = "away"

    def leftovers(self) -> list[Leftover]:
        raise TargetError("it does not answer")


def fates(reaped) -> dict[str, str]:
    return {found.leftover.id: found.fate for found in reaped.found}


def test_what_is_old_or_there_twice_goes_and_what_it_cost_is_said():
    place = Place(job("old", 25), job("new", 2), job("twin", 2, spare=True))
    reaped = reap([place], DAY, now=lambda: NOW)
    assert fates(reaped) == {"old": "stopped", "new": "kept", "twin": "stopped"}
    assert [left.id for left in place.held] == ["new"]
    assert reaped.clean
    assert reaped.usd == pytest.approx(0.8 * 27)
    assert summary(reaped) == "3 found, 1 kept, 2 stopped. It has cost $21.60."
    assert "| there job old | 1111111111111111 | l4x1 | 25 h | $20.00 | stopped |" in markdown(
        reaped
    )


def test_a_dry_run_stops_nothing():
    place = Place(job("old", 25), job("free", 25, usd_per_hour=None))
    reaped = reap([place], DAY, dry_run=True, now=lambda: NOW)
    assert set(fates(reaped).values()) == {"would be stopped"}
    assert len(place.held) == 2
    assert "without 1 whose price is not known" in summary(reaped)


def test_what_does_not_let_go_or_cannot_be_asked_is_told_and_the_rest_goes_on():
    place = Place(job("stuck", 25), job("old", 26), stuck="stuck")
    reaped = reap([Away(), place], DAY, now=lambda: NOW)
    assert fates(reaped) == {"stuck": "failed", "old": "stopped"}
    assert not reaped.clean
    assert "1 could not be stopped" in summary(reaped)
    assert "away could not be asked: it does not answer" in summary(reaped)
    assert not reap([Away()], DAY).clean


def test_inputs_of_a_run_that_goes_on_stay():
    inputs = [job(f"inputs/{mark}", 99, kind="inputs", fingerprint=mark) for mark in (ONE, TWO)]
    reaped = reap([Place(job("new", 2)), Place(*inputs)], DAY, now=lambda: NOW)
    assert fates(reaped) == {"new": "kept", f"inputs/{ONE}": "kept", f"inputs/{TWO}": "stopped"}
    # who cannot be asked may have it: nothing is deleted on a guess
    reaped = reap([Away(), Place(*inputs)], DAY, now=lambda: NOW)
    assert set(fates(reaped).values()) == {"kept"}
    young = [replace(it, since=NOW) for it in inputs]
    assert set(fates(reap([Place(*young)], DAY, now=lambda: NOW)).values()) == {"kept"}


@pytest.mark.parametrize(
    ("text", "hours"), [("90m", 1.5), ("24h", 24), ("2d", 48), ("0", 0), ("0.5h", 0.5)]
)
def test_ages(text, hours):
    assert age_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["24", "h", "-1h", "1w", ""])
def test_an_age_without_a_unit_is_refused(text):
    with pytest.raises(PolyIDError, match="--older-than"):
        age_of(text)


def command(*words: str, code: int = 0, **env: str) -> dict:
    done = subprocess.run(
        [*TRAINER, "reap", "--json", *words], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | env,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if code != 2 else {"error": done.stderr}


def test_the_command_stops_jobs_of_ours_and_deletes_inputs_of_ended_runs(
    hub: Hub, hub_home: Path, tmp_path: Path
):
    target = open_target("hf-jobs", work=tmp_path, namespace="acme")
    command_line = ("sleep", "600")
    left = target.submit(RunSpec(ONE, command_line, image="a/b", flavor="l4x1"))
    other = hub.api().run_job(image="a/b", command=["sleep", "600"], namespace="acme")
    repo = hub.name("model")
    hub.api().create_repo(repo, private=True)
    for name in (f"inputs/{ONE}", f"inputs/{TWO}", "candidate/x"):
        hub.api().create_branch(repo, branch=name)
    wait_for(lambda: target.status(left).stage == "running")
    asked = ("--target", "hf-jobs", "--namespace", "acme", "--registry", f"hf://{repo}")

    def branches() -> set[str]:
        return {ref.name for ref in hub.api().list_repo_refs(repo).branches}

    told = command(*asked, "--older-than", "0", "--dry-run")
    assert [f["fate"] for f in told["found"]] == ["would be stopped"] * 3
    assert len(branches()) == 4
    told = command(*asked)
    assert {f["fate"] for f in told["found"]} == {"kept"}
    page = tmp_path / "page.md"
    told = command(*asked, "--older-than", "0", GITHUB_STEP_SUMMARY=str(page))
    assert [f["fate"] for f in told["found"]] == ["stopped"] * 3
    assert told["found"][0]["usd_per_hour"] == pytest.approx(0.8)
    assert "3 stopped" in page.read_text()
    assert target.find() == []
    assert branches() == {"main", "candidate/x"}
    assert hub.api().inspect_job(job_id=other.id, namespace="acme").status.stage == "RUNNING"
    hub.api().cancel_job(job_id=other.id, namespace="acme")
    assert command(*asked, "--older-than", "0")["summary"] == "Nothing of ours stands anywhere."
    # a job that cannot be stopped is a no, and a token without the right too
    target.submit(RunSpec(ONE, command_line, image="a/b", flavor="cpu-basic"))
    hub.inject("403", method="POST", path="/cancel$", times=9)
    assert command(*asked, "--older-than", "0", code=1)["found"][0]["fate"] == "failed"
    hub.clear_faults()
    reader = hub.token("reader", "read")
    assert "hf-jobs" in command(*asked, code=1, HF_TOKEN=reader)["unasked"]
    command(*asked, "--older-than", "0")
    assert target.find() == []


def test_the_command_stops_a_run_on_this_machine(tmp_path: Path):
    target = open_target("local", work=tmp_path)
    target.submit(RunSpec(ONE, (sys.executable, "-c", "import time; time.sleep(600)")))
    where = ("--target", "local", "--work", str(tmp_path))
    (kept,) = command(*where)["found"]
    assert (kept["fate"], kept["kind"], kept["fingerprint"]) == ("kept", "process", ONE)
    (gone,) = command(*where, "--older-than", "0")["found"]
    assert gone["fate"] == "stopped"
    assert target.find() == []
    assert "--older-than" in command(*where, "--older-than", "soon", code=2)["error"]


def test_only_what_is_set_up_is_asked(hub: Hub, hub_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    assert {"local", "hf-jobs"} <= set(set_up())
    assert "docker" not in set_up()
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    assert set_up() == ["local"]
