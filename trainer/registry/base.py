"""What a registry is, wherever it stands: candidates, their verdicts, releases, roll-back, history.

`trainer.registry.local` keeps one in a folder, `trainer.registry.hub` in a repository on the
Hugging Face Hub. The pipeline knows only what is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from polyid.errors import PolyIDError

GATE, METRICS, RELEASE = "gate.json", "metrics.json", "release.json"

Change = Literal["first", "major", "minor", "patch"]


class RegistryError(PolyIDError):
    """A registry cannot be written or read."""


class NotPublishable(PolyIDError):  # noqa: N818 - a verdict, not a fault
    """A candidate may not be released; the message says why, and what to run."""


@dataclass(frozen=True)
class Candidate:
    """What one run made."""

    fingerprint: str
    gate: dict[str, Any] | None
    """Its newest verdict, None if it was never judged."""
    address: str
    """Where a person finds it: a folder or a URL."""

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, ``inconclusive`` or ``not judged``."""
        return str(self.gate.get("verdict")) if self.gate else "not judged"


@dataclass(frozen=True)
class Release:
    """A published candidate."""

    tag: str
    fingerprint: str
    address: str
    """Where a person finds it: a folder or a URL."""
    previous: str | None
    """The release that was current when it was published."""
    change: Change
    reasons: tuple[str, ...]
    """What was changed since then."""
    time: str
    """When it was published, in UTC."""
    content: str
    """Hash of the model's files, equal to the candidate's."""
    commit: str | None = None
    """Commit on the Hub that it is; None in a folder."""
    status: Literal["published", "already published", "would be published"] = "already published"
    """What the call that returned it did."""


@dataclass(frozen=True)
class Event:
    """One change of the current release."""

    sequence: int
    """1 for the first, without gaps."""
    action: str
    """``publish`` or ``rollback``."""
    tag: str
    """The release that is current from now on."""
    fingerprint: str
    """Its candidate."""
    previous: str | None
    """The release that was current before."""
    time: str
    """When, in UTC, ISO 8601."""


class Registry(Protocol):
    """Candidates and releases. ``str()`` of one is the address that ``--registry`` takes.

    A fingerprint may be shortened while it stays unique. Methods raise `UnknownModelError` of
    `polyid.registry` for what is not there, naming what is; `RegistryError` if the registry cannot
    be read or written; `TamperedError` of `polyid.checksums` for what is not what its checksums
    say.
    """

    def candidates(self) -> list[Candidate]:
        """All candidates with their newest verdicts, by fingerprint."""

    def has_candidate(self, fingerprint: str) -> bool:
        """Whether this run was made already (its whole fingerprint is needed)."""

    def candidate(self, fingerprint: str) -> Candidate:
        """Find a candidate."""

    def releases(self) -> list[Release]:
        """All releases, oldest version first."""

    def release(self, tag: str) -> Release:
        """Read one release."""

    def current(self) -> Release | None:
        """Return the release in use, None before the first."""

    def history(self) -> list[Event]:
        """Every publication and roll-back, oldest first."""

    def folder(self, revision: str, names: Sequence[str] | None = None) -> Path:
        """Return a local, verified, read-only folder with the files of a revision.

        Parameters
        ----------
        revision : str
            A tag, ``candidate/<fingerprint>`` (as the run made it) or ``review/<fingerprint>``
            (its newest verdict, with the report, card and record that belong to it).
        names : sequence of str, optional
            Only these files are needed; those a revision lacks are left out. All of them if None.
        """

    def require_writable(self) -> None:
        """Raise `RegistryError` unless a candidate could be stored now; before hours of work."""

    def add_candidate(self, folder: Path, fingerprint: str) -> str:
        """Store what a run made, and return its address. The same files again change nothing.

        Parameters
        ----------
        folder : Path
            The run's output; if it has ``checksums.json``, it is verified first.
        fingerprint : str
            16 hexadecimal digits; ``record.yaml`` and ``metrics.json`` must say the same.

        Raises
        ------
        RegistryError
            If the registry cannot be written, or holds other content under this fingerprint.
        TamperedError
            If ``folder`` is not what its checksums say, or holds a pickle or a link that leaves.
        """

    def regate(self, fingerprint: str, folder: Path) -> Candidate:
        """Store a new verdict on a candidate beside it. The same again changes nothing.

        Parameters
        ----------
        fingerprint : str
            The candidate.
        folder : Path
            Holds ``gate.json`` and the report, card and record that changed with it.

        Raises
        ------
        NotPublishable
            If the verdict was given against another release than the current one.
        """

    def publish(
        self, fingerprint: str, *, version: str | None = None, dry_run: bool = False
    ) -> Release:
        """Make a reviewed candidate the current release. Publishing it again changes nothing.

        Parameters
        ----------
        fingerprint : str
            The candidate.
        version : str, optional
            Such as ``1.2.0``; by default the next one, by what was changed.
        dry_run : bool
            Check everything and write nothing.

        Raises
        ------
        NotPublishable
            If its verdict is not ``pass`` against the current release, or the version will not do.
        """

    def rollback(self, tag: str) -> Release:
        """Make an earlier release current again. The history keeps both."""
