"""Synthetic out-of-fold predictions, gates and champions for the tests of gate and report."""

from typing import Any

import numpy as np
import pandas as pd

from polyid.properties import PROPERTIES
from trainer.champion import Champion
from trainer.evaluate import evaluate
from trainer.gates_config import Gates

TG, RHO = "Glass_Transition", "Density"
FOLDS = 5


def predictions(seed: int = 0, error: float = 0.15, n: int = 150) -> pd.DataFrame:
    """Return predictions of two properties whose error is ``error`` standard deviations."""
    truth = np.random.default_rng(99)
    noise = np.random.default_rng(seed)
    parts = []
    for name, mean, sd in ((TG, 150.0, 100.0), (RHO, 1.2, 0.15)):
        labels = mean + sd * truth.normal(size=n)
        fold = np.arange(n) % FOLDS
        predicted = labels + error * sd * noise.normal(size=n)
        parts.append(
            pd.DataFrame(
                {
                    "sample": [f"s{i}" for i in range(n)],
                    "group": [f"g{i // 2}" for i in range(n)],
                    "mechanism": np.where(np.arange(n) % 3, "ester", "amide"),
                    "smiles_polymer": ["C" * (i + 1) for i in range(n)],
                    "row": np.arange(n),
                    "fold": fold,
                    "property": name,
                    "y_true": labels,
                    "y_pred": predicted,
                    "spread": sd * error,
                    "similarity": 0.5,
                    "y_mean": [labels[fold != k].mean() for k in fold],
                    "y_gp": labels + 0.1 * sd * truth.normal(size=n),
                    "low": predicted - 2 * error * sd,
                    "high": predicted + 2 * error * sd,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def metrics(table: pd.DataFrame, split: str = "grouped", folds_hash: str = "f" * 64) -> dict:
    """Return the metrics of ``table`` under made-up hashes."""
    return evaluate(
        table, split=split, folds_hash=folds_hash, data_hash="d" * 64, fingerprint="a" * 16
    )


def gates(**changes: Any) -> Gates:
    """Return a gate with floors that predictions with an error of 0.3 sd reach."""
    floors = {
        TG: {"max_mae": 35.0, "min_r2": 0.8, "unit": PROPERTIES[TG].unit},
        RHO: {"max_mae": 0.055, "min_r2": 0.8, "unit": PROPERTIES[RHO].unit},
    }
    return Gates(**({"owner": "us", "rationale": "a test", "floors": floors} | changes))


def champion(table: pd.DataFrame, **changes: Any) -> Champion:
    """Return the release v1.0.0 with the predictions ``table``."""
    return Champion("v1.0.0", table, metrics(table, **changes), params={"training": {"epochs": 5}})
