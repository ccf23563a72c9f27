"""The training image at work: as outside, without network or rights, killed at any moment.

``POLYID_TEST_KILLS`` is how many kills a run gets (1), ``POLYID_TEST_SEED`` at which moments.
"""

import json
import os
import random
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml
from container_fixtures import Sources
from container_kit import Podman
from road_kit import KERNELS, ROOT, TINY, TRAINER, Road, assert_alike, changed, wait_for
from test_training_run import OFTEN, assert_same, epochs, said_resumes

from trainer.training import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("POLYID_TEST_KILLS", "1"))
SEED = int(os.environ.get("POLYID_TEST_SEED", "1"))
PLACE = "/srv/run/road"
#: Not over before a kill: a hundred epochs a second and more, even with a checkpoint after each.
LONG = changed(TINY, training__epochs=1000)


class Box(NamedTuple):
    """Starts the training image on a road as strangers' machines do: with next to no rights."""

    podman: Podman
    image: str

    @contextmanager
    def started(self, road: Road, verb: str, *more: str, **env: str) -> Iterator[str]:
        """Start a verb; its container is gone at the end."""
        name = f"polyid-test-{uuid.uuid4().hex[:12]}"
        words = [word.replace(str(road.folder), PLACE) for word in road.arguments(verb, *more)[3:]]
        give_away(road.folder)
        keep = [] if os.getuid() == 0 else ["--userns", "keep-id:uid=1000,gid=1000"]
        self.podman(
            "run", "-d", "--name", name, "--network", "none", "--read-only",
            "--read-only-tmpfs=false", "--tmpfs", "/srv/run:rw,mode=1777", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", *keep, "-v", f"{road.folder}:{PLACE}",
            *(w for key, value in (KERNELS | env).items() for w in ("-e", f"{key}={value}")),
            self.image, *words,
        )  # fmt: skip
        try:
            yield name
        finally:
            self.podman("rm", "-f", "-t", "0", name)

    def kill(self, name: str, signal: str) -> None:
        """Send a signal."""
        self.podman("kill", "-s", signal, name, code=None)  # it may have ended by itself

    def code(self, name: str) -> int:
        """Wait for the end, and return the exit code."""
        return int(self.podman("wait", name).stdout)

    def said(self, name: str) -> str:
        """Return what it printed."""
        done = self.podman("logs", name)
        return done.stdout + done.stderr

    def runs(self, name: str) -> bool:
        """Whether it has not ended yet."""
        return self.podman("inspect", "-f", "{{.State.Running}}", name).stdout.strip() == "true"


def give_away(folder: Path) -> None:
    """Let user 1000 of a container write there; without root it is ourselves."""
    if os.getuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.lchown(path, 1000, 1000)


@pytest.fixture(scope="module")
def box(podman: Podman, train_image: str) -> Box:
    return Box(podman, train_image)


class Inside(NamedTuple):
    """A road that was walked in a container."""

    road: Road
    container: dict
    """What the engine says of it."""


