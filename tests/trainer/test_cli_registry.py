"""The verbs on a registry: what they print, their JSON and their exit codes; folder and Hub."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hub_kit import Hub
from registry_kit import tree
from revisions_kit import TG, Labelled, fill
from road_kit import ROOT

from polyid.predict import _source
from polyid.store import resolve
from trainer.cli import app, guarded
from trainer.registry import LocalRegistry, open_registry


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> Answer:
        code = guarded(lambda: app(list(arguments)))
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def runs(registry: LocalRegistry, tmp_path: Path) -> dict[str, Labelled]:
    return fill(registry, tmp_path)


def test_each_verb_prints_and_gives_json(call, registry: LocalRegistry, runs) -> None:
    where = ("--registry", str(registry))
    before = tree(registry.path)
    shown = call("show", *where)
    assert (shown.code, "v1.1.0  current release" in shown.out) == (0, True)
    assert json.loads(call("show", "v1.0.0", "--json", *where).out)["revision"] == "v1.0.0"
    differs = call("diff", "v1.0.0", "v1.1.0", *where)
    assert differs.code == 0  # a difference is no fault
    assert "~ Tg" in differs.out
    assert "more" in call("diff", "v1.0.0", "v1.1.0", "--rows", "1", *where).out
    said = json.loads(call("diff", "v1.0.0", "v1.1.0", "--rows", "1", "--json", *where).out)
    assert len(said["data"]["rows"]) == 5
    traced = call("lineage", runs["failed"].fingerprint, *where)
    assert (traced.code, "Not known" in traced.out) == (0, True)
    assert json.loads(call("lineage", "--json", *where).out)["revision"] == "v1.1.0"
    listed = json.loads(call("list", "--json", *where).out)
    assert listed["current"] == "v1.1.0"
    assert tree(registry.path) == before  # looking changes nothing


@pytest.mark.parametrize("verb", [("show",), ("lineage",), ("diff", "v1.0.0")])
@pytest.mark.parametrize("revision", ["v9.9.9", "candidate/ffff", "nonsense", "ee" * 20])
def test_unknown_revisions(call, registry: LocalRegistry, runs, verb, revision: str) -> None:
    answer = call(*verb, revision, "--registry", str(registry), "--json")
    assert answer.code == 2
    assert answer.out == ""
    assert "v1.0.0" in answer.err or "Candidates" in answer.err
    assert "Traceback" not in answer.err


def test_no_registry(call, tmp_path: Path) -> None:
    for verb in ("show", "lineage"):
        answer = call(verb, "--registry", str(tmp_path / "nowhere"))
        assert answer.code == 2
        assert "trainer run --registry" in answer.err


def test_changed_files_are_refused(call, registry: LocalRegistry, runs) -> None:
    path = registry.path / "releases" / "v1.0.0" / "metrics.json"
    path.chmod(0o644)
    path.write_text("{}")
    answer = call("show", "v1.0.0", "--registry", str(registry))
    assert answer.code == 2
    assert "changed: metrics.json" in answer.err


def test_what_a_prediction_says_of_its_model_leads_back(call, registry, runs) -> None:
    where = ("--registry", str(registry))
    for model in (f"{registry}", f"{registry}@candidate/{runs['failed'].fingerprint}"):
        source = _source(resolve(model))
        for name in ("revision", "fingerprint"):
            said = json.loads(call("lineage", source[name], "--json", *where).out)
            assert said["fingerprint"] == source["fingerprint"]
            assert said["recorded"]["data"]["hash"] == source["data_hash"]
            assert said["recorded"]["code"]["commit"] == source["commit"]


def test_the_same_on_the_hub(call, hub: Hub, hub_home: Path, tmp_path: Path) -> None:
    address = f"hf://{hub.name('model')}"
    runs = fill(open_registry(address), tmp_path)
    where = ("--registry", address)
    shown = json.loads(call("show", "--json", *where).out)
    assert (shown["revision"], shown["state"]) == ("v1.1.0", "current release")
    commit = shown["release"]["commit"]
    assert json.loads(call("show", commit, "--json", *where).out)["revision"] == "v1.1.0"
    made = hub.git(address.removeprefix("hf://"), "rev-parse",
                   f"candidate/{runs['failed'].fingerprint}").strip()  # fmt: skip
    traced = json.loads(call("lineage", made, "--json", *where).out)
    assert traced["fingerprint"] == runs["failed"].fingerprint
    said = json.loads(call("diff", "v1.0.0", "v1.1.0", "--json", *where).out)
    assert [row["kind"] for row in said["data"]["rows"]] == [
        "came",
        "went",
        "went",
        *["changed"] * 2,
    ]
    assert {score["property"] for score in said["scores"]} >= {TG}
    assert said["files"]["size"]["old"] is None  # weights are not fetched for a look
    assert not any("model.weights.h5" in c["path"] for c in hub.calls() if c["method"] == "GET")
    assert "weights were not fetched" in " ".join(
        call("diff", "v1.0.0", "v1.1.0", *where).out.split()
    )
    back = json.loads(call("lineage", "v1.0.0", "--json", *where).out)
    assert back["links"]["folds"]["fetch"].startswith("hf download ")
    assert [event["tag"] for event in back["events"]] == ["v1.0.0", "v1.1.0"]
    text = call("lineage", "ab" * 20, *where)
    assert text.code == 2
    assert "commit of the code that made v1.0.0" in " ".join(text.err.split())


def test_help_is_fast_to_import_and_teaches() -> None:
    code = (
        "import sys; from trainer.cli import app, guarded; guarded(lambda: app(['--help'])); "
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'huggingface_hub', 'jinja2'}; "
        "print('loaded', sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for verb in ("list", "show", "diff", "lineage", "rollback"):
        assert f" {verb} " in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded []"
