"""How large one property's errors are, and how they grow with the distance to training polymers."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]

#: Slopes b/a that are tried; 0 is a constant width, 30 makes a stranger's 31 times as wide.
_SLOPES = np.concatenate([[0.0], np.geomspace(0.1, 30.0, 40)])
#: Monomer sets from which a slope is estimated; with fewer, chance would choose it.
_SLOPE_SETS = 20


class Calibration(BaseModel):
    """What the errors of one property taught."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    a: float
    """Scale beside a training polymer, in the property's unit."""
    b: float
    """What a distance of 1 adds to it, in the property's unit."""
    distance: float
    """1 − similarity that is assumed where none is known: the median of the data."""
    quantile: float | None
    """q; None where there are too few monomer sets for ``level``."""
    labels: int
    """Errors that were used."""
    sets: int
    """Monomer sets among them."""


def calibrate(rows: pd.DataFrame, level: float) -> Calibration:
    """Estimate scale and quantile from the out-of-fold errors of one property.

    Parameters
    ----------
    rows
        ``y_true`` (all labelled) and ``y_pred`` in the property's unit; ``similarity`` and
        ``group`` if they are known.
    level
        Probability that an interval shall hold the measured value, between 0 and 1.
    """
    error = np.abs(rows["y_true"].to_numpy(float) - rows["y_pred"].to_numpy(float))
    error = np.where(np.isfinite(error), error, np.inf)
    sets = rows["group"].to_numpy() if "group" in rows else np.arange(len(rows))
    _, which, sizes = np.unique(sets, return_inverse=True, return_counts=True)
    weight = 1.0 / sizes[which]
    similarity = similarities(rows)
    known = np.isfinite(similarity)
    typical = float(np.median(distances(similarity[known], 0.0))) if known.any() else 0.0
    distance = distances(similarity, typical)
    usable = np.isfinite(error) & known
    if len(np.unique(which[usable])) >= _SLOPE_SETS:
        a, b = _scale(error[usable], distance[usable], weight[usable])
    else:
        a, b = _average(error, weight), 0.0
    scale = a + b * distance
    # errors that are all 0 have the scale 0: every score is 0 then
    score = np.divide(error, scale, out=np.where(error > 0, np.inf, 0.0), where=scale > 0)
    quantile = _quantile(score, weight / (len(sizes) + 1), level)
    return Calibration(
        a=a,
        b=b,
        distance=typical,
        quantile=quantile if math.isfinite(quantile) else None,
        labels=len(rows),
        sets=len(sizes),
    )


def _average(error: Floats, weight: Floats) -> float:
    usable = np.isfinite(error)
    return float(np.average(error[usable], weights=weight[usable])) if usable.any() else 0.0


def _scale(error: Floats, distance: Floats, weight: Floats) -> tuple[float, float]:
    """Estimate a and b of s = a + b·distance: maximum likelihood for Laplace errors of scale s.

    The density is exp(−|r| / s) / (2 s). For a given slope c = b/a the best a has a closed form,
    a = Σ w |r| / (1 + c d) / Σ w, which leaves Σ w (log a + log(1 + c d)) to be least over c.
    """
    if not error.any():
        return 0.0, 0.0
    shape = 1.0 + _SLOPES[:, None] * distance
    share = weight / weight.sum()
    size = (error / shape) @ share
    best = int(np.argmin(np.log(size) + np.log(shape) @ share))
    return float(size[best]), float(size[best] * _SLOPES[best])


def _quantile(score: Floats, weight: Floats, level: float) -> float:
    """Smallest score that the weights of all scores up to it bring to ``level``; else infinity.

    The weights add to K / (K + 1) for K monomer sets; the rest stands for the new one. With one
    polymer in each set this is the ⌈(K + 1) · level⌉-th smallest score.
    """
    order = np.argsort(score)
    reached = np.cumsum(weight[order]) >= level - 1e-9
    return float(score[order][np.argmax(reached)]) if reached.any() else math.inf


def similarities(rows: pd.DataFrame) -> Floats:
    """Similarity to the nearest training polymer, shape (n,); NaN where it is unknown."""
    if "similarity" not in rows:
        return np.full(len(rows), np.nan)
    return rows["similarity"].to_numpy(dtype=np.float64)


def distances(similarity: ArrayLike, unknown: float) -> Floats:
    """Return 1 − similarity, between 0 and 1; ``unknown`` where it is NaN."""
    found = 1.0 - np.asarray(similarity, dtype=np.float64)
    return np.clip(np.where(np.isnan(found), unknown, found), 0.0, 1.0)
