"""Ranges and units: whether a column holds what the configuration says, in the unit it says.

Four signs of a wrong unit are looked for, from the surest to the weakest:

- a unit column of the file itself (``Tg_units`` beside ``Tg``) names another unit: error;
- a good part of a column is physically impossible, and possible in another unit: error;
- a few numbers are far from the rest of a column, and ordinary if read in another unit: warning;
- a column has hardly any ordinary value, and many if read in another unit: warning.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.properties import PROPERTIES, UNIT_SPELLINGS, file_units, to_product_unit
from trainer.contract_cells import MISSING
from trainer.contract_report import Fault, Severity

Floats = NDArray[np.float64]

#: Where nearly every collection of polymers has some of its values, in product units. Weaker than
#: the physical range: it is only used to ask whether a whole column may be in another unit.
_ORDINARY: dict[str, tuple[float, float]] = {
    "Glass_Transition": (-120.0, 200.0),
    "Melt_Temp": (-50.0, 250.0),
    "Density": (0.8, 2.0),
    "log10_Permeability_CO2": (-3.0, 4.0),
    "log10_Permeability_N2": (-4.0, 3.5),
    "log10_Permeability_O2": (-3.0, 4.0),
    "YoungMod": (0.05, 15.0),
}
_FEW = 6  # labels below which a column has no shape to compare with


class _Scale(NamedTuple):
    """How values of one unit are compared with each other."""

    logarithmic: bool
    gap: float
    """Empty stretch that separates two clusters of values."""
    width: float
    """Smallest standard deviation assumed, so that a column of equal values is no trap."""
    far: float = 5.0
    """Robust standard deviations from the median that make a single value odd."""


_SCALES: dict[str, _Scale] = {
    "°C": _Scale(False, 120.0, 10.0),
    "g/cm³": _Scale(True, 1.0, 0.05),
    "GPa": _Scale(True, 1.0, 0.05),
    "log10(Barrer)": _Scale(
        False, 1.5, 0.2, far=np.inf
    ),  # any large logarithm is ordinary as Barrer
}


class LabelColumn(NamedTuple):
    """The labels of one property that are finite numbers."""

    property: str
    column: str
    unit: str
    numbers: Floats
    """As in the file, shape (labels,)."""
    lines: list[int]
    texts: list[str]


def check_units(labels: LabelColumn, file: str) -> list[Fault]:
    """Compare one property's labels with its physical range, and look for other units."""
    known = PROPERTIES[labels.property]
    try:
        product = to_product_unit(labels.property, labels.numbers, labels.unit)
    except ValueError as error:
        units = ", ".join(file_units(labels.property))
        expected = f"data.properties.{labels.property}.unit: one of {units}"
        return [Fault(file, None, labels.column, str(error), expected, "unit", "error")]
    if not len(product):
        return []
    readings = {
        unit: to_product_unit(labels.property, labels.numbers, unit)
        for unit in file_units(labels.property)
        if unit != UNIT_SPELLINGS.get(labels.unit, labels.unit)
    }

    def possible(values: Floats) -> NDArray[np.bool_]:
        return np.isfinite(values) & (values >= known.low) & (values <= known.high)

    outside = ~possible(product)
    limits = f"{known.low:g} to {known.high:g} {known.unit}"
    if outside.sum() >= 3 and outside.mean() >= 0.05:
        fitting = [u for u, v in readings.items() if (~possible(v)).mean() <= 0.1 * outside.mean()]
        if fitting or outside.mean() > 0.5:
            hint = "; no unit known here makes them fit"
            if fitting:
                key = f"data.properties.{labels.property}.unit"
                hint = f"; read in {fitting[0]} they fit: set {key}: {fitting[0]}"
            median = np.median(labels.numbers)
            found = f"median {median:g} {labels.unit}; {outside.sum()} of {len(outside)} outside"
            return [Fault(file, None, labels.column, found, limits + hint, "unit", "error")]

    faults = []
    for i in map(int, np.flatnonzero(outside)):
        hints = [f"in {unit} it would be {v[i]:.4g} {known.unit}"
                 for unit, v in readings.items() if possible(v[i : i + 1])[0]]  # fmt: skip
        expected = "; ".join([limits, *hints])
        faults.append(_at(labels, i, expected, "range", "error", file))
    for unit, reading in readings.items():
        for i in _odd_rows(labels.property, product, reading, outside):
            expected = (
                f"a value like the rest of the column (median {np.median(product):.4g} "
                f"{known.unit}); in {unit} it would be {reading[i]:.4g} {known.unit}"
            )
            faults.append(_at(labels, i, expected, "unit_mixture", "warning", file))
        low, high = _ORDINARY[labels.property]
        shares = [np.mean((v >= low) & (v <= high)) for v in (product, reading)]
        if len(product) >= _FEW and shares[0] < 0.1 and shares[1] > 0.4:
            found = f"median {np.median(labels.numbers):g} {labels.unit}"
            expected = (
                f"some values from {low:g} to {high:g} {known.unit}, as most collections have; "
                f"is the column in {unit}?"
            )
            faults.append(Fault(file, None, labels.column, found, expected, "unit", "warning"))
    return faults


