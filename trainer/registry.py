"""The registry in a local folder: candidates, their verdicts, releases, roll-back, history.

The layout is in `polyid.store`, which reads it. Writers stand in line at ``.lock`` (the system
frees it when its holder dies), build in ``.staging/`` and rename; see `trainer.staging` and
`trainer.journal` for what happens when one is killed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from polyid.checksums import read_checksums, verify
from polyid.store import (
    CANDIDATES,
    FINGERPRINT,
    RELEASES,
    REVIEWS,
    UnknownModelError,
    candidate_fingerprints,
    current_tag,
    release_tags,
)
from trainer import journal, staging
from trainer.journal import RELEASE, Event
from trainer.promotion import (
    NotPublishable,
    change_between,
    given_tag,
    next_tag,
    read_facts,
    require_publishable,
)
from trainer.registry_checks import (
    again,
    checked,
    content_hash,
    is_in,
    require_fingerprint,
    require_judged_today,
    require_same,
    review_names,
)
from trainer.registry_read import (
    Candidate,
    Release,
    read_candidate,
    read_current,
    read_release,
)
from trainer.staging import RegistryError, explained

__all__ = ["Candidate", "Event", "LocalRegistry", "NotPublishable", "RegistryError", "Release"]

_LOCK_SECONDS = 600.0
#: Bytes that a publication or a roll-back takes: a few small files, the rest is linked.
_SMALL = 64_000


class LocalRegistry:
    """A registry in the folder ``path``, which the first candidate creates.

    Reading takes no lock and works on a read-only disk.
    """

    def __init__(self, path: str | Path, *, lock_seconds: float = _LOCK_SECONDS) -> None:
        self.path = Path(path).expanduser()
        self._lock_seconds = lock_seconds

    def __str__(self) -> str:
        return str(self.path)

    def candidates(self) -> list[Candidate]:
        """All candidates with their newest verdicts, by fingerprint."""
        return [self.candidate(name) for name in candidate_fingerprints(self.path)]

    def has_candidate(self, fingerprint: str) -> bool:
        """Whether this run was made already (its whole fingerprint is needed)."""
        return fingerprint in candidate_fingerprints(self.path)

    def candidate(self, fingerprint: str) -> Candidate:
        """Find a candidate; its fingerprint may be shortened while it stays unique."""
        return read_candidate(self.path, fingerprint)

    def releases(self) -> list[Release]:
        """All releases, oldest version first."""
        return [self.release(tag) for tag in release_tags(self.path)]

    def release(self, tag: str) -> Release:
        """Read one release."""
        return read_release(self.path, tag)

    def current(self) -> Release | None:
        """Return the release in use, None before the first."""
        return read_current(self.path)

    def history(self) -> list[Event]:
        """Every publication and roll-back, oldest first."""
        return journal.read_events(self.path)

    def add_candidate(self, folder: Path, fingerprint: str) -> Path:
        """Store what a run made. The same files again change nothing.

        Parameters
        ----------
        folder : Path
            The run's output; if it has ``checksums.json``, it is verified first.
        fingerprint : str
            16 hexadecimal digits; ``record.yaml`` and ``metrics.json`` must say the same.

        Returns
        -------
        Path
            The candidate's folder, read-only.

        Raises
        ------
        RegistryError
            If the registry cannot be written, or holds other content under this fingerprint.
        TamperedError
            If ``folder`` is not what its checksums say, or holds a pickle or a link that leaves.
        """
        if not FINGERPRINT.fullmatch(fingerprint):
            raise RegistryError(
                f"Expected a fingerprint of 16 hex digits, received {fingerprint!r}."
            )
        names = checked(folder, fingerprint)
        target = self.path / CANDIDATES / fingerprint
        needed = staging.folder_size(folder, names)
        with self._locked(needed, create=True):
            if target.exists():
                require_same(folder, names, target)
                return target
            staging.require_space(self.path, needed)
            with staging.stage(self.path) as stage:
                for name in names:
                    stage.copy(folder / name, name)
                return stage.commit(target)

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
        names = review_names(folder)
        with self._locked(staging.folder_size(folder, names)):
            candidate = self.candidate(fingerprint)
            require_fingerprint(folder, candidate.fingerprint)
            require_judged_today(folder, candidate.fingerprint, current_tag(self.path))
            if is_in(folder, names, candidate.review):
                return candidate
            number = 1 if candidate.review == candidate.folder else int(candidate.review.name) + 1
            with staging.stage(self.path) as stage:
                for name in names:
                    stage.copy(folder / name, name)
                stage.commit(self.path / REVIEWS / candidate.fingerprint / f"{number:04d}")
            return self.candidate(candidate.fingerprint)

    def publish(
        self, fingerprint: str, *, version: str | None = None, dry_run: bool = False
    ) -> Release:
        """Make a reviewed candidate the current release. Publishing it again changes nothing.

        Parameters
        ----------
        fingerprint : str
            The candidate; may be shortened while it stays unique.
        version : str, optional
            Such as ``1.2.0``; by default the next one, by what was changed.
        dry_run : bool
            Check everything and write nothing.

        Raises
        ------
        NotPublishable
            If its verdict is not ``pass`` against the current release, or the version will not do.
        TamperedError
            If the candidate is not what its checksums say.
        RegistryError
            If the registry cannot be written.
        """
        self.candidate(fingerprint)  # a mistyped one must not wait for the lock
        with self._locked():
            candidate = self.candidate(fingerprint)
            for release in self.releases():
                if release.fingerprint == candidate.fingerprint:
                    return again(release, version)
            release = self._judge(candidate, version)
            if not dry_run:
                self._store_release(candidate, release)
                release = replace(release, status="published")
            return release

    def rollback(self, tag: str) -> Release:
        """Make an earlier release current again. The history keeps both.

        Raises
        ------
        UnknownModelError
            If there is no such release.
        TamperedError
            If the release is not what its checksums say.
        """
        self.release(tag)
        with self._locked():
            release, current = self.release(tag), current_tag(self.path)
            verify(release.folder)
            if current != tag:
                number = journal.next_number(self.path)
                event = Event(number, "rollback", tag, release.fingerprint, current, _now())
                journal.commit(self.path, event)
            return release

    @contextmanager
    def _locked(self, needed: int = _SMALL, *, create: bool = False) -> Iterator[None]:
        """Hold the registry alone, tidied of what a killed process left."""
        with explained(self.path, needed):
            if create:
                self.path.mkdir(parents=True, exist_ok=True)
            elif not self.path.is_dir():
                raise UnknownModelError(f"There is no registry at {self.path}.")
            try:
                lock = FileLock(self.path / ".lock", timeout=self._lock_seconds)
                lock.acquire(poll_interval=0.02)
            except Timeout:
                raise RegistryError(
                    f"Another process has been writing {self.path} for {self._lock_seconds:g} s. "
                    "Wait for it or end it; the lock goes with it."
                ) from None
            try:
                staging.clean(self.path)
                journal.recover(self.path)
                yield
            finally:
                lock.release()

    def _judge(self, candidate: Candidate, version: str | None) -> Release:
        """Check a candidate, byte for byte and by the gate's verdict, and number its release."""
        verify(candidate.folder)
        if candidate.review != candidate.folder:
            verify(candidate.review)
        current, tags = self.current(), release_tags(self.path)
        champion = current.tag if current else None
        require_publishable(candidate.fingerprint, candidate.gate, champion, self.path)
        facts = read_facts(candidate.folder)
        require_fingerprint(candidate.folder, candidate.fingerprint)
        old = read_facts(current.folder) if current else None
        change, reasons = change_between(old, facts)
        tag = given_tag(version, tags) if version else next_tag(tags, change)
        return Release(
            tag=tag,
            fingerprint=candidate.fingerprint,
            folder=self.path / RELEASES / tag,
            previous=champion,
            change=change,
            reasons=tuple(reasons),
            time=_now(),
            content=content_hash(read_checksums(candidate.folder)),
            status="would be published",
        )

    def _store_release(self, candidate: Candidate, release: Release) -> None:
        """Build the release: the candidate's files, its newest verdict, release.json."""
        event = Event(
            sequence=journal.next_number(self.path),
            action="publish",
            tag=release.tag,
            fingerprint=release.fingerprint,
            previous=release.previous,
            time=release.time,
        )
        files = {
            name: (folder / name, digest)
            for folder in (candidate.folder, candidate.review)
            for name, digest in read_checksums(folder).items()
        }
        extra = {"change": release.change, "reasons": release.reasons, "content": release.content}
        with staging.stage(self.path) as stage:
            for name, (source, digest) in files.items():
                stage.link(source, name, digest)
            stage.write(RELEASE, json.dumps({**asdict(event), **extra}, indent=2) + "\n")
            stage.commit(release.folder)
        journal.commit(self.path, event)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
