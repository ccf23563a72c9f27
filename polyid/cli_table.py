"""The command line's CSV files: which column holds polymers, and predictions beside the rows."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES

if TYPE_CHECKING:
    from polyid.predict import Query, Result

#: Columns that are recognised, the whole chain first, and what they hold.
STRUCTURES = {
    "smiles_polymer": "auto",
    "smiles": "auto",
    "repeat_unit": "repeat_unit",
    "smiles_monomer": "monomers",
    "smiles_monomers": "monomers",
    "monomers": "monomers",
}
_MECHANISM, _PM = "mechanism", "pm"
#: What people separate by instead of a comma.
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class TableError(PolyIDError):
    """A CSV file cannot be read or written."""


@dataclass(frozen=True)
class Table:
    """A CSV file as text."""

    path: Path
    header: list[str]
    rows: list[list[str]]


def read_table(path: Path) -> Table:
    """Read a CSV file, separated by commas, with a header.

    Raises
    ------
    TableError
        If there is no such file, or it is empty, not UTF-8, separated otherwise, or has rows that
        do not fit its header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TableError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not text in UTF-8 (byte {error.start}); save it as CSV UTF-8."
        ) from error
    return parse_table(text, path)


def parse_table(text: str, path: Path) -> Table:
    """Take CSV apart that has been read already.

    Parameters
    ----------
    text
        The file's text, without a byte-order mark.
    path
        What messages call it.

    Raises
    ------
    TableError
        If it is empty, separated otherwise, or has rows that do not fit its header.
    """
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: {error}; expected CSV.") from error
    if not lines:
        raise TableError(f"{path} is empty; expected a header and at least one row.")
    header = [name.strip() for name in lines[0][1]]
    if len(header) == 1:
        for mark, name in _DELIMITERS.items():
            if mark in header[0]:
                raise TableError(
                    f"{path}: its columns are separated by {name} ({header[0]!r}); expected commas."
                )
    if len(lines) == 1:
        raise TableError(f"{path} has a header ({', '.join(header)}) but no rows.")
    uneven = [(number, len(cells)) for number, cells in lines[1:] if len(cells) != len(header)]
    if uneven:
        shown = "; ".join(f"line {number} has {count}" for number, count in uneven[:5])
        more = f"; and {len(uneven) - 5} more" if len(uneven) > 5 else ""
        raise TableError(
            f"{path}: the header names {len(header)} columns, but {shown}{more}. "
            'Put cells that hold a comma into "quotes".'
        )
    return Table(path, header, [cells for _, cells in lines[1:]])


def queries(
    table: Table,
    *,
    column: str | None = None,
    mechanism: str | None = None,
    kind: str | None = None,
    pm: str | None = None,
) -> "list[Query]":
    """Make a query of every row.

    Parameters
    ----------
    table
        The file.
    column
        The column of structures; the first of `STRUCTURES` that is there without it.
    mechanism, pm
        For rows that have none of their own, in columns ``mechanism`` and ``pm``.
    kind
        How to read the structures; what the column's name says without it.

    Raises
    ------
    TableError
        If there is no such column; the message lists those there are.
    """
    from polyid.predict import Query

    lower = [name.lower() for name in table.header]
    name, place = _structures(table, lower, column)
    kind = kind or STRUCTURES.get(name, "auto")
    # a mechanism beside whole chains or repeat units says how they were once made
    joins = kind == "monomers" or name not in ("smiles_polymer", "repeat_unit")
    by = lower.index(_MECHANISM) if joins and _MECHANISM in lower else None
    at = lower.index(_PM) if _PM in lower else None
    return [
        Query(
            cells[place],
            mechanism=(cells[by].strip() if by is not None else "") or mechanism,
            pm=(cells[at].strip() if at is not None else "") or pm,
            kind=kind,
        )
        for cells in table.rows
    ]


def _structures(table: Table, lower: Sequence[str], column: str | None) -> tuple[str, int]:
    there = ", ".join(table.header)
    if column is not None:
        if column in table.header:
            return column.lower(), table.header.index(column)
        if column.lower() in lower:
            return column.lower(), lower.index(column.lower())
        raise TableError(f"{table.path} has no column {column!r}; its columns are {there}.")
    for name in STRUCTURES:
        if name in lower:
            return name, lower.index(name)
    raise TableError(
        f"{table.path} has no column of structures; its columns are {there}. Expected one of "
        f"{', '.join(STRUCTURES)}; or name it with --column."
    )


def check_target(out: Path, source: Path) -> None:
    """Refuse a target that cannot be written, before anything is computed.

    Raises
    ------
    TableError
        If it is the input, a folder, or stands in no folder.
    """
    if out.exists() and out.samefile(source):
        raise TableError(
            f"--out {out} is the input file, which is never overwritten; name another."
        )
    if out.is_dir():
        raise TableError(f"--out {out} is a folder; expected the name of a file.")
    if not out.parent.is_dir():
        raise TableError(f"--out {out}: there is no folder {out.parent}; make it first.")
    if not os.access(out.parent, os.W_OK):
        raise TableError(f"--out {out}: no permission to write in {out.parent}.")


def predicted_header(header: Sequence[str], properties: Sequence[str]) -> list[str]:
    """Name the new columns; one that the input has already gets ``predicted_`` before it."""
    wanted = [
        name
        for prop in properties
        for name in (prop, f"{prop}_low", f"{prop}_high", f"{prop}_unit")
    ]
    taken, names = set(header), []
    for name in [*wanted, "validity", "note", "error"]:
        while name in taken:
            name = f"predicted_{name}"
        taken.add(name)
        names.append(name)
    return names


def write_table(
    out: Path, table: Table, results: "Sequence[Result]", properties: Sequence[str]
) -> None:
    """Write all input columns, and after them values, intervals, units, validity and errors.

    The file appears in one step, or not at all.

    Raises
    ------
    TableError
        If it cannot be written (no permission, full disk).
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with draft.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow([*table.header, *predicted_header(table.header, properties)])
            for cells, result in zip(table.rows, results, strict=True):
                writer.writerow([*cells, *_cells(result, properties)])
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(out)
    except OSError as error:
        raise TableError(f"Cannot write {out}: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _cells(result: "Result", properties: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for name in properties:
        found = result.properties[name] if result.properties else None
        if found is None:
            cells += ["", "", "", PROPERTIES[name].unit]
        else:
            cells += [*(f"{v:.6g}" for v in (found.value, found.low, found.high)), found.unit]
    word = result.validity.word if result.validity else ""
    return [*cells, word, result.note, result.error or ""]
