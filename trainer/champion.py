"""The released model that a candidate is compared with, and the paired test of the two."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from polyid.properties import PROPERTIES
from trainer.gates_config import Gates


@dataclass(frozen=True)
class Champion:
    """A release as the gate and the report see it.

    Its predictions must be those of the candidate's own folds: either the release was trained on
    the same folds of the same data, or it was evaluated again on them.
    """

    revision: str
    """Version tag, such as ``v1.0.0``."""
    predictions: pd.DataFrame
    """Out-of-fold predictions, in the format of ``predictions.parquet``."""
    metrics: Mapping[str, Any]
    """Content of ``metrics.json`` that belongs to ``predictions``."""
    params: Mapping[str, Any] | None = None
    """Parsed ``params.yaml`` of the release, for the report."""
    record: Mapping[str, Any] | None = None
    """Parsed ``record.yaml`` of the release, for the report."""


class PairedTest(NamedTuple):
    """Mean of paired differences with its confidence interval, in the unit of the differences."""

    difference: float
    low: float
    high: float
    p: float
    """Two-sided p-value of a mean difference of 0."""


def corrected_t_test(
    differences: Sequence[float], test_share: float, confidence: float = 0.95
) -> PairedTest:
    """Corrected resampled t-test of k paired differences, one per fold.

    The folds' training sets overlap, so the plain variance s²/k is too small. Nadeau and Bengio
    (Machine Learning 52, 239–281, 2003) take (1/k + n_test/n_train) · s², with k − 1 degrees of
    freedom.

    Parameters
    ----------
    differences
        Candidate minus champion per fold, in the unit of the score; length k ≥ 2.
    test_share
        n_test / n_train, such as 1/4 for five folds.
    confidence
        Of the interval, such as 0.95.

    Raises
    ------
    ValueError
        For fewer than two differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    k = len(values)
    if k < 2:
        raise ValueError(f"a paired test needs at least 2 folds, received {k}.")
    mean = float(values.mean())
    error = math.sqrt((1.0 / k + test_share) * float(values.var(ddof=1)))
    # Two equal models, or a shift that is the same in every fold: no spread to test against.
    if error <= 1e-12 * max(abs(mean), 1e-300):
        return PairedTest(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = float(stats.t.ppf(0.5 + confidence / 2, k - 1)) * error
    p = 2.0 * float(stats.t.sf(abs(mean) / error, k - 1))
    return PairedTest(mean, mean - half, mean + half, p)


def why_not_comparable(
    predictions: pd.DataFrame, metrics: Mapping[str, Any], champion: Champion
) -> str:
    """Return why the champion's scores stand on other folds or data, or '' if they do not."""
    ours, theirs = metrics.get("folds_hash"), champion.metrics.get("folds_hash")
    again = f"Evaluate {champion.revision} again on the candidate's folds."
    if ours != theirs:
        return f"the folds differ (candidate {_short(ours)}, champion {_short(theirs)}). {again}"
    key = ["property", "sample"]
    shared = sorted(set(predictions["property"]) & set(champion.predictions["property"]))
    mine, other = (
        table.loc[table["property"].isin(shared)].set_index(key)[["fold", "y_true"]].sort_index()
        for table in (predictions, champion.predictions)
    )
    if not mine.index.equals(other.index):
        new, gone = len(mine.index.difference(other.index)), len(other.index.difference(mine.index))
        return f"the data differ: {new} labels are new and {gone} are gone. {again}"
    if (mine["fold"] != other["fold"]).any():
        return f"{int((mine['fold'] != other['fold']).sum())} labels lie in other folds. {again}"
    changed = ~np.isclose(mine["y_true"], other["y_true"], rtol=1e-6, atol=1e-9)
    if changed.any():
        return f"the data differ: {int(changed.sum())} labels have other values. {again}"
    return ""


def compare(
    metrics: Mapping[str, Any],
    gates: Gates,
    properties: Sequence[str],
    predictions: pd.DataFrame | None,
    champion: Champion | None,
) -> tuple[dict[str, Any] | None, list[str], list[str]]:
    """Compare a candidate with the champion.

    Returns
    -------
    tuple
        The comparison for ``gate.json`` (None without a champion), the proven losses and the
        doubts, the latter two as sentences.
    """
    if champion is None:
        return None, [], []
    result: dict[str, Any] = {"revision": champion.revision, "comparable": True, "why": ""}
    result["confidence"] = gates.champion.confidence
    why = (
        why_not_comparable(predictions, metrics, champion)
        if predictions is not None
        else "the candidate's out-of-fold predictions are missing."
    )
    if why:
        result |= {"comparable": False, "why": why, "properties": {}}
        return result, [], [f"The champion {champion.revision} cannot be compared: {why}"]
    theirs = champion.metrics.get("properties", {})
    doubts = [
        f"{name}: the champion {champion.revision} predicts it, this candidate does not."
        for name in theirs
        if name not in properties
    ]
    losses, compared = [], {}
    for name in properties:
        ours = metrics["properties"].get(name)
        if ours is None or name not in theirs:
            continue  # missing in ours: a failed check already; new in ours: nothing to compare
        entry, sentence = _compare_property(name, ours, theirs[name], gates, champion.revision)
        compared[name] = entry
        if entry["verdict"] == "worse":
            losses.append(f"{name}: {sentence}.")
        elif entry["verdict"] == "unclear":
            doubts.append(f"{name}: {sentence}.")
    return result | {"properties": compared}, losses, doubts


def _compare_property(
    name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], gates: Gates, revision: str
) -> tuple[dict[str, Any], str]:
    """Return the comparison of one property and a sentence about it.

    Both proven words need more than two runs of one commit differ by: with a noise of σ, the
    difference of two runs stays within z · √2 · σ with the confidence of the gate.
    """
    unit, rule = PROPERTIES[name].unit, gates.champion
    pairs = _paired_folds(ours, theirs)
    entry: dict[str, Any] = {
        "champion_mae": theirs.get("model", {}).get("mae"),
        "challenger_mae": ours.get("model", {}).get("mae"),
        **dict.fromkeys(("difference", "low", "high", "p")),
        "unit": unit,
        "verdict": "unclear",
    }
    if len(pairs) < 2 or not is_number(entry["champion_mae"]):
        return entry, f"only {len(pairs)} folds can be paired with {revision}, which proves nothing"
    share = sum(test for *_, test, _ in pairs) / sum(train for *_, train in pairs)
    test = corrected_t_test([mine - other for mine, other, *_ in pairs], share, rule.confidence)
    noise = stats.norm.ppf(0.5 + rule.confidence / 2) * math.sqrt(2) * gates.noise.get(name, 0.0)
    margin = max(float(noise), rule.max_regression * entry["champion_mae"])
    beyond = abs(test.difference) > noise
    if test.low > 0 and beyond:
        entry["verdict"] = "worse"
    elif test.high < 0 and beyond:
        entry["verdict"] = "better"
    elif test.difference > margin:
        entry["verdict"] = "unclear"
    else:
        entry["verdict"] = "same"
    entry |= test._asdict()
    proof = "" if entry["verdict"] == "worse" else ", but without proof"
    sentence = (
        f"the MAE is {test.difference:.3g} {unit} worse than {revision}'s{proof} "
        f"({rule.confidence:.0%} interval {test.low:.3g} to {test.high:.3g}, p = {test.p:.2g})"
    )
    return entry, sentence


def _paired_folds(
    ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> list[tuple[float, float, int, int]]:
    """Return (our MAE, their MAE, n_test, n_train) of every fold that both scored."""
    other = {fold["fold"]: fold for fold in theirs.get("per_fold", [])}
    return [
        (fold["model"], other[fold["fold"]]["model"], fold["n"], fold["n_train"])
        for fold in ours.get("per_fold", [])
        if fold["fold"] in other
        and is_number(fold["model"])
        and is_number(other[fold["fold"]]["model"])
        and fold["n_train"] > 0
    ]


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: object) -> str:
    return str(value)[:12] if value else "unknown"
