"""The dataset frame: one row per row of the data file, in the product's names and units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyid.errors import PolyIDError
from polyid.polymers import monomer_set
from polyid.properties import to_product_unit

#: What stands for no label.
_EMPTY = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "+nan", "none", "null")


@dataclass(frozen=True)
class Columns:
    """Where a file keeps what; None where it has no such column."""

    smiles: str = "smiles_polymer"
    monomers: str = "smiles_monomer"
    mechanism: str = "mechanism"
    distribution: str | None = "distribution"
    pm: str | None = None
    replicate: str | None = None


@dataclass(frozen=True)
class PropertyColumn:
    """Where a file keeps a property, and in which unit."""

    column: str
    unit: str


@dataclass(frozen=True)
class DataSpec:
    """How to read a file."""

    columns: Columns = field(default_factory=Columns)
    properties: Mapping[str, PropertyColumn] = field(default_factory=dict)


def load_table(path: str | Path, spec: DataSpec) -> pd.DataFrame:
    """Read a data file that satisfies the data contract.

    Returns
    -------
    pandas.DataFrame
        Columns ``row`` (from 0), ``line`` (of the file, header 1), ``smiles_polymer``,
        ``smiles_monomer``, ``mechanism``, ``distribution``, ``pm`` if configured, ``group`` (the
        monomer set), ``sample`` (replicate structures of one sample share it) and the properties
        in the product's units.

    Raises
    ------
    PolyIDError
        If the file cannot be read or a configured column is missing.
    """
    return frame_from(read_csv(Path(path)), spec, str(path))


def read_csv(path: Path) -> pd.DataFrame:
    """Read a file's cells as they stand, as texts.

    Raises
    ------
    PolyIDError
        If it cannot be read.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PolyIDError(f"{path} cannot be read as CSV: {error}") from error


def frame_from(raw: pd.DataFrame, spec: DataSpec, name: str = "the table") -> pd.DataFrame:
    """Make the dataset frame of a table that is in memory; see `load_table`."""
    c = spec.columns
    wanted = [c.smiles, c.monomers, c.mechanism, c.distribution, c.pm, c.replicate]
    wanted += [p.column for p in spec.properties.values()]
    missing = [w for w in wanted if w is not None and w not in raw.columns]
    if missing:
        raise PolyIDError(
            f"{name} has no column {', '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, raw.columns))}."
        )
    frame = pd.DataFrame(
        {
            "row": np.arange(len(raw)),
            "line": np.arange(len(raw)) + 2,
            "smiles_polymer": raw[c.smiles].astype(str),
            "smiles_monomer": raw[c.monomers].astype(str),
            "mechanism": raw[c.mechanism].astype(str),
            "distribution": raw[c.distribution].fillna("").astype(str) if c.distribution else "",
        }
    )
    if c.pm is not None:
        frame["pm"] = _numbers(raw[c.pm], name)
    for prop, where in spec.properties.items():
        frame[prop] = to_product_unit(prop, _numbers(raw[where.column], name), where.unit)
    frame["group"] = [monomer_set(s) for s in frame["smiles_monomer"]]
    replicate = raw[c.replicate].astype(str) if c.replicate else None
    frame["sample"] = _samples(frame, list(spec.properties), replicate)
    return frame


def _numbers(cells: pd.Series, name: str) -> NDArray[np.float64]:
    """Cells as numbers, ``(n,)``; NaN where a cell is empty."""
    text = cells.astype("str").str.strip()
    empty = (cells.isna() | text.str.lower().isin(_EMPTY)).to_numpy()
    values = pd.to_numeric(text.mask(empty), errors="coerce").to_numpy(float, na_value=np.nan)
    bad = np.flatnonzero(~empty & ~np.isfinite(values))
    if len(bad):
        raise PolyIDError(
            f"{name}, line {bad[0] + 2}, column {cells.name!r}: found {text.iloc[bad[0]]!r}, "
            "expected a finite number or nothing. `trainer check` lists every fault."
        )
    return values


def _samples(frame: pd.DataFrame, properties: list[str], replicate: pd.Series | None) -> pd.Series:
    """Key of each row's sample: the row itself, or what its replicate structures share."""
    if replicate is None:
        return frame["row"].astype(str)
    keys = [k for k in ("smiles_monomer", "distribution", "mechanism", "pm") if k in frame]
    key = _joined(frame[keys])
    # the same monomers and pm may stand for several samples: replicates share their labels, too,
    # and where even these are the same, the n-th of each replicate number belong together
    labels = _joined(frame[properties])
    nth = key.groupby([key, labels, replicate]).cumcount()
    number = (labels + "|" + nth.astype(str)).groupby(key).transform(lambda s: s.factorize()[0])
    return key + "#" + number.astype(str)


def _joined(cells: pd.DataFrame) -> pd.Series:
    """Each row as one text; NaN, too."""
    rows = cells.itertuples(index=False, name=None)
    return pd.Series(["|".join(map(str, row)) for row in rows], index=cells.index)
