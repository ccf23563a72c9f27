"""A Training Space as the Hub shows it, and the end of its rent."""

from datetime import UTC, datetime
from typing import NamedTuple

from huggingface_hub import HfApi

from polyid.hub_errors import explained
from polyid.registry import UnknownModelError
from trainer.space_hardware import FREE, RESTING, give_back
from trainer.targets.base import MARK
from trainer.targets.space_files import ATTEMPT, REGISTRY

_HUB = "hf://"


class Seen(NamedTuple):
    """A Space as the Hub shows it."""

    stage: str
    hardware: str
    variables: dict[str, str]
    since: datetime
    """When the newest run was asked for."""

    @property
    def ours(self) -> bool:
        """Whether it was set up by us, or by nobody yet."""
        return MARK in self.variables or self.stage == "NO_APP_FILE"

    @property
    def costs(self) -> bool:
        """Whether it is paid for now."""
        return self.stage not in RESTING and self.hardware != FREE

    @property
    def attempt(self) -> str:
        """Which dispatch it does, or did last; empty if none."""
        return self.variables.get(ATTEMPT, "")

    @property
    def repo(self) -> str:
        """Where the candidate of its run goes, ``namespace/name``."""
        return self.variables.get(REGISTRY, "").removeprefix(_HUB)


def look(space: str) -> Seen | None:
    """Read what a Space is; None if there is none, or it may not be seen."""
    try:
        with explained(f"spaces/{space}", "reading its stage"):
            runtime = HfApi().get_space_runtime(space)
            rows = HfApi().get_space_variables(space)
    except UnknownModelError:
        return None
    since = rows[MARK].updated_at if MARK in rows else None
    return Seen(
        str(runtime.raw["stage"]),
        str(runtime.requested_hardware or runtime.hardware or FREE),
        {key: row.value for key, row in rows.items()},
        since or datetime.now(UTC),
    )


def release(space: str, seen: Seen) -> None:
    """Pause a Space that runs, whatever its hardware: free ones are limited too."""
    if seen.stage not in RESTING:
        give_back(space, "pause")
