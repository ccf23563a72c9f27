"""The report of a run: ``report.html``, self-contained, and ``report.md`` for a pull request.

Verdict first; then the scores beside both baselines, the floors and the champion; what changed;
the plots; and the hashes that say where the numbers come from.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from polyid.properties import PROPERTIES
from trainer import plot_files, plots
from trainer.champion import Champion
from trainer.changes import flatten, label_changes, param_changes
from trainer.gate import RANDOM_SPLIT_WARNING
from trainer.view import MARKS, number, property_views, ratio

_ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_HEADLINES = {
    "pass": "The gate passes: this candidate may be released",
    "fail": "The gate fails: this candidate is not released",
    "inconclusive": "The gate is inconclusive: this candidate is not released",
}
_SPLITS_TEXT = (
    "Grouped folds keep all polymers of one monomer set on one side, so every score is that of a "
    "new polymer. Random folds put the same monomers on both sides. The gap between the two is "
    "memory; so is what the mean of the same monomer set, a look-up table, scores on random folds."
)


@dataclass(frozen=True)
class Plot:
    """A plot in both themes, as base64 PNG."""

    file: str
    alt: str
    light: str
    dark: str


def write_report(
    folder: Path,
    *,
    metrics: Mapping[str, Any],
    gate: Mapping[str, Any],
    predictions: pd.DataFrame,
    history: pd.DataFrame | None,
    params: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    champion: Champion | None = None,
    other_split: Mapping[str, Any] | None = None,
    plots_url: str = plot_files.FOLDER,
) -> None:
    """Write ``report.html`` and ``report.md`` into ``folder``.

    Parameters
    ----------
    folder
        Candidate folder; made if it is not there.
    metrics, gate
        Content of ``metrics.json`` and ``gate.json``.
    predictions
        Out-of-fold predictions in product units.
    history
        Content of ``history.csv``; None leaves the learning curves out.
    params, record
        Parsed ``params.yaml`` and ``record.yaml``.
    champion
        The release compared with, for what changed.
    other_split
        ``metrics.json`` of the same model on the other kind of folds: adds grouped against random.
    plots_url
        Where ``report.md`` finds the plots: the folder of `trainer.plot_files`, or an address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sections = _sections(plot_files.plots_of(metrics, predictions, history))
    context = _context(metrics, gate, predictions, params, record, champion, other_split)
    context |= {
        "sections": sections,
        "plots": [plot for section in sections for plot in section["plots"]],
        "plots_url": plots_url.rstrip("/"),
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trainer"),
        # Markdown is escaped by its own filter
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _markdown
    for name in ("report.html", "report.md"):
        text = environment.get_template(f"{name}.j2").render(context)
        (folder / name).write_text(text, encoding="utf-8")


def _context(
    metrics: Mapping[str, Any],
    gate: Mapping[str, Any],
    predictions: pd.DataFrame,
    params: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    champion: Champion | None,
    other_split: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what both templates show, apart from the plots."""
    verdict, split = gate["verdict"], metrics.get("split", "unknown")
    enforced = gate.get("mode") == "enforce"
    warnings = list(gate.get("warnings", []))
    if split == "random" and RANDOM_SPLIT_WARNING not in warnings:
        warnings.append(RANDOM_SPLIT_WARNING)
    rows = property_views(metrics, gate)
    folds = max((len(p.get("per_fold", [])) for p in metrics["properties"].values()), default=0)
    rival = _rival(gate, champion)
    theirs = champion.params if champion else None
    return {
        "verdict": verdict,
        "icon": _ICONS[verdict],
        "sign": MARKS[verdict],
        "enforced": enforced,
        "headline": _HEADLINES[verdict]
        if enforced
        else f"Dry run: the gate would {_would(verdict)}",
        "scope": f"{len(rows)} properties, out-of-fold predictions of {folds} {split} folds.",
        "reasons": gate["reasons"],
        "warnings": warnings,
        "rows": rows,
        "table_note": _table_note(split, rival is not None),
        "champion": rival,
        "label_changes": label_changes(predictions, champion.predictions) if champion else [],
        "param_changes": param_changes(params, theirs) if theirs is not None else [],
        "params_known": theirs is not None,
        "titles": {name: known.title for name, known in PROPERTIES.items()},
        "splits": _splits(metrics, other_split) if other_split else None,
        "provenance": _provenance(metrics, params, record),
        "details": flatten({"params": params} | ({"record": record} if record else {})),
    }


def _would(verdict: str) -> str:
    return "be inconclusive" if verdict == "inconclusive" else verdict


def _table_note(split: str, with_champion: bool) -> str:
    text = (
        "MAE is the mean absolute error in the unit of the property; ± is its standard deviation "
        "over the folds. The baselines stand on the same folds, with R² in brackets: the mean of "
        "the training labels (of the same monomer set where it is known), and a Gaussian process "
        "on Morgan counts and composition."
    )
    if with_champion:
        text += (
            " The difference is this candidate's MAE minus the champion's, paired by fold, with "
            "the interval of the Nadeau–Bengio corrected t-test: below 0 is better."
        )
    return text if split != "random" else f"{text} The folds are random: see the warning."


def _rival(gate: Mapping[str, Any], champion: Champion | None) -> dict[str, Any] | None:
    found = gate.get("champion")
    if found is None:
        if champion is None:
            return None
        found = {"revision": champion.revision, "comparable": False, "why": "it was not judged."}
    return {**found, "confidence": f"{found.get('confidence', 0.95):.0%}"}


def _splits(metrics: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section grouped against random; the two may come in either order."""
    by_split = {str(found.get("split")): found["properties"] for found in (metrics, other)}
    if set(by_split) != {"grouped", "random"}:
        raise ValueError(
            f"other_split: received metrics of the splits {sorted(by_split)}, expected one of "
            "'grouped' and one of 'random' folds."
        )
    rows = []
    for name, known in PROPERTIES.items():
        grouped, random = by_split["grouped"].get(name), by_split["random"].get(name)
        if grouped and random:
            rows.append(
                {
                    "title": known.title,
                    "unit": known.unit,
                    "grouped": _both(grouped["model"], known.unit),
                    "random": _both(random["model"], known.unit),
                    "random_mean": _both(random["mean"], known.unit),
                }
            )
    return {"text": _SPLITS_TEXT, "rows": rows}


def _both(scores: Mapping[str, Any], unit: str) -> str:
    return f"{number(scores.get('mae'), unit)} ({ratio(scores.get('r2'))})"


def _provenance(
    metrics: Mapping[str, Any], params: Mapping[str, Any], record: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the few lines by which a reader can find the run again."""
    lines = {
        "Fingerprint": metrics.get("fingerprint"),
        "Data hash": metrics.get("data_hash"),
        "Folds hash": metrics.get("folds_hash"),
        "Folds": metrics.get("split"),
        "Recipe": params.get("recipe"),
    }
    seeds = {key: value for key, value in flatten(params).items() if key.split(".")[-1] == "seed"}
    for key, value in flatten(record or {}).items():
        last = key.split(".")[-1]
        if "seeds" in key.split(".") or last == "seed":
            seeds[key] = value
        elif key in ("code.commit", "code.hash"):
            lines[f"Code {last}"] = value
    lines["Seeds"] = ", ".join(f"{key} {value}" for key, value in seeds.items()) or None
    return {key: str(value) for key, value in lines.items() if value}


def _sections(found: Sequence[plot_files.Plot]) -> list[dict[str, Any]]:
    """Draw all plots, and return the sections that show them."""
    return [
        {
            "id": id_,
            "title": title,
            "text": text,
            "layout": layout,
            "plots": [_draw(plot) for plot in found if plot.caption.kind == kind],
        }
        for kind, id_, title, text, layout in _SECTIONS
        if any(plot.caption.kind == kind for plot in found)
    ]


_PARITY_TEXT = (
    "Every point is a sample, predicted by the model that did not see its fold; the line is "
    "perfect agreement. Colours and marks are mechanisms."
)
_COVER_TEXT = (
    "How many measured values lie inside their predicted interval. Right of the dashed line the "
    "intervals are too wide, left of it too narrow; the bars are what chance alone explains."
)


_SECTIONS = (
    ("parity", "parity", "Measured against predicted", _PARITY_TEXT, "grid"),
    (
        "learning",
        "learning",
        "Learning curves",
        "Loss per epoch of every member of the ensemble.",
        "single",
    ),
    ("coverage", "intervals", "Interval calibration", _COVER_TEXT, "single"),
)


def _draw(plot: plot_files.Plot) -> Plot:
    """Draw a plot in both themes."""
    images = (plots.png(plot.draw(theme)) for theme in (plots.LIGHT, plots.DARK))
    encoded = (base64.b64encode(image).decode() for image in images)
    return Plot(plot.caption.file, plot.caption.alt, *encoded)


def _markdown(value: object) -> str:
    """Escape what would break a table's cell or open HTML."""
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
