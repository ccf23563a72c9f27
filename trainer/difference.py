"""What differs between two releases or candidates: scores, parameters, data, code, files.

Plain data; `trainer.difference_view` shows it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from polyid.checksums import read_checksums
from polyid.properties import PROPERTIES
from trainer.champion import is_number
from trainer.changes import ParamChange, RowChange, param_changes, row_changes
from trainer.record import Record
from trainer.registry import Registry
from trainer.registry.checks import REVIEW_FILES
from trainer.revisions import Model, in_order, look_up

PREDICTIONS = "predictions.parquet"

#: Sections of the record that say how a run came about, beside data, parameters and packages.
_CODE = ("code",)
_REST = ("folds", "seeds", "hardware", "hours", "cost_usd")


class Side(NamedTuple):
    """One of the two."""

    revision: str
    fingerprint: str
    state: str
    verdict: str
    address: str


class Pair(NamedTuple):
    """A number on both sides; None where there is none."""

    old: float | None
    new: float | None
    difference: float | None
    """New minus old."""


class ScoreChange(NamedTuple):
    """Scores of one property, in its unit."""

    property: str
    title: str
    unit: str
    n: Pair
    """Labels that were scored."""
    mae: Pair
    rmse: Pair
    r2: Pair
    mean_mae: Pair
    """MAE of the mean of the labels; likewise of the Gaussian process."""
    gp_mae: Pair
    coverage: Pair
    """Share of the labels inside their predicted interval."""


class RowCount(NamedTuple):
    """How many labels of one property and mechanism came, went and changed."""

    property: str
    mechanism: str
    came: int
    went: int
    changed: int


@dataclass(frozen=True)
class DataDifference:
    """What differs in the data."""

    same_file: bool | None
    """Whether both have the same bytes; None if one has no record."""
    facts: list[ParamChange]
    """Name, hash, rows, licence and numbers of labels that differ."""
    counts: list[RowCount]
    rows: list[RowChange] | None
    """Every label that came, went or changed; None if one side has no predictions."""
    left_out: list[str]
    """Properties that only one of the two predicts: their labels are not in ``rows``."""


class Files(NamedTuple):
    """The model's files, without the verdict, report and card."""

    old: int
    new: int
    came: list[str]
    went: list[str]
    changed: list[str]
    """Files of other content."""
    size: Pair
    """Bytes of all; None where not all of them are on this machine."""


