"""The registry in a local folder: candidates, their verdicts, releases, roll-back, history.

The layout is in `polyid.registry`, which reads it. Writers stand in line at ``.lock`` (the system
frees it when its holder dies), build in ``.staging/`` and rename; see `trainer.registry.staging`
and `trainer.registry.journal` for what happens when one is killed.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from polyid.checksums import read_checksums, verify
from polyid.registry import (
    CANDIDATES,
    FINGERPRINT,
    RELEASES,
    REVIEWS,
    UnknownModelError,
    candidate_fingerprints,
    current_tag,
    locate,
    release_tags,
)
from trainer.registry import journal, staging
from trainer.registry.base import RELEASE, Candidate, Event, RegistryError, Release
from trainer.registry.checks import (
    again,
    checked,
    content_hash,
    is_in,
    require_fingerprint,
    require_judged_today,
    require_same,
    review_names,
)
from trainer.registry.local_read import (
    read_candidate,
    read_current,
    read_release,
    review_folder,
)
from trainer.registry.promotion import decide
from trainer.registry.staging import explained

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

    def folder(self, revision: str, names: Sequence[str] | None = None) -> Path:
        """Return the verified folder of a revision; see `Registry.folder`."""
        kind, _, rest = revision.rpartition("/")
        if kind == "review":
            folder = review_folder(self.path, self.candidate(rest).fingerprint)
        else:
            folder = locate(self.path, revision)
        verify(folder)
        return folder

    def require_writable(self) -> None:
        """Try to write, before hours are spent on what it is to keep."""
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass

    def add_candidate(self, folder: Path, fingerprint: str) -> str:
        """Store what a run made; see `Registry.add_candidate`."""
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
                return str(target)
            staging.require_space(self.path, needed)
            with staging.stage(self.path) as stage:
                for name in names:
                    stage.copy(folder / name, name)
                return str(stage.commit(target))

    def regate(self, fingerprint: str, folder: Path) -> Candidate:
        """Store a new verdict on a candidate beside it; see `Registry.regate`."""
        names = review_names(folder)
        with self._locked(staging.folder_size(folder, names)):
            candidate = self.candidate(fingerprint)
            require_fingerprint(folder, candidate.fingerprint)
            require_judged_today(folder, candidate.fingerprint, current_tag(self.path))
            newest = review_folder(self.path, candidate.fingerprint)
            if is_in(folder, names, newest):
                return candidate
            number = int(newest.name) + 1 if newest.parent.parent.name == REVIEWS else 1
            with staging.stage(self.path) as stage:
                for name in names:
                    stage.copy(folder / name, name)
                stage.commit(self.path / REVIEWS / candidate.fingerprint / f"{number:04d}")
            return self.candidate(candidate.fingerprint)

    def publish(
        self, fingerprint: str, *, version: str | None = None, dry_run: bool = False
    ) -> Release:
        """Make a reviewed candidate the current release; see `Registry.publish`."""
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
        """Make an earlier release current again. The history keeps both."""
        self.release(tag)
        with self._locked():
            release, current = self.release(tag), current_tag(self.path)
            verify(self.path / RELEASES / tag)
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
        folder = self.path / CANDIDATES / candidate.fingerprint
        for place in {folder, review_folder(self.path, candidate.fingerprint)}:
            verify(place)
        current, tags = self.current(), release_tags(self.path)
        old = self.path / RELEASES / current.tag if current else None
        tag, change, reasons = decide(candidate, folder, current, old, tags, version, self.path)
        return Release(
            tag=tag,
            fingerprint=candidate.fingerprint,
            address=str(self.path / RELEASES / tag),
            previous=current.tag if current else None,
            change=change,
            reasons=reasons,
            time=_now(),
            content=content_hash(read_checksums(folder)),
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
            for folder in (
                self.path / CANDIDATES / candidate.fingerprint,
                review_folder(self.path, candidate.fingerprint),
            )
            for name, digest in read_checksums(folder).items()
        }
        extra = {"change": release.change, "reasons": release.reasons, "content": release.content}
        with staging.stage(self.path) as stage:
            for name, (source, digest) in files.items():
                stage.link(source, name, digest)
            stage.write(RELEASE, json.dumps({**asdict(event), **extra}, indent=2) + "\n")
            stage.commit(self.path / RELEASES / release.tag)
        journal.commit(self.path, event)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
