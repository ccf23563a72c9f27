"""About the model: its card with its plots, as Markdown that needs no other file."""

import base64
import re
from pathlib import Path

from app.service import Served

_NONE = "No model is served yet."
_NO_CARD = (
    "This model has no card. Its record stands at [`/model`](model); a release that the pipeline "
    "publishes has a card with metrics, plots, data and limits."
)
#: A picture whose file lies in the model's folder.
_PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<file>plots/[\w.-]+\.png)\)")
_MOST = 2_000_000


def about(served: Served | None) -> str:
    """Return the card of the model that is served, its plots written into it."""
    if served is None:
        return _NONE
    card = served.folder / "README.md" if served.folder else None
    if served.folder is None or card is None or not card.is_file():
        return _NO_CARD
    folder = served.folder
    text = without_front_matter(card.read_text(encoding="utf-8"))
    # the page has its own title above the card's
    text = re.sub(r"^(#{1,5}) ", r"#\1 ", text, flags=re.MULTILINE)
    return _PICTURE.sub(lambda found: _inlined(folder, found), text)


def without_front_matter(text: str) -> str:
    """Leave out what stands between the first two lines of three dashes."""
    if not text.startswith("---\n"):
        return text
    _, found, rest = text[4:].partition("\n---\n")
    return rest.lstrip() if found else text


def _inlined(folder: Path, found: re.Match[str]) -> str:
    path = folder / found["file"]
    if not path.is_file() or path.stat().st_size > _MOST:
        return found["alt"]
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"![{found['alt']}](data:image/png;base64,{data})"
