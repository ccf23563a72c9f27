"""What a place that trains is, wherever it stands: submit, look, read the log, stop.

A run is named by its fingerprint on every target, so that asking twice rents once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from polyid.errors import PolyIDError

#: Label that carries a run's fingerprint on every target.
LABEL = "polyid-fingerprint"

Stage = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[Stage] = frozenset({"done", "failed", "cancelled"})


class TargetError(PolyIDError):
    """A target refused, failed, or knows nothing of a run."""


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

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.stage in ENDED


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
