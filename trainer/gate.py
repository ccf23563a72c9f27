"""The gate: a candidate's metrics against floors, the mean baseline and the champion.

Three verdicts, and only ``pass`` publishes. ``fail``: something needed is missing or no number, a
floor is missed, the mean is not beaten, or a property is proven worse than the champion by more
than the noise. ``inconclusive``: the champion cannot be compared, or a property looks worse
without proof.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES
from trainer.champion import Champion, compare, is_number
from trainer.evaluate import evaluate
from trainer.gates_config import Gates, require_floors

METRICS, PREDICTIONS = "metrics.json", "predictions.parquet"

Outcome = Literal["pass", "fail", "inconclusive"]

RANDOM_SPLIT_WARNING = (
    "Scores of a random split are a memory test: the same monomers stand on both sides, so they "
    "say how well a known polymer is remembered, not how well a new one is predicted."
)


@dataclass(frozen=True)
class Verdict:
    """The answer of the gate and its grounds; ``as_json`` is the content of ``gate.json``."""

    verdict: Outcome
    mode: Literal["enforce", "dry_run"]
    reasons: tuple[str, ...]
    """Sentences for a reader; for a pass, what it rests on."""
    checks: tuple[dict[str, Any], ...]
    champion: dict[str, Any] | None
    warnings: tuple[str, ...] = ()

    @property
    def enforced(self) -> bool:
        """Whether the verdict decides; in a dry run it is only reported."""
        return self.mode == "enforce"

    @property
    def may_publish(self) -> bool:
        """Whether the candidate may become a release; a dry run holds nothing up."""
        return self.verdict == "pass" or not self.enforced

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``gate.json``."""
        return {
            "verdict": self.verdict,
            "mode": self.mode,
            "enforced": self.enforced,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "checks": list(self.checks),
            "champion": self.champion,
        }


def judge(
    metrics: Mapping[str, Any] | None,
    gates: Gates,
    properties: Sequence[str],
    *,
    predictions: pd.DataFrame | None = None,
    champion: Champion | None = None,
) -> Verdict:
    """Judge a candidate.

    Parameters
    ----------
    metrics
        Content of ``metrics.json``; None if there is none, which fails.
    gates
        The gate.
    properties
        The properties that were to be trained; one without metrics fails.
    predictions
        The candidate's out-of-fold predictions; needed to compare with a champion.
    champion
        The released model, or None for a first release.

    Raises
    ------
    ConfigError
        If a property that was to be trained has no floor.
    """
    require_floors(gates, list(properties))
    if metrics is None or not isinstance(metrics.get("properties"), Mapping):
        return unreadable(gates, "metrics.json is missing or holds no properties")
    contradiction = "" if predictions is None else _contradiction(metrics, predictions)
    if contradiction:
        return unreadable(gates, contradiction)
    checks, faults = [], []
    for name in properties:
        for check, sentence in _check_property(name, metrics["properties"].get(name), gates):
            checks.append(check)
            if not check["ok"]:
                faults.append(sentence)
    comparison, worse, doubts = compare(metrics, gates, properties, predictions, champion)
    faults += worse
    outcome: Outcome = "fail" if faults else "inconclusive" if doubts else "pass"
    warnings = (RANDOM_SPLIT_WARNING,) if metrics.get("split") == "random" else ()
    reasons = [*faults, *doubts] or [_why_pass(len(properties), gates, champion)]
    return Verdict(outcome, gates.mode, tuple(reasons), tuple(checks), comparison, warnings)


def unreadable(gates: Gates, why: str) -> Verdict:
    """Return the failing verdict for something needed that cannot be had."""
    check = {"check": "present", "property": None, "value": None, "limit": None, "unit": None}
    sentence = f"{why}: there is nothing to judge, and that fails."
    return Verdict("fail", gates.mode, (sentence,), ({**check, "ok": False},), None)


def judge_folder(
    folder: Path, gates: Gates, properties: Sequence[str], champion: Champion | None = None
) -> Verdict:
    """Judge the candidate in ``folder`` by its ``metrics.json`` and ``predictions.parquet``.

    A file that is missing or cannot be read fails, with the reason. Errors as in :func:`judge`.
    """
    lost = [name for name in (METRICS, PREDICTIONS) if not (folder / name).is_file()]
    if lost:
        return unreadable(gates, f"{' and '.join(lost)} missing in {folder}")
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        predictions = pd.read_parquet(folder / PREDICTIONS)
    except (OSError, ValueError) as fault:  # ArrowInvalid and JSONDecodeError are ValueErrors
        return unreadable(gates, f"a file in {folder} cannot be read ({fault})")
    if not isinstance(metrics, dict):
        return unreadable(gates, "metrics.json holds no metrics")
    return judge(metrics, gates, properties, predictions=predictions, champion=champion)


