"""`trainer diff`: scores with units, parameters, the very rows of the data, code, files."""

import json
from pathlib import Path

import pytest
import revisions_kit as kit
from evaluation_kit import RHO, TG, predictions
from registry_kit import sha
from revisions_kit import BARE, Labelled, add_bare, fill, on_one_line

from trainer.difference import Difference, difference
from trainer.difference_view import render
from trainer.registry import LocalRegistry


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def runs(registry: LocalRegistry, tmp_path: Path) -> dict[str, Labelled]:
    return fill(registry, tmp_path)


def printed(found: Difference, limit: int = 20) -> str:
    return on_one_line(kit.printed(lambda console: render(found, console, limit)))


def test_scores_with_units_and_counts(registry: LocalRegistry, runs) -> None:
    found = difference(registry, "v1.0.0", "v1.1.0")
    assert not found.comparable  # other data
    tg, rho = found.scores
    assert (tg.property, tg.unit, tg.n) == (TG, "°C", (100, 99, -1))
    assert tg.mae == (23.4, 21.4, pytest.approx(-2.0))
    assert rho.mae == (0.05, 0.05, 0.0)
    assert tg.coverage == (0.912, 0.912, 0.0)
    text = printed(found)
    assert "Glass transition °C 100 → 99 23.4 → 21.4 -2.0 31.0 +0.0 0.91" in text
    assert "other folds or other data" in text


def test_the_rows_that_came_went_and_changed(registry: LocalRegistry, runs) -> None:
    data = difference(registry, "v1.0.0", "v1.1.0").data
    assert data.same_file is False
    assert data.rows is not None
    assert [(r.kind, r.property, r.mechanism) for r in data.rows] == [
        ("came", TG, "ester"),
        ("went", TG, "amide"),
        ("went", TG, "ester"),
        ("changed", TG, "ester"),
        ("changed", TG, "imide"),
    ]
    old = predictions()
    assert data.rows[3].old == pytest.approx(old.loc[2, "y_true"])
    assert data.rows[3].new == pytest.approx(old.loc[2, "y_true"] + 5.5)
    assert data.rows[4].old_mechanism == "amide"
    assert [tuple(count) for count in data.counts] == [
        (TG, "ester", 1, 1, 1),
        (TG, "amide", 0, 1, 0),
        (TG, "imide", 0, 0, 1),
    ]
    back = difference(registry, "v1.1.0", "v1.0.0").data
    assert back.rows is not None
    assert [r.kind for r in back.rows] == ["came", "came", "went", "changed", "changed"]


def test_as_many_rows_as_asked_for(registry: LocalRegistry, runs) -> None:
    found = difference(registry, "v1.0.0", "v1.1.0")
    whole = printed(found)
    assert "more" not in whole
    assert "+ Tg" in whole
    assert "amide → imide" in whole
    assert "line 152" in whole
    some = printed(found, 2)
    assert "… and 3 more: `--rows 5`" in some
    assert "amide → imide" not in some


def test_brackets_of_a_smiles_are_shown(registry: LocalRegistry, runs, tmp_path: Path) -> None:
    table = predictions()
    table.loc[0, ["smiles_polymer", "group"]] = "C[nH]C"
    run = Labelled(tmp_path / "nh", data="nh", table=table).write()
    registry.add_candidate(run.folder, run.fingerprint)
    assert "C[nH]C" in printed(difference(registry, "v1.0.0", run.fingerprint))


def test_parameters_code_packages_and_files(registry: LocalRegistry, runs) -> None:
    found = difference(registry, "v1.0.0", "v1.1.0")
    assert found.params == [("training.learning_rate", "0.0001", "0.01")]
    assert ("code.commit", "ab" * 20, "cd" * 20) in found.code
    assert found.packages == [("packages.numpy", "2.4.6", "2.5.0")]
    assert found.rest == []
    facts = {change.key: (change.old, change.new) for change in found.data.facts}
    assert facts["data.hash"] == (sha("data"), sha("more data"))
    assert facts["data.rows"] == ("120", "119")
    files = found.files
    assert (files.old, files.new, files.came, files.went) == (5, 5, [], [])
    assert "model_fold_0/model.weights.h5" in files.changed
    assert "model_fold_0/scaler.json" not in files.changed
    assert not {"record.yaml", "gate.json", "release.json"} & set(files.changed)
    stored = registry.folder("v1.0.0")
    kept = ["metrics.json", "parameters.json", "predictions.parquet", "model_fold_0/scaler.json"]
    weights = stored / "model_fold_0" / "model.weights.h5"
    bytes_of_it = sum((stored / n).stat().st_size for n in kept) + weights.stat().st_size
    assert files.size.old == bytes_of_it
    text = printed(found)
    assert "training.learning_rate: 0.0001 → 0.01" in text
    assert "other content: model_fold_0/" in text


def test_a_property_that_one_side_does_not_predict(registry: LocalRegistry, runs) -> None:
    found = difference(registry, runs["failed"].fingerprint, "v1.0.0")
    assert found.comparable  # the same data and folds
    rho = found.scores[1]
    assert rho.mae == (None, 0.05, None)
    assert found.data.left_out == [RHO]
    assert found.data.rows == []
    text = printed(found)
    assert "– → 0.050" in text
    assert "not compared row by row: Density" in text
    assert "No label came, went or changed" in text
    assert found.code[0].key == "code.hash"


def test_a_run_with_itself(registry: LocalRegistry, runs) -> None:
    found = difference(registry, "v1.0.0", runs["v1.0.0"].fingerprint)
    assert [found.params, found.code, found.packages, found.rest, found.data.rows] == [[]] * 5
    assert (found.files.came, found.files.went, found.files.changed) == ([], [], [])
    text = printed(found)
    assert "Both are the same run" in text
    assert "the same file" in text


def test_what_is_not_there_is_said(registry: LocalRegistry, runs, tmp_path: Path) -> None:
    add_bare(registry, tmp_path)
    found = difference(registry, BARE, "v1.0.0")
    assert (found.comparable, found.data.same_file, found.data.rows) == (None, None, None)
    assert found.files.came
    text = printed(found)
    assert "one side has no metrics" in text
    assert "no predictions.parquet" in text
    json.dumps(found.as_json())


def test_json_names_everything(registry: LocalRegistry, runs) -> None:
    said = json.loads(json.dumps(difference(registry, "v1.0.0", "v1.1.0").as_json()))
    assert said["old"]["revision"] == "v1.0.0"
    assert said["scores"][0]["mae"] == {
        "old": 23.4,
        "new": 21.4,
        "difference": pytest.approx(-2.0),
    }
    assert len(said["data"]["rows"]) == 5
    assert said["data"]["rows"][0]["smiles"] == "C[nH]C"
    assert said["data"]["counts"][0]["mechanism"] == "ester"
    assert said["params"][0] == {"key": "training.learning_rate", "old": "0.0001", "new": "0.01"}
    assert said["files"]["size"]["old"] > 0
