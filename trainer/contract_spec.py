"""What the data contract needs to know of the configuration: which column holds what."""

from collections.abc import Mapping
from typing import Protocol


class PropertyColumn(Protocol):
    """Where one property stands in the file, and in which unit."""

    @property
    def column(self) -> str:
        """Name of the column."""

    @property
    def unit(self) -> str:
        """Unit of the column's numbers, such as ``MPa``."""


class Columns(Protocol):
    """Names of the columns that are no properties; ``None`` where the file has no such column."""

    @property
    def smiles(self) -> str:
        """SMILES of the polymer chain."""

    @property
    def monomers(self) -> str:
        """SMILES of the monomers, joined by ``.``."""

    @property
    def mechanism(self) -> str:
        """Polymerisation mechanism."""

    @property
    def distribution(self) -> str | None:
        """Copolymer distribution."""

    @property
    def pm(self) -> str | None:
        """Fraction of meso dyads."""

    @property
    def replicate(self) -> str | None:
        """Number of the chain among the chains drawn for one sample."""


class DataSpec(Protocol):
    """The ``data`` section of ``params.yaml``."""

    @property
    def columns(self) -> Columns:
        """Columns that are no properties."""

    @property
    def properties(self) -> Mapping[str, PropertyColumn]:
        """Columns of the properties, by the product's property name."""


def wanted_columns(data: DataSpec) -> dict[str, str]:
    """Columns the file must have, each with what it is wanted for."""
    names = data.columns
    wanted = {
        names.smiles: "data.columns.smiles",
        names.monomers: "data.columns.monomers",
        names.mechanism: "data.columns.mechanism",
    }
    for key in ("distribution", "pm", "replicate"):
        name = getattr(names, key)
        if name is not None:
            wanted[name] = f"data.columns.{key}"
    for name, place in data.properties.items():
        wanted.setdefault(place.column, f"data.properties.{name}")
    return wanted