def _at(
    labels: LabelColumn, i: int, expected: str, rule: str, severity: Severity, file: str
) -> Fault:
    return Fault(file, labels.lines[i], labels.column, labels.texts[i], expected, rule, severity)


def _odd_rows(name: str, product: Floats, reading: Floats, outside: NDArray[np.bool_]) -> list[int]:
    """Find possible values that are odd as they are and ordinary when read in the other unit."""
    usable = ~outside & np.isfinite(reading)
    scale = _SCALES[PROPERTIES[name].unit]
    if scale.logarithmic:
        usable &= (product > 0) & (reading > 0)
    rows = np.flatnonzero(usable)
    if len(rows) < _FEW:
        return []
    here, other = product[rows], reading[rows]
    if scale.logarithmic:
        here, other = np.log10(here), np.log10(other)

    center = np.median(here)
    deviation = max(1.4826 * float(np.median(np.abs(here - center))), scale.width)
    low, high = np.quantile(here, [0.01, 0.99])
    odd = (np.abs(here - center) > scale.far * deviation) & (other >= low) & (other <= high)

    # many rows in another unit widen the spread, but they form a cluster of their own
    order = np.sort(here)
    widest = int(np.argmax(np.diff(order)))
    if order[widest + 1] - order[widest] >= scale.gap:
        upper = here > order[widest]
        for suspects in (upper, ~upper):
            rest = here[~suspects]
            fits = (other[suspects] >= rest.min()) & (other[suspects] <= rest.max())
            if suspects.sum() >= max(3, 0.1 * len(here)) and fits.all():
                odd |= suspects
                break
    return [int(i) for i in rows[odd]]


def check_unit_column(
    labels: LabelColumn, cells: dict[int, str], unit_column: str, file: str
) -> list[Fault]:
    """Compare the configured unit with the file's own unit column.

    Parameters
    ----------
    cells
        The unit column's cell per line of the file; lines without a label do not count.
    """
    declared = UNIT_SPELLINGS.get(labels.unit, labels.unit)
    wrong = []
    for line in labels.lines:
        cell = cells[line].strip()
        if cell not in MISSING and UNIT_SPELLINGS.get(cell, cell) != declared:
            wrong.append((line, cell))
    expected = f"{labels.unit}, as data.properties.{labels.property}.unit says"
    units = {cell for _, cell in wrong}
    if len(wrong) == len(labels.lines) > 1 and len(units) == 1:
        found = f"{units.pop()} in all {len(wrong)} rows with a label"
        return [Fault(file, None, unit_column, found, expected, "unit_column", "error")]
    return [
        Fault(file, line, unit_column, cell, expected, "unit_column", "error")
        for line, cell in wrong
    ]
