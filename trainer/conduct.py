"""How a run is conducted: where its checkpoints are kept besides its folder, and who looks on."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from polyid.errors import PolyIDError
from trainer.config import Params
from trainer.keeping.place import require_usable
from trainer.plan import Plan
from trainer.watching.trackers import PACKAGES

LogFormat = Literal["text", "json"]
_NONE = "none"


class Wanted(NamedTuple):
    """What the command line says; None leaves it to the recipe."""

    checkpoints: str | None = None
    minutes: float | None = None
    track: Sequence[str] | None = None
    log_format: LogFormat = "text"


class Conduct(NamedTuple):
    """What holds for a run. Nothing of it changes a result."""

    checkpoints: str | None = None
    """Address of the store; None for none."""
    every_s: float = 600.0
    """Least seconds between two uploads."""
    track: tuple[str, ...] = ()
    """Names of trackers."""
    log_format: LogFormat = "text"
    stall: float = 10.0
    """An alarm when no step ends within so many times the usual."""


#: Nothing is wanted for: the recipe decides.
NOTHING = Wanted()
#: Nothing besides the run's own folder.
PLAIN = Conduct()


def conduct_of(params: Params, wanted: Wanted = NOTHING) -> Conduct:
    """Return what the command line says, or else the recipe.

    Raises
    ------
    trainer.keeping.place.KeepingError
        If the store is one that this environment cannot open.
    """
    said = params.conduct
    url = said.checkpoints if wanted.checkpoints is None else wanted.checkpoints
    minutes = said.checkpoint_minutes if wanted.minutes is None else wanted.minutes
    track = tuple(dict.fromkeys(said.track if wanted.track is None else wanted.track))
    if unknown := set(track) - set(PACKAGES):
        raise PolyIDError(
            f"--track: received {', '.join(sorted(unknown))}; expected some of "
            f"{', '.join(PACKAGES)}."
        )
    store = None if url in (None, "", _NONE) else require_usable(url)
    return Conduct(store, 60.0 * minutes, track, wanted.log_format, said.stall)


def as_options(conduct: Conduct) -> list[str]:
    """Return the same as options of `trainer job`, for a run that is dispatched."""
    options = [word for name in conduct.track for word in ("--track", name)]
    if conduct.log_format != "text":
        options += ["--log-format", conduct.log_format]
    if conduct.checkpoints is not None:
        options += ["--checkpoints", conduct.checkpoints]
        options += ["--checkpoint-minutes", f"{conduct.every_s / 60:g}"]
    return options


def forget(plan: Plan, conduct: Conduct) -> str | None:
    """Remove a run's checkpoints from the store: its candidate is there. Return what went wrong."""
    if conduct.checkpoints is None:
        return None
    from trainer.keeping.carrier import clear

    if (why := clear(conduct.checkpoints, plan.fingerprint)) is None:
        return None
    return (
        f"The checkpoints of {plan.fingerprint} are still at {conduct.checkpoints} ({why}). They "
        "are not needed any more: the same command removes them."
    )