@dataclass(frozen=True)
class Difference:
    """What differs between an older and a newer model."""

    registry: str
    old: Side
    new: Side
    comparable: bool | None
    """Whether both are scored on the same folds of the same data; None if that is not known."""
    scores: list[ScoreChange]
    params: list[ParamChange]
    data: DataDifference
    code: list[ParamChange]
    packages: list[ParamChange]
    rest: list[ParamChange]
    """Folds, seeds, hardware, hours and cost."""
    files: Files

    def as_json(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {key: _plain(value) for key, value in vars(self).items()}


def difference(registry: Registry, old: str, new: str) -> Difference:
    """Compare two releases or candidates.

    Parameters
    ----------
    registry : Registry
        Holds both.
    old, new : str
        See `trainer.revisions.look_up`.

    Raises
    ------
    UnknownModelError
        If there is no such revision.
    """
    a, b = (look_up(registry, asked, [PREDICTIONS]) for asked in (old, new))
    theirs, ours = _record(a.record), _record(b.record)

    def section(*names: str) -> list[ParamChange]:
        if not (theirs and ours):
            return []
        then, now = ({name: side.get(name) for name in names} for side in (theirs, ours))
        return param_changes(now, then)

    return Difference(
        registry=str(registry),
        old=_side(a),
        new=_side(b),
        comparable=_comparable(a, b),
        scores=_scores(a, b),
        params=param_changes(ours["params"], theirs["params"]) if theirs and ours else [],
        data=_data(a, b, section("data")),
        code=section(*_CODE),
        packages=section("packages"),
        rest=section(*_REST),
        files=_files(a.folder, b.folder),
    )


def _side(model: Model) -> Side:
    return Side(model.revision, model.fingerprint, model.state, model.verdict, model.address)


def _record(record: Record | None) -> dict[str, Any]:
    return record.model_dump(mode="json") if record else {}


def _comparable(a: Model, b: Model) -> bool | None:
    if not (a.metrics and b.metrics):
        return None
    return all(a.metrics.get(key) == b.metrics.get(key) for key in ("folds_hash", "data_hash"))


def _scores(a: Model, b: Model) -> list[ScoreChange]:
    theirs, ours = dict(in_order(a.metrics)), dict(in_order(b.metrics))
    names = dict.fromkeys([name for name in PROPERTIES if name in theirs or name in ours])
    found = []
    for name in dict.fromkeys([*names, *theirs, *ours]):
        then, now = theirs.get(name, {}), ours.get(name, {})
        known = PROPERTIES.get(name)

        def pair(*path: str, then: Any = then, now: Any = now) -> Pair:
            return _pair(_at(then, path), _at(now, path))

        found.append(
            ScoreChange(
                property=name,
                title=known.title if known else name,
                unit=str(now.get("unit") or then.get("unit") or ""),
                n=pair("n"),
                mae=pair("model", "mae"),
                rmse=pair("model", "rmse"),
                r2=pair("model", "r2"),
                mean_mae=pair("mean", "mae"),
                gp_mae=pair("gp", "mae"),
                coverage=pair("interval", "coverage"),
            )
        )
    return found


def _at(entry: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def _pair(old: Any, new: Any) -> Pair:
    old, new = (value if is_number(value) else None for value in (old, new))
    return Pair(old, new, None if old is None or new is None else new - old)


def _data(a: Model, b: Model, facts: list[ParamChange]) -> DataDifference:
    same = a.record.data.hash == b.record.data.hash if a.record and b.record else None
    paths = [model.folder / PREDICTIONS for model in (a, b)]
    if not all(path.is_file() for path in paths):
        return DataDifference(same, facts, [], None, [])
    old, new = (pd.read_parquet(path) for path in paths)
    shared = set(old["property"]) & set(new["property"])
    one_only = (set(old["property"]) | set(new["property"])) - shared
    rows = row_changes(*(table[table["property"].isin(shared)] for table in (new, old)))
    return DataDifference(same, facts, row_counts(rows), rows, sorted(one_only))


def row_counts(rows: list[RowChange]) -> list[RowCount]:
    """Count by property and mechanism; most changes first within a property."""
    counts = Counter((row.property, row.mechanism, row.kind) for row in rows)
    keys = dict.fromkeys((row.property, row.mechanism) for row in rows)
    found = [
        RowCount(*key, *(counts[*key, kind] for kind in ("came", "went", "changed")))
        for key in keys
    ]
    place = {name: i for i, name in enumerate(dict.fromkeys(row.property for row in rows))}
    return sorted(found, key=lambda c: (place[c.property], -sum(c[2:]), c.mechanism))


def _files(old: Path, new: Path) -> Files:
    theirs, ours = (
        {name: digest for name, digest in read_checksums(folder).items() if not _reviewed(name)}
        for folder in (old, new)
    )
    return Files(
        old=len(theirs),
        new=len(ours),
        came=sorted(ours.keys() - theirs.keys()),
        went=sorted(theirs.keys() - ours.keys()),
        changed=sorted(n for n in ours.keys() & theirs.keys() if ours[n] != theirs[n]),
        size=_pair(_size(old, theirs), _size(new, ours)),
    )


def _reviewed(name: str) -> bool:
    return name in (*REVIEW_FILES, "release.json")


def _size(folder: Path, names: Mapping[str, str]) -> int | None:
    """Bytes of the files; None where they are not all on this machine (the Hub's weights)."""
    paths = [folder / name for name in names]
    if not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def _plain(value: Any) -> Any:
    """Named tuples and data classes as mappings, down to the last."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(part) for key, part in value._asdict().items()}
    if isinstance(value, DataDifference):
        return {key: _plain(part) for key, part in vars(value).items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
