"""Dispatched runs: to a stored candidate here and as a job of the Hub, and every way to fail."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hub_kit import Hub
from road_kit import ROOT, TRAINER, Road, assert_alike, wait_for

from polyid.errors import PolyIDError
from trainer import inputs
from trainer.plan import make_plan
from trainer.record import read_record
from trainer.targets import open_target


def trainer(*words: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*TRAINER, *words], cwd=ROOT, capture_output=True, text=True, env=os.environ | env
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def dispatch(road: Road, target: str, *more: str, code: int = 0, **env: str):
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", road.place(n))]  # fmt: skip
    rented = ["--namespace", "acme", "--image", "a/b@sha256:c", "--flavor", "cpu-basic"]
    more = (*(rented if target == "hf-jobs" else []), *more)
    return trainer("dispatch", "--target", target, *places, *more, code=code, **env)


@pytest.fixture
def unstarted(tiny_table: pd.DataFrame, tmp_path: Path, hub: Hub, hub_home: Path) -> Road:
    """Return a road on which nothing was done, with a registry on the Hub that is not there yet."""
    road = Road.laid(tmp_path / "road", tiny_table)
    return Road(road.folder, f"hf://{hub.name('model')}")


def fingerprint(road: Road) -> str:
    return make_plan(road.data, road.params, road.work).fingerprint


def nothing_runs(road: Road) -> bool:
    place = open_target("hf-jobs", work=road.work, namespace="acme")
    return place.find(fingerprint(road)) == []


@pytest.mark.slow
def test_a_job_trains_what_was_staged_and_leaves_its_candidate(
    hub: Hub, unstarted: Road, finished: Road
) -> None:
    said = dispatch(unstarted, "hf-jobs", "--json")
    answer = json.loads(said.stdout)
    assert (answer["stage"], answer["candidate"]) == ("done", True)
    assert "is stored, verdict pass" in said.stderr  # the job's own log, followed
    assert hub.owner_token not in said.stdout + said.stderr
    assert nothing_runs(unstarted)
    # the same numbers as the run that was made here from the same inputs
    repo, mark = unstarted.place("registry").removeprefix("hf://"), fingerprint(unstarted)
    there = hub.api().hf_hub_download(repo, "metrics.json", revision=f"candidate/{mark}")
    (here,) = finished.work.glob("*/candidate/metrics.json")
    theirs, ours = json.loads(Path(there).read_text()), json.loads(here.read_text())
    assert theirs["fingerprint"] == ours["fingerprint"] == mark
    assert_alike(theirs["properties"], ours["properties"])
    # what was expected before it was rented stands in its record, beside what it cost
    kept = hub.api().hf_hub_download(repo, "record.yaml", revision=f"candidate/{mark}")
    record = read_record(Path(kept))
    assert record.estimate is not None
    assert (record.estimate.target, record.estimate.hardware) == ("hf-jobs", "cpu-basic")
    assert record.estimate.usd_per_hour == pytest.approx(0.01)
    assert record.cost_usd == pytest.approx(record.hours * 0.01, abs=1e-4)
    (own,) = finished.work.glob("*/candidate/record.yaml")
    at_home = read_record(own)
    assert at_home.estimate is not None
    assert (at_home.estimate.target, at_home.cost_usd) == ("local", None)

    again = json.loads(dispatch(unstarted, "hf-jobs", "--json").stdout)
    assert (again["run"], again["candidate"]) == (None, True)


@pytest.mark.slow
def test_a_run_on_this_machine_outlives_who_asked_for_it(fresh: Road) -> None:
    dispatch(fresh, "local", "--detach")
    mark = fingerprint(fresh)
    work = ("--target", "local", "--work", str(fresh.work))
    answer = trainer("logs", mark, *work).stdout
    assert "is stored, verdict pass" in answer
    stage = json.loads(trainer("status", mark, *work, "--json").stdout)["stage"]
    assert stage == "done"
    assert (fresh.registry / "candidates" / mark).is_dir()
    assert "already: nothing is started" in dispatch(fresh, "local").stdout


def test_a_job_without_a_machine_is_cancelled_in_time(hub: Hub, unstarted: Road) -> None:
    hub.settings(no_machine=True)
    said = dispatch(unstarted, "hf-jobs", "--queue", "1", code=1)
    assert "no machine took it" in said.stdout
    assert f"trainer logs {fingerprint(unstarted)} --target hf-jobs" in said.stdout
    assert nothing_runs(unstarted)


def test_a_job_that_fails_is_told_with_its_log_and_leaves_no_candidate(
    hub: Hub, unstarted: Road
) -> None:
    rows = unstarted.data.read_text().splitlines()
    unstarted.data.write_text("\n".join([rows[0], *["x" + row for row in rows[1:]]]) + "\n")
    said = dispatch(unstarted, "hf-jobs", code=1)
    assert "does not satisfy the data contract" in said.stdout
    assert "has no candidate" in said.stdout
    assert nothing_runs(unstarted)


def test_a_job_stopped_by_its_time_limit_is_told(hub: Hub, unstarted: Road) -> None:
    said = dispatch(unstarted, "hf-jobs", "--timeout", "1", code=1)
    assert "Job timeout" in said.stdout
    assert nothing_runs(unstarted)


def test_a_second_dispatch_adopts_and_cancel_stops_it(hub: Hub, unstarted: Road) -> None:
    hub.settings(no_machine=True)
    first = json.loads(dispatch(unstarted, "hf-jobs", "--detach", "--json").stdout)
    second = json.loads(dispatch(unstarted, "hf-jobs", "--detach", "--json").stdout)
    assert first["run"] == second["run"]
    mark, where = fingerprint(unstarted), ("--target", "hf-jobs", "--namespace", "acme")
    told = trainer("status", mark, *where)
    assert "queued" in told.stdout
    assert "Stopped 1 run of" in trainer("cancel", mark, *where).stdout
    wait_for(lambda: nothing_runs(unstarted))
    assert "knows no run" in trainer("logs", "0" * 16, *where, code=2).stderr


@pytest.mark.parametrize(
    ("more", "missing"),
    [(("--image", ""), "--image: received nothing"), (("--registry", "here"), "cannot reach")],
)
def test_what_a_job_needs_is_asked_before_anything_is_started(
    unstarted: Road, more: tuple[str, ...], missing: str
) -> None:
    words = [word.replace("here", str(unstarted.folder / "here")) for word in more]
    assert missing in dispatch(unstarted, "hf-jobs", *words, code=2).stderr
    assert nothing_runs(unstarted)


def test_a_run_above_its_budget_is_refused_before_anything_is_rented(
    hub: Hub, unstarted: Road
) -> None:
    dear = ("--set", "training.epochs=1000000000")
    said = dispatch(unstarted, "hf-jobs", "--budget", "0.5", *dear, code=1)
    assert "Over budget, nothing was started." in said.stdout
    assert {call["method"] for call in hub.calls()} <= {"GET", "HEAD"}
    unknown = ("--flavor", "huge", "--budget", "9")
    assert "received 'huge'" in dispatch(unstarted, "hf-jobs", *unknown, code=2).stderr
    assert nothing_runs(unstarted)


def test_a_token_that_may_not_write_stops_it_before_anything_is_started(
    hub: Hub, unstarted: Road
) -> None:
    said = dispatch(unstarted, "hf-jobs", code=2, HF_TOKEN=hub.token("reader", "read"))
    assert "write access" in said.stderr.lower()
    assert nothing_runs(unstarted)


def test_inputs_of_another_run_are_refused(hub: Hub, unstarted: Road, tmp_path: Path) -> None:
    plan = make_plan(unstarted.data, unstarted.params, unstarted.work)
    repo = unstarted.place("registry").removeprefix("hf://")
    inputs.stage(plan, unstarted.gates, repo)
    fetched, files = inputs.fetch(repo, plan.fingerprint, tmp_path / "runs")
    assert fetched.fingerprint == plan.fingerprint
    assert files.data.read_bytes() == unstarted.data.read_bytes()
    hub.api().upload_file(
        repo_id=repo, path_in_repo="data.csv", path_or_fileobj=b"smiles\n",
        revision=inputs.branch(plan.fingerprint),
    )  # fmt: skip
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    with pytest.raises(PolyIDError, match=f"expected {plan.fingerprint}"):
        inputs.fetch(repo, plan.fingerprint, tmp_path / "runs")


def test_a_job_of_other_code_refuses_to_be_this_run(unstarted: Road) -> None:
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", unstarted.place(n))]  # fmt: skip
    said = trainer("job", *places, "--expect", "0" * 16, code=2)
    assert f"make the run {fingerprint(unstarted)}; expected {'0' * 16}" in said.stderr
    assert not unstarted.work.exists() or not list(unstarted.work.glob("*/members"))
