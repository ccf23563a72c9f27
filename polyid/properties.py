"""The seven properties: names, units, physical ranges, and conversion from a file's unit.

Inside the product every value is in the unit given here; only the readers of files convert.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Property:
    """One predicted property."""

    name: str
    """PolyID's column name, such as ``Glass_Transition``."""
    title: str
    """What a reader sees, such as ``Glass transition``."""
    symbol: str
    """Short symbol, such as ``Tg``."""
    unit: str
    """The product's unit."""
    low: float
    """Smallest physically sensible value, in ``unit``."""
    high: float
    """Largest physically sensible value, in ``unit``."""


_ALL = (
    Property("Glass_Transition", "Glass transition", "Tg", "°C", -150.0, 600.0),
    Property("Melt_Temp", "Melting temperature", "Tm", "°C", -100.0, 700.0),
    Property("Density", "Density", "ρ", "g/cm³", 0.5, 3.0),
    Property("log10_Permeability_CO2", "CO₂ permeability", "P(CO₂)", "log10(Barrer)", -5.0, 5.0),
    Property("log10_Permeability_N2", "N₂ permeability", "P(N₂)", "log10(Barrer)", -6.0, 5.0),
    Property("log10_Permeability_O2", "O₂ permeability", "P(O₂)", "log10(Barrer)", -5.0, 5.0),
    Property("YoungMod", "Young's modulus", "E", "GPa", 1e-4, 20.0),
)

PROPERTIES: dict[str, Property] = {p.name: p for p in _ALL}

_CONVERT: dict[tuple[str, str], Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    ("K", "°C"): lambda v: v - 273.15,
    ("MPa", "GPa"): lambda v: v * 1e-3,
    ("Pa", "GPa"): lambda v: v * 1e-9,
    ("kg/m³", "g/cm³"): lambda v: v * 1e-3,
    ("Barrer", "log10(Barrer)"): lambda v: np.log10(v),
}

#: Spellings people use for a unit, and the one used here.
UNIT_SPELLINGS: dict[str, str] = {
    "C": "°C",
    "degC": "°C",
    "g/cm3": "g/cm³",
    "kg/m3": "kg/m³",
    "log10 Barrer": "log10(Barrer)",
}


def file_units(name: str) -> list[str]:
    """Units in which a file may give the property ``name``."""
    unit = PROPERTIES[name].unit
    return [unit, *(source for source, target in _CONVERT if target == unit)]


def to_product_unit(name: str, values: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Convert ``values`` of property ``name`` from ``unit`` to the product's unit.

    Raises
    ------
    ValueError
        If ``unit`` cannot be converted; the message lists the units that can.
    """
    array = np.asarray(values, dtype=np.float64)
    source, target = UNIT_SPELLINGS.get(unit, unit), PROPERTIES[name].unit
    if source == target:
        return array
    if (source, target) not in _CONVERT:
        raise ValueError(
            f"{name} cannot be read from unit {unit!r}; expected one of {file_units(name)}."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return _CONVERT[source, target](array)
