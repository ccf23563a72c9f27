"""One polymer as HTML: drawing, validity, properties with intervals, nearest training polymers."""

from collections.abc import Sequence
from html import escape
from typing import Any

from app.page.answers import Answer
from app.page.carry import carries
from app.page.entries import WAYS
from app.page.parts import badge, barrer, figure, notice, number_text, unit_text
from app.page.strip import Scale, measured, strip
from app.problems import KINDS
from polyid.properties import PROPERTIES
from polyid.smiles import shorten

_KINDS = {
    "monomers": "Chain built from monomers.",
    "repeat_unit": "Chain built from the repeat unit.",
    "oligomer": "Read as a whole chain.",
}
#: Longest title, in characters: a long SMILES stands under the drawing.
_TITLE = 60


def title_of(answer: Answer) -> str:
    """Short name of a polymer."""
    text = answer.entry.title
    return shorten(text, _TITLE).strip("'") if len(text) > _TITLE else text


def card(answer: Answer, number: int, scales: dict[str, Scale]) -> str:
    """Show one polymer; ``number`` tells its parts from those of others."""
    name = f"polymer-{number}"
    head = f'<h2 id="{name}">{escape(title_of(answer))}</h2>'
    if answer.fault is not None:
        what = notice("error", KINDS[answer.fault.code].title, answer.fault.detail, alert=True)
        how = f'<p class="read">Given by {escape(WAYS[answer.entry.way].lower())}.</p>'
        return f'<article class="polymer" aria-labelledby="{name}">{head}{how}{what}</article>'
    found, level = answer.found, 100 * answer.found["interval_level"]
    pm = "" if answer.entry.pm is None else f" Meso dyads: {answer.entry.pm:g}."
    read = f"{_KINDS[found['kind']]} {found['note']}{pm}".strip()
    return "".join(
        [
            f'<article class="polymer" aria-labelledby="{name}">',
            f'<header>{head}<p class="read">{escape(read)}</p></header>',
            '<div class="columns"><div class="side">',
            _drawings(answer.drawn),
            "</div><div>",
            _validity(found["validity"]),
            _properties(answer, level, scales),
            "</div></div>",
            carries(answer.drawn.get("carries") or {}, number),
            _nearest(found["validity"]["nearest"], answer.drawn),
            _chain(found["smiles_polymer"]),
            "</article>",
        ]
    )


def _drawings(drawn: dict[str, Any]) -> str:
    shown = figure(drawn.get("unit"), "Repeat unit", "Repeat unit")
    monomers = [figure(one, "Monomer", "Monomer") for one in drawn.get("monomers", [])]
    if monomers:
        shown += f'<div class="monomers">{"".join(monomers)}</div>'
    return shown or '<p class="quiet">No repeat unit could be drawn.</p>'


def _validity(validity: dict[str, Any]) -> str:
    return (
        f'<div class="validity"><p>{badge(validity["word"])}</p>'
        f"<p>{escape(validity['message'])}</p></div>"
    )


def _properties(answer: Answer, level: float, scales: dict[str, Scale]) -> str:
    rows = []
    for name, found in answer.found["properties"].items():
        known, unit = PROPERTIES[name], found["unit"]
        value, low, high = (number_text(found[key], unit) for key in ("value", "low", "high"))
        more = ""
        if unit.startswith("log10"):
            plain = [barrer(found[key]) for key in ("value", "low", "high")]
            more = f'<span class="quiet">{plain[0]} Barrer ({plain[1]} to {plain[2]})</span>'
        rows.append(
            f'<tr><th scope="row">{escape(known.title)} <span class="quiet">{escape(known.symbol)}'
            f'</span></th><td class="value"><strong>{value}</strong> '
            f'<span class="unit">{unit_text(unit)}</span></td>'
            f'<td class="interval">{low} to {high}{more}</td>'
            f'<td class="strip">{strip(found, scales[name], measured(answer, name))}</td></tr>'
        )
    return (
        '<table class="properties"><thead><tr><th scope="col">Property</th>'
        f'<th scope="col">Prediction</th><th scope="col">{level:g} % interval</th>'
        '<td class="strip"></td></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        '<p class="key quiet">Bar: interval. Line: prediction. '
        "Rings: nearest training polymers, as measured.</p>"
    )


def _nearest(nearest: Sequence[dict[str, Any]], drawn: dict[str, Any]) -> str:
    pictures = drawn.get("others") or [None] * len(nearest)
    items = []
    for near, picture in zip(nearest, pictures, strict=True):
        values = "".join(
            f"<li>{escape(_symbol(name))} <strong>{number_text(one['value'], one['unit'])}</strong>"
            f' <span class="unit">{unit_text(one["unit"])}</span></li>'
            for name, one in near["measured"].items()
        )
        code = escape(near["smiles_monomer"])
        shown = ""
        if picture is not None:
            shown = (
                f'<div class="drawing small" role="img" aria-label="Monomers: {code}">'
                f"{picture['svg']}</div>"
            )
        items.append(
            f'<li class="near">{shown}<div><code>{code}</code></div>'
            f'<div class="quiet">Similarity {near["similarity"]:.2f}</div>'
            f'<ul class="measured">{values or "<li>Nothing measured</li>"}</ul></li>'
        )
    return (
        "<section><h3>Nearest training polymers, as measured</h3>"
        f'<ul class="nearest">{"".join(items)}</ul></section>'
    )


def _chain(smiles: str) -> str:
    return (
        "<details><summary>The chain as the model read it</summary>"
        f'<p class="chain"><code>{escape(smiles)}</code></p></details>'
    )


def _symbol(name: str) -> str:
    return PROPERTIES[name].symbol if name in PROPERTIES else name