def _contradiction(metrics: Mapping[str, Any], predictions: pd.DataFrame) -> str:
    """Return how the metrics contradict the predictions they are said to come from, or ''."""
    try:
        scored = evaluate(predictions, split="", folds_hash="", data_hash="", fingerprint="")
    except PolyIDError as fault:
        return f"predictions.parquet cannot be scored ({fault})"
    lost = [name for name in metrics["properties"] if name not in scored["properties"]]
    if lost:
        return f"metrics.json scores {', '.join(lost)}, which predictions.parquet does not hold"
    for name, found in scored["properties"].items():
        said = (metrics["properties"].get(name) or {}).get("model") or {}
        seen = found["model"]["mae"]
        if not is_number(said.get("mae")) or not is_number(seen):
            continue  # a check of its own fails for it
        if not math.isclose(said["mae"], seen, rel_tol=1e-6, abs_tol=1e-9):
            return (
                f"metrics.json says MAE {said['mae']:.6g} {found['unit']} for {name}, but "
                f"predictions.parquet gives {seen:.6g}"
            )
    return ""


def _check_property(
    name: str, found: Mapping[str, Any] | None, gates: Gates
) -> list[tuple[dict[str, Any], str]]:
    """Return the checks of one property, each with the sentence to say if it failed."""
    unit, floor = PROPERTIES[name].unit, gates.floors[name]

    def check(
        kind: str, value: Any, limit: Any, of: str, ok: bool, sentence: str
    ) -> tuple[dict[str, Any], str]:
        entry = {"check": kind, "property": name, "value": value, "limit": limit, "unit": of}
        return {**entry, "ok": ok}, f"{name}: {sentence}"

    if found is None:
        return [check("present", None, None, unit, False, "no metrics; it was to be trained.")]
    if found.get("unit") != unit:
        sentence = f"the metrics are in {found.get('unit')!r}, expected {unit!r}."
        return [check("unit", found.get("unit"), unit, unit, False, sentence)]
    model, mean = found.get("model") or {}, found.get("mean") or {}
    mae: Any = model.get("mae")
    r2: Any = model.get("r2")
    mean_mae: Any = mean.get("mae")
    needed = {"MAE": mae, "R²": r2} | (
        {"MAE of the mean": mean_mae} if gates.must_beat_mean else {}
    )
    broken = [key for key, value in needed.items() if not is_number(value)]
    if broken:
        sentence = f"{' and '.join(broken)} missing or not a finite number."
        return [check("finite", None, None, unit, False, sentence)]
    folds, distinct = len(found.get("per_fold") or []), found.get("distinct")
    results = []
    if isinstance(distinct, int) and found.get("n", 0) > max(folds, 1):
        sentence = (
            f"{found['n']} samples got only {distinct} distinct predictions in {folds} folds: the "
            "model is constant, and a constant cannot beat the mean."
        )
        results.append(check("not_constant", distinct, folds, "", distinct > folds, sentence))
    text, limit = f"{mae:.4g} {unit}", f"{floor.max_mae:.4g} {unit}"
    sentence = f"MAE {text} is above the floor of {limit}."
    results.append(check("floor_mae", mae, floor.max_mae, unit, mae <= floor.max_mae, sentence))
    sentence = f"R² {r2:.3f} is below the floor of {floor.min_r2:.3g}."
    results.append(check("floor_r2", r2, floor.min_r2, "", r2 >= floor.min_r2, sentence))
    if gates.must_beat_mean:
        sentence = f"MAE {text} does not beat the mean baseline's {mean_mae:.4g} {unit}."
        results.append(check("beats_mean", mae, mean_mae, unit, mae < mean_mae, sentence))
    return results


def _why_pass(count: int, gates: Gates, champion: Champion | None) -> str:
    mean = ", the mean baseline is beaten" if gates.must_beat_mean else ""
    rival = f", and nothing is worse than {champion.revision}" if champion else ""
    first = "" if champion else "; there is no release yet to compare with"
    return f"All floors of {count} properties are reached{mean}{rival}{first}."
