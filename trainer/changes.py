"""What changed between two runs: labels of the data, and parameters."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pandas as pd

from polyid.properties import PROPERTIES

Kind = Literal["came", "went", "changed"]

_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


class RowChange(NamedTuple):
    """One label that came, went or changed."""

    kind: Kind
    property: str
    mechanism: str
    """Of the newer data, where they have it."""
    monomers: str
    smiles: str
    """The chain, as in the data."""
    old: float | None
    """Value in the older data, in the product's unit; None if it came."""
    new: float | None
    """Value in the newer data; None if it went."""
    old_mechanism: str | None
    """What changed to ``mechanism``; None if it is the same."""
    old_sample: str | None
    new_sample: str | None
    old_line: int | None
    """Line of the data file, the header being 1; of the first of its replicates."""
    new_line: int | None


class LabelChange(NamedTuple):
    """How the labels of one property differ between two data sets."""

    property: str
    added: int
    """Labels that the older data did not have."""
    removed: int
    """Labels that the newer data no longer have."""
    changed: int
    """Labels of chains that stand in both, with another value or mechanism."""


class _Label(NamedTuple):
    value: float
    mechanism: str
    monomers: str
    sample: str
    line: int | None


def row_changes(new: pd.DataFrame, old: pd.DataFrame) -> list[RowChange]:
    """Compare the labels behind two sets of predictions, label by label.

    Row and sample numbers move when a file grows, so labels are matched by property and chain. Of
    the labels of one chain, equal ones are matched first; those left over are paired in the order
    of their values, and what finds no partner came or went. Only labels that were trained on are
    seen: a row without any, or a property that is not in the recipe, is not here.

    Parameters
    ----------
    new, old
        Predictions in the format of ``predictions.parquet``; used are ``property,
        smiles_polymer, y_true`` and, where they are there, ``mechanism, group, sample, row``.

    Returns
    -------
    list of RowChange
        By property in the product's order, then came, went, changed, then by line of the file.
    """
    found = []
    ours, theirs = _labels(new), _labels(old)
    for key in dict.fromkeys([*ours, *theirs]):
        found += _match(*key, ours.get(key, []), theirs.get(key, []))
    order = {name: place for place, name in enumerate(PROPERTIES)}
    kinds = {"came": 0, "went": 1, "changed": 2}
    return sorted(
        found,
        key=lambda c: (
            order.get(c.property, len(order)),
            kinds[c.kind],
            c.new_line or c.old_line or 0,
        ),
    )


def label_changes(new: pd.DataFrame, old: pd.DataFrame) -> list[LabelChange]:
    """Count what `row_changes` finds, per property that changed, in the product's order."""
    changes = row_changes(new, old)
    counts = Counter((change.property, change.kind) for change in changes)
    return [
        LabelChange(name, *(counts[name, kind] for kind in ("came", "went", "changed")))
        for name in dict.fromkeys(change.property for change in changes)
    ]


def _labels(predictions: pd.DataFrame) -> dict[tuple[str, str], list[_Label]]:
    """Labels by property and chain."""
    rows = predictions.loc[predictions["y_true"].notna()]
    nothing = [None] * len(rows)
    columns = (
        rows.get(name, nothing)
        for name in ("property", "smiles_polymer", "y_true", "mechanism", "group", "sample", "row")
    )
    found: dict[tuple[str, str], list[_Label]] = {}
    for prop, smiles, value, mechanism, monomers, sample, row in zip(*columns, strict=True):
        line = None if row is None else int(row) + 2
        label = _Label(float(value), _text(mechanism), _text(monomers), _text(sample), line)
        found.setdefault((str(prop), str(smiles)), []).append(label)
    return found


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else ""


def _match(prop: str, smiles: str, ours: list[_Label], theirs: list[_Label]) -> list[RowChange]:
    """Compare the labels of one chain."""
    ours, theirs = (sorted(labels, key=lambda label: label[:2]) for labels in (ours, theirs))
    found = []
    for exact in (True, False):  # the same value by the same mechanism, then the same value
        for label in list(ours):
            partner = next((other for other in theirs if _same(label, other, exact)), None)
            if partner is not None:
                ours.remove(label)
                theirs.remove(partner)
                if not exact:
                    found.append(_change(prop, smiles, label, partner))
    pairs = min(len(ours), len(theirs))
    found += [_change(prop, smiles, *both) for both in zip(ours, theirs, strict=False)]
    found += [_change(prop, smiles, label, None) for label in ours[pairs:]]
    return found + [_change(prop, smiles, None, label) for label in theirs[pairs:]]


def _same(one: _Label, other: _Label, exact: bool) -> bool:
    close = math.isclose(one.value, other.value, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return close and (not exact or one.mechanism == other.mechanism)


def _change(prop: str, smiles: str, new: _Label | None, old: _Label | None) -> RowChange:
    shown = new or old
    assert shown is not None
    kind: Kind = "came" if old is None else "went" if new is None else "changed"
    return RowChange(
        kind=kind,
        property=prop,
        mechanism=shown.mechanism,
        monomers=shown.monomers,
        smiles=smiles,
        old=old and old.value,
        new=new and new.value,
        old_mechanism=old.mechanism if old and old.mechanism != shown.mechanism else None,
        old_sample=old and old.sample,
        new_sample=new and new.sample,
        old_line=old and old.line,
        new_line=new and new.line,
    )


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
