"""Checks of single cells, as one pandera schema that is validated lazily.

The schema is made from the configuration; its failures are turned into faults here. SMILES are
parsed by :mod:`polyid.smiles`, so what passes here is what training reads.
"""

import difflib
import re
from functools import cache

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from polyid.errors import SmilesError
from polyid.properties import PROPERTIES
from polyid.smiles import parse
from trainer.contract_read import RawTable
from trainer.contract_report import Fault
from trainer.contract_spec import DataSpec, wanted_columns

#: Mechanisms that m2p can polymerise.
MECHANISMS: tuple[str, ...] = (
    "vinyl",
    "acrylate",
    "ester",
    "amide",
    "carbonate",
    "imide",
    "NIPU",
    "urethane",
    "UPE",
    "ester_stereo",
    "vinyl_stereo",
    "acrylate_stereo",
)

# characters of chains without bracket atoms and dative or quadruple bonds
_PLAIN = re.compile(r"[A-Za-z0-9%()=#/\\.*-]+")
_PLAIN_LIMIT = 5_000

#: Cells that mean "no value", as in pandas' reader.
MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"})


def is_missing(cells: pd.Series) -> pd.Series:
    """Which cells hold no value."""
    return cells.str.strip().isin(MISSING)


def numbers(cells: pd.Series) -> NDArray[np.float64]:
    """Cells as floats, shape (rows,); NaN where a cell is missing or is no number."""
    values = pd.to_numeric(cells.str.strip().mask(is_missing(cells)), errors="coerce")
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


@cache
def smiles_problem(smiles: str) -> str:
    """Say why ``smiles`` cannot be used; an empty string if it can.

    `polyid.smiles.parse` decides. For long plain chains only its grammar and valence checks are
    repeated, at a quarter of the cost: the rest of it is about bracket atoms, unusual bonds and
    sizes that such a chain does not have.
    """
    if len(smiles) < _PLAIN_LIMIT and _PLAIN.fullmatch(smiles):
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles, sanitize=False)
            if molecule is not None and not Chem.DetectChemistryProblems(molecule):
                return ""
    try:
        parse(smiles)
    except SmilesError as error:
        return str(error)
    return ""


def _parses(cells: pd.Series) -> pd.Series:
    return is_missing(cells) | cells.map(lambda cell: not smiles_problem(cell.strip())).astype(bool)


def _is_number(cells: pd.Series) -> pd.Series:
    nan_text = cells.str.strip().str.lower().isin({"nan", "-nan", "+nan"})
    return is_missing(cells) | nan_text | pd.Series(~np.isnan(numbers(cells)), index=cells.index)


def _is_finite(cells: pd.Series) -> pd.Series:
    return pd.Series(~np.isinf(numbers(cells)), index=cells.index)


def _in_unit_interval(cells: pd.Series) -> pd.Series:
    values = numbers(cells)
    return pd.Series(~np.isfinite(values) | ((values >= 0) & (values <= 1)), index=cells.index)


def _known_mechanism(cells: pd.Series) -> pd.Series:
    return is_missing(cells) | cells.isin(MECHANISMS)


_PRESENT = pa.Check(lambda cells: ~is_missing(cells), name="missing_value")
_SMILES = [_PRESENT, pa.Check(_parses, name="smiles")]
_NUMBER = [pa.Check(_is_number, name="not_a_number"), pa.Check(_is_finite, name="infinite")]


def cell_schema(data: DataSpec) -> pa.DataFrameSchema:
    """Return the schema of the file's text cells for the configuration ``data``."""
    names = data.columns
    checks: dict[str, list[pa.Check]] = {name: [] for name in wanted_columns(data)}
    checks[names.smiles] = _SMILES
    checks[names.monomers] = _SMILES
    checks[names.mechanism] = [_PRESENT, pa.Check(_known_mechanism, name="mechanism")]
    if names.pm is not None:
        checks[names.pm] = [_PRESENT, *_NUMBER, pa.Check(_in_unit_interval, name="pm_range")]
    for place in data.properties.values():
        checks[place.column] = _NUMBER
    return pa.DataFrameSchema(
        {name: pa.Column(checks=column_checks) for name, column_checks in checks.items()}
    )


def check_cells(table: RawTable, data: DataSpec, file: str) -> list[Fault]:
    """Validate every configured column of ``table`` and return one fault per bad cell."""
    try:
        cell_schema(data).validate(table.frame, lazy=True)
    except pa.errors.SchemaErrors as failed:
        cases = failed.failure_cases
    else:
        return []
    faults = []
    fields = zip(
        cases["column"], cases["check"], cases["failure_case"], cases["index"], strict=True
    )
    for column, check, value, index in fields:
        if check == "column_in_dataframe":
            faults.append(_missing_column(str(value), table, data, file))
        else:
            line, expected = table.lines[int(index)], _expected(str(check), str(value))
            faults.append(Fault(file, line, str(column), str(value), expected, check, "error"))
    return faults


def _expected(check: str, value: str) -> str:
    text = value.strip()
    if check == "missing_value":
        return "a value in every row"
    if check == "smiles":
        if text.startswith("ERROR"):
            return "a SMILES; this is m2p's message for a polymerisation that failed"
        return f"a SMILES; {smiles_problem(text)}"
    if check == "not_a_number":
        as_point = text.replace(",", ".")
        if "," in text and not np.isnan(numbers(pd.Series([as_point], dtype=object))[0]):
            return f"a number with a decimal point, such as {as_point}"
        return "a number, or nothing where there is no label"
    if check == "infinite":
        return "a finite number"
    if check == "pm_range":
        return "a fraction from 0 to 1" + ("; is this a percentage?" if _percent(text) else "")
    known = {name.lower(): name for name in MECHANISMS}
    near = difflib.get_close_matches(text.lower(), known, n=1)
    hint = f"did you mean {known[near[0]]!r}? " if near else ""
    return f"{hint}one of {', '.join(MECHANISMS)}"


def _percent(text: str) -> bool:
    return 1 < numbers(pd.Series([text], dtype=object))[0] <= 100


def _missing_column(name: str, table: RawTable, data: DataSpec, file: str) -> Fault:
    there = list(table.frame.columns)
    use = wanted_columns(data)[name]
    free = [column for column in there if column not in wanted_columns(data)]
    by_fold = {column.strip().lower(): column for column in free}
    near = difflib.get_close_matches(name.strip().lower(), by_fold, n=1)
    suggestion = by_fold[near[0]] if near else None
    for property_name, place in data.properties.items():
        known = PROPERTIES.get(property_name)
        if place.column == name and known is not None and known.symbol.lower() in by_fold:
            suggestion = by_fold[known.symbol.lower()]
    expected = f"a column {name!r} for {use}"
    if suggestion is not None:
        expected += f"; did you mean {suggestion!r}? Then set {_key(use)}: {suggestion}"
    elif use.startswith("data.properties."):
        expected += "; nothing here resembles it: remove the property, or check another file"
    else:
        expected += f"; nothing here resembles it: correct {use}"
    return Fault(file, 1, name, "columns: " + ", ".join(there), expected, "missing_column", "error")


def _key(use: str) -> str:
    return f"{use}.column" if use.startswith("data.properties.") else use
