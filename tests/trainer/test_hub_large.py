"""A publication-size ensemble goes up and comes down, and a cut costs only what was cut."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hub_kit import Hub
from registry_kit import Run

from polyid.engine.weights import initial
from polyid.modelfiles import MemberFiles, ModelParameters, save_member
from polyid.multimodel import MultiModel
from polyid.properties import PROPERTIES
from polyid.scaling import Scaler
from polyid.structures import build
from trainer.registry.hub import HubRegistry

pytestmark = pytest.mark.slow

MEMBERS = 10
UP = """
import sys
from pathlib import Path
from trainer.registry.hub import HubRegistry
print(HubRegistry(sys.argv[1]).add_candidate(Path(sys.argv[2]), sys.argv[3]))
"""
DOWN = """
import sys
from polyid.store import resolve
print(resolve(sys.argv[1]).folder)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Make a run of ten members with first weights, of the publication recipe's sizes."""
    run = Run(tmp_path_factory.mktemp("large") / "run").write()
    names = tuple(PROPERTIES)
    parameters = ModelParameters(
        model="global100", prediction_columns=names, members=MEMBERS, features=128,
        mol_features=8, num_messages=12, dropout=0.05, dp=18,
    )  # fmt: skip
    vocabulary = build(["CCCCOC(=O)c1ccccc1"], 12).vocabulary
    parameters.save(run.folder)
    for member in range(MEMBERS):
        weights = initial(parameters.architecture(vocabulary), 1, member)
        scaler = Scaler(names, np.zeros(len(names)), np.ones(len(names)))
        save_member(run.folder, member, MemberFiles(weights, vocabulary, scaler))
    return run


def started(program: str, env: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(hub: Hub, method: str, path: str) -> list[str]:
    """Paths of the large transfers that were answered whole."""
    return [
        c["path"] for c in hub.calls()
        if c["method"] == method and path in c["path"] and c["status"] == 200
    ]  # fmt: skip


def killed_when(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 200
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    process.kill()
    process.communicate()


def whole_blobs(home: Path) -> set[str]:
    """Hashes of the files that a cache holds to the last byte."""
    blobs = home.glob("hub/models--*/blobs/*")
    return {b.name for b in blobs if len(b.name) == 64 and b.suffix != ".incomplete"}


@pytest.mark.usefixtures("hub_home")
def test_up_and_down_with_a_cut_in_each(hub: Hub, large: Run, tmp_path: Path) -> None:
    size = sum(p.stat().st_size for p in large.folder.rglob("*.h5"))
    assert size > 130e6
    address, env = f"hf://{hub.name('large')}", hub.env(tmp_path / "home")

    # slow enough that the kill comes in the middle of it
    hub.inject("slow", method="PUT", times=100, seconds=0.3, before=True)
    process = started(UP, env, address, str(large.folder), large.fingerprint)
    killed_when(process, lambda: len(finished(hub, "PUT", "")) >= 3)
    hub.clear_faults()
    there = set(finished(hub, "PUT", ""))
    assert 3 <= len(there) < MEMBERS
    assert not HubRegistry(address).has_candidate(large.fingerprint)
    hub.calls(clear=True)
    process = started(UP, env, address, str(large.folder), large.fingerprint)
    _, bars = process.communicate()
    assert process.returncode == 0, bars
    assert "%|" in bars, "a bar shows how far the upload is"
    assert len(finished(hub, "PUT", "")) == MEMBERS - len(there), "what was there is not sent again"
    HubRegistry(address).publish(large.fingerprint)

    hub.calls(clear=True)
    hub.inject("slow", method="GET", path="/_cdn/get/", times=100, seconds=0.3, before=True)
    home = tmp_path / "other-home"
    env = hub.env(home)
    process = started(DOWN, env, f"{address}@v1.0.0")
    killed_when(process, lambda: len(whole_blobs(home)) >= 2)
    hub.clear_faults()
    had = whole_blobs(home)
    assert 2 <= len(had) < MEMBERS
    hub.calls(clear=True)
    hub.inject("truncate", method="GET", path="/_cdn/get/")
    process = started(DOWN, env, f"{address}@v1.0.0")
    out, bars = process.communicate()
    assert process.returncode == 0, bars
    assert "%|" in bars
    asked = {path.rpartition("/")[2] for path in finished(hub, "GET", "/_cdn/get/")}
    assert not asked & had, "what was whole is not fetched again"
    mm = MultiModel.load_models(out.strip())
    theirs, ours = mm.models[9].weights, MultiModel.load_models(large.folder).models[9].weights
    assert theirs is not None
    assert ours is not None
    assert all(np.array_equal(theirs[name], ours[name]) for name in ours)
