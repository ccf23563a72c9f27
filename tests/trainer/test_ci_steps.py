"""What the workflows ask: is training needed, may it be merged, what stands in the registry."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from registry_kit import Run

from polyid.errors import PolyIDError
from trainer.ci import outputs
from trainer.ci.decide import DECIDES, HOSTED, RENTED, changed_files, decide, deciding, given_files
from trainer.ci.settle import settle
from trainer.ci.standing import standing
from trainer.ci.tags import tag_commit
from trainer.fingerprint import CODE
from trainer.registry import LocalRegistry
from trainer.targets import NAMES

ROOT = Path(__file__).parents[2]
HERE = {"repository": {"full_name": "acme/code"}}


def request(head: str) -> dict:
    return HERE | {"pull_request": {"head": {"repo": {"full_name": head}}, "base": {"sha": "0"}}}


def test_what_decides_a_fingerprint_decides_a_training():
    for package in CODE:
        assert deciding([f"{package.replace('.', '/')}/deep/file.py"])
    assert all((ROOT / name).exists() for name in DECIDES)


@pytest.mark.parametrize("name", ["data.dvc", "params.yaml", "gates.yaml", "polyid/models.py"])
def test_a_change_of_a_model_is_trained(name):
    assert decide("push", HERE, ["README.md", name], "", "").train


@pytest.mark.parametrize("name", ["README.md", "docs/data.dvc", "polyid.md", "params.yaml.md"])
def test_another_change_is_not(name):
    assert not decide("push", HERE, [name], "", "").train


def test_files_that_a_workflow_names_decide_too():
    ref = "acme/mine/.github/workflows/polymers.yml@refs/heads/main"
    env = {
        "DATA": "tables/mine.csv",
        "PARAMS": "mine.yaml",
        "GATES": "",
        "GITHUB_WORKFLOW_REF": ref,
    }
    given = given_files(env)
    assert given == ["tables/mine.csv", "mine.yaml", ".github/workflows/polymers.yml"]
    for name in (*given, "tables.dvc", "tables/mine.csv.dvc"):
        assert deciding(["README.md", name], given) == [name]
    assert deciding([".dvc", "mine.csv.dvc", ".github/workflows/ci.yml"], given) == []
    assert given_files({"GITHUB_WORKFLOW_REF": ""}) == []


def test_in_doubt_it_is_trained():
    assert decide("push", HERE, None, "", "").train
    assert decide("workflow_dispatch", HERE, [], "", "").train


def test_a_fork_and_a_head_that_is_gone_are_foreign_and_stay_off_ones_own_machines():
    for event in (request("eve/code"), HERE | {"pull_request": {"head": {"repo": None}}}):
        found = decide("pull_request", event, ["data.dvc"], "self-hosted", '["mine"]')
        assert (found.foreign, found.runner, found.target) == (True, HOSTED, "local")
    assert not decide("pull_request", request("acme/code"), ["data.dvc"], "", "").foreign


def test_ones_own_machines_need_labels():
    assert decide("push", HERE, [], "self-hosted", '["gpu"]').runner == ["gpu"]
    for labels in ("", "[]", '"gpu"', "[1]"):
        with pytest.raises(ValueError, match="RUNNER_LABELS"):
            decide("push", HERE, [], "self-hosted", labels)


def test_a_rented_machine_needs_an_image_unless_one_is_given():
    rented = decide("push", HERE, ["data.dvc"], "hf-jobs", "")
    assert "rented=true\nimage=true" in rented.outputs()
    assert "image=false" in rented.outputs("acme/image@sha256:0")
    assert "image=false" in decide("push", HERE, ["README.md"], "hf-jobs", "").outputs()
    assert set(RENTED) < set(NAMES)
    fork = decide("pull_request", request("eve/code"), ["data.dvc"], "hf-jobs", "")
    assert "image=false" in fork.outputs()


def git(folder: Path, *args: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=folder, check=True,
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits; the second moves the recipe away."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "params.yaml").write_text("a")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "mv", "params.yaml", "ünlike.yaml")
    git(tmp_path, "commit", "-qm", "two")
    return tmp_path


def test_both_names_of_a_moved_file_are_seen(checkout):
    before = git(checkout, "rev-parse", "HEAD~1")
    expected = ["params.yaml", "ünlike.yaml"]
    assert changed_files("push", {"before": before}, checkout) == expected
    event = {"pull_request": {"base": {"sha": before}}}
    assert changed_files("pull_request", event, checkout) == expected


def test_what_cannot_be_compared_is_unknown(checkout):
    assert changed_files("push", {"before": "0" * 40}, checkout) is None
    assert changed_files("push", {"before": "ab" * 20}, checkout) is None
    assert changed_files("workflow_dispatch", {}, checkout) is None


def test_it_decides_with_nothing_installed(checkout, tmp_path):
    event, out = tmp_path / "event.json", tmp_path / "out"
    event.write_text(json.dumps(HERE | {"before": git(checkout, "rev-parse", "HEAD~1")}))
    env = {
        "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event), "GITHUB_OUTPUT": str(out),
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-S", "-m", "trainer.ci.decide"]  # -S: no installed packages
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "params.yaml changed" in done.stdout
    assert out.read_text().splitlines() == [
        "train=true", "foreign=false", "target=local", 'runner=["ubuntu-24.04"]', "rented=false",
        "image=false",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=checkout, env=env | {"TARGET": "self-hosted"}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "RUNNER_LABELS" in done.stdout


def needs(decide="success", train="success", check="skipped", verdict="", **said) -> dict:
    return {
        "decide": {"result": decide, "outputs": {"train": "true", "foreign": "false"} | said},
        "check": {"result": check, "outputs": {}},
        "train": {"result": train, "outputs": {"verdict": verdict}},
    }


@pytest.mark.parametrize(
    ("jobs", "good"),
    [
        (needs(verdict="pass"), True),
        (needs(verdict="inconclusive"), True),
        (needs(verdict="planned"), True),
        (needs(train="skipped"), False),
        (needs(verdict="fail"), False),
        (needs(verdict="running"), False),
        (needs(verdict=""), False),
        (needs(verdict="pass", train="failure"), False),
        (needs(verdict="pass", train="cancelled"), False),
        (needs(verdict="pass", decide="failure"), False),
    ],
)
def test_only_a_verdict_lets_a_change_of_a_model_through(jobs, good):
    assert settle(jobs)[0] is good


def test_an_image_that_cannot_be_built_is_named():
    good, why = settle(needs(train="skipped") | {"image": {"result": "failure"}})
    assert not good
    assert "see the job image" in why
    assert settle(needs(verdict="pass") | {"image": {"result": "skipped"}})[0]


def test_a_change_of_no_model_goes_through_and_a_forks_does_not():
    idle = {
        "decide": {"result": "success", "outputs": {"train": "false"}},
        "check": {"result": "skipped"}, "train": {"result": "skipped"},
    }  # fmt: skip
    assert settle(idle)[0]
    foreign = {"result": "success", "outputs": {"train": "true", "foreign": "true"}}
    good, why = settle(idle | {"decide": foreign, "check": {"result": "success"}})
    assert not good
    assert "maintainer" in why
    good, why = settle(idle | {"decide": foreign, "check": {"result": "failure"}})
    assert not good
    assert "contract" in why


def test_where_a_model_stands(tmp_path):
    registry = LocalRegistry(tmp_path / "registry")
    run = Run(tmp_path / "run").write()
    assert standing(registry, run.fingerprint).verdict == "not trained"
    registry.add_candidate(run.folder, run.fingerprint)
    assert standing(registry, run.fingerprint).publishable
    registry.publish(run.fingerprint)
    found = standing(registry, run.fingerprint)
    assert (found.release, found.publishable) == ("v1.0.0", False)
    bad = Run(tmp_path / "bad", data="other", verdict="fail").write()
    registry.add_candidate(bad.folder, bad.fingerprint)
    found = standing(registry, bad.fingerprint)
    assert not found.publishable
    assert "gate says fail" in found.text


def test_an_output_cannot_set_another(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    with pytest.raises(ValueError, match="line break"):
        outputs.set_outputs(verdict="fail\nverdict=pass")
    assert not (tmp_path / "out").exists()


def test_a_release_is_tagged_once(github, monkeypatch):
    for name, value in github.env().items():
        monkeypatch.setenv(name, value)
    assert tag_commit("v1.0.0", "a" * 40) == "model-v1.0.0"
    assert tag_commit("v1.0.0", "a" * 40) == "model-v1.0.0"
    assert github.refs == {"refs/tags/model-v1.0.0": "a" * 40}
    with pytest.raises(PolyIDError, match=r"stands at a{40}"):
        tag_commit("v1.0.0", "b" * 40)
    reader = github.make_token("reader", may=())
    monkeypatch.setenv("GITHUB_TOKEN", reader)
    with pytest.raises(PolyIDError, match="contents: write") as told:
        tag_commit("v2.0.0", "a" * 40)
    assert reader not in str(told.value)
