import json

import numpy as np
import pandas as pd
import pytest
from evaluation_kit import RHO, TG, gates, metrics, predictions

from trainer.gate import RANDOM_SPLIT_WARNING, judge, judge_folder
from trainer.strict import ConfigError

BOTH = [TG, RHO]


def verdict(table: pd.DataFrame, **changes):
    return judge(metrics(table), gates(**changes), BOTH, predictions=table)


def failed(found) -> set:
    return {(check["check"], check["property"]) for check in found.checks if not check["ok"]}


def test_a_healthy_model_passes():
    found = verdict(predictions())
    assert found.verdict == "pass"
    assert found.may_publish
    assert found.champion is None
    assert "no release yet" in found.reasons[0]


def test_shuffled_labels_fail():
    table = predictions()
    shuffle = np.random.default_rng(0).permutation
    table["y_pred"] = table.groupby("property")["y_pred"].transform(lambda v: shuffle(v))
    found = verdict(table)
    assert found.verdict == "fail"
    assert not found.may_publish
    assert {("floor_mae", TG), ("floor_r2", TG), ("beats_mean", TG)} <= failed(found)


@pytest.mark.parametrize("constant", ["one", "per fold"])
def test_a_constant_model_fails_and_is_called_so(constant):
    table = predictions()
    table["y_pred"] = 150.0 if constant == "one" else table["y_mean"]
    found = verdict(table)
    assert found.verdict == "fail"
    assert ("not_constant", TG) in failed(found)
    assert any("the model is constant" in reason for reason in found.reasons)


def test_a_constant_fails_even_under_a_floor_that_lets_it_by():
    table = predictions()
    table["y_pred"] = table["y_mean"]
    loose = {
        TG: {"max_mae": 999.0, "min_r2": 1e-9, "unit": "°C"},
        RHO: {"max_mae": 9.0, "min_r2": 1e-9, "unit": "g/cm³"},
    }
    found = verdict(table, floors=loose, must_beat_mean=False)
    assert ("not_constant", RHO) in failed(found)


def test_a_missed_floor_names_property_value_unit_and_floor():
    found = verdict(predictions(error=0.6))
    assert found.verdict == "fail"
    line = next(reason for reason in found.reasons if "Density: MAE" in reason)
    assert "g/cm³ is above the floor of 0.055 g/cm³" in line


def test_a_model_that_does_not_beat_the_mean_fails():
    table = predictions()
    table["y_mean"] = table["y_true"] + 1e-6
    assert failed(verdict(table)) == {("beats_mean", TG), ("beats_mean", RHO)}
    assert verdict(table, must_beat_mean=False).verdict == "pass"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", ["y_pred", "y_mean"])
def test_a_value_that_is_no_number_fails(value, column):
    table = predictions()
    table.loc[3, column] = value
    found = verdict(table)
    assert failed(found) == {("finite", TG)}
    assert "missing or not a finite number" in found.reasons[0]


def test_a_property_without_metrics_fails():
    table = predictions().query("property == @TG")
    found = judge(metrics(table), gates(), BOTH, predictions=table)
    assert failed(found) == {("present", RHO)}
    assert found.verdict == "fail"


def test_metrics_in_another_unit_fail():
    found = metrics(predictions())
    found["properties"][TG]["unit"] = "K"
    assert failed(judge(found, gates(), BOTH)) == {("unit", TG)}


@pytest.mark.parametrize("broken", [None, {}, {"properties": None}, {"properties": []}])
def test_no_metrics_fail(broken):
    assert judge(broken, gates(), BOTH).verdict == "fail"


def test_a_trained_property_without_a_floor_is_an_error():
    with pytest.raises(ConfigError, match=r"floors\.Melt_Temp: missing"):
        judge(metrics(predictions()), gates(), [*BOTH, "Melt_Temp"])


def test_metrics_that_contradict_the_predictions_fail():
    table = predictions()
    found = metrics(table)
    found["properties"][TG]["model"]["mae"] = 1.0
    verdict_ = judge(found, gates(), BOTH, predictions=table)
    assert verdict_.verdict == "fail"
    assert "metrics.json says MAE 1 °C for Glass_Transition" in verdict_.reasons[0]


def test_metrics_of_a_property_without_predictions_fail():
    table = predictions()
    found = judge(metrics(table), gates(), BOTH, predictions=table.query("property == @TG"))
    assert found.verdict == "fail"
    assert "scores Density, which predictions.parquet does not hold" in found.reasons[0]


def test_a_dry_run_reports_but_holds_nothing_up():
    found = verdict(predictions(error=0.9), mode="dry_run")
    assert (found.verdict, found.may_publish) == ("fail", True)
    assert found.as_json()["enforced"] is False


def test_a_random_split_is_warned_of():
    table = predictions()
    found = judge(metrics(table, split="random"), gates(), BOTH, predictions=table)
    assert found.warnings == (RANDOM_SPLIT_WARNING,)
    assert verdict(table).warnings == ()


def test_the_verdict_is_json():
    text = json.dumps(verdict(predictions()).as_json(), allow_nan=False)
    assert set(json.loads(text)) >= {"verdict", "mode", "reasons", "checks", "champion"}


def write(folder, table):
    (folder / "metrics.json").write_text(json.dumps(metrics(table)), encoding="utf-8")
    table.to_parquet(folder / "predictions.parquet")


def test_a_folder_is_judged(tmp_path):
    write(tmp_path, predictions())
    assert judge_folder(tmp_path, gates(), BOTH).verdict == "pass"


@pytest.mark.parametrize("name", ["metrics.json", "predictions.parquet"])
def test_a_missing_file_fails_and_is_named(tmp_path, name):
    write(tmp_path, predictions())
    (tmp_path / name).unlink()
    found = judge_folder(tmp_path, gates(), BOTH)
    assert found.verdict == "fail"
    assert name in found.reasons[0]


@pytest.mark.parametrize("name", ["metrics.json", "predictions.parquet"])
def test_a_file_cut_short_fails(tmp_path, name):
    write(tmp_path, predictions())
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    found = judge_folder(tmp_path, gates(), BOTH)
    assert found.verdict == "fail"
    assert "cannot be read" in found.reasons[0]


def test_metrics_that_are_a_list_fail(tmp_path):
    write(tmp_path, predictions())
    (tmp_path / "metrics.json").write_text("[]", encoding="utf-8")
    assert judge_folder(tmp_path, gates(), BOTH).verdict == "fail"
