"""What a place that trains is, wherever it stands: submit, look, read the log, stop.

A run is named by its fingerprint on every target, so that asking twice rents once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from polyid.errors import PolyIDError

#: Label that carries a run's fingerprint on every target.
LABEL = "polyid-fingerprint"
#: The same where a name must be that of a variable: on a Space.
MARK = "POLYID_FINGERPRINT"

Stage = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[Stage] = frozenset({"done", "failed", "cancelled"})


class TargetError(PolyIDError):
    """A target refused, failed, or knows nothing of a run."""


class Mount(NamedTuple):
    """A file or folder of this machine that a container sees."""

    source: Path
    place: str
    """Where it is in the container."""
    writable: bool = False


@dataclass(frozen=True)
class RunSpec:
    """What is to run."""

    fingerprint: str
    command: tuple[str, ...]
    image: str = ""
    """Container image, where the target has containers."""
    flavor: str = ""
    """Kind of machine, where there is a choice."""
    timeout_s: int = 3600
    """It is stopped after so many seconds, whatever it does."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of variables of this process whose values go along as secrets."""
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    """What a container on this machine sees of it."""
    network: bool = True
    """Whether it needs to reach anything."""


@dataclass(frozen=True)
class Handle:
    """A run on a target."""

    target: str
    id: str
    url: str
    """Where a person looks at it."""
    fingerprint: str
    adopted: bool = False
    """Whether `Target.submit` found it running already."""


@dataclass(frozen=True)
class State:
    """How a run stands."""

    stage: Stage
    message: str = ""
    exit_code: int | None = None
    lost: bool = False
    """Whether its machine went away under it, so that another one may go on with it."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.stage in ENDED


@dataclass(frozen=True)
class Leftover:
    """Something of ours on a target that still runs, costs money or takes room."""

    target: str
    kind: str
    """Such as ``process``, ``job``, ``space``, ``pod``, ``container`` or ``inputs``."""
    id: str
    fingerprint: str
    since: datetime
    """From when on it is billed or takes room, with its zone."""
    url: str = ""
    hardware: str = ""
    usd_per_hour: float | None = 0.0
    """What it costs while it stands; 0 where nobody is billed, None where that is not known."""
    spare: bool = False
    """Whether a second one does the same, so that this one may go whatever its age."""

    def hours(self, now: datetime) -> float:
        """Return how long it has stood."""
        return max(0.0, (now - self.since).total_seconds() / 3600)

    def usd(self, now: datetime) -> float | None:
        """Return what it has cost; None where that is not known."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.hours(now)


class Target(Protocol):
    """A place that trains. Methods raise `TargetError`; what they say names the next command."""

    name: str

    def submit(self, spec: RunSpec) -> Handle:
        """Start a run, or adopt the live one with the same fingerprint."""

    def status(self, handle: Handle) -> State:
        """Say how a run stands."""

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a run's log, each once, to its end if ``follow``."""

    def cancel(self, handle: Handle) -> None:
        """Stop a run; one that has ended stays as it is."""

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our runs, newest first: the live ones, or those that ended too."""

    def leftovers(self) -> list[Leftover]:
        """Find all that stands here because of us, whoever started it, whatever its age."""

    def remove(self, leftover: Leftover) -> None:
        """Stop or delete what `leftovers` found; what is gone already is no error."""
