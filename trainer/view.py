"""What a reader sees of metrics and verdict: numbers as texts, and the console's table."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from rich.table import Table

from polyid.properties import PROPERTIES
from trainer.champion import is_number

MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "not judged": "–"}
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "not judged": "default"}
_DECIMALS = {"°C": 1}


def number(value: object, unit: str, sign: bool = False) -> str:
    """Return ``value`` with the decimals that suit ``unit``; a dash if it is no number."""
    if not is_number(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{_DECIMALS.get(unit, 3)}f}"


def ratio(value: object) -> str:
    """Return an R² with two decimals; a dash if it is no number."""
    return f"{value:.2f}" if is_number(value) else "–"


@dataclass(frozen=True)
class PropertyView:
    """One property's line of the tables; everything is text, made for reading."""

    name: str
    title: str
    unit: str
    n: str
    mae: str
    spread: str
    """Standard deviation of the MAE over the folds."""
    r2: str
    mean_mae: str
    mean_r2: str
    gp_mae: str
    gp_r2: str
    champion: str
    difference: str
    compared: str
    """better, same, worse, unclear, or a dash."""
    floor: str
    word: str
    """pass, fail, inconclusive, or not judged."""

    @property
    def mark(self) -> str:
        """A sign for ``word``."""
        return MARKS[self.word]


def property_views(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> list[PropertyView]:
    """Return a line per property of ``metrics.json`` and ``gate.json``, in product order."""
    scored = metrics.get("properties", {})
    judged = {check["property"] for check in gate.get("checks", [])}
    return [
        _view(name, scored.get(name, {}), gate)
        for name in PROPERTIES
        if name in scored or name in judged
    ]


def _view(name: str, found: Mapping[str, Any], gate: Mapping[str, Any]) -> PropertyView:
    unit = PROPERTIES[name].unit
    checks = [check for check in gate.get("checks", []) if check["property"] == name]
    limits = {check["check"]: check["limit"] for check in checks}
    rival = ((gate.get("champion") or {}).get("properties") or {}).get(name, {})
    model, mean, gp = (found.get(key, {}) for key in ("model", "mean", "gp"))
    folds = [fold["model"] for fold in found.get("per_fold", []) if is_number(fold["model"])]
    difference = number(rival.get("difference"), unit, sign=True)
    if is_number(rival.get("low")):
        low, high = (number(rival[end], unit, sign=True) for end in ("low", "high"))
        difference += f" [{low}, {high}]"
    compared = rival.get("verdict", "–")
    if not checks:
        word = "not judged"
    elif not all(check["ok"] for check in checks) or compared == "worse":
        word = "fail"
    else:
        word = "inconclusive" if compared == "unclear" else "pass"
    floor = "–"
    if "floor_mae" in limits:
        # No-break spaces: a narrow column breaks between the two floors only.
        parts = (f"≤ {number(limits['floor_mae'], unit)},", f"R² ≥ {ratio(limits.get('floor_r2'))}")
        floor = " ".join(part.replace(" ", "\u00a0") for part in parts)
    return PropertyView(
        name=name,
        title=PROPERTIES[name].title,
        unit=unit,
        n=str(found.get("n", 0)),
        mae=number(model.get("mae"), unit),
        spread=number(stdev(folds), unit) if len(folds) > 1 else "–",
        r2=ratio(model.get("r2")),
        mean_mae=number(mean.get("mae"), unit),
        mean_r2=ratio(mean.get("r2")),
        gp_mae=number(gp.get("mae"), unit),
        gp_r2=ratio(gp.get("r2")),
        champion=number(rival.get("champion_mae"), unit),
        difference=difference,
        compared=compared,
        floor=floor,
        word=word,
    )


def summary_table(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> Table:
    """Return the console's table: property, unit, n, our scores, both baselines, verdict.

    Parameters
    ----------
    metrics, gate
        Content of ``metrics.json`` and ``gate.json``.
    """
    verdict = gate["verdict"]
    mode = "" if gate.get("mode") == "enforce" else " (dry run, not enforced)"
    table = Table(
        title=f"Verdict: [bold {COLOURS[verdict]}]{verdict}[/]{mode}",
        caption=(
            f"MAE of ours, of the mean and of a Gaussian process (GP), out of the same "
            f"{metrics.get('split', 'unknown')} folds"
        ),
        title_justify="left",
        caption_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for heading in ("Property", "Unit"):
        table.add_column(heading, no_wrap=True)
    for heading in ("n", "MAE", "R²", "Mean", "GP"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for view in property_views(metrics, gate):
        table.add_row(
            view.title,
            view.unit,
            view.n,
            f"[bold]{view.mae}[/]",
            view.r2,
            view.mean_mae,
            view.gp_mae,
            f"[{COLOURS[view.word]}]{view.mark} {view.word}[/]",
        )
    return table
