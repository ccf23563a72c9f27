"""What a check of a data file has to say: faults, and the report that collects them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning"]

#: Every rule of the contract, with the heading a reader sees. Reports follow this order.
RULES: dict[str, str] = {
    "file_missing": "no such file",
    "file_unreadable": "the file cannot be read",
    "file_empty": "the file is empty",
    "encoding": "not UTF-8",
    "delimiter": "wrong delimiter",
    "row_length": "a row with too few or too many fields",
    "no_rows": "no data rows",
    "duplicate_column": "a column name stands twice",
    "missing_column": "a configured column is missing",
    "unknown_property": "a configured property is not known",
    "missing_value": "a value is missing",
    "not_a_number": "text in a number column",
    "infinite": "infinite values",
    "unit": "a whole column is in another unit than configured",
    "unit_column": "the file's own unit column disagrees",
    "range": "outside the physical range",
    "unit_mixture": "rows that look like another unit",
    "smiles": "SMILES that do not parse",
    "mechanism": "unknown mechanism",
    "pm_range": "pm outside 0 to 1",
    "duplicate_row": "a row stands twice",
    "conflicting_labels": "one polymer with different labels",
    "duplicate_polymer": "a polymer stands in several rows",
    "no_label": "a property without any label",
    "row_without_label": "a row without any label",
    "implausible": "values that contradict each other",
    "groups": "too few groups for the folds",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, or looks wrong, in a data file."""

    file: str
    row: int | None
    """Line in the file; the header is line 1. ``None`` when no single line is to blame."""
    column: str | None
    value: str
    """What was found, as it stands in the file."""
    expected: str
    rule: str
    severity: Severity


@dataclass(frozen=True)
class Report:
    """All faults of one data file."""

    file: str
    faults: tuple[Fault, ...]
    rows: int = 0
    columns: tuple[str, ...] = ()
    groups: int = 0
    """Number of distinct monomer sets."""
    labels: dict[str, int] = field(default_factory=dict)
    """Readable labels per property."""

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Faults that would stop or corrupt training."""
        return tuple(f for f in self.faults if f.severity == "error")

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """Faults that a person should look at."""
        return tuple(f for f in self.faults if f.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether the file can be trained on."""
        return not self.errors

    def summary(self) -> dict[str, Any]:
        """Count rows, groups, errors, warnings, labels per property, faults per rule."""
        return {
            "rows": self.rows,
            "groups": self.groups,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "labels": dict(self.labels),
            "rules": dict(Counter(f.rule for f in self.faults)),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "file": self.file,
            "ok": self.ok,
            "columns": list(self.columns),
            "summary": self.summary(),
            "faults": [asdict(f) for f in self.faults],
        }


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Sort faults: errors first, then by rule, line and column."""
    order = {rule: i for i, rule in enumerate(RULES)}
    return tuple(
        sorted(
            faults,
            key=lambda f: (f.severity != "error", order[f.rule], f.row or 0, f.column or ""),
        )
    )
