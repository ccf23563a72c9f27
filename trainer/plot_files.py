"""The plots of a model: which there are, what they show in words, and their files in ``plots/``.

The files belong to the model, as its metrics do: card and report show them by relative path.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from polyid.properties import PROPERTIES
from trainer import plots
from trainer.plots import Theme
from trainer.view import number, ratio

FOLDER = "plots"

Kind = Literal["parity", "learning", "coverage"]


class Caption(NamedTuple):
    """One plot in words."""

    kind: Kind
    file: str
    """Name in the folder ``plots``."""
    alt: str
    """What a reader who cannot see it is told."""


class Plot(NamedTuple):
    """One plot."""

    caption: Caption
    draw: Callable[[Theme], Figure]


def captions(metrics: Mapping[str, Any]) -> list[Caption]:
    """Every plot that a model with these ``metrics.json`` may have, in words."""
    properties: Mapping[str, Any] = metrics.get("properties") or {}
    scored = {name: entry for name, entry in properties.items() if name in PROPERTIES}
    found = [
        Caption("parity", f"parity-{name}.png", _parity(name, scored[name])) for name in scored
    ]
    found.append(Caption("learning", "learning-curves.png", _LEARNING))
    covered = [
        f"{PROPERTIES[name].title} {ratio(entry['interval'].get('coverage'))} of nominal "
        f"{entry['interval']['level']}"
        for name, entry in scored.items()
        if entry.get("interval")
    ]
    if covered:
        found.append(
            Caption("coverage", "coverage.png", f"Interval coverage: {'; '.join(covered)}")
        )
    return found


def captions_in(folder: Path, metrics: Mapping[str, Any]) -> list[Caption]:
    """Those of `captions` whose file is in the candidate ``folder``."""
    return [one for one in captions(metrics) if (folder / FOLDER / one.file).is_file()]


def plots_of(
    metrics: Mapping[str, Any], predictions: pd.DataFrame, history: pd.DataFrame | None
) -> list[Plot]:
    """Every plot of a model, not drawn yet.

    Parameters
    ----------
    metrics
        Content of ``metrics.json``.
    predictions
        Out-of-fold predictions in product units.
    history
        Content of ``history.csv``; None or empty leaves the learning curves out.
    """
    drawn: list[Plot] = []
    for caption in captions(metrics):
        if caption.kind == "parity":
            name = caption.file.removeprefix("parity-").removesuffix(".png")
            drawn.append(Plot(caption, partial(plots.parity, predictions, name)))
        elif caption.kind == "coverage":
            drawn.append(Plot(caption, partial(plots.coverage, metrics)))
        elif history is not None and len(history):
            drawn.append(Plot(caption, partial(plots.learning_curves, history)))
    return drawn


def write_plots(folder: Path, found: Iterable[Plot]) -> list[Path]:
    """Draw plots into ``folder/plots``; the same numbers give the same bytes."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    paths = []
    for caption, draw in found:
        path = folder / FOLDER / caption.file
        path.write_bytes(plots.png(draw(plots.LIGHT)))
        paths.append(path)
    return paths


_LEARNING = "Learning curves: training and validation loss of every member of the ensemble by epoch"


def _parity(name: str, entry: Mapping[str, Any]) -> str:
    model, known = entry.get("model", {}), PROPERTIES[name]
    return (
        f"Predicted against measured values of {known.title} for {entry.get('n')} samples: MAE "
        f"{number(model.get('mae'), known.unit)} {known.unit}, R² {ratio(model.get('r2'))}"
    )
