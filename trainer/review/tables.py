"""The tables of a review: scores, labels, parameters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyid.properties import PROPERTIES
from trainer.changes import ParamChange, RowChange
from trainer.review.data import Change
from trainer.review.texts import code, prose
from trainer.view import PropertyView, property_views

ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not judged": "➖"}
_SIGNS = {"came": "added", "went": "removed", "changed": "relabelled"}
_MOST_COUNTS, _MOST_ROWS, _MOST_PARAMS = 40, 20, 40
_FAILED = "❌\u00a0"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """Return a table; ``align`` has a letter per column, l or r. Cells are escaped already."""
    lines = [heads, [{"l": ":--", "r": "--:"}[letter] for letter in align], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def scores(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> list[str]:
    """Return the scores: the champion's beside the candidate's, the floors, the baselines."""
    views = property_views(metrics, gate)
    rival = gate.get("champion") or {}
    compared = bool(rival.get("comparable"))
    missed = {(c["property"], c["check"]) for c in gate.get("checks", []) if not c["ok"]}
    share = f"{rival.get('confidence', 0.95):.0%}"
    heads = ["Property", "This candidate", "Floor", "Mean · GP"]
    if compared:
        heads[3:3] = [f"Champion {prose(rival.get('revision'))}", f"Difference [{share}]"]
    rows = [_score(view, missed, compared) for view in views]
    return table(heads, rows, "lrlrll" if compared else "lrll")


def _score(view: PropertyView, missed: set[tuple[Any, Any]], compared: bool) -> list[str]:
    def flag(*checks: str) -> str:
        return _FAILED if any((view.name, check) in missed for check in checks) else ""

    mae, _, r2 = view.floor.partition(", ")
    cells = [
        f"{ICONS[view.word]}\u00a0**{view.title}**<br>{view.unit}, n\u00a0=\u00a0{view.n}",
        f"**{view.mae}**<br>R²\u00a0{view.r2}",
        f"{flag('floor_mae')}{mae}<br>{flag('floor_r2')}{r2}" if r2 else view.floor,
    ]
    if compared:
        difference = view.difference.replace(" [", "<br>[").replace(", ", ",\u00a0")
        word = "" if view.compared == "–" else f" **{view.compared}**"
        change, line, interval = difference.partition("<br>")
        cells += [view.champion, f"{change}{word}{line}{interval}"]
    flagged = flag("beats_mean", "not_constant")
    return [*cells, f"{flagged}{view.mean_mae}\u00a0· {view.gp_mae}"]


def data(change: Change) -> list[str]:
    """Return what happened to the labels: a sentence, counts, and the first rows."""
    if change.rows is None:
        return [f"**Data:** not compared. {prose(change.note)}"]
    if not change.rows:
        return ["**Data:** no label was added, removed or relabelled."]
    totals = {kind: sum(row.kind == kind for row in change.rows) for kind in _SIGNS}
    counted = ", ".join(f"{number} {_SIGNS[kind]}" for kind, number in totals.items())
    counts = change.counts
    lines = [f"**Data:** labels {counted}.", ""]
    lines += table(
        ["Labels of", "Mechanism", *_SIGNS.values()],
        (
            [_title(c.property), prose(c.mechanism or "none"), *(str(n) for n in c[2:])]
            for c in counts[:_MOST_COUNTS]
        ),
        "llrrr",
    )
    if len(counts) > _MOST_COUNTS:
        lines += ["", f"… and {len(counts) - _MOST_COUNTS} more mechanisms."]
    shown = min(len(change.rows), _MOST_ROWS)
    lines += ["", f"<details><summary>Labels ({shown} of {len(change.rows)})</summary>", ""]
    lines += table(
        ["", "Property", "Value", "Mechanism", "Monomers", "Line"],
        [_row(row) for row in _of_each_kind(change.rows, _MOST_ROWS)],
        "lllllr",
    )
    return [*lines, "", "</details>"]


def _of_each_kind(rows: Sequence[RowChange], most: int) -> list[RowChange]:
    """Take rows of every kind, so that a hundred additions do not hide a removal."""
    shares = [[row for row in rows if row.kind == kind] for kind in ("changed", "went", "came")]
    taken: list[RowChange] = []
    for place, share in enumerate(shares):
        taken += share[: (most - len(taken)) // (len(shares) - place)]
    left = [row for share in shares for row in share if row not in taken]
    return [*taken, *left[: most - len(taken)]]


def _row(row: RowChange) -> list[str]:
    unit = PROPERTIES[row.property].unit if row.property in PROPERTIES else ""
    values = " → ".join(f"{value:.5g}" for value in (row.old, row.new) if value is not None)
    mechanism = prose(row.mechanism or "none")
    if row.old_mechanism is not None:
        mechanism = f"{prose(row.old_mechanism or 'none')} → {mechanism}"
    line = row.new_line or row.old_line
    return [
        _SIGNS[row.kind],
        _title(row.property),
        f"{values} {unit}".replace(" ", "\u00a0"),
        mechanism,
        code(row.monomers or row.smiles, 60),
        "–" if line is None else str(line),
    ]


def parameters(title: str, changes: Sequence[ParamChange]) -> list[str]:
    """Return which keys of recipe or gate differ."""
    if not changes:
        return [f"**{title}:** unchanged."]
    lines = [f"**{title}:**", ""]
    lines += table(
        ["Key", "base", "here"],
        ([code(c.key), code(c.old, 120), code(c.new, 120)] for c in changes[:_MOST_PARAMS]),
        "lll",
    )
    if len(changes) > _MOST_PARAMS:
        lines += ["", f"… and {len(changes) - _MOST_PARAMS} more keys."]
    return lines


def _title(name: str) -> str:
    return PROPERTIES[name].title if name in PROPERTIES else prose(name)
