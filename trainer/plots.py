"""Plots of a report: parity, learning curves, interval coverage; each for light and dark.

Figures are made without pyplot, so nothing global is touched and no display is needed.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from polyid.properties import PROPERTIES


@dataclass(frozen=True)
class Theme:
    """Colours of a page."""

    name: str
    background: str
    ink: str
    faint: str
    series: tuple[str, ...]
    """Colours that stay apart for colour-blind readers (Okabe & Ito, 2008)."""


LIGHT = Theme(
    "light",
    "#ffffff",
    "#1f2933",
    "#c3ccd5",
    ("#0072b2", "#d55e00", "#009e73", "#a8558b", "#b58900", "#3aa0d8", "#5b6770"),
)
DARK = Theme(
    "dark",
    "#171d26",
    "#e4e9ef",
    "#465260",
    ("#56a8e8", "#ff8a4c", "#2fc799", "#e39bc8", "#e8c547", "#9ad4f5", "#a9b4c0"),
)
_MARKERS = "os^Dv<P"
_COLOURS = 128


def parity(predictions: pd.DataFrame, name: str, theme: Theme = LIGHT) -> Figure:
    """Plot predicted against measured values of property ``name``, coloured by mechanism."""
    rows = predictions.loc[predictions["property"] == name].dropna(subset=["y_true", "y_pred"])
    known = PROPERTIES[name]
    figure, axes = _blank(theme, (4.3, 4.3))
    order = predictions["mechanism"].value_counts().index.astype(str).tolist()
    # The same colour in all plots, so the order comes from all properties.
    for place, mechanism in enumerate(order):
        part = rows.loc[rows["mechanism"] == mechanism]
        if part.empty:
            continue
        axes.scatter(
            part["y_true"],
            part["y_pred"],
            s=13,
            alpha=0.65,
            linewidths=0,
            color=theme.series[place % len(theme.series)],
            marker=_MARKERS[place % len(_MARKERS)],
            label=f"{mechanism or 'none'} ({len(part)})",
        )
    if len(rows):
        values = rows[["y_true", "y_pred"]].to_numpy()
        # A few wild predictions must not squeeze all others into a corner.
        low, high = rows["y_true"].min(), rows["y_true"].max()
        reach = 0.25 * max(high - low, 1e-9)
        low = max(np.min(values), low - reach)
        high = min(np.max(values), high + reach)
        edge = 0.04 * max(high - low, 1e-9)
        limits = (low - edge, high + edge)
        axes.plot(limits, limits, color=theme.ink, linewidth=0.8, zorder=0)
        axes.set(xlim=limits, ylim=limits)
        outside = int(((values < limits[0]) | (values > limits[1])).any(axis=1).sum())
        if outside:
            axes.text(
                0.98,
                0.02,
                f"{outside} outside the frame",
                transform=axes.transAxes,
                ha="right",
                color=theme.ink,
                fontsize=8,
            )
        legend = axes.legend(fontsize=7.5, frameon=False, loc="upper left", handletextpad=0.1)
        for text in legend.get_texts():
            text.set_color(theme.ink)
    axes.set_aspect("equal")
    axes.set_xlabel(f"measured {known.symbol} ({known.unit})")
    axes.set_ylabel(f"predicted {known.symbol} ({known.unit})")
    axes.set_title(known.title, fontsize=11, color=theme.ink)
    return figure


def learning_curves(history: pd.DataFrame, theme: Theme = LIGHT) -> Figure:
    """Plot training and validation loss against the epoch, a colour per ensemble member."""
    figure, axes = _blank(theme, (7.2, 3.6))
    for place, (member, part) in enumerate(history.groupby("member")):
        colour = theme.series[place % len(theme.series)]
        axes.plot(part["epoch"], part["loss"], color=colour, linewidth=0.9, linestyle=":")
        seen = part.dropna(subset="val_loss")  # validated every few epochs only
        axes.plot(
            seen["epoch"], seen["val_loss"], color=colour, linewidth=1.4, label=f"member {member}"
        )
    losses = history[["loss", "val_loss"]].to_numpy(dtype=np.float64)
    losses = losses[np.isfinite(losses) & (losses > 0)]
    if losses.size and losses.max() > 20 * losses.min():
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (scaled labels)")
    axes.set_title("Solid: validation. Dotted: training.", fontsize=9, color=theme.ink)
    if len(history):
        legend = axes.legend(fontsize=7.5, frameon=False, ncols=2)
        for text in legend.get_texts():
            text.set_color(theme.ink)
    return figure


def coverage(metrics: Mapping[str, Any], theme: Theme = LIGHT) -> Figure:
    """Plot which share of the labels lies in its interval, beside the nominal level.

    The bars are the spread that chance alone explains: two binomial standard errors.
    """
    found = [
        (PROPERTIES[name].title, entry["interval"])
        for name, entry in metrics["properties"].items()
        if entry.get("interval") and entry["interval"].get("coverage") is not None
    ]
    figure, axes = _blank(theme, (7.2, 1.2 + 0.36 * max(len(found), 1)), (1.6, 0.3, 0.6, 0.2))
    level = found[0][1]["level"] if found else 0.9
    places = np.arange(len(found))[::-1]
    shares = [entry["coverage"] for _, entry in found]
    errors = [2 * (level * (1 - level) / max(entry.get("n", 1), 1)) ** 0.5 for _, entry in found]
    axes.axvline(level, color=theme.ink, linewidth=0.8, linestyle="--")
    axes.errorbar(
        shares, places, xerr=errors, fmt="o", color=theme.series[0], capsize=3, markersize=5
    )
    axes.set_yticks(places, [title for title, _ in found])
    axes.set_xlim(min([0.5, *(s - e for s, e in zip(shares, errors, strict=True))]), 1.02)
    axes.set_xlabel(f"share of labels inside the {level:.0%} interval (dashed: nominal)")
    return figure


def png(figure: Figure, dpi: int = 120) -> bytes:
    """Return ``figure`` as PNG: no date, no versions, and 128 colours, a third of the bytes."""
    drawn, target = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(target, format="png", optimize=True)
    return target.getvalue()


def _blank(
    theme: Theme,
    size: Sequence[float],
    margins: Sequence[float] = (0.75, 0.15, 0.55, 0.35),
) -> tuple[Figure, Axes]:
    """Return an empty figure of ``size`` (inches) in the colours of ``theme``.

    ``margins`` are left, right, bottom and top, in inches.
    """
    figure = Figure(figsize=(size[0], size[1]), facecolor=theme.background)
    # Fixed margins in inches: an automatic layout would draw every figure twice.
    left, right, bottom, top = margins
    axes = figure.add_axes(
        (
            left / size[0],
            bottom / size[1],
            1 - (left + right) / size[0],
            1 - (bottom + top) / size[1],
        )
    )
    axes.set_facecolor(theme.background)
    axes.grid(color=theme.faint, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=8.5, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=9.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.faint)
    return figure, axes
