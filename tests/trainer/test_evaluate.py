import json

import numpy as np
import pytest
from evaluation_kit import RHO, TG, metrics, predictions

from polyid.errors import PolyIDError


def test_scores_of_the_model_and_both_baselines_in_all_and_per_fold():
    table = predictions()
    found = metrics(table)
    entry = found["properties"][TG]
    rows = table.loc[table["property"] == TG]
    error = (rows["y_pred"] - rows["y_true"]).abs()
    assert list(found["properties"]) == [TG, RHO]
    assert entry["unit"] == "°C"
    assert entry["n"] == 150
    assert entry["model"]["mae"] == pytest.approx(error.mean())
    assert entry["mean"]["r2"] < 0.05
    assert entry["gp"]["mae"] < entry["mean"]["mae"]
    assert [fold["fold"] for fold in entry["per_fold"]] == [0, 1, 2, 3, 4]
    first = entry["per_fold"][0]
    assert (first["n"], first["n_train"]) == (30, 120)
    assert first["model"] == pytest.approx(error[rows["fold"] == 0].mean())


def test_metrics_are_json_without_nan():
    table = predictions()
    table.loc[0, "y_pred"] = np.nan
    found = metrics(table)
    json.dumps(found, allow_nan=False)
    assert found["properties"][TG]["model"] == {"mae": None, "rmse": None, "r2": None}
    assert found["properties"][TG]["per_fold"][0]["model"] is None
    assert found["properties"][RHO]["model"]["mae"] is not None


def test_interval_coverage_by_hand():
    table = predictions().groupby("property").head(10).copy()
    table["low"], table["high"] = table["y_true"] - 1.0, table["y_true"] + 2.0
    table.loc[table.index[0], ["low", "high"]] += 100.0
    interval = metrics(table)["properties"][TG]["interval"]
    assert interval == {
        "level": 0.9,
        "n": 10,
        "coverage": pytest.approx(0.9),
        "mean_width": pytest.approx(3.0),
    }


def test_without_intervals_there_is_no_coverage():
    table = predictions().drop(columns=["low", "high"])
    assert "interval" not in metrics(table)["properties"][TG]


def test_a_constant_shows_in_the_number_of_distinct_predictions():
    table = predictions()
    table["y_pred"] = table["fold"].astype(float)
    assert metrics(table)["properties"][TG]["distinct"] == 5


@pytest.mark.parametrize(
    ("break_", "part"),
    [
        (lambda t: t.drop(columns="y_gp"), r"lack the columns \['y_gp'\]"),
        (lambda t: t.assign(property="Colour"), r"unknown properties \['Colour'\]"),
        (lambda t: t.assign(sample="same"), "given twice"),
    ],
)
def test_tables_that_cannot_be_scored(break_, part):
    with pytest.raises(PolyIDError, match=part):
        metrics(break_(predictions()))
