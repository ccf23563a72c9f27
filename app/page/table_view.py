"""A table that is being predicted, as HTML: how far it is, and what came of it."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from app.page.parts import badge, number_text, unit_text
from polyid.properties import PROPERTIES

#: Rows that are shown; the file has all of them.
_SHOWN = 20
#: Rows without a prediction that are named with their reasons.
_NAMED = 10


class Row(NamedTuple):
    """A row of a predicted table."""

    given: str
    """What stood in it before."""
    values: list[list[str]]
    """Value, ends of the interval and unit of every property; empty texts without a prediction."""
    word: str
    fault: str


@dataclass
class Tally:
    """Lines of a predicted table as they come.

    Attributes
    ----------
    rows : int
        How many there will be.
    width : int
        Columns that the table had before.
    properties : list of str
        Properties in the order of the new columns.
    """

    rows: int
    width: int
    properties: list[str]
    lines: list[bytes] = field(default_factory=list)
    shown: list[Row] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Rows that were predicted."""
        return max(0, len(self.lines) - 1)

    @property
    def content(self) -> bytes:
        """The table so far."""
        return b"".join(self.lines)

    def add(self, line: bytes) -> None:
        """Take the next line, the header first."""
        self.lines.append(line)
        if len(self.lines) == 1:
            return
        (cells,) = csv.reader(io.StringIO(line.decode("utf-8"), newline=""))
        # new columns stand last, whatever the old ones are called
        old, new = cells[: self.width], cells[self.width :]
        *_, word, _, fault = new
        self.words[word] += 1
        if fault:
            self.faults.append((self.done, fault))
        if len(self.shown) < _SHOWN:
            values = [new[4 * i : 4 * i + 4] for i in range(len(self.properties))]
            self.shown.append(Row(" · ".join(filter(None, old)), values, word, fault))


def progress(tally: Tally) -> str:
    """Show how far a table is."""
    text = f"{tally.done} of {tally.rows} rows predicted"
    return (
        f'<div class="progress" role="status"><p>{text}</p>'
        f'<progress max="{tally.rows}" value="{tally.done}" aria-label="Rows predicted">{text}'
        "</progress></div>"
    )


def summary(tally: Tally) -> str:
    """Show what came of a table."""
    good = tally.rows - len(tally.faults)
    words = "".join(
        f"<li>{badge(word)} {count}</li>" for word, count in tally.words.most_common() if word
    )
    return (
        f'<section class="rows" role="status"><h2>{good} of {tally.rows} rows predicted</h2>'
        f'<ul class="counts">{words}</ul>{_faults(tally)}{_rows(tally)}</section>'
    )


def _faults(tally: Tally) -> str:
    if not tally.faults:
        return ""
    items = "".join(f"<li>Row {row}: {escape(fault)}</li>" for row, fault in tally.faults[:_NAMED])
    more = len(tally.faults) - _NAMED
    items += f"<li>… and {more} more; the column error of the file names them.</li>" * (more > 0)
    return (
        '<div class="notice warning"><strong>Rows without a prediction</strong>'
        f"<ul>{items}</ul></div>"
    )


def _rows(tally: Tally) -> str:
    titles = [PROPERTIES[name].title for name in tally.properties]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    rows = []
    for number, row in enumerate(tally.shown, start=1):
        cells = "".join(f"<td>{_cell(*values)}</td>" for values in row.values)
        word = badge(row.word) if row.word else "No prediction"
        rows.append(
            f'<tr><th scope="row"><span class="quiet">{number}</span> {escape(row.given)}</th>'
            f"{cells}<td>{word}</td></tr>"
        )
    first = f"The first {len(rows)} rows; the file has all." if tally.rows > len(rows) else ""
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Predicted rows"><table>'
        f'<thead><tr><th scope="col">Row</th>{head}<th scope="col">Validity</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="quiet">{first}</p>'
    )


def _cell(value: str, low: str, high: str, unit: str) -> str:
    if not value:
        return "–"
    texts = [number_text(float(text), unit) for text in (value, low, high)]
    return (
        f'<strong>{texts[0]}</strong> <span class="unit">{unit_text(unit)}</span>'
        f'<span class="quiet">{texts[1]} to {texts[2]}</span>'
    )
