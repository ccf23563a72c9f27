"""The loss of a run as a drawing: each fold a thin line, their mean a thick one."""

from html import escape
from math import floor, log10

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 30
_MOST = 200  # points of a line


def draw(curves: dict[int, list[tuple[int, float]]], epochs: int) -> str:
    """Return an SVG, or a sentence while there is nothing to draw."""
    points = [p for curve in curves.values() for p in curve]
    if len(points) < 2:
        return '<p class="quiet">The loss appears here after the first epochs.</p>'
    top = _ceiling(max(loss for _, loss in points))

    def x(epoch: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (epoch - 1) / max(epochs - 1, 1)

    def y(loss: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - min(loss, top) / top)

    def line(curve: list[tuple[int, float]], kind: str) -> str:
        step = max(1, len(curve) // _MOST)
        shown = [*curve[:-1:step], curve[-1]]
        path = " ".join(f"{x(e):.1f},{y(v):.1f}" for e, v in shown)
        return f'<polyline class="{kind}" points="{path}"/>'

    parts = [_axes(x, y, epochs, top)]
    parts += [line(curve, "fold") for curve in curves.values() if len(curve) > 1]
    mean = _mean(curves)
    if len(mean) > 1:
        parts.append(line(mean, "mean"))
    said = f"Training loss over {epochs} epochs; mean of the folds now {mean[-1][1]:.3f}"
    return (
        f'<figure class="loss"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg>'
        '<figcaption>Training loss by epoch. <span class="key mean"></span>mean of the folds '
        '<span class="key fold"></span>one fold</figcaption></figure>'
    )


def _mean(curves: dict[int, list[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Mean over the folds that have an epoch."""
    rows: dict[int, list[float]] = {}
    for curve in curves.values():
        for epoch, loss in curve:
            rows.setdefault(epoch, []).append(loss)
    return [(epoch, sum(found) / len(found)) for epoch, found in sorted(rows.items())]


def _ceiling(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(float(unit * step) for step in (1, 2, 5, 10) if value <= unit * step)


def _axes(x: object, y: object, epochs: int, top: float) -> str:
    assert callable(x)
    assert callable(y)
    parts = []
    for share in (0.0, 0.5, 1.0):
        height = y(top * share)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height}" y2="{height}"/>'
            f'<text x="{_LEFT - 6}" y="{height + 4}" text-anchor="end">{top * share:g}</text>'
        )
    for epoch in sorted({1, (epochs + 1) // 2, epochs}):
        anchor = "end" if epoch == epochs > 1 else "middle"
        parts.append(
            f'<text x="{x(epoch):.1f}" y="{_HEIGHT - _BOTTOM + 22}" text-anchor="{anchor}">'
            f"{epoch}</text>"
        )
    return "".join(parts)
