"""Which atoms carry a prediction, as HTML: one drawing for each property, chosen by its name."""

from html import escape
from typing import Any

from app.page.parts import unit_text
from polyid.properties import PROPERTIES

#: Atoms that are named to who cannot see the drawing.
_NAMED = 4

_WHAT = (
    "The middle of the chain. The network gives every bond a value, and the prediction is their "
    "mean; an atom is coloured by how far its bonds lie from that mean. It shows how the model "
    "divides its answer, not what causes the property."
)


def carries(found: dict[str, Any], number: int) -> str:
    """Show the drawings of `app.drawing.carried`; ``number`` tells polymers apart."""
    if not found:
        return ""
    choices, panels = [], []
    for place, (name, one) in enumerate(found.items()):
        key, known = f"carry-{number}-{place}", PROPERTIES[name]
        checked = " checked" if place == 0 else ""
        choices.append(
            f'<input type="radio" name="carry-{number}" id="{key}"{checked}>'
            f'<label for="{key}">{escape(known.title)}</label>'
        )
        unit = unit_text(known.unit)
        panels.append(
            f'<div class="panel"><div class="drawing" role="img" aria-label="{_said(name, one)}">'
            f"{one['svg']}</div>"
            f'<p class="ramp"><span>lowers by {_digits(one["most"])} {unit}</span>'
            f"<i aria-hidden='true'></i><span>raises by {_digits(one['most'])} {unit}</span></p>"
            "</div>"
        )
    return (
        '<section class="carry"><h3>Which atoms carry the prediction</h3>'
        '<fieldset class="choices"><legend class="unseen">Property to colour by</legend>'
        f"{''.join(choices)}</fieldset><div>{''.join(panels)}</div>"
        f'<p class="quiet key-text">{_WHAT}</p></section>'
    )


def _said(name: str, one: dict[str, Any]) -> str:
    known = PROPERTIES[name]
    parts = [
        f"{atom['symbol']} {'raises' if atom['adds'] > 0 else 'lowers'} by "
        f"{_digits(abs(atom['adds']))} {known.unit}"
        for atom in one["atoms"][:_NAMED]
    ]
    return escape(
        f"Middle of the chain, coloured by {known.title}. Strongest atoms: {'; '.join(parts)}"
    )


def _digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
