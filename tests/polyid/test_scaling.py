"""Robust scaling: medians and interquartile ranges, of what has labels."""

from pathlib import Path

import numpy as np
import pytest

from polyid.errors import PolyIDError
from polyid.scaling import Scaler

TWO = ("Glass_Transition", "Density")
VALUES = np.array([[0.0, 1.0], [10.0, np.nan], [20.0, 1.2], [30.0, 1.4], [1000.0, np.nan]])


def test_median_and_interquartile_range() -> None:
    scaler = Scaler.fit(VALUES, TWO)
    np.testing.assert_allclose(scaler.center, [20.0, 1.2])
    np.testing.assert_allclose(scaler.scale, [20.0, 0.2])


def test_there_and_back() -> None:
    scaler = Scaler.fit(VALUES, TWO)
    scaled = scaler.transform(VALUES)
    assert np.isnan(scaled).sum() == np.isnan(VALUES).sum()
    np.testing.assert_allclose(scaler.inverse(scaled), VALUES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_property_without_a_label_is_named(value: float) -> None:
    values = VALUES.copy()
    values[:, 1] = value
    with pytest.raises(PolyIDError) as caught:
        Scaler.fit(values, TWO, " in the training part of fold 3")
    assert "Density has no label in the training part of fold 3" in str(caught.value)
    assert "Glass_Transition" not in str(caught.value)


def test_constant_labels_are_only_moved() -> None:
    scaler = Scaler.fit(np.array([[5.0], [5.0], [np.nan]]), TWO[:1])
    np.testing.assert_array_equal(scaler.scale, [1.0])
    np.testing.assert_array_equal(scaler.transform(np.array([[5.0], [7.0]])), [[0.0], [2.0]])


def test_one_label_is_enough() -> None:
    scaler = Scaler.fit(np.array([[np.nan], [3.0]]), TWO[:1])
    assert (scaler.center[0], scaler.scale[0]) == (3.0, 1.0)


def test_round_trip(tmp_path: Path) -> None:
    scaler = Scaler.fit(VALUES / 3, TWO)
    scaler.save(tmp_path / "scaler.json")
    found = Scaler.load(tmp_path / "scaler.json")
    assert found.properties == scaler.properties
    np.testing.assert_array_equal(found.center, scaler.center)
    np.testing.assert_array_equal(found.scale, scaler.scale)


@pytest.mark.parametrize("text", ["", "[1]", '{"Density": {"center": 1}}', '{"Density": 3}'])
def test_a_file_that_is_no_scaler(tmp_path: Path, text: str) -> None:
    (tmp_path / "scaler.json").write_text(text)
    with pytest.raises(PolyIDError, match="holds no scaler"):
        Scaler.load(tmp_path / "scaler.json")
