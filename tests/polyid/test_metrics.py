import math

import numpy as np
import pytest

from polyid import metrics


def test_scores_by_hand():
    # errors 1, -2, 0; labels 1, 2, 6 have the mean 3 and Σ(y − ȳ)² = 14
    found = metrics.scores([1.0, 2.0, 6.0], [2.0, 0.0, 6.0])
    assert found.mae == pytest.approx(1.0)
    assert found.rmse == pytest.approx(math.sqrt(5 / 3))
    assert found.r2 == pytest.approx(1 - 5 / 14)


def test_missing_labels_are_left_out():
    with_gap = metrics.scores([1.0, np.nan, 2.0, 6.0], [2.0, 99.0, 0.0, 6.0])
    assert with_gap == metrics.scores([1.0, 2.0, 6.0], [2.0, 0.0, 6.0])


def test_a_missing_prediction_is_not_masked():
    found = metrics.scores([1.0, 2.0, 6.0], [1.0, np.nan, 6.0])
    assert all(math.isnan(value) for value in found)


def test_no_label_gives_nan():
    assert all(math.isnan(value) for value in metrics.scores([np.nan], [1.0]))


def test_r2_needs_labels_that_differ():
    assert math.isnan(metrics.r2([2.0, 2.0], [2.0, 2.0]))
    assert math.isnan(metrics.r2([2.0], [2.0]))


def test_the_mean_has_r2_zero_and_worse_is_negative():
    assert metrics.r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == pytest.approx(0.0)
    assert metrics.r2([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) < 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        metrics.mae([1.0, 2.0], [1.0, 2.0, 3.0])
