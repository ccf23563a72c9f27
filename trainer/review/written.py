"""A review as files, from the job that writes it to the job that delivers it. Standard library.

``review.json`` says what the check is to conclude, ``review.md`` is what people read.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from polyid.errors import PolyIDError

_FACTS, _PAGE = "review.json", "review.md"
#: Verdicts of the gate, and ``none`` where there is no candidate.
VERDICTS = ("pass", "fail", "inconclusive", "not judged", "none")
#: A page is far shorter; more is not ours.
_LONGEST = 1_000_000


@dataclass(frozen=True)
class Review:
    """A review."""

    verdict: str
    """One of `VERDICTS`."""
    enforced: bool
    """False if the gate is in a dry run."""
    title: str
    """The verdict in a line."""
    page: str
    """Markdown."""

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = asdict(self)
        (folder / _PAGE).write_text(content.pop("page"), encoding="utf-8")
        text = json.dumps({"format": 1, **content}, indent=1, ensure_ascii=False)
        (folder / _FACTS).write_text(f"{text}\n", encoding="utf-8")


def read(folder: Path) -> Review | None:
    """Read a review; None if there is none.

    Raises
    ------
    PolyIDError
        If it is not one.
    """
    if not (folder / _FACTS).is_file():
        return None
    try:
        content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        page = (folder / _PAGE).read_text(encoding="utf-8")
        found = Review(content["verdict"], content["enforced"], str(content["title"]), page)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolyIDError(f"{folder} holds no review that can be read ({error!r}).") from None
    if found.verdict not in VERDICTS or not isinstance(found.enforced, bool):
        raise PolyIDError(
            f"{folder / _FACTS}: received the verdict {found.verdict!r}, enforced "
            f"{found.enforced!r}; expected one of {', '.join(VERDICTS)}, and true or false."
        )
    if len(page) > _LONGEST:
        raise PolyIDError(f"{folder / _PAGE} has {len(page)} letters: that is no review.")
    return found
