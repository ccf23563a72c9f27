"""Whole runs dispatched to RunPod: to their candidate, through lost hosts and lost controllers."""

import json
import os
import random
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hub_kit import Hub
from road_kit import ROOT, TINY, TRAINER, Road, changed, wait_for
from test_training_run import said_resumes

from trainer.plan import make_plan
from trainer.training.status import read_status

L4, A4000 = "NVIDIA L4", "NVIDIA RTX A4000"


def words(road: Road, *more: str) -> list[str]:
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", road.place(n))]  # fmt: skip
    rented = ["--target", "runpod", "--image", "a/b@sha256:c", "--gpu", L4, "--gpu", A4000]
    return ["dispatch", *rented, *places, *more]


def trainer(*said: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*TRAINER, *said], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


@pytest.fixture
def unstarted(tiny_table: pd.DataFrame, tmp_path: Path, hub: Hub, hub_home: Path) -> Road:
    """Return a road on which nothing was done, with a registry on the Hub that is not there yet."""
    road = Road.laid(tmp_path / "road", tiny_table)
    return Road(road.folder, f"hf://{hub.name('model')}")


def fingerprint(road: Road) -> str:
    return make_plan(road.data, road.params, road.work).fingerprint


def in_store(pod, mark: str) -> int:
    """Epochs of all members that the store has, as the run in a pod says."""
    said = read_status(pod.folder / "runs" / mark).get("checkpoints") or {}
    return int(said.get("epochs", 0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_host_is_lost_at_epoch_four_and_another_one_ends_the_run(
    hub: Hub, runpod, unstarted: Road
) -> None:
    unstarted.write(unstarted.params, changed(TINY, training__epochs=600))
    mark = fingerprint(unstarted)
    runpod.environment |= {"POLYID_CHECKPOINT_SECONDS": "0"}
    runpod.sold_out = {L4}
    with subprocess.Popen(
        [*TRAINER, *words(unstarted, "--json", "--checkpoint-minutes", "0")], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        first = wait_for(lambda: next(iter(runpod.pods.values()), None), 600)
        wait_for(lambda: in_store(first, mark) >= 8, 900)  # four of each of the two members
        first.end("TERMINATED")
        answer, told = process.communicate()
    assert process.returncode == 0, told
    assert "Lost: its pod is gone" in told
    second = runpod.pods[json.loads(answer)["run"]]
    assert [pod.spec["gpu"]["id"] for pod in (first, second)] == [A4000, A4000]
    assert max(said_resumes(told.partition("Lost:")[2]).values()) >= 4
    assert f"Candidate {mark} is stored" in told  # the pod's own log, followed
    for secret in (hub.owner_token, runpod.key):
        assert secret not in answer + told
    wait_for(lambda: runpod.there() == [])
    assert second.restarts == 0

    again = json.loads(trainer(*words(unstarted, "--json")).stdout)
    assert (again["run"], again["candidate"]) == (None, True)
    where = ("--target", "runpod", "--registry", unstarted.place("registry"))
    assert "done" in trainer("status", mark, *where).stdout
    assert f"Candidate {mark} is stored" in trainer("logs", mark, *where).stdout


@pytest.mark.slow
def test_a_run_is_started_looked_at_and_stopped_by_commands(runpod, unstarted: Road) -> None:
    runpod.held = True
    first = json.loads(trainer(*words(unstarted, "--detach", "--json")).stdout)
    second = json.loads(trainer(*words(unstarted, "--detach", "--json")).stdout)
    assert first["run"] == second["run"]
    mark, where = fingerprint(unstarted), ("--target", "runpod")
    assert "queued NVIDIA L4" in trainer("status", mark, *where).stdout
    assert "Stopped 1 run of" in trainer("cancel", mark, *where).stdout
    assert runpod.there() == []
    told = trainer("status", mark, *where, "--registry", unstarted.place("registry"))
    assert "cancelled" in told.stdout
    assert "knows no run" in trainer("logs", "0" * 16, *where, code=2).stderr


def test_a_pod_that_no_host_takes_is_given_back_in_time(runpod, unstarted: Road) -> None:
    runpod.held = True
    said = trainer(*words(unstarted, "--queue", "1"), code=1)
    assert "no machine took it" in said.stdout
    assert "--target runpod --registry hf://" in said.stdout


def test_a_run_whose_hosts_are_lost_again_and_again_is_given_up(runpod, unstarted: Road) -> None:
    with subprocess.Popen(
        [*TRAINER, *words(unstarted, "--restarts", "1")], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"},
    ) as process:  # fmt: skip
        for count in (1, 2):
            wait_for(lambda n=count: len(runpod.pods) == n, 300)
            list(runpod.pods.values())[-1].end("TERMINATED")
        told = process.communicate()[0]
    assert process.returncode == 1, told
    assert told.count("It goes on elsewhere") == 1
    assert told.count("It is not tried again") == 1
    assert len(runpod.pods) == 2


@pytest.mark.slow
def test_a_controller_killed_at_any_moment_leaves_nothing_that_reap_does_not_find(
    runpod, unstarted: Road
) -> None:
    """It is killed after the n-th request that RunPod saw; more moments: KILLS=20."""
    runpod.held = True
    # 3: the pod is rented, and the answer on its way
    moments = [3, *random.sample(range(1, 9), 8) * 3][: int(os.environ.get("KILLS", "3"))]
    for moment in moments:
        before = len(runpod.calls)
        with subprocess.Popen(
            [*TRAINER, *words(unstarted)], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as controller:  # fmt: skip
            wait_for(lambda n=moment, b=before: len(runpod.calls) >= b + n, 300)
            controller.kill()
        rented = [pod.id for pod in runpod.there()]
        assert len(rented) <= 1, f"killed after request {moment}"
        if rented:
            answer = json.loads(trainer(*words(unstarted, "--detach", "--json")).stdout)
            assert answer["run"] == rented[0], f"killed after request {moment}"
        trainer("reap", "--target", "runpod", "--older-than", "0", "--work", str(unstarted.work))
        assert runpod.there() == [], f"killed after request {moment}"
    answer = json.loads(trainer(*words(unstarted, "--detach", "--json")).stdout)
    assert [pod.id for pod in runpod.there()] == [answer["run"]]
    trainer("cancel", fingerprint(unstarted), "--target", "runpod")
