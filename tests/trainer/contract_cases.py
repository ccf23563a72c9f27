"""A small clean data file for the contract's tests, and ways to spoil it."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.contract import Fault, check_data

COLUMNS = ["smiles_monomer", "mechanism", "smiles_polymer", "Tg", "E"]
CLEAN = [
    ["C=CC", "vinyl", "CC(C)CC(C)C", "-10", "1300"],
    ["C=Cc1ccccc1", "vinyl", "CC(c1ccccc1)CCc1ccccc1", "100", "3100"],
    ["C=CCl", "vinyl", "CC(Cl)CCCl", "82", "2900"],
    ["C=CC#N", "vinyl", "CC(C#N)CCC#N", "97", ""],
    ["C=CC(=O)OC", "vinyl", "CC(C(=O)OC)CCC(=O)OC", "10", ""],
    ["C=C(C)C(=O)OC", "vinyl", "CC(C)(C(=O)OC)CCC(=O)OC", "105", "3000"],
    ["CC(O)C(=O)O", "ester", "CC(O)C(=O)OC(C)C(=O)O", "57", "3400"],
    ["OCC(=O)O", "ester", "OCC(=O)OCC(=O)O", "38", "6500"],
    ["NCCCCCC(=O)O", "amide", "NCCCCCC(=O)NCCCCCC(=O)O", "50", "2700"],
    ["OCCCCCC(=O)O", "ester", "OCCCCCC(=O)OCCCCCC(=O)O", "-60", "400"],
]
LINE = {row[0]: i + 2 for i, row in enumerate(CLEAN)}


@dataclass(frozen=True)
class Place:
    column: str
    unit: str


@dataclass(frozen=True)
class Names:
    smiles: str = "smiles_polymer"
    monomers: str = "smiles_monomer"
    mechanism: str = "mechanism"
    distribution: str | None = None
    pm: str | None = None
    replicate: str | None = None


@dataclass(frozen=True)
class Spec:
    columns: Names = Names()
    properties: dict[str, Place] = field(
        default_factory=lambda: {
            "Glass_Transition": Place("Tg", "°C"),
            "YoungMod": Place("E", "MPa"),
        }
    )


TABLE_SPEC = Spec(
    columns=Names(distribution="distribution"),
    properties={
        "Glass_Transition": Place("Glass_Transition", "°C"),
        "Melt_Temp": Place("Melt_Temp", "°C"),
        "Density": Place("Density", "g/cm³"),
        "log10_Permeability_CO2": Place("log10_Permeability_CO2", "log10(Barrer)"),
        "log10_Permeability_N2": Place("log10_Permeability_N2", "log10(Barrer)"),
        "log10_Permeability_O2": Place("log10_Permeability_O2", "log10(Barrer)"),
        "YoungMod": Place("YoungMod", "MPa"),
    },
)
STEREO_SPEC = Spec(
    columns=Names(distribution="distribution", pm="pm", replicate="replicate_structure"),
    properties={"Glass_Transition": Place("Tg", "°C"), "Melt_Temp": Place("Tm", "°C")},
)


def rows(**changes: str) -> list[list[str]]:
    """Copy the clean rows; ``Tg_3="x"`` puts x into column Tg of line 3."""
    table = [list(row) for row in CLEAN]
    for key, value in changes.items():
        column, line = key.rsplit("_", 1)
        table[int(line) - 2][COLUMNS.index(column)] = value
    return table


def write(
    folder: Path,
    table: list[list[str]] | None = None,
    *,
    header: list[str] | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """Write a data file; the clean one if nothing else is said."""
    path = folder / "data.csv"
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(COLUMNS if header is None else header)
        writer.writerows(rows() if table is None else table)
    return path


def faults_of(path: Path, spec: Any = None, **options: Any) -> dict[str, list[Fault]]:
    """Check ``path`` and group the faults by rule."""
    grouped: dict[str, list[Fault]] = {}
    for fault in check_data(path, spec or Spec(), **options).faults:
        assert fault.file == str(path)
        grouped.setdefault(fault.rule, []).append(fault)
    return grouped


def only(grouped: dict[str, list[Fault]], rule: str) -> Fault:
    """Return the single fault, which must be of ``rule``."""
    assert list(grouped) == [rule], grouped
    assert len(grouped[rule]) == 1, grouped
    return grouped[rule][0]
