"""A strip for a number: its interval, and the measured values nearby, on one scale."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.page.answers import Answer

_WIDTH, _HEIGHT = 160, 20


class Scale(NamedTuple):
    """From where to where the strips of one property go, and what was measured nearby."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Where a value stands, in the strip's own units."""
        return round(4 + (_WIDTH - 8) * (value - self.low) / (self.high - self.low), 1)


def scales(answers: Sequence[Answer]) -> dict[str, Scale]:
    """Find scales that hold all intervals and nearest measured values of some polymers."""
    values: dict[str, list[float]] = {}
    for answer in answers:
        for name, found in (answer.found.get("properties") or {}).items():
            values.setdefault(name, []).extend([found["low"], found["high"], found["value"]])
            values[name] += measured(answer, name)
    made = {}
    for name, some in values.items():
        low, high = min(some), max(some)
        edge = 0.06 * (high - low) or 1.0
        made[name] = Scale(low - edge, high + edge)
    return made


def measured(answer: Answer, name: str) -> list[float]:
    """Measured values of the nearest training polymers."""
    near = answer.found["validity"]["nearest"]
    return [one["measured"][name]["value"] for one in near if name in one["measured"]]


def strip(found: dict[str, Any], scale: Scale, rings: Sequence[float] = ()) -> str:
    """Draw the strip of one property; it repeats what stands beside it, so it is not read out."""
    low, high, value = (scale.place(found[key]) for key in ("low", "high", "value"))
    circles = "".join(
        f'<circle class="ring" cx="{scale.place(ring)}" cy="10" r="3.5"/>' for ring in rings
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true" focusable="false">'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="10" y2="10"/>'
        f'<rect class="bar" x="{low}" y="6" width="{max(1.0, round(high - low, 1))}" height="8" '
        f'rx="2"/>{circles}<line class="mark" x1="{value}" x2="{value}" y1="2" y2="18"/></svg>'
    )
