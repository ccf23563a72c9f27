"""Errors of predictions: MAE, RMSE and R², with missing labels left out.

Labels may be missing (NaN) and are then masked. Predictions may not: a NaN prediction of a
labelled value makes the result NaN, so that a broken model cannot hide behind a mask.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Scores(NamedTuple):
    """Scores of one set of predictions."""

    mae: float
    """Mean absolute error, in the unit of the labels."""
    rmse: float
    """Root mean squared error, in the unit of the labels."""
    r2: float
    """Coefficient of determination, without unit; 1 is perfect, 0 is the mean of the labels."""


def _labelled(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    truth = np.asarray(y_true, dtype=np.float64)
    predicted = np.asarray(y_pred, dtype=np.float64)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"labels have shape {truth.shape} and predictions {predicted.shape}; "
            "expected the same shape."
        )
    kept = ~np.isnan(truth)
    return truth[kept], predicted[kept]


def mae(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean absolute error Σ|ŷ − y| / n, in the unit of ``y_true``.

    Parameters
    ----------
    y_true, y_pred
        Labels (NaN = missing) and predictions, same shape and unit.

    Returns
    -------
    float
        NaN if there is no label or if the prediction of a label is NaN.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    truth, predicted = _labelled(y_true, y_pred)
    return float(np.mean(np.abs(predicted - truth))) if truth.size else float("nan")


def rmse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the root mean squared error √(Σ(ŷ − y)² / n), in the unit of ``y_true``.

    Parameters, missing labels and errors as in :func:`mae`.
    """
    truth, predicted = _labelled(y_true, y_pred)
    return float(np.sqrt(np.mean((predicted - truth) ** 2))) if truth.size else float("nan")


def r2(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the coefficient of determination 1 − Σ(ŷ − y)² / Σ(y − ȳ)², without unit.

    ȳ is the mean of the labels scored here. NaN for fewer than two distinct labels. Parameters,
    missing labels and errors as in :func:`mae`.
    """
    truth, predicted = _labelled(y_true, y_pred)
    if truth.size < 2 or np.ptp(truth) == 0:
        return float("nan")
    total = float(np.sum((truth - truth.mean()) ** 2))
    return 1.0 - float(np.sum((predicted - truth) ** 2)) / total


def scores(y_true: ArrayLike, y_pred: ArrayLike) -> Scores:
    """Return MAE, RMSE (unit of ``y_true``) and R²; see the single functions."""
    return Scores(mae(y_true, y_pred), rmse(y_true, y_pred), r2(y_true, y_pred))
