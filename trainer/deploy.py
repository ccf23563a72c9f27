"""Bring a release to a Space: pin, restart, wait for the application's own word, test, or undo."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console
from rich.markup import escape

from polyid.errors import PolyIDError
from polyid.hub_errors import HubError
from polyid.reference import REFERENCE, Reference, read_reference
from polyid.registry import TAG
from trainer.deploy_gap import Gap
from trainer.registry import Registry, open_registry
from trainer.smoke import Application, Seen
from trainer.space import Pin, Pinned, Space
from trainer.training.run import Interrupted

#: Seconds for which a stage of before the change is still believed to be shown.
LINGER = 60.0


class DeployError(PolyIDError):
    """A deployment cannot start, or was cut off."""


class Wanted(NamedTuple):
    """The release that is to be served."""

    pin: Pin
    tag: str
    commit: str | None
    reference: Reference | None


@dataclass(frozen=True)
class Outcome:
    """How a deployment ended."""

    space: str
    wanted: str
    status: Literal["deployed", "unchanged", "put back", "failed"]
    serves: str
    """What the application says that it serves now."""
    gap_seconds: float | None
    """Time in which it did not answer predictions; None if it did not before either."""
    tested: int
    """Reference polymers that were predicted as they should be."""
    reason: str | None = None
    next: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the wanted release is served."""
        return self.status in ("deployed", "unchanged")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"ok": self.ok}


def find(revision: str, registry: Registry) -> Wanted:
    """Find the release behind a tag.

    Raises
    ------
    DeployError
        If it is no tag, or the registry is a folder, which a Space cannot read.
    polyid.registry.UnknownModelError
        If there is no such release.
    """
    if not TAG.fullmatch(revision):
        raise DeployError(
            f"--revision {revision!r}: expected the tag of a release such as v1.2.0. "
            f"`trainer list --registry {registry}` shows them."
        )
    if not str(registry).startswith("hf://"):
        raise DeployError(
            f"--registry {registry}: a Space reads its model from the Hub; expected "
            "hf://namespace/name."
        )
    release = registry.release(revision)
    folder: Path = registry.folder(revision, [REFERENCE])
    pin = Pin(str(registry), revision)
    return Wanted(pin, revision, release.commit, read_reference(folder))


