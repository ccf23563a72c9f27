"""Keeps a run's checkpoints in a store while it trains: some minutes apart, and when it stops."""

import os
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from trainer.keeping.carrier import Carried, Carrier, Task
from trainer.plan import Plan
from trainer.registry.staging import size_text
from trainer.training.attend import Event
from trainer.training.checkpoint import epoch_of
from trainer.training.groups import Group
from trainer.training.status import STATUS, read_status, write_status

#: Seconds that an upload, a restoration, and the upload of a run that was stopped may take.
_UPLOAD_S, _RESTORE_S, _LAST_S = 1800.0, 1800.0, 120.0
_ATTEMPTS = 2


class _State(NamedTuple):
    """What a run has on disk: path in its folder and checksum of each file, and its progress."""

    files: dict[str, str]
    progress: int


class Keeper:
    """Stands by a run (see `trainer.training.attend.Attendant`) and keeps what it saves.

    Parameters
    ----------
    plan : Plan
        The run.
    groups : list of Group
        Its groups of members on this machine.
    url : str
        The store; see `trainer.keeping.place.open_place`.
    every_s : float
        Least seconds between two uploads.
    """

    def __init__(self, plan: Plan, groups: list[Group], url: str, every_s: float) -> None:
        self.plan, self.groups, self.url, self.every_s = plan, groups, url, every_s
        self.copies = plan.folder / ".keeping"
        shutil.rmtree(self.copies, ignore_errors=True)  # of a process that was killed
        self.carrier: Carrier | None = None
        self.due = time.monotonic() + every_s
        self.stored = self._sending = _State({}, 0)

    def arrive(self) -> Iterable[Event]:
        """Bring here what the store has of the run and this machine lacks."""
        task = Task("restore", self.url, self.plan.fingerprint, str(self.plan.folder))
        for _ in range(_ATTEMPTS):
            carried = Carrier(task, _RESTORE_S).wait()
            if carried.ok:
                break
        if not carried.ok:
            yield _warning(
                f"The checkpoints at {self.url} cannot be read ({carried.text}). The run goes on "
                "with what this machine has; what is further in the store stays there."
            )
            return
        answer = carried.answer
        for text in answer["warnings"]:
            yield _warning(text)
        if answer["status"] and not read_status(self.plan.folder):
            write_status(self.plan.folder / STATUS, answer["status"])
        if answer["files"]:
            yield self._note(
                f"Restored {len(answer['files'])} files of the run from {self.url}.", "restored"
            )
            known = {group.name for group in self.groups}
            if known.isdisjoint(Path(p.split("/")[1]).stem for p in answer["files"]):
                yield _warning(
                    "They are of members that trained together on another kind of machine (a GPU "
                    "trains all at once, a CPU one by one), and cannot be used on this one: the "
                    "run begins anew. Start it on the kind of machine that it began on."
                )

    def look(self) -> Iterable[Event]:
        """Start an upload if it is time; say how the last one ended."""
        if self.carrier is not None:
            carried = self.carrier.look()
            if carried is not None:
                yield from self._ended(carried)
        elif time.monotonic() >= self.due:
            yield from self._begin(_UPLOAD_S)

    def leave(self, done: bool) -> Iterable[Event]:
        """Store the last state, if the run was stopped or it is time."""
        limit = time.monotonic() + _LAST_S
        if self.carrier is not None:
            self.carrier.deadline = min(self.carrier.deadline, limit)
            yield from self._ended(self.carrier.wait())
        if not done or time.monotonic() >= self.due:
            yield from self._begin(max(limit - time.monotonic(), 1.0))
            if self.carrier is not None:
                yield from self._ended(self.carrier.wait())

    def _begin(self, limit_s: float) -> Iterable[Event]:
        self.due = time.monotonic() + self.every_s
        try:
            state = self._copy()
        except OSError as error:
            yield _warning(f"Checkpoints cannot be put together for {self.url}: {error}.")
            return
        if not state.files or state.files == self.stored.files:
            return
        self._sending = state
        was = read_status(self.plan.folder)
        status: dict[str, Any] = {k: v for k, v in was.items() if k in ("seconds", "started")}
        self.carrier = Carrier(
            Task("save", self.url, self.plan.fingerprint, str(self.copies), *state, status),
            limit_s,
        )

    def _copy(self) -> _State:
        """Link what is on disk now into a folder of its own: training replaces its files."""
        shutil.rmtree(self.copies, ignore_errors=True)
        files, progress, folder = {}, 0, self.plan.folder
        for group in self.groups:
            saved = sorted(group.checkpoints(folder).glob("epoch-*.npz"), reverse=True)
            for path in [group.result(folder), *saved]:
                digest = _link(path, self.copies / path.relative_to(folder))
                if digest is None:
                    continue
                files[path.relative_to(folder).as_posix()] = digest
                epoch = epoch_of(path)
                epochs = self.plan.params.training.epochs if epoch is None else epoch
                progress += epochs * len(group.members)
                break
        return _State(files, progress)

    def _ended(self, carried: Carried) -> Iterable[Event]:
        self.carrier = None
        shutil.rmtree(self.copies, ignore_errors=True)
        if not carried.ok:
            yield _warning(
                f"Checkpoints could not be stored at {self.url} ({carried.text}). Training goes "
                "on; it is tried again later."
            )
            return
        self.stored = self._sending
        number, sent = carried.answer["number"], carried.answer["sent"]
        text = f"Checkpoints are kept at {self.url}: generation {number}, {size_text(sent)} sent."
        yield self._note(
            text if sent else "", "kept", generation=number, epochs=self.stored.progress
        )

    def _note(self, text: str, what: str, **more: Any) -> Event:
        at = datetime.now(UTC).replace(microsecond=0).isoformat()
        says = {"place": self.url, what: at, **more}
        return {"event": "note", "about": "checkpoints", "says": says, "text": text}


def _link(path: Path, to: Path) -> str | None:
    """Link a file that has its checksum beside it, and return that; None if it has none."""
    try:
        digest = path.with_name(f"{path.name}.sha256").read_text(encoding="ascii").strip()
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, to)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(path, to)
    except FileNotFoundError:
        return None  # replaced or removed in this very moment
    return digest


def _warning(text: str) -> Event:
    return {"event": "warning", "members": [], "text": text}
