"""Small pieces of HTML that the page's parts share; every text from outside is escaped."""

from html import escape
from typing import Any

from polyid.cli_view import number

#: Validity word → what is written on its badge, and a sign beside the colour.
_BADGES = {
    "well inside": ("Well inside the training data", "●"),
    "inside": ("Inside the training data", "●"),
    "edge": ("At the edge of the training data", "◐"),
    "outside": ("Outside the training data", "○"),
}
_UNITS = {"log10(Barrer)": "log₁₀ Barrer"}


def badge(word: str) -> str:
    """Write a validity word, coloured."""
    text, sign = _BADGES[word]
    name = word.replace(" ", "-")
    return (
        f'<span class="badge {name}"><span aria-hidden="true">{sign}</span> {escape(text)}</span>'
    )


def unit_text(unit: str) -> str:
    """Write a unit as a chemist does."""
    return escape(_UNITS.get(unit, unit))


def number_text(value: float, unit: str) -> str:
    """Write a number with a real minus sign."""
    return number(value, unit).replace("-", "−")


def barrer(value: float) -> str:
    """Write the permeability whose logarithm is ``value``, with two digits."""
    plain = 10.0**value
    if 0.01 <= plain < 10_000:
        return f"{float(f'{plain:.2g}'):g}"
    mantissa, _, exponent = f"{plain:.1e}".partition("e")
    return f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", "−")


def figure(picture: dict[str, str] | None, caption: str, label: str) -> str:
    """Show a drawing; a reader who cannot see it gets the structure as text."""
    if picture is None:
        return ""
    code = escape(picture["text"])
    return (
        f'<figure><div class="drawing" role="img" aria-label="{escape(label)}: {code}">'
        f"{picture['svg']}</div><figcaption>{escape(caption)} <code>{code}</code></figcaption>"
        "</figure>"
    )


def notice(kind: str, title: str, text: str, *, alert: bool = False) -> str:
    """Write a box with a title: ``error``, ``warning`` or ``info``."""
    role = ' role="alert"' if alert else ""
    return (
        f'<div class="notice {kind}"{role}><strong>{escape(title)}</strong>'
        f"<p>{escape(text)}</p></div>"
    )


def revision_of(identity: dict[str, Any]) -> str | None:
    """Shortest name under which the same model is found again."""
    for name in ("tag", "revision", "hub_commit", "fingerprint"):
        if identity.get(name):
            return str(identity[name])
    return None
