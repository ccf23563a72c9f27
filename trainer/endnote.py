"""How a rented run ended, kept on the Hub where its machine keeps nothing.

Two files on the branch of the run's inputs: ``outcome.json`` and ``log.txt``. They name the
machine, so that the next attempt on another one is not mistaken for it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

from polyid.errors import PolyIDError
from polyid.hub_errors import HubError, explained, without_secrets
from polyid.registry import UnknownModelError
from trainer.inputs import branch

_NOTE, _LOG = "outcome.json", "log.txt"
#: Bytes of a log that are kept, from its end.
_LOG_BYTES = 2_000_000
_TRIES = 5
_BACKOFF_S = 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class EndNote:
    """How a run ended on one machine."""

    machine: str
    """Its number at whoever rents it out."""
    exit_code: int
    seconds: float
    """From the run's start to its end."""
    usd_per_hour: float | None = None
    cancelled: bool = False


def write(repo: str, fingerprint: str, note: EndNote, log: str | None = None) -> None:
    """Put a note, and the log if there is one, on the branch of the run's inputs.

    Raises
    ------
    PolyIDError
        If the Hub does not take it, also after some tries.
    """
    files = [CommitOperationAdd(_NOTE, json.dumps(asdict(note), indent=1).encode())]
    if log is not None:
        kept = without_secrets(log).encode()[-_LOG_BYTES:]
        files.append(CommitOperationAdd(_LOG, kept))

    def commit() -> None:
        with explained(repo, "storing how the run ended"):
            HfApi().create_commit(
                repo,
                files,
                commit_message=f"End of run {fingerprint}",
                revision=branch(fingerprint),
            )

    _persist(commit)


def read(repo: str, fingerprint: str) -> EndNote | None:
    """Return the newest note; None if there is none.

    Raises
    ------
    PolyIDError
        If the Hub does not answer, or holds something else in its place.
    """
    text = _fetch(repo, fingerprint, _NOTE)
    if text is None:
        return None
    try:
        return EndNote(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise PolyIDError(
            f"hf://{repo}, branch {branch(fingerprint)}: {_NOTE} is not a note of how a run ended "
            f"({error}). Delete that branch on the Hub; the next dispatch makes it anew."
        ) from None


def read_log(repo: str, fingerprint: str) -> list[str]:
    """Return the lines of the log that was kept with the newest note."""
    return (_fetch(repo, fingerprint, _LOG) or "").splitlines()


def _fetch(repo: str, fingerprint: str, name: str) -> str | None:
    def download() -> str | None:
        try:
            with explained(repo, "reading how the run ended"):
                path = hf_hub_download(repo, name, revision=branch(fingerprint))
        except UnknownModelError:
            return None
        return Path(path).read_text(encoding="utf-8", errors="replace")

    return _persist(download)


def _persist(what: Callable[[], T]) -> T:
    """Do something on the Hub; a short outage must not end a run of days."""
    for attempt in range(1, _TRIES + 1):
        try:
            return what()
        except HubError as error:
            if not (error.unanswered or error.status in (409, 412, 429)) or attempt == _TRIES:
                raise
            time.sleep(_BACKOFF_S * 2**attempt)
    raise AssertionError
