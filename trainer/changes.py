"""What changed between two runs: labels of the data, and parameters."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from polyid.properties import PROPERTIES


class LabelChange(NamedTuple):
    """How the labels of one property differ between two data sets."""

    property: str
    added: int
    """Labels of chains that the older data did not have for this property."""
    removed: int
    """Labels of chains that the newer data no longer have for it."""
    changed: int
    """Chains that stand in both with other values."""


def label_changes(new: pd.DataFrame, old: pd.DataFrame) -> list[LabelChange]:
    """Compare the labels behind two sets of predictions, chain by chain.

    Row and sample numbers move when a file grows, so chains are matched by their SMILES.

    Parameters
    ----------
    new, old
        Predictions in the format of ``predictions.parquet``; used are ``property,
        smiles_polymer, y_true``.

    Returns
    -------
    list of LabelChange
        One for each property that changed, in the order of the product.
    """
    found = []
    for name in PROPERTIES:
        ours, theirs = _labels(new, name), _labels(old, name)
        both = ours.keys() & theirs.keys()
        added = sum(len(values) for key, values in ours.items() if key not in both)
        removed = sum(len(values) for key, values in theirs.items() if key not in both)
        changed = 0
        for key in both:
            same_count = len(ours[key]) == len(theirs[key])
            added += max(len(ours[key]) - len(theirs[key]), 0)
            removed += max(len(theirs[key]) - len(ours[key]), 0)
            if same_count and not np.allclose(ours[key], theirs[key], rtol=1e-6, atol=1e-9):
                changed += 1
        if added or removed or changed:
            found.append(LabelChange(name, added, removed, changed))
    return found


def _labels(predictions: pd.DataFrame, name: str) -> dict[str, list[float]]:
    rows = predictions.loc[predictions["property"] == name]
    return {
        str(chain): sorted(values.tolist())
        for chain, values in rows.groupby("smiles_polymer")["y_true"]
    }


class ParamChange(NamedTuple):
    """A parameter that differs; ``—`` stands for a key that is not there."""

    key: str
    old: str
    new: str


def param_changes(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[ParamChange]:
    """Compare two parsed ``params.yaml``, by dotted key."""
    ours, theirs = flatten(new), flatten(old)
    keys = dict.fromkeys([*ours, *theirs])
    return [
        ParamChange(key, theirs.get(key, "—"), ours.get(key, "—"))
        for key in keys
        if ours.get(key) != theirs.get(key)
    ]


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested mappings as ``{dotted key: text of the value}``."""
    flat: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) or "none"
        else:
            flat[f"{prefix}{key}"] = "none" if value is None else str(value)
    return flat
