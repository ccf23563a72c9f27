"""The data contract: everything a data file must keep to before anything is trained on it.

:func:`check_data` runs all checks and reports every fault at once. An error is what would stop or
corrupt training; a warning is what a person should look at. The single checks stand in
``contract_read`` (the file), ``contract_cells`` (cells, with pandera), ``contract_units`` (ranges
and units) and ``contract_rows`` (duplicates, labels, groups).
"""

import difflib
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from polyid.polymers import monomer_set
from polyid.properties import PROPERTIES, to_product_unit
from trainer.contract_cells import check_cells, is_missing, numbers, smiles_problem
from trainer.contract_read import RawTable, read_table
from trainer.contract_report import Fault, Report, in_order
from trainer.contract_rows import check_duplicates, check_groups, check_labels, sample_keys
from trainer.contract_spec import DataSpec
from trainer.contract_units import LabelColumn, check_unit_column, check_units

__all__ = ["Fault", "Report", "check_data"]


def check_data(
    path: Path,
    data: DataSpec,
    *,
    folds: int | None = None,
    split: Literal["grouped", "random"] = "grouped",
) -> Report:
    """Check the data file ``path`` against the configuration ``data``.

    Parameters
    ----------
    path
        A CSV file.
    data
        Columns, properties and units, as in the ``data`` section of ``params.yaml``.
    folds
        Number of folds that the data must be enough for; not checked if ``None``.
    split
        What a fold keeps together: monomer sets (``grouped``) or samples (``random``).

    Returns
    -------
    Report
        All faults, errors first. A fault of the data never raises.
    """
    file = str(path)
    table, faults = read_table(path)
    if table is None:
        return Report(file, tuple(faults))

    faults += _unknown_properties(data, file)
    if table.frame.empty:
        # an empty frame has no cells to check, but its header can still lack columns
        faults += [f for f in check_cells(table, data, file) if f.rule == "missing_column"]
        return Report(file, in_order(faults), columns=tuple(map(str, table.frame.columns)))

    faults += check_cells(table, data, file)
    labels = pd.DataFrame(index=table.frame.index)
    for name, column in _label_columns(table, data).items():
        faults += check_units(column, file)
        for unit_column in _unit_columns(table, column.column):
            cells = dict(zip(table.lines, table.frame[unit_column], strict=True))
            faults += check_unit_column(column, cells, unit_column, file)
        labels[name] = _product_values(table, column)
    faults += check_duplicates(table, labels, data, file)
    groups: list[str | None] = []
    if labels.columns.size:
        faults += check_labels(table, labels, data, file)
    if data.columns.monomers in table.frame:
        groups = _monomer_sets(table, data)
        keys, what = groups, "monomer sets"
        if split == "random" and data.columns.mechanism in table.frame:
            keys, what = _samples(table, data), "samples"
        faults += check_groups(keys, labels, data, file, folds=folds, what=what)
    return Report(
        file,
        in_order(faults),
        rows=len(table.frame),
        columns=tuple(map(str, table.frame.columns)),
        groups=len({group for group in groups if group is not None}),
        labels={str(name): int(labels[name].notna().sum()) for name in labels},
    )


def _unknown_properties(data: DataSpec, file: str) -> list[Fault]:
    faults = []
    for name in data.properties:
        if name not in PROPERTIES:
            near = difflib.get_close_matches(name, PROPERTIES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            expected = f"{hint}one of {', '.join(PROPERTIES)}"
            faults.append(Fault(file, None, name, name, expected, "unknown_property", "error"))
    return faults


def _label_columns(table: RawTable, data: DataSpec) -> dict[str, LabelColumn]:
    """Collect the finite labels of every known property whose column is there."""
    columns = {}
    for name, place in data.properties.items():
        if name in PROPERTIES and place.column in table.frame:
            cells = table.frame[place.column]
            values = numbers(cells)
            finite = np.flatnonzero(np.isfinite(values))
            columns[name] = LabelColumn(
                name,
                place.column,
                place.unit,
                values[finite],
                [table.lines[i] for i in finite],
                [str(cells.iloc[i]) for i in finite],
            )
    return columns


def _product_values(table: RawTable, column: LabelColumn) -> pd.Series:
    """Labels in product units, one per row of ``table``; NaN where there is none."""
    try:
        values = to_product_unit(column.property, column.numbers, column.unit)
    except ValueError:  # already a fault of rule "unit"; go on with the numbers as they are
        values = column.numbers
    by_line = pd.Series(values, index=column.lines).reindex(table.lines).to_numpy()
    return pd.Series(np.where(np.isfinite(by_line), by_line, np.nan), index=table.frame.index)


def _unit_columns(table: RawTable, column: str) -> list[str]:
    names = {f"{column}_units".lower(), f"{column}_unit".lower()}
    return [str(name) for name in table.frame.columns if str(name).lower() in names]


def _monomer_sets(table: RawTable, data: DataSpec) -> list[str | None]:
    cells = table.frame[data.columns.monomers].str.strip()
    bad = is_missing(cells) | cells.map(lambda cell: bool(smiles_problem(cell))).astype(bool)
    return [None if b else monomer_set(c) for c, b in zip(cells, bad, strict=True)]


def _samples(table: RawTable, data: DataSpec) -> list[str | None]:
    if data.columns.replicate is None:
        return [str(line) for line in table.lines]
    return list(sample_keys(table.frame, data))
