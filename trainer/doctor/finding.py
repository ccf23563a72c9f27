"""One question before a run, and its answer."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from polyid.errors import PolyIDError


class Finding(NamedTuple):
    """One question and its answer."""

    check: str
    ok: bool
    detail: str
    """What was found; if it is not well, what to do."""


class Question(NamedTuple):
    """What is asked, and how: the answer, or an error that says what to do."""

    check: str
    ask: Callable[[], str]


def answered(questions: Iterable[Question]) -> list[Finding]:
    """Ask every question, whatever the others answer."""
    found = []
    for check, ask in questions:
        try:
            found.append(Finding(check, True, ask()))
        except PolyIDError as error:
            found.append(Finding(check, False, str(error)))
    return found
