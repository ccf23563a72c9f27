"""The reigning release on the candidate's own folds and data, so that the two can be compared.

A release that was trained on the same folds of the same data brings its out-of-fold predictions
with it. Otherwise it is evaluated again, honestly: each polymer by the member that never saw its
monomer set, or, for a set the release never saw at all, by one member.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyid.folds import Folds
from trainer.champion import Champion
from trainer.evaluate import evaluate
from trainer.record import read_record
from trainer.registry import Registry


def reigning(
    registry: Registry,
    tag: str,
    frame: pd.DataFrame,
    folds: Folds,
    predictions: pd.DataFrame,
    data_hash: str,
) -> Champion:
    """Return release ``tag`` ready for the gate.

    Parameters
    ----------
    registry, tag
        Where the release is.
    frame, folds
        The candidate's dataset frame and folds.
    predictions
        The candidate's out-of-fold predictions: which labels are to be predicted.
    data_hash
        Of the candidate's data.
    """
    folder = registry.folder(tag)
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    theirs = pd.read_parquet(folder / "predictions.parquet")
    record = read_record(folder)
    known = {"params": record.params, "record": record.model_dump(mode="json")}
    if metrics["folds_hash"] == folds.hash and metrics["data_hash"] == data_hash:
        return Champion(tag, theirs, metrics, **known)
    old = Folds.load(folder / "folds.json")
    if old.split != folds.split or old.key != "group":
        # sample names of another file mean nothing here: the gate will say it cannot compare
        return Champion(tag, theirs, metrics, **known)
    again = _predict_again(folder, frame, folds, old, predictions)
    if again is None:
        return Champion(tag, theirs, metrics, **known)
    scored = evaluate(
        again,
        split=folds.split,
        folds_hash=folds.hash,
        data_hash=data_hash,
        fingerprint=record.fingerprint,
    )
    return Champion(tag, again, scored, **known)


def _predict_again(
    folder: Path, frame: pd.DataFrame, folds: Folds, old: Folds, predictions: pd.DataFrame
) -> pd.DataFrame | None:
    """Predict the candidate's labels by the release's members; None if it cannot."""
    from polyid.multimodel import MultiModel

    mm = MultiModel.load_models(folder)
    assert mm.parameters is not None
    if mm.parameters.model == "pm" and "pm" not in frame:
        return None
    pm = list(frame["pm"]) if mm.parameters.model == "pm" else None
    values = mm.predict_members(list(frame["smiles_polymer"]), pm)
    unseen = old.of(frame)
    member = np.where(unseen >= 0, unseen, folds.of(frame) % len(mm.models))
    chosen = values[member, np.arange(len(frame))]
    table = pd.DataFrame(chosen, columns=mm.prediction_columns)
    table["sample"] = frame["sample"].to_numpy()
    mean = table.groupby("sample", sort=False).mean().reset_index()
    long = mean.melt("sample", var_name="property", value_name="y_pred")
    kept = predictions.drop(columns=["y_pred", "low", "high"], errors="ignore")
    return kept.merge(long, on=["sample", "property"], how="inner")
