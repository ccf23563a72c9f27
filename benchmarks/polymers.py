"""The polymers that both sides are measured on, from the two data files."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

TABLE = [
    *("Glass_Transition", "Melt_Temp", "Density", "log10_Permeability_CO2"),
    *("log10_Permeability_N2", "log10_Permeability_O2", "YoungMod"),
]


@dataclass(frozen=True)
class Polymers:
    """A data file's distinct labelled chains."""

    name: str
    columns: list[str]
    smiles: list[str]
    labels: list[list[float | None]]
    pm: list[float] | None

    def spread(self, count: int, offset: float = 0.5) -> list[int]:
        """Rows of ``count`` polymers whose sizes stand for all: one per quantile."""
        order = sorted(range(len(self.smiles)), key=lambda i: (_atoms(self.smiles[i]), i))
        return sorted({order[int((k + offset) * len(order) / count)] for k in range(count)})

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a worker."""
        return asdict(self)


def read(name: str) -> Polymers:
    """``table`` (DP 18, seven properties) or ``stereo`` (DP 10, two, with tacticity)."""
    files = {"table": "polyid_properties.csv", "stereo": "stereopolymer_input_nopush.csv"}
    path = ROOT / "data" / files[name]
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `make data`.")
    columns = TABLE if name == "table" else ["Tg", "Tm"]
    smiles, labels, pm = [], [], []
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            values = [float(row[c]) if row[c] else None for c in columns]
            if any(v is not None for v in values):
                smiles.append(row["smiles_polymer"])
                labels.append(values)
                pm.append(float(row["pm"]) if name == "stereo" else 0.0)
    return Polymers(name, list(columns), smiles, labels, pm if name == "stereo" else None)


def _atoms(smiles: str) -> int:
    return sum(c.isalpha() and c not in "lr" for c in smiles)


def pieces(of: Sequence[int], count: int) -> list[list[int]]:
    """Deal rows to ``count`` rounds so that each has small and large ones."""
    return [list(of[i::count]) for i in range(count)]
