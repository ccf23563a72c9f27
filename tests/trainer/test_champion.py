import math

import numpy as np
import pytest
from evaluation_kit import RHO, TG, champion, gates, metrics, predictions
from scipy import stats

from trainer.champion import corrected_t_test
from trainer.gate import judge

BOTH = [TG, RHO]


def test_corrected_t_test_by_hand():
    # mean 2; Σ(d − 2)² = 4 + 1 + 0 + 1 + 4 = 10, s² = 10/4 = 2.5; five folds: 1/5 + 1/4 = 0.45
    found = corrected_t_test([0.0, 1.0, 2.0, 3.0, 4.0], 0.25)
    error = math.sqrt(0.45 * 2.5)  # 1.06066
    assert found.difference == pytest.approx(2.0)
    # t quantile 0.975 at 4 degrees of freedom, from any table: 2.776
    assert found.low == pytest.approx(2.0 - 2.776445 * error, abs=1e-5)
    assert found.high == pytest.approx(2.0 + 2.776445 * error, abs=1e-5)
    # t = 1.8856, and with 4 degrees of freedom the p-value has a closed form
    t2 = (2.0 / error) ** 2
    x = 4 / (4 + t2)
    closed = 1 - math.sqrt(1 - x) * (1 + x / 2)
    assert found.p == pytest.approx(closed, abs=1e-9)


def test_the_correction_widens_the_plain_interval():
    differences = [0.5, 1.0, 2.0, 2.5, 4.0]
    plain = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    found = corrected_t_test(differences, 0.25)
    ratio = (found.high - found.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(math.sqrt(0.45 / 0.2))


def test_no_difference_and_the_same_difference_in_every_fold():
    assert corrected_t_test([0.0, 0.0], 1.0) == (0.0, 0.0, 0.0, 1.0)
    assert corrected_t_test([0.5, 0.5, 0.5], 0.5).p == 0.0


def test_one_fold_is_no_test():
    with pytest.raises(ValueError, match="at least 2 folds"):
        corrected_t_test([1.0], 1.0)


def verdict(mine, other, **changes):
    gate = gates(**changes.pop("gate", {}))
    return judge(metrics(mine), gate, BOTH, predictions=mine, champion=champion(other, **changes))


def word(found, name=TG):
    return found.champion["properties"][name]["verdict"]


def test_the_same_model_is_the_same():
    found = verdict(predictions(), predictions())
    assert (found.verdict, word(found), found.champion["comparable"]) == ("pass", "same", True)
    assert found.champion["properties"][TG]["p"] == 1.0


def test_a_clearly_better_model_passes():
    found = verdict(predictions(1, error=0.1), predictions(0, error=0.3))
    entry = found.champion["properties"][TG]
    assert (found.verdict, word(found)) == ("pass", "better")
    assert entry["high"] < 0
    assert entry["challenger_mae"] < entry["champion_mae"]
    assert entry["unit"] == "°C"


def test_a_clearly_worse_model_fails_though_it_reaches_the_floors():
    found = verdict(predictions(1, error=0.3), predictions(0, error=0.1))
    assert all(check["ok"] for check in found.checks)
    assert (found.verdict, word(found)) == ("fail", "worse")
    assert "Glass_Transition" in found.reasons[0]
    assert "°C worse than v1.0.0's" in found.reasons[0]


def test_worse_by_less_than_the_noise_does_not_fail():
    mine, other = predictions(1, error=0.3), predictions(0, error=0.1)
    noise = {TG: 20.0, RHO: 0.03}
    found = verdict(mine, other, gate={"noise": noise, "champion": {"max_regression": 0.0}})
    assert (found.verdict, word(found)) == ("pass", "same")


def test_worse_without_proof_is_inconclusive():
    other = predictions(0, error=0.1)
    mine = other.copy()
    # one fold is much worse, which no test of five folds can tell from chance
    bad = (mine["fold"] == 2) & (mine["property"] == TG)
    mine.loc[bad, "y_pred"] += 60.0
    found = verdict(mine, other)
    assert (found.verdict, word(found)) == ("inconclusive", "unclear")
    assert "without proof" in found.reasons[0]


def test_other_folds_are_inconclusive():
    found = verdict(predictions(), predictions(), folds_hash="e" * 64)
    assert found.verdict == "inconclusive"
    assert found.champion["comparable"] is False
    assert "the folds differ" in found.reasons[0]
    assert "Evaluate v1.0.0 again" in found.reasons[0]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.assign(fold=(t["fold"] + 1) % 5), "labels lie in other folds"),
        (lambda t: t.assign(y_true=t["y_true"] * 1.01), "labels have other values"),
        (lambda t: t.iloc[1:], "1 labels are new and 0 are gone"),
    ],
)
def test_the_same_hash_over_other_data_is_inconclusive(change, part):
    found = verdict(predictions(), change(predictions()))
    assert found.verdict == "inconclusive"
    assert part in found.reasons[0]


def test_a_property_that_the_champion_had_and_the_candidate_lacks():
    mine = predictions().query("property == @TG")
    found = judge(metrics(mine), gates(), [TG], predictions=mine, champion=champion(predictions()))
    assert found.verdict == "inconclusive"
    assert found.reasons == ("Density: the champion v1.0.0 predicts it, this candidate does not.",)


def test_a_property_that_the_champion_lacks_is_no_hindrance():
    old = predictions().query("property == @TG")
    found = verdict(predictions(), old)
    assert found.verdict == "pass"
    assert RHO not in found.champion["properties"]


def test_without_predictions_there_is_no_comparison():
    found = judge(metrics(predictions()), gates(), BOTH, champion=champion(predictions()))
    assert found.verdict == "inconclusive"


def test_missing_floors_of_the_champion_do_not_break_the_test():
    old = predictions()
    old.loc[old["property"] == TG, "y_pred"] = np.nan
    found = verdict(predictions(), old)
    assert (found.verdict, word(found)) == ("inconclusive", "unclear")
