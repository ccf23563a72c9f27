"""Checks across rows: duplicates, conflicting labels, empty properties, groups for the folds."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from functools import cache

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase

from polyid.properties import PROPERTIES
from trainer.contract_cells import is_missing
from trainer.contract_read import RawTable
from trainer.contract_report import Fault, Severity
from trainer.contract_spec import DataSpec

# labels of one polymer that differ by more than this part of the physical range are no scatter of
# measurements: one of them is wrong
_SCATTER = 0.1

#: (lower, higher): properties whose order physics decides. Small gases: permeability of polymers
#: rises from N₂ over O₂ to CO₂ with few exceptions; a crystal melts above the glass transition.
_ORDER = (
    ("Glass_Transition", "Melt_Temp"),
    ("log10_Permeability_N2", "log10_Permeability_O2"),
    ("log10_Permeability_O2", "log10_Permeability_CO2"),
)


@cache
def _canonical(monomers: str) -> str:
    with rdBase.BlockLogs():
        parts = [Chem.MolFromSmiles(part) for part in monomers.split(".")]
    if any(part is None for part in parts):
        return monomers
    return ".".join(sorted(Chem.MolToSmiles(part) for part in parts))


def sample_keys(frame: pd.DataFrame, data: DataSpec) -> list[str]:
    """Key of the polymer sample that each row of ``frame`` describes.

    Rows with the same monomers (stereo marks count), mechanism, distribution and ``pm`` describe
    one sample.
    """
    names = data.columns
    rest = [names.mechanism, names.distribution, names.pm]
    columns = [frame[c].str.strip() for c in rest if c is not None and c in frame]
    monomers = frame[names.monomers].str.strip().map(_canonical)
    return ["|".join(cells) for cells in zip(monomers, *columns, strict=True)]


def check_duplicates(
    table: RawTable, labels: pd.DataFrame, data: DataSpec, file: str
) -> list[Fault]:
    """Find rows that stand twice, and polymers whose labels disagree or are spread over rows.

    Parameters
    ----------
    labels
        Labels in product units, one column per property, rows as in ``table.frame``.
    """
    frame, lines, names = table.frame, table.lines, data.columns
    faults: list[Fault] = []
    first: dict[Hashable, int] = {}
    copies: set[int] = set()
    for i, cells in enumerate(frame.itertuples(index=False, name=None)):
        if cells in first:
            copies.add(i)
            expected = f"each row once; this is line {lines[first[cells]]} again"
            value = str(frame[names.smiles].iloc[i]) if names.smiles in frame else ""
            faults.append(Fault(file, lines[i], None, value, expected, "duplicate_row", "error"))
        first.setdefault(cells, i)

    if not {names.smiles, names.monomers, names.mechanism} <= set(frame.columns):
        return faults
    keys = sample_keys(frame, data)
    found: set[tuple[int, str]] = set()
    repeated: dict[int, int] = {}
    groupings = [keys]
    if names.replicate is None:
        # the same chain is the same polymer, however its monomers are written
        tails = [names.distribution, names.pm]
        rest = [frame[c].str.strip() for c in tails if c is not None and c in frame]
        chains = zip(frame[names.smiles].str.strip(), *rest, strict=True)
        groupings.append(["|".join(cells) for cells in chains])
    for grouping in groupings:
        for rows in _same(grouping):
            rows = [i for i in rows if i not in copies]
            for name in map(str, labels):
                for fault_row, fault in _conflicts(name, rows, labels[name], table, data, file):
                    if (fault_row, name) not in found:
                        found.add((fault_row, name))
                        faults.append(fault)
            if names.replicate is None:
                for i in rows[1:]:
                    repeated.setdefault(i, rows[0])
    conflicting = {i for i, _ in found}
    for i, original in repeated.items():
        if i not in conflicting:
            expected = f"one row per polymer; line {lines[original]} has the same one"
            value = str(frame[names.smiles].iloc[i])
            faults.append(
                Fault(file, lines[i], names.smiles, value, expected, "duplicate_polymer", "warning")
            )
    return faults


def _same(keys: Iterable[Hashable]) -> list[list[int]]:
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        positions[key].append(i)
    return [rows for rows in positions.values() if len(rows) > 1]


def _conflicts(
    name: str, rows: list[int], labels: pd.Series, table: RawTable, data: DataSpec, file: str
) -> list[tuple[int, Fault]]:
    labelled = [i for i in rows if np.isfinite(labels.iloc[i])]
    if not labelled:
        return []
    values = labels.iloc[labelled]
    usual = values.mode().iloc[0] if values.duplicated().any() else values.iloc[0]
    witness = table.lines[labelled[int(np.argmax(values.to_numpy() == usual))]]
    known, column = PROPERTIES[name], data.properties[name].column
    faults = []
    for i, value in zip(labelled, values, strict=True):
        difference = abs(value - usual)
        if difference <= 1e-9 * max(1.0, abs(usual)):
            continue
        expected = f"{usual:.6g} {known.unit}, as line {witness} says of the same polymer"
        if known.unit == "°C" and abs(difference - 273.15) < 15:
            expected += "; is one of them in K?"
        severe = difference > _SCATTER * (known.high - known.low)
        severity: Severity = "error" if severe else "warning"
        text = str(table.frame[column].iloc[i])
        line = table.lines[i]
        faults.append(
            (i, Fault(file, line, column, text, expected, "conflicting_labels", severity))
        )
    return faults


def check_labels(table: RawTable, labels: pd.DataFrame, data: DataSpec, file: str) -> list[Fault]:
    """Find properties and rows without labels, and labels of one row that contradict each other."""
    faults = []
    columns = {name: place.column for name, place in data.properties.items()}
    for name in map(str, labels):
        if not labels[name].notna().any():
            expected = "at least one label; remove the property or add data"
            found = "no label in any row"
            faults.append(Fault(file, None, columns[name], found, expected, "no_label", "error"))
    # a label that cannot be read is a fault of its own
    cells = pd.DataFrame({name: is_missing(table.frame[columns[str(name)]]) for name in labels})
    for i in map(int, np.flatnonzero(cells.all(axis=1).to_numpy())):
        expected = f"a label in one of {', '.join(columns[str(name)] for name in labels)}; not used"
        line = table.lines[i]
        faults.append(Fault(file, line, None, "no label", expected, "row_without_label", "warning"))
    for lower, higher in _ORDER:
        if lower not in labels or higher not in labels:
            continue
        unit = PROPERTIES[lower].unit
        for i in map(int, np.flatnonzero((labels[higher] < labels[lower]).to_numpy())):
            found = str(table.frame[columns[higher]].iloc[i])
            expected = f"at least the {columns[lower]} of {labels[lower].iloc[i]:.4g} {unit}"
            line, column = table.lines[i], columns[higher]
            faults.append(Fault(file, line, column, found, expected, "implausible", "warning"))
    return faults


def check_groups(
    groups: list[str | None],
    labels: pd.DataFrame,
    data: DataSpec,
    file: str,
    *,
    folds: int | None,
    what: str,
) -> list[Fault]:
    """Find out whether the rows can be dealt out to ``folds`` folds.

    Parameters
    ----------
    groups
        What must stay in one fold, per row: a monomer set, or a sample; ``None`` where unreadable.
    what
        Name of a group in messages: ``monomer sets`` or ``samples``.
    """
    keys = pd.Series(groups, index=labels.index, dtype=object)
    used = keys[labels.notna().any(axis=1) & keys.notna()]
    count = used.nunique()
    if len(used) and count == 1:
        expected = f"at least two {what}: with one there is nothing to hold out"
        found = f"one group: {used.iloc[0]}"
        return [Fault(file, None, data.columns.monomers, found, expected, "groups", "error")]
    if folds is None or not len(used):
        return []
    if count < folds:
        expected = f"at least {folds}, one per fold; set folds.count to {count} or less"
        found = f"{count} {what} for {folds} folds"
        return [Fault(file, None, data.columns.monomers, found, expected, "groups", "error")]
    faults = []
    for name in map(str, labels):
        labelled = keys[labels[name].notna() & keys.notna()].nunique()
        if 0 < labelled < folds:
            expected = f"labels in at least {folds} {what}, so that every fold has one"
            found = f"labels in {labelled} {what} for {folds} folds"
            column = data.properties[name].column
            faults.append(Fault(file, None, column, found, expected, "groups", "error"))
    return faults
