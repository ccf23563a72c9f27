"""A machine is lost in the middle of a run, and another one ends it as if nothing had been."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_kit import Hub
from keeping_kit import BUCKET, objects, s3_server
from road_kit import ROOT, TRAINER, Road, assert_alike, in_group, wait_for
from test_training_run import (
    LONG,
    assert_same,
    epochs,
    go_on,
    halted,
    has_checkpoint,
    newest,
    said_resumes,
)

from trainer.plan import make_plan
from trainer.training.status import read_status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OFTEN = {"POLYID_CHECKPOINT_SECONDS": "0"}


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    with s3_server() as env:
        yield env


def stopped_by_sigterm(road: Road, url: str, env: dict[str, str]) -> int:
    """Train until a stop by SIGTERM; return the epoch that is in the store."""
    store = ("--checkpoints", url, "--checkpoint-minutes", "60")
    with road.started("train", "--workers", "1", *store, env=env) as process:
        halted(road, process.pid, lambda: epochs(road).get(0, 0) >= 2)
        process.send_signal(signal.SIGTERM)
        go_on(process.pid)
        assert process.wait(LONG) == 75, road.output
        assert in_group(process.pid) == []
    assert "Checkpoints are kept at" in road.output
    return newest(road, "member-00")


def killed(road: Road, url: str, env: dict[str, str], since: int) -> int:
    """Train until everything is killed at once; return the epoch that is in the store by then."""
    store = ("--checkpoints", url, "--checkpoint-minutes", "0")
    with road.started("train", "--workers", "1", *store, env=env | OFTEN) as process:
        halted(road, process.pid, lambda: newest_or_none(road) > since)
        wait_for(lambda: in_store(road) == newest_or_none(road), LONG)
        epoch = newest_or_none(road)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not in_group(process.pid), LONG)
    return epoch


def newest_or_none(road: Road) -> int:
    """Epoch of the first member's newest checkpoint; 0 if there is none."""
    return newest(road, "member-00") if has_checkpoint(road, "member-00") else 0


def in_store(road: Road) -> int:
    """Epochs of all members that the store has, as the run says."""
    said = read_status(road.run_folder()).get("checkpoints", {})
    return int(said.get("epochs", 0))


def kept(env: dict[str, str]) -> list[str]:
    """What the store holds of these runs; the server remembers other tests' objects, too."""
    return [name for name in objects(env) if name.startswith("tiny/")]


def moved(road: Road) -> None:
    """The machine is lost: all that the run left there, but for compiled programs."""
    for path in road.work.iterdir():
        if path.name != "cache":
            shutil.rmtree(path)


def test_a_run_moves_between_machines_by_s3(
    finished: Road, fresh: Road, s3: dict[str, str]
) -> None:
    url = f"s3://{BUCKET}/tiny"
    first = stopped_by_sigterm(fresh, url, s3)
    moved(fresh)
    second = killed(fresh, url, s3, first)
    assert said_resumes(fresh.output) == {0: first}  # no finished epoch is lost
    moved(fresh)
    store = ("--checkpoints", url, "--workers", "1")
    assert kept(s3)
    done = fresh.call("run", *store, env=s3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said_resumes(done.stdout) == {0: second}  # what was uploaded last
    assert s3["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    assert_same(fresh, finished)
    assert kept(s3) == []  # the candidate is stored: they are not needed any more


def test_a_job_of_the_hub_goes_on_where_another_machine_was_lost(
    hub: Hub, hub_home: Path, finished: Road, fresh: Road
) -> None:
    repo = hub.name("model")
    url = f"hf://{repo}"
    first = stopped_by_sigterm(fresh, url, {})
    moved(fresh)
    second = killed(fresh, url, {}, first)
    assert said_resumes(fresh.output) == {0: first}
    plan = make_plan(fresh.data, fresh.params, fresh.work)
    branch = f"refs/heads/checkpoints/{plan.fingerprint}"
    assert branch in hub.refs(repo)
    moved(fresh)
    places = [w for n in ("data", "params", "gates", "work") for w in (f"--{n}", fresh.place(n))]
    rented = ["--namespace", "acme", "--image", "a/b@sha256:c", "--flavor", "cpu-basic"]
    done = subprocess.run(
        [*TRAINER, "dispatch", "--target", "hf-jobs", *places, *rented, "--registry", url,
         "--json"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["candidate"] is True
    assert f"Restored 1 files of the run from {url}" in done.stderr
    assert said_resumes(done.stderr) == {0: second}
    metrics = hub.api().hf_hub_download(
        repo, "metrics.json", revision=f"candidate/{plan.fingerprint}"
    )
    (ours,) = finished.work.glob("*/candidate/metrics.json")
    theirs = json.loads(Path(metrics).read_text())
    assert_alike(theirs["properties"], json.loads(ours.read_text())["properties"])
    assert branch not in hub.refs(repo)


def damage(store: Path) -> None:
    (newest_manifest,) = sorted(store.glob("*/manifest-*"))[-1:]
    for path in json.loads(newest_manifest.read_text())["files"].values():
        data = next(store.glob(f"*/data/{path}.npz"))
        os.truncate(data, data.stat().st_size // 2)


def test_a_damaged_store_costs_an_interval_and_no_more(fresh: Road, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/store"
    first = stopped_by_sigterm(fresh, url, {})
    second = killed(fresh, url, {}, first)
    assert second > first
    damage(tmp_path / "store")
    moved(fresh)
    with fresh.started("train", "--workers", "1", "--checkpoints", url) as process:
        halted(fresh, process.pid, lambda: epochs(fresh).get(0, 0) > first)
        process.send_signal(signal.SIGTERM)
        go_on(process.pid)
        assert process.wait(LONG) == 75, fresh.output
    assert "does not have its checksum. It is passed over." in " ".join(fresh.output.split())
    (resumed,) = said_resumes(fresh.output).values()
    assert first <= resumed < second
    assert read_status(fresh.run_folder())["warnings"]


def test_training_goes_on_without_its_store_and_says_so(
    hub: Hub, hub_home: Path, finished: Road, fresh: Road
) -> None:
    url = f"hf://{hub.name('model')}"
    with hub.offline():
        done = fresh.call("train", "--checkpoints", url, "--checkpoint-minutes", "0", env=OFTEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"The checkpoints at {url} cannot be read" in done.stdout
    assert "Training goes on; it is tried again later." in done.stdout
    assert_same(fresh, finished)
    status = read_status(fresh.run_folder())
    assert status["state"] == "trained"
    assert any("could not be stored" in text for text in status["warnings"])


def test_a_store_that_no_run_can_use_is_refused_before_the_run(fresh: Road) -> None:
    done = fresh.call("train", "--checkpoints", "nosuch://x")
    assert done.returncode == 2
    assert "Expected hf://namespace/name" in done.stderr