class Deployment:
    """One deployment to one Space.

    Parameters
    ----------
    space, wanted
        Where, and what.
    application
        The Space's application.
    console
        For progress.
    timeout
        Seconds for the application to serve a pin; putting the old one back has as long again.
    poll, linger
        Seconds between looks; seconds for which a stage may still be that of before.
    """

    def __init__(
        self,
        space: Space,
        wanted: Wanted,
        application: Application,
        console: Console,
        *,
        timeout: float,
        poll: float = 1.0,
        linger: float = LINGER,
    ) -> None:
        self.space, self.wanted, self.application = space, wanted, application
        self.console, self.timeout, self.poll, self.linger = console, timeout, poll, linger
        self.gap = Gap(Seen())
        self._began = time.monotonic()

    def run(self) -> Outcome:
        """Deploy, or leave the Space as it was."""
        pinned, stage = self.space.pinned(), self.space.stage()
        seen = self.application.look()
        self.gap = Gap(seen)
        self._say(f"pinned to {pinned.pin}; {stage}, {seen}")
        same = pinned.pin == self.wanted.pin
        if same and self._serves(seen):
            faults = self._faults()
            if not faults:
                return self._outcome("unchanged", seen)
            return self._undo(pinned.before, faults[0])
        before = pinned.before if same else pinned.pin
        try:
            return self._change(before, stage)
        except Interrupted:
            self.console.print(f"Stopped: {self._state(before)}")
            raise
        except HubError as error:
            raise DeployError(f"{error} {self._state(before)}") from None

    def _change(self, before: Pin | None, stage: str) -> Outcome:
        self._say(f"pinning to {self.wanted.pin}")
        self.space.set(self.wanted.pin, before if before and before.model else None)
        self.space.restart()
        seen, fault = self._wait(self.wanted.pin, stage)
        if fault is None:
            faults = self._faults()
            if not faults:
                return self._outcome("deployed", seen)
            fault = faults[0]
        return self._undo(before, fault)

    def _wait(self, pin: Pin, old_stage: str) -> tuple[Seen, str | None]:
        """Wait until the application serves a pin; return what was seen, and what went wrong."""
        start, shown, moved = time.monotonic(), "", False
        while True:
            seen = self.application.look()
            self.gap.saw(seen)
            new = seen.answered and seen.requested == str(pin)
            if new and self._serves(seen, pin):
                return seen, None
            if new and (seen.status == "degraded" or (seen.status == "not ready" and seen.reason)):
                return seen, seen.reason or "The app serves another release than was asked for."
            if new and seen.ready and seen.status == "ready":
                return seen, (
                    f"The app was asked for {pin} and says it serves {seen.tag} at {seen.commit}."
                )
            stage = self._stage()
            moved = moved or stage not in (old_stage, "?")
            waited = time.monotonic() - start
            stuck = self.space.stuck(stage) if not new else None
            if stuck and (moved or waited > self.linger):
                return seen, stuck
            if waited > self.timeout:
                return seen, f"After {self.timeout:g} s the Space is {stage} and {seen}."
            if shown != (now := f"{stage}, {seen}"):
                self._say(now)
                shown = now
            time.sleep(self.poll)

    def _undo(self, before: Pin | None, fault: str) -> Outcome:
        """Put the old pin back, unless there is none or somebody else has set another."""
        self._say(f"failed: {fault}")
        if self.space.pinned().pin != self.wanted.pin:
            return self._outcome("failed", self.application.look(), f"{fault} {_OTHERS}")
        if before is None or before.model is None or before == self.wanted.pin:
            return self._outcome("failed", self.application.look(), fault)
        self._say(f"putting {before} back")
        stage = self._stage()
        self.space.set(before)
        self.space.restart()
        seen, again = self._wait(before, stage)
        if again is None:
            return self._outcome("put back", seen, fault)
        return self._outcome("failed", seen, f"{fault} {before} was pinned again, but: {again}")

    def _serves(self, seen: Seen, pin: Pin | None = None) -> bool:
        pin = pin or self.wanted.pin
        right = seen.ready and seen.status == "ready" and seen.requested == str(pin)
        if pin != self.wanted.pin:
            return right and (pin.revision in (None, seen.tag, seen.commit))
        return right and (seen.tag, seen.commit) == (self.wanted.tag, self.wanted.commit)

    def _faults(self) -> list[str]:
        if self.wanted.reference is None:
            self._say(f"{self.wanted.tag} has no {REFERENCE}: its numbers cannot be compared")
        self._say("smoke test through the public API")
        faults = self.application.faults(self.wanted.reference, self.wanted.tag, self.wanted.commit)
        return [f"The smoke test failed: {fault}" for fault in faults]

    def _stage(self) -> str:
        try:
            return self.space.stage()
        except HubError as error:
            if error.unanswered or error.status == 429:
                return "?"
            raise

    def _state(self, before: Pin | None) -> str:
        back = before.revision if before and before.revision else None
        undo = f", or go back with --revision {back}" if back else ""
        return (
            f"{self.space.name} may be pinned to {self.wanted.pin} already, untested (before: "
            f"{before or 'not known'}). The same command finishes or undoes it{undo}."
        )

    def _outcome(
        self,
        status: Literal["deployed", "unchanged", "put back", "failed"],
        seen: Seen,
        reason: str | None = None,
    ) -> Outcome:
        ok = status in ("deployed", "unchanged")
        reference = self.wanted.reference
        return Outcome(
            self.space.name,
            str(self.wanted.pin),
            status,
            str(seen.tag or seen.commit or "nothing"),
            self.gap.seconds,
            len(reference.polymers) if ok and reference else 0,
            reason,
            None if ok else f"hf spaces logs {self.space.name}",
        )

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self.console.print(f"{seconds:6.1f} s  {escape(text)}", highlight=False, soft_wrap=True)


_OTHERS = "Somebody else has changed the pin in the meantime; it was left alone."


def deploy(
    space: Space,
    revision: str,
    registry: str,
    console: Console,
    *,
    timeout: float,
    poll: float = 1.0,
) -> Outcome:
    """Make a Space serve a release that passes the smoke test, or leave it as it was."""
    pinned: Pinned = space.pinned()  # a Space that is not there is told before anything else
    wanted = find(revision, open_registry(registry))
    stage = space.stage()
    stuck = space.stuck(stage)
    if stuck and stage != "RUNTIME_ERROR":  # another pin may mend that one
        raise DeployError(f"{stuck}. Nothing was changed; it is pinned to {pinned.pin}.")
    with Application(space.place()) as application:
        return Deployment(space, wanted, application, console, timeout=timeout, poll=poll).run()