@pytest.fixture(scope="module")
def inside(box: Box, tiny_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Return a road like `finished`, walked in a container."""
    road = Road.laid(tmp_path_factory.mktemp("inside"), tiny_table)
    for folder in (road.registry, road.work):
        folder.mkdir()
    with box.started(road, "run") as name:
        assert box.code(name) == 0, box.said(name)
        (told,) = json.loads(box.podman("inspect", name).stdout)
    return Inside(road, told)


@pytest.fixture
def begun(inside: Inside, tiny_table: pd.DataFrame, tmp_path: Path) -> Road:
    """Return a road on which nothing was done; what containers compiled is kept."""
    road = Road.laid(tmp_path / "road", tiny_table)
    shutil.copytree(inside.road.work / "cache", road.work / "cache")
    return road


@pytest.fixture(scope="module")
def unbroken(
    box: Box, inside: Inside, tiny_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Road:
    """Return a road whose training of many epochs nothing broke off."""
    road = Road.laid(tmp_path_factory.mktemp("unbroken"), tiny_table, LONG)
    shutil.copytree(inside.road.work / "cache", road.work / "cache")
    with box.started(road, "train", "--workers", "2") as name:
        assert box.code(name) == 0, box.said(name)
    return road


def newest_epochs(road: Road) -> dict[int, int]:
    """Epoch of the newest checkpoint that verifies, by member."""
    found = {}
    for folder in road.work.glob("*/checkpoints/member-*"):
        newest, _ = checkpoint.newest(folder)
        if newest is not None:
            found[int(folder.name.removeprefix("member-"))] = newest.epoch
    return found


def numbers(road: Road) -> dict:
    """Return the scores of a road's only run."""
    (path,) = road.work.glob("*/candidate/metrics.json")
    return json.loads(path.read_text())


def test_it_trains_the_same_model_with_no_network_and_no_right_to_write(
    inside: Inside, finished: Road, sources: Sources
) -> None:
    told = inside.container
    assert told["Config"]["User"] == "1000:1000"
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["HostConfig"]["NetworkMode"] == "none"
    ours, theirs = numbers(inside.road), numbers(finished)
    assert ours["fingerprint"] == theirs["fingerprint"]
    assert_alike(ours["properties"], theirs["properties"])
    with pytest.raises(AssertionError, match="Not equal"):
        assert_alike({"mae": 1.0}, {"mae": 1.001})
    (record,) = inside.road.registry.glob("candidates/*/record.yaml")
    assert yaml.safe_load(record.read_text())["code"]["commit"] == sources.commit


@pytest.mark.parametrize(("signal", "expected"), [("TERM", 75), ("KILL", 137)])
def test_killed_at_any_moment_it_ends_as_if_nothing_had_been(
    box: Box, begun: Road, unbroken: Road, signal: str, expected: int
) -> None:
    begun.write(begun.params, LONG)
    chance = random.Random(SEED)
    lost: list[int] = []
    killed, told, damaged = 0, "", False
    for moment in sorted(chance.sample(range(6, 81), KILLS)):  # of 2000 epochs of both members
        before = newest_epochs(begun)
        with box.started(begun, "train", "--workers", "2", **OFTEN) as name:
            wait_for(
                lambda moment=moment, name=name: not box.runs(name)
                or (sum(epochs(begun).values()) >= moment and box.said(name)),
                seconds=900, step=0.1,
            )  # fmt: skip
            time.sleep(chance.uniform(0, 0.3))  # anywhere in an epoch
            box.kill(name, signal)
            code, said = box.code(name), " ".join(box.said(name).split())
        assert code in (expected, 0), said
        killed += code == expected
        assert "Traceback" not in said
        told += said
        resumed = said_resumes(said)  # nothing, if it was killed before it said so
        assert resumed.items() <= before.items()
        done = {int(path.stem[-2:]) for path in begun.work.glob("*/members/member-*.npz")}
        now = newest_epochs(begun)
        lost += [e - now.get(m, 0) for m, e in epochs(begun).items() if m not in done]
        if not damaged:  # the newest checkpoint is cut short once
            member, epoch = max(now.items(), key=lambda item: item[1])
            (path,) = begun.work.glob(f"*/checkpoints/member-{member:02d}/epoch-{epoch:06d}.npz")
            os.truncate(path, path.stat().st_size // 2)
            assert newest_epochs(begun)[member] < epoch  # the one before it is whole
            damaged = True
    before = newest_epochs(begun)
    with box.started(begun, "train", "--workers", "2") as name:
        assert box.code(name) == 0, box.said(name)
        said = box.said(name)
    assert said_resumes(said) == before
    assert "does not have the checksum beside it" in told + " ".join(said.split())
    assert_same(begun, unbroken)
    assert max(lost) <= 1, lost
    print(f"{signal}: {killed} kills, epochs lost {lost}, both folds complete and the same")


def test_dispatched_stopped_and_dispatched_again_it_goes_on(
    engine_url: str, train_image: str, begun: Road, podman: Podman
) -> None:
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", begun.place(n))]  # fmt: skip
    where = ("--target", "docker", "--work", str(begun.work))
    env = {**os.environ, "DOCKER_HOST": engine_url}

    def trainer(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*TRAINER, *words], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    # long enough to be stopped in the middle: 150 epochs a second, and asking takes seconds
    command = ("dispatch", "--target", "docker", "--image", train_image, *places,
               "--set", "training.epochs=4000", "--set", "training.validate_every=500")  # fmt: skip
    try:
        first = trainer(*command)
        wait_for(lambda: sum(epochs(begun).values()) >= 2 or first.poll() is not None, seconds=600)
        mark = begun.run_folder().name
        stop = trainer("cancel", mark, *where)
        assert "Stopped 1 run" in stop.communicate()[0]
        said = first.communicate()[0]
        assert first.returncode == 75, said
        assert "ended cancelled (it was interrupted, and saved)" in " ".join(said.split())
        stopped = epochs(begun)

        again = trainer(*command)
        said = again.communicate()[0]
        assert again.returncode == 0, said
        assert said_resumes(said).items() <= stopped.items()
        assert said_resumes(said)
        (candidate,) = begun.registry.glob("candidates/*")
        assert candidate.name == mark
        third = trainer(*command)
        assert "already: nothing is started" in third.communicate()[0]
        state = trainer("status", mark, *where, "--json").communicate()[0]
        assert '"stage": "done"' in state
    finally:
        left = podman("ps", "-aq", "--filter", f"volume={begun.work}").stdout.split()
        podman("rm", "-f", "-t", "0", *left, code=None)
