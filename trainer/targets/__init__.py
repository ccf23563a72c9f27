"""Places that train: this machine, or rented ones, behind one small interface."""

from pathlib import Path

from trainer.targets.base import (
    LABEL,
    Handle,
    RunSpec,
    State,
    Target,
    TargetError,
)

__all__ = [
    "LABEL",
    "NAMES",
    "Handle",
    "RunSpec",
    "State",
    "Target",
    "TargetError",
    "newest",
    "open_target",
]

NAMES = ("local", "hf-jobs")


def open_target(name: str, *, work: Path, namespace: str | None = None) -> Target:
    """Return a target by its name; nothing is contacted yet.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    work : Path
        Folder of runs, where the local target keeps its state.
    namespace : str, optional
        Who pays on the Hub; by default the token's owner.

    Raises
    ------
    TargetError
        If there is no such target.
    """
    if name == "local":
        from trainer.targets.local import LocalTarget

        return LocalTarget(work)
    if name == "hf-jobs":
        from trainer.targets.hf_jobs import HubJobs

        return HubJobs(namespace)
    raise TargetError(f"--target: expected one of {', '.join(NAMES)}, received {name!r}.")


def newest(target: Target, fingerprint: str) -> Handle:
    """Return the newest run of a fingerprint, live or ended.

    Raises
    ------
    TargetError
        If the target knows none.
    """
    found = target.find(fingerprint, ended=True)
    if not found:
        raise TargetError(
            f"{target.name} knows no run {fingerprint}. `trainer dispatch --target {target.name}` "
            "starts one; its answer names the fingerprint."
        )
    return found[0]
