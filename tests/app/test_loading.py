"""Which model is served: pinned, verified, tested; else the last good one, or none and why."""

import shutil
import subprocess
import sys

import pytest
from serve_kit import ROOT, release, serving, spoil_weights, write_model

from app.last_good import STATE, LastGood
from app.loading import address, registry_of
from polyid.errors import PolyIDError


def copy(registry, target):
    shutil.copytree(registry, target)
    return target


def test_an_address_and_a_revision_given_apart(tmp_path):
    assert address("hf://acme/model", None) == "hf://acme/model"
    assert address("hf://acme/model", "v1.0.0") == "hf://acme/model@v1.0.0"
    assert address("hf://acme/model@v1.0.0", "v1.0.0") == "hf://acme/model@v1.0.0"
    with pytest.raises(PolyIDError, match="names the revision"):
        address("hf://acme/model@v1.0.0", "v2.0.0")
    odd = tmp_path / "folder@home"
    odd.mkdir()
    assert address(str(odd), "v1.0.0") == f"{odd}@v1.0.0"


def test_registries_of_addresses(tmp_path):
    assert registry_of("hf://acme/model@v1.0.0") == "hf://acme/model"
    assert registry_of(f"{tmp_path}@v1.0.0") == str(tmp_path)
    assert registry_of(str(tmp_path)) == str(tmp_path)


def test_the_last_good_model_is_kept_per_registry(tmp_path):
    memory = LastGood(tmp_path / "new" / "folder")
    assert memory.of("a") is None
    memory.keep("a", "a@v1.0.0")
    memory.keep("b", "b@v2.0.0")
    assert (memory.of("a"), memory.of("b")) == ("a@v1.0.0", "b@v2.0.0")
    memory.keep("a", "elsewhere@v1.0.0")
    assert memory.of("a") is None, "an address of another registry is not believed"


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{", "\ufffe"])
def test_a_damaged_memory_is_an_empty_one(tmp_path, text):
    (tmp_path / STATE).write_text(text)
    memory = LastGood(tmp_path)
    assert memory.of("a") is None
    memory.keep("a", "a@v1.0.0")
    assert memory.of("a") == "a@v1.0.0"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    LastGood(tmp_path / "file" / "cache").keep("a", "a@v1.0.0")


def test_two_different_revisions_are_refused(served_registry):
    command = [sys.executable, "-m", "app", "--model", f"{served_registry}@v1.0.0"]
    done = subprocess.run(
        [*command, "--revision", "v2.0.0"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "MODEL_REVISION is 'v2.0.0'" in done.stderr


@pytest.mark.slow
def test_a_release_that_fails_its_self_test_is_not_served(served_registry, other_folder, tmp_path):
    registry, cache = copy(served_registry, tmp_path / "registry"), tmp_path / "cache"
    with serving(registry, cache) as running:
        assert running.settled()["status"] == "ready"
        good = running.predict("*CC(*)c1ccccc1")
    spoil_weights(release(registry, "v1.1.0", other_folder))
    with serving(registry, cache) as running:
        found = running.settled()
        assert (found["status"], found["ready"]) == ("degraded", True)
        assert "The self-test failed" in found["reason"]
        assert "Glass_Transition is" in found["reason"]
        assert f"{registry}@v1.0.0, is served instead" in found["reason"]
        assert found["model"]["tag"] == "v1.0.0"
        assert running.get("/model").json()["tag"] == "v1.0.0"
        assert running.get("/health/ready").status_code == 200
        # and after a restart the numbers are the same, to the last digit
        assert running.predict("*CC(*)c1ccccc1") == good


@pytest.mark.slow
def test_without_a_good_release_the_service_lives_and_says_why(
    served_registry, other_folder, tmp_path
):
    registry, cache = copy(served_registry, tmp_path / "registry"), tmp_path / "cache"
    changed = registry / "releases" / "v1.0.0" / "parameters.json"
    changed.write_text(changed.read_text().replace('"dp": 6', '"dp": 7'))
    with serving(registry, cache) as running:
        found = running.settled()
        assert (found["status"], found["live"], found["ready"]) == ("not ready", True, False)
        assert "changed: parameters.json" in found["reason"]
        assert found["model"] is None
        assert running.get("/health/live").status_code == 200
        for path in ("/health/ready", "/model"):
            assert running.get(path).status_code == 503
        for path, body in (
            ("/predict", {"smiles": "*CC*"}),
            ("/predict/batch", ["*CC*"]),
            ("/run/predict", {"smiles": "*CC*"}),
            ("/batch_predict", {"smiles_list": ["*CC*"]}),
        ):
            answer = running.post(path, json=body)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert answer.json()["type"] == "/problems/not-ready"


@pytest.mark.slow
def test_an_old_release_is_served_with_a_warning(tmp_path):
    folder = write_model(tmp_path / "old", reference=False)
    with serving(folder, tmp_path / "cache") as running:
        found = running.settled()
        assert (found["status"], found["self_test"]) == ("ready", 0)
        assert "no reference.json" in found["warnings"][0]
        assert running.predict("*CC*")["model"]["revision"] is None
