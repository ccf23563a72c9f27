"""The hardware of a Space: what it has, and how it is given back so that it costs nothing more."""

import time
from collections.abc import Callable
from typing import Literal

from huggingface_hub import HfApi

from polyid.hub_errors import HubError, explained

After = Literal["pause", "downgrade", "stay"]
FREE = "cpu-basic"
#: Stages in which nothing of a Space runs, so that nothing is paid.
RESTING = frozenset({"PAUSED", "STOPPED", "SLEEPING", "NO_APP_FILE", "DELETING"})

_SAID = {
    "pause": "The Space is paused: nothing is paid. `hf spaces restart {space}` starts it again.",
    "downgrade": f"The Space is on {FREE}: the hardware is not paid any more.",
    "stay": "The Space stays as it is.",
}
_TRIES = 4


def require_control(space: str) -> None:
    """Check that this token may pause a Space: asked before hours are paid for, not after.

    Raises
    ------
    HubError
        If it may not.
    """
    try:
        with explained(f"spaces/{space}", "the check of the right to pause it"):
            HfApi().auth_check(space, repo_type="space", write=True)
    except HubError as error:
        raise HubError(
            f"{error} Nothing is started: the Space could not give its hardware back afterwards. "
            f"Give HF_TOKEN “Write access to contents/settings” of spaces/{space}.",
            error.status,
        ) from None


def hardware(space: str) -> tuple[str, str]:
    """Return a Space's stage, and the hardware that it has or waits for."""
    with explained(f"spaces/{space}", "reading its hardware"):
        runtime = HfApi().get_space_runtime(space)
    stage = str(runtime.raw["stage"])
    return stage, str(runtime.requested_hardware or runtime.hardware or FREE)


def give_back(space: str, after: After, *, sleep: Callable[[float], object] = time.sleep) -> str:
    """Pause a Space or take it to free hardware; asked again where the Hub does not answer.

    Returns
    -------
    str
        What was done, for a person.

    Raises
    ------
    HubError
        If the Hub refuses, or does not answer for some time: the hardware may cost on.
    """
    for last in range(_TRIES):
        try:
            with explained(f"spaces/{space}", f"giving its hardware back ({after})"):
                if after == "pause":
                    HfApi().pause_space(space)
                elif after == "downgrade":
                    HfApi().request_space_hardware(space, FREE)  # type: ignore[arg-type]
            return _SAID[after].format(space=space)
        except HubError as error:
            if last == _TRIES - 1 or not (error.unanswered or error.status == 429):
                raise HubError(
                    f"{error} The hardware may cost on: hf spaces pause {space}", error.status
                ) from None
            sleep(2.0 * 2**last)
    raise AssertionError("not reached")
