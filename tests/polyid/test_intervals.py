"""Intervals: coverage where errors are exchangeable, honesty where they are not, and their file."""

import json

import numpy as np
import pandas as pd
import pytest

from polyid.intervals import Calibration, Intervals, IntervalsError, cross_coverage

TG, RHO, TM = "Glass_Transition", "Density", "Melt_Temp"


def predictions(
    n: int = 1000, seed: int = 0, folds: int = 5, name: str = TG, per_set: int = 1
) -> pd.DataFrame:
    """Heavy-tailed errors that grow fourfold with the distance to the training polymers."""
    draw = np.random.default_rng(seed)
    sets = np.arange(n) // per_set
    similarity = draw.uniform(0.2, 1.0, n)
    truth = draw.normal(150.0, 80.0, n)
    error = draw.standard_t(4, n) * (5.0 + 20.0 * (1 - similarity))
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(n)],
            "group": [f"g{k}" for k in sets],
            "fold": sets % folds,
            "property": name,
            "y_true": truth,
            "y_pred": truth + error,
            "similarity": similarity,
        }
    )


def inside(frame: pd.DataFrame) -> pd.Series:
    return frame["y_true"].between(frame["low"], frame["high"])


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_coverage_is_near_its_level(level):
    covered = inside(cross_coverage(predictions(), level)).mean()
    assert covered == pytest.approx(level, abs=0.025)  # three standard errors of 1000 draws


def test_new_polymers_are_covered_as_promised():
    fitted = Intervals.fit(predictions(seed=1))
    new = predictions(seed=2, n=4000)
    new["low"], new["high"] = fitted.bounds(TG, new["y_pred"], new["similarity"])
    assert inside(new).mean() == pytest.approx(0.9, abs=0.03)


def test_width_follows_similarity_and_near_and_far_are_covered_alike():
    frame = predictions(n=3000)
    local = cross_coverage(frame)
    constant = cross_coverage(frame.assign(similarity=np.nan))
    far = (frame["similarity"] < 0.4).to_numpy()
    assert inside(local)[far].mean() == pytest.approx(0.9, abs=0.04)
    assert inside(local)[~far].mean() == pytest.approx(0.9, abs=0.04)
    # the constant width fails exactly there: what the scale is for
    assert inside(constant)[far].mean() < 0.85
    low, high = Intervals.fit(frame).bounds(TG, [100.0, 100.0], [1.0, 0.2])
    assert 2 < (high - low)[1] / (high - low)[0] < 6


def test_doubled_errors_in_one_fold_are_not_hidden():
    frame = predictions(n=2000)
    odd = (frame["fold"] == 3).to_numpy()
    error = frame["y_pred"] - frame["y_true"]
    frame["y_pred"] = frame["y_true"] + error * np.where(odd, 2.0, 1.0)
    covered = inside(cross_coverage(frame))
    assert covered[odd].mean() < 0.8
    assert covered[~odd].mean() > 0.9
    # a width chosen with that fold's own errors would have looked better
    own = Intervals.fit(frame)
    frame["low"], frame["high"] = own.bounds(TG, frame["y_pred"], frame["similarity"])
    assert inside(frame)[odd].mean() > covered[odd].mean()


def test_a_monomer_set_counts_once():
    """Nine sets of one polymer are well predicted, one of many is not: it is a tenth of them."""
    frame = predictions(n=60)
    frame["similarity"] = np.nan
    frame["group"] = ["big"] * 40 + [f"g{i}" for i in range(20)]
    frame["y_pred"] = frame["y_true"] + np.where(frame["group"] == "big", 50.0, 1.0)
    once = Intervals.fit(frame, 0.9).bounds(TG, 0.0)
    each = Intervals.fit(frame.drop(columns="group"), 0.9).bounds(TG, 0.0)
    assert once == (pytest.approx(-1.0), pytest.approx(1.0))
    assert each == (pytest.approx(-50.0), pytest.approx(50.0))


def test_quantile_is_the_finite_sample_one():
    frame = predictions(n=19)
    frame["similarity"] = np.nan
    frame["y_pred"] = frame["y_true"] + np.arange(1, 20)
    low, high = Intervals.fit(frame, 0.9).bounds(TG, 0.0)  # ceil(20 * 0.9) = 18th of 1 to 19
    assert (low, high) == (pytest.approx(-18.0), pytest.approx(18.0))


@pytest.mark.parametrize("n", [1, 2, 8, 9, 12, 19])
def test_few_labels_widen(n):
    many, few = predictions(), predictions(n=n, seed=3)
    low, high = Intervals.fit(few).bounds(TG, [100.0], [0.6])
    wide = (high - low)[0]
    if n < 9:  # no set of 8 can promise 90 %: the physical range
        assert (low[0], high[0]) == (-150.0, 600.0)
    else:
        assert wide >= 2 * few.eval("abs(y_pred - y_true)").sort_values().iloc[int(0.9 * n) - 1]
    assert np.isfinite(wide)
    low, high = Intervals.fit(many).bounds(TG, [100.0], [0.6])
    assert wide > (high - low)[0] * 0.5


