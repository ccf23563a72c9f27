"""All polymers that are shown at once: a table to compare them, and a card for each."""

from collections.abc import Sequence
from html import escape

from app.page.answers import Answer
from app.page.card import card, title_of
from app.page.parts import badge, number_text, unit_text
from app.page.strip import scales
from polyid.properties import PROPERTIES

EMPTY = """<div class="empty"><h2>Nothing predicted yet</h2>
<p>Give a polymer, or take one of the examples. You get its properties with intervals, whether it
lies where the model was trained, and the nearest training polymers with what was measured.</p>
</div>"""


def results(answers: Sequence[Answer], notice: str = "") -> str:
    """Show polymers, side by side if there are several; ``notice`` stands above them."""
    if not answers:
        return notice + EMPTY
    known = scales(answers)
    cards = "".join(card(one, number, known) for number, one in enumerate(answers, start=1))
    several = " several" if len(answers) > 1 else ""
    good = sum(one.fault is None for one in answers)
    said = f'<p class="unseen" role="status">{good} of {len(answers)} predicted</p>'
    return f'{notice}{said}{_table(answers)}<div class="polymers{several}">{cards}</div>'


def _table(answers: Sequence[Answer]) -> str:
    """Compare those that have a prediction."""
    good = [one for one in answers if one.fault is None]
    if len(good) < 2:
        return ""
    head = "".join(f'<th scope="col">{escape(title_of(one))}</th>' for one in good)
    rows = [
        '<tr><th scope="row">Validity</th>'
        + "".join(f"<td>{badge(one.found['validity']['word'])}</td>" for one in good)
        + "</tr>"
    ]
    for name, first in good[0].found["properties"].items():
        cells = []
        for one in good:
            found = one.found["properties"][name]
            value, low, high = (
                number_text(found[key], found["unit"]) for key in ("value", "low", "high")
            )
            cells.append(
                f'<td><strong>{value}</strong><span class="quiet">{low} to {high}</span></td>'
            )
        unit = f'<span class="quiet">{unit_text(first["unit"])}</span>'
        title = escape(PROPERTIES[name].title)
        rows.append(f'<tr><th scope="row">{title}{unit}</th>{"".join(cells)}</tr>')
    level = 100 * good[0].found["interval_level"]
    return (
        '<section class="compare" aria-labelledby="compare"><h2 id="compare">Side by side</h2>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Comparison">'
        f'<table><thead><tr><th scope="col">Property</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="quiet">Under each prediction its {level:g} % interval.</p></section>'
    )
