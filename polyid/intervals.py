"""Prediction intervals that are calibrated on out-of-fold errors: conformal prediction.

The half width for a polymer x is q · s(x). s(x) = a + b·(1 − similarity) is a scale that grows with
the distance to the nearest training polymer, and q the quantile of |y − ŷ| / s(x) over polymers
that the predicting member never saw: locally weighted split conformal inference (Lei, G'Sell,
Rinaldo, Tibshirani and Wasserman, J. Am. Stat. Assoc. 113, 1094–1111, 2018), with the errors of all
folds pooled as in cross-conformal prediction (Vovk, Ann. Math. Artif. Intell. 74, 9–28, 2015).

Polymers of one monomer set err alike, so a set counts once, however many polymers it holds
(hierarchical conformal prediction: Lee, Barber and Willett, arXiv:2306.06342). For a polymer of a
new monomer set, drawn like those of the data, the interval then holds the measured value with a
probability near ``level``. Two things keep that from being an exact guarantee: folds are pooled,
and the slope of s is estimated from the same errors; `cross_coverage` measures what is left. An
ensemble's mean errs less than the single members that are calibrated on, so intervals are rather
too wide than too narrow. Chemistry that is chosen is not drawn: see the domain of validity.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError

from polyid.calibration import Calibration, Floats, calibrate, distances, similarities
from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES

__all__ = ["Calibration", "Intervals", "IntervalsError", "cross_coverage"]

_NEEDED = ("property", "fold", "y_true", "y_pred")


class IntervalsError(PolyIDError):
    """Intervals cannot be calibrated, or their file cannot be trusted."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    format: Literal[1]
    level: float
    properties: dict[str, Calibration]