def test_few_labels_cover_on_average():
    """Ten labels promise 90 % on average over many such data sets."""
    hits = []
    for seed in range(300):
        fitted = Intervals.fit(predictions(n=10, seed=seed))
        new = predictions(n=20, seed=10_000 + seed)
        low, high = fitted.bounds(TG, new["y_pred"], new["similarity"])
        hits.append(new["y_true"].between(low, high).mean())
    assert np.mean(hits) > 0.88


def test_no_similarity_is_a_constant_width():
    frame = predictions(n=100)
    for given in (frame.drop(columns="similarity"), frame.assign(similarity=np.nan)):
        fitted = Intervals.fit(given)
        assert fitted.properties[TG].b == 0
        low, high = fitted.bounds(TG, [0.0, 0.0, 0.0], [0.1, 0.9, np.nan])
        assert len(set(high - low)) == 1
    some = frame.assign(similarity=frame["similarity"].where(frame.index % 2 == 0))
    low, high = Intervals.fit(some).bounds(TG, [0.0, 0.0], [np.nan, 0.99])
    assert (high - low)[0] > (high - low)[1] > 0


@pytest.mark.parametrize("name", [RHO, "YoungMod"])
def test_no_negative_density_or_modulus(name):
    frame = predictions(n=100, name=name)
    low, high = Intervals.fit(frame).bounds(name, [1.0, -500.0], [0.5, 0.5])
    assert low.tolist() == [0.0, 0.0]
    assert high[0] > 1
    assert high[1] == 0
    free = Intervals.fit(predictions(n=100))
    assert free.bounds(TG, 1.0, 0.5)[0] < 0


def test_a_wrong_property_or_one_beside_others():
    frame = pd.concat([predictions(n=50), predictions(n=50, name=TM, seed=5)])
    fitted = Intervals.fit(frame)
    assert list(fitted.properties) == [TG, TM]
    with pytest.raises(IntervalsError, match=r"Density.*Glass_Transition, Melt_Temp"):
        fitted.bounds(RHO, 1.0, 1.0)


def test_predictions_that_are_not_numbers_count_as_wrong():
    frame = predictions(n=100)
    broken = frame.assign(y_pred=frame["y_pred"].where(frame.index >= 15))
    low, high = Intervals.fit(broken).bounds(TG, 100.0, 0.5)
    assert (low, high) == (-150.0, 600.0)
    answer = cross_coverage(broken)
    assert answer["low"].isna().sum() == 15
    assert np.isnan(Intervals.fit(frame).bounds(TG, np.nan, 0.5)[0])
    nothing = Intervals.fit(frame.assign(y_pred=np.inf))
    assert nothing.bounds(TG, 100.0, 0.5) == (-150.0, 600.0)


def test_perfect_predictions_have_no_width():
    frame = predictions(n=100).assign(y_pred=lambda f: f["y_true"])
    low, high = Intervals.fit(frame).bounds(TG, 100.0, 0.5)
    assert (low, high) == (100.0, 100.0)


def test_labels_in_one_fold_only_leave_it_without_interval():
    frame = pd.concat([predictions(n=100), predictions(n=20, name=TM).assign(fold=0)])
    answer = cross_coverage(frame)
    lost = answer["low"].isna()
    assert (answer.loc[lost, "property"] == TM).all()
    assert lost.sum() == 20


def test_what_cannot_be_calibrated():
    frame = predictions(n=20)
    with pytest.raises(IntervalsError, match=r"lack the columns \['y_pred'\]"):
        Intervals.fit(frame.drop(columns="y_pred"))
    with pytest.raises(IntervalsError, match="without any label"):
        Intervals.fit(frame.assign(y_true=np.nan))
    with pytest.raises(IntervalsError, match=r"level is 1\.5"):
        Intervals.fit(frame, 1.5)
    with pytest.raises(IntervalsError, match="at least 2 folds"):
        cross_coverage(frame.assign(fold=0))


def test_file_round_trip(tmp_path):
    frame = pd.concat([predictions(n=50), predictions(n=5, name=RHO)])
    fitted = Intervals.fit(frame, 0.8)
    path = tmp_path / "intervals.json"
    fitted.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["intervals.json"]
    again = Intervals.load(path)
    assert again.level == 0.8
    assert again.properties == fitted.properties
    assert again.properties[RHO].quantile is not None
    assert Intervals.load(path).bounds(TG, 1.0, 0.5) == fitted.bounds(TG, 1.0, 0.5)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda text: text[:-40], "holds no intervals"),
        (lambda text: "", "holds no intervals"),
        (lambda text: text.replace('"a"', '"alpha"'), r"properties\.Glass_Transition\.a: Field"),
        (lambda text: text.replace("0.9", "9.9", 1), r"level is 9\.9"),
        (lambda text: text.replace('"b": ', '"b": -'), "of 0 or more"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format"),
        (lambda text: text.replace('"b": ', '"b": 1e999, "x":'), "b"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, fault):
    path = tmp_path / "intervals.json"
    known = Calibration(a=1.0, b=2.0, distance=0.2, quantile=2.5, labels=50, sets=40)
    Intervals(0.9, {TG: known}).save(path)
    Intervals.load(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(IntervalsError, match=fault):
        Intervals.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(IntervalsError, match=r"intervals\.json: No such file"):
        Intervals.load(tmp_path / "intervals.json")
    known = Calibration(a=1.0, b=2.0, distance=0.2, quantile=None, labels=5, sets=4)
    assert json.loads(known.model_dump_json())["quantile"] is None
