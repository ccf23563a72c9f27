"""The whole road to a tagged release on the Hub, by the real commands and the real client."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hub_kit import Hub
from hub_registry_kit import require_sound_hub, tags, titles
from huggingface_hub import ModelCard, ModelCardData
from road_kit import ROOT, TRAINER, Road

from polyid.multimodel import MultiModel

pytestmark = pytest.mark.slow

HF = Path(sys.executable).with_name("hf")


def hf(hub_home: Path, *arguments: str) -> str:
    done = subprocess.run([HF, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def everything(folder: Path) -> str:
    """All that stands in the files below a folder, as text."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return "\n".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.fixture
def on_hub(hub: Hub, hub_home: Path, walked: Road) -> Road:
    """Return a road that was trained, and whose registry is a repository that does not exist."""
    shutil.rmtree(walked.registry)
    return Road(walked.folder, f"hf://{hub.name('model')}")


def test_train_gate_publish_predict_second_release_and_back(
    hub: Hub, hub_home: Path, on_hub: Road, tiny_table: pd.DataFrame, tmp_path: Path
) -> None:
    assert on_hub.hub is not None
    repo = on_hub.hub.removeprefix("hf://")
    secret = hub.token("marker")
    env = {"HF_TOKEN": secret}
    said = on_hub.call("run", "--publish", env=env)
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"v1.0.0 (published): {hub.endpoint}/{repo}/tree/v1.0.0" in said.stdout
    (made,) = on_hub.work.glob("*/candidate")
    before = MultiModel.load_models(made).make_aggregate_predictions(tiny_table)
    loaded = MultiModel.from_pretrained(repo, revision="v1.0.0")
    after = loaded.make_aggregate_predictions(tiny_table)
    pd.testing.assert_frame_equal(before, after, check_exact=True)

    again = on_hub.answer("run", "--publish")
    assert (again["trained"], again["release"]) == (False, "v1.0.0")
    assert titles(hub, repo) == ["initial commit", "Release v1.0.0"]

    second = on_hub.answer("run", "--publish", "--set", "training.epochs=50", "--workers", "2")
    assert (second["trained"], second["release"]) == (True, "v1.1.0"), second["reasons"]
    assert on_hub.answer("list")["current"] == "v1.1.0"
    assert MultiModel.from_pretrained(repo).folder != loaded.folder

    done = on_hub.call("rollback", "--to", "v1.0.0")
    assert done.returncode == 0, done.stderr
    assert on_hub.answer("list")["current"] == "v1.0.0"
    now = MultiModel.from_pretrained(repo).make_aggregate_predictions(tiny_table)
    pd.testing.assert_frame_equal(before, now, check_exact=True)
    require_sound_hub(hub, repo)

    predicted = subprocess.run(
        [sys.executable, "-m", "polyid.cli", "predict", "--json", "--model", on_hub.hub,
         "CC(O)C(=O)O"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert predicted.returncode == 0, predicted.stderr
    (row,) = json.loads(predicted.stdout)
    assert row["model"]["revision"] == "v1.0.0"
    assert row["model"]["registry"] == on_hub.hub

    listed = hf(hub_home, "repos", "tag", "list", repo)
    assert all(tag in listed for tag in tags(hub, repo))
    assert "v1.1.0" in listed
    hf(hub_home, "download", repo, "--revision", "v1.1.0", "--local-dir", str(tmp_path / "got"))
    assert (tmp_path / "got" / "model_fold_1" / "model.weights.h5").is_file()
    card = ModelCard.load(repo)
    card.validate()
    assert isinstance(card.data, ModelCardData)
    assert card.data.eval_results
    assert all(np.isfinite(result.metric_value) for result in card.data.eval_results)

    for place in (on_hub.folder, hub.root, hub_home):
        assert secret not in everything(place), f"the token stands in {place}"
    assert secret not in said.stdout + said.stderr


def test_what_cannot_end_well_is_not_begun(hub: Hub, hub_home: Path, fresh: Road) -> None:
    road = Road(fresh.folder, f"hf://{hub.name('model')}")
    cases = {
        "there is no token": {"HF_TOKEN": ""},
        "HTTP 401": {"HF_TOKEN": "hf_" + "unknown" * 5},
        "role read": {"HF_TOKEN": hub.token("reader", role="read")},
        "may not create it": {"HF_TOKEN": hub.token("stranger", namespace="other")},
    }
    for text, env in cases.items():
        for verb, code in (("run", 2), ("doctor", 1)):
            done = road.call(verb, env=env)
            said = " ".join((done.stdout + done.stderr).split())
            assert done.returncode == code, said
            assert text in said, said
            assert "Needed is write access" in said or "hf auth login" in said
            assert "Training" not in said
            assert not env["HF_TOKEN"] or env["HF_TOKEN"] not in said
    assert not list(road.work.glob("*/members"))
    well = road.answer("doctor")
    assert well["ok"]
    assert "may be created by" in well["checks"][-1]["detail"]


def test_a_fine_grained_token_for_one_repository_will_do(
    hub: Hub, hub_home: Path, on_hub: Road
) -> None:
    assert on_hub.hub is not None
    repo = on_hub.hub.removeprefix("hf://")
    hub.api().create_repo(repo, private=True)
    env = {"HF_TOKEN": hub.token("one", role="fineGrained", repos=[repo])}
    done = on_hub.call("run", "--publish", env=env)
    assert done.returncode == 0, done.stderr
    assert set(tags(hub, repo)) == {"v1.0.0"}


def test_a_trusted_publisher_needs_no_token(hub: Hub, hub_home: Path, on_hub: Road) -> None:
    assert on_hub.hub is not None
    repo = on_hub.hub.removeprefix("hf://")
    hub.api().create_repo(repo)
    env = {"HF_TOKEN": "", "HF_OIDC_RESOURCE": repo, **hub.ci_env()}
    refused = on_hub.call("run", "--publish", env=env)
    assert refused.returncode == 2
    assert "trusted publisher" in " ".join(refused.stderr.split())
    hub.trust(repo)
    done = on_hub.call("run", "--publish", env=env)
    assert done.returncode == 0, done.stderr
    assert set(tags(hub, repo)) == {"v1.0.0"}


def test_the_verbs_name_what_is_wrong(hub: Hub, hub_home: Path) -> None:
    missing = f"hf://{hub.name('nothing')}"
    for verb in (["list"], ["rollback", "--to", "v1.0.0"], ["publish", "--candidate", "0" * 16]):
        done = subprocess.run(
            [*TRAINER, *verb, "--registry", missing], cwd=ROOT, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == (0 if verb == ["list"] else 2), done.stderr