class Intervals:
    """Calibrated intervals of several properties.

    Attributes
    ----------
    level : float
        Nominal probability that an interval holds the measured value.
    properties : dict of str to Calibration
        What is known per property.
    """

    def __init__(self, level: float, properties: Mapping[str, Calibration]) -> None:
        if not 0 < level < 1:
            raise IntervalsError(f"level is {level!r}; expected a number between 0 and 1.")
        self.level = level
        self.properties = dict(properties)

    @classmethod
    def fit(cls, predictions: pd.DataFrame, level: float = 0.9) -> "Intervals":
        """Calibrate on out-of-fold predictions.

        Parameters
        ----------
        predictions
            Long, one row per labelled (sample, property): ``property, fold, y_true, y_pred`` in
            product units, and, where there are, ``similarity`` to the nearest training polymer of
            the member that predicted (NaN: unknown) and ``group``, the monomer set. A prediction
            that is not finite counts as infinitely wrong.
        level
            Probability that an interval shall hold the measured value.

        Raises
        ------
        IntervalsError
            If a column is missing, there is no label, or ``level`` is not between 0 and 1.
        """
        labelled = _labelled(predictions)
        parts = labelled.groupby("property", sort=False)
        return cls(level, {str(name): calibrate(rows, level) for name, rows in parts})

    def bounds(
        self, name: str, mean: ArrayLike, similarity: ArrayLike = math.nan
    ) -> tuple[Floats, Floats]:
        """Return the intervals around predictions.

        With too few monomer sets for a promise, the interval is the property's physical range.
        A property that cannot be negative has no negative bounds.

        Parameters
        ----------
        name
            Property.
        mean
            Predictions in the property's unit, shape (n,) or one number.
        similarity
            Similarity to the nearest training polymer, of the same shape; NaN if unknown.

        Returns
        -------
        low, high : numpy.ndarray
            Of the shape of ``mean``; NaN where ``mean`` is not finite.

        Raises
        ------
        IntervalsError
            If there is no calibration for ``name``.
        """
        if name not in self.properties:
            raise IntervalsError(
                f"No interval is known for {name!r}; there are {', '.join(self.properties)}."
            )
        known = self.properties[name]
        value = np.asarray(mean, dtype=np.float64)
        distance = distances(similarity, known.distance)
        width = np.asarray((known.quantile or 0.0) * (known.a + known.b * distance))
        if known.quantile is None:
            width = np.full_like(width, np.inf)
        low, high = value - width, value + width
        if name in PROPERTIES:
            sensible = PROPERTIES[name]
            low = np.where(np.isneginf(low), np.minimum(sensible.low, value), low)
            high = np.where(np.isposinf(high), np.maximum(sensible.high, value), high)
            if sensible.low > 0:
                low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
        lost = ~np.isfinite(value)
        return np.where(lost, np.nan, low), np.where(lost, np.nan, high)

    def save(self, path: Path | str) -> None:
        """Write JSON; a reader never sees half a file."""
        path = Path(path)
        content = _File(format=1, level=self.level, properties=self.properties)
        draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            text = json.dumps(content.model_dump(), indent=1, allow_nan=False)
            draft.write_text(text + "\n", encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path | str) -> "Intervals":
        """Read what `save` wrote.

        Raises
        ------
        IntervalsError
            If the file is missing, is no JSON, or does not hold whole intervals.
        """
        path = Path(path)
        try:
            stored = _File.model_validate_json(path.read_bytes())
        except OSError as error:
            raise IntervalsError(f"Cannot read {path}: {error.strerror or error}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise _refused(path, f"{where}: {first['msg']}") from error
        if not 0 < stored.level < 1:
            raise _refused(path, f"level is {stored.level}, expected a number between 0 and 1")
        for name, found in stored.properties.items():
            if min(found.a, found.b, found.quantile or 0.0) < 0 or not 0 <= found.distance <= 1:
                raise _refused(path, f"properties.{name}: expected a, b and quantile of 0 or more")
        return cls(stored.level, stored.properties)


def cross_coverage(predictions: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Add the intervals that each fold gets from the errors of the other folds.

    So the share of labels inside ``low``…``high`` is an honest coverage: no error has helped to
    choose the width that it is judged by.

    Parameters
    ----------
    predictions
        As `Intervals.fit` takes it.
    level
        Nominal level.

    Returns
    -------
    pandas.DataFrame
        A copy with the columns ``low`` and ``high``; NaN where nothing is known (no other fold has
        a label of the property, or the prediction is not finite).

    Raises
    ------
    IntervalsError
        If a column is missing, there is no label, or there is only one fold.
    """
    _labelled(predictions)
    folds = predictions["fold"].unique()
    if len(folds) < 2:
        raise IntervalsError(
            f"Coverage needs at least 2 folds to be measured; received {len(folds)}."
        )
    answer = predictions.copy()
    answer["low"], answer["high"] = np.nan, np.nan
    similarity = similarities(answer)
    for fold in folds:
        others = predictions.loc[predictions["fold"] != fold]
        if others["y_true"].notna().sum() == 0:
            continue
        fitted = Intervals.fit(others, level)
        for name in fitted.properties:
            here = ((answer["fold"] == fold) & (answer["property"] == name)).to_numpy()
            low, high = fitted.bounds(name, answer.loc[here, "y_pred"], similarity[here])
            answer.loc[here, "low"], answer.loc[here, "high"] = low, high
    return answer


def _labelled(predictions: pd.DataFrame) -> pd.DataFrame:
    lost = [column for column in _NEEDED if column not in predictions]
    if lost:
        raise IntervalsError(
            f"Out-of-fold predictions lack the columns {lost}; received "
            f"{list(predictions.columns)}."
        )
    labelled = predictions.loc[predictions["y_true"].notna()]
    if labelled.empty:
        raise IntervalsError("Intervals cannot be calibrated without any label.")
    return labelled


def _refused(path: Path, fault: str) -> IntervalsError:
    return IntervalsError(
        f"{path} holds no intervals: {fault}. Fetch the model again, or train it anew."
    )
