"""From out-of-fold predictions to metrics: ours beside both baselines, in all and per fold."""

import math
from typing import Any

import pandas as pd

from polyid.errors import PolyIDError
from polyid.metrics import mae, scores
from polyid.properties import PROPERTIES

#: Name in ``metrics.json`` → column of the predictions.
PREDICTORS = {"model": "y_pred", "mean": "y_mean", "gp": "y_gp"}

_NEEDED = ("sample", "property", "fold", "y_true", *PREDICTORS.values())


def evaluate(
    predictions: pd.DataFrame,
    *,
    split: str,
    folds_hash: str,
    data_hash: str,
    fingerprint: str,
    level: float = 0.9,
) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    Parameters
    ----------
    predictions
        Long, one row per labelled (sample, property): ``sample, property, fold, y_true, y_pred,
        y_mean, y_gp`` and, if there are intervals, ``low, high``; in product units.
    split
        ``grouped`` or ``random``.
    folds_hash, data_hash, fingerprint
        Hashes of the folds, of the data, and of all that decides the run.
    level
        Nominal level of the intervals ``low``…``high``.

    Returns
    -------
    dict
        JSON-ready; a number that is not finite is None, which the gate takes for missing.
        ``distinct`` is the number of distinct predictions: a constant model gives itself away.

    Raises
    ------
    PolyIDError
        If columns are missing, a property is unknown, or a sample is predicted twice.
    """
    lost = [column for column in _NEEDED if column not in predictions]
    if lost:
        raise PolyIDError(
            f"predictions lack the columns {lost}; received {sorted(predictions.columns)}. "
            "Make them again with `trainer run`."
        )
    unknown = sorted(set(predictions["property"]) - set(PROPERTIES))
    if unknown:
        raise PolyIDError(f"unknown properties {unknown}; expected some of {list(PROPERTIES)}.")
    twice = predictions.duplicated(["sample", "property"])
    if twice.any():
        first = predictions.loc[twice].iloc[0]
        raise PolyIDError(
            f"{int(twice.sum())} predictions are given twice, such as {first['property']} of "
            f"sample {first['sample']!r}; expected one row per sample and property."
        )
    present = predictions.loc[predictions["y_true"].notna()]
    by_property = dict(list(present.groupby("property", sort=False)))
    return {
        "split": split,
        "folds_hash": folds_hash,
        "data_hash": data_hash,
        "fingerprint": fingerprint,
        "properties": {
            name: _one_property(name, by_property[name], level)
            for name in PROPERTIES
            if name in by_property
        },
    }


def _one_property(name: str, rows: pd.DataFrame, level: float) -> dict[str, Any]:
    result: dict[str, Any] = {"unit": PROPERTIES[name].unit, "n": len(rows)}
    for predictor, column in PREDICTORS.items():
        found = scores(rows["y_true"], rows[column])
        result[predictor] = {key: _finite(value) for key, value in found._asdict().items()}
    result["distinct"] = int(rows["y_pred"].nunique())
    result["per_fold"] = [
        {"fold": int(str(fold)), "n": len(part), "n_train": len(rows) - len(part)}
        | {key: _finite(mae(part["y_true"], part[col])) for key, col in PREDICTORS.items()}
        for fold, part in rows.groupby("fold")
    ]
    interval = _interval(rows, level)
    if interval:
        result["interval"] = interval
    return result


def _interval(rows: pd.DataFrame, level: float) -> dict[str, Any] | None:
    """Return coverage and mean width of the intervals, or None if there are none."""
    if not {"low", "high"} <= set(rows.columns):
        return None
    kept = rows.loc[rows["low"].notna() & rows["high"].notna()]
    if kept.empty:
        return None
    inside = kept["y_true"].between(kept["low"], kept["high"])
    return {
        "level": level,
        "n": len(kept),
        "coverage": _finite(float(inside.mean())),
        "mean_width": _finite(float((kept["high"] - kept["low"]).mean())),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
