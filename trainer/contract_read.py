"""Read a CSV file as text, keeping line numbers, and name what is wrong with the file itself.

pandas alone would guess: it pads short rows, renames repeated columns and turns a wrong delimiter
into one strange column. Here each of these is a fault, and reading goes on as far as it can, so
that the checks of the content still run.
"""

import csv
import io
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from trainer.contract_report import Fault

_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar"}
# how `errors="surrogateescape"` shows a byte that is no UTF-8
_BAD_BYTE = re.compile("[\udc80-\udcff]")


class RawTable(NamedTuple):
    """A table as it stands in the file."""

    frame: pd.DataFrame
    """Strings; rows with a wrong number of fields are left out."""
    lines: list[int]
    """Line in the file of each row of ``frame``; the header is line 1."""


def read_table(path: Path) -> tuple[RawTable | None, list[Fault]]:
    """Read ``path``.

    Returns
    -------
    table, faults
        The table, or ``None`` if nothing could be made of the file, and the faults of the file.
    """
    file = str(path)

    def fault(
        rule: str, value: str, expected: str, row: int | None = None, column: str | None = None
    ) -> Fault:
        return Fault(file, row, column, value, expected, rule, "error")

    if not path.exists():
        return None, [
            fault("file_missing", file, "a CSV file; if DVC tracks it, run `dvc pull` first")
        ]
    try:
        raw = path.read_bytes()
    except OSError as error:
        return None, [fault("file_unreadable", error.strerror or str(error), "a readable CSV file")]
    if not raw.strip():
        return None, [fault("file_empty", f"{len(raw)} bytes", "a CSV file with a header and rows")]
    if b"\0" in raw:
        expected = "plain CSV text; export spreadsheets as 'CSV UTF-8'"
        return None, [fault("encoding", "binary or UTF-16 content", expected)]

    text = raw.decode("utf-8-sig", errors="surrogateescape")
    header_line = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter, faults = ",", []
    other = max(_DELIMITERS, key=header_line.count)
    if header_line.count(other) > header_line.count(","):
        delimiter = other
        faults.append(
            fault(
                "delimiter",
                f"{_DELIMITERS[other]} ({other!r})",
                "comma (','): export the file with commas and with '.' in numbers",
                row=1,
            )
        )

    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    last = 0
    try:
        for cells in reader:
            line, last = last + 1, reader.line_num
            if not cells:
                continue
            if not header:
                header = cells
            elif len(cells) != len(header):
                expected = f"{len(header)} fields, as the header has"
                faults.append(fault("row_length", f"{len(cells)} fields", expected, row=line))
            else:
                rows.append(cells)
                lines.append(line)
    except csv.Error as error:
        expected = "CSV; look for a quotation mark that is never closed"
        faults.append(fault("row_length", str(error), expected, row=last + 1))

    for line, cells in [(1, header), *zip(lines, rows, strict=True)]:
        for i, cell in enumerate(cells):
            if _BAD_BYTE.search(cell):
                shown = cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                expected = "UTF-8; save the file as 'CSV UTF-8'"
                faults.append(fault("encoding", shown, expected, row=line, column=header[i]))
                cells[i] = _BAD_BYTE.sub("\ufffd", cell)

    names: list[str] = []
    for name, count in Counter(header).items():
        if count > 1:
            expected = "each name once; the second and later columns are not read"
            shown = f"{name!r} stands {count} times"
            faults.append(fault("duplicate_column", shown, expected, row=1, column=name))
    for i, name in enumerate(header):
        names.append(f"{name}\0{i}" if name in header[:i] else name)
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    frame = frame[[name for name in names if "\0" not in name]]
    if not rows and not any(f.rule == "row_length" for f in faults):
        faults.append(fault("no_rows", "only a header", "at least two rows of data", row=1))
    return RawTable(frame, lines), faults
