"""Places that train: this machine, or rented ones, behind one small interface."""

import os
from pathlib import Path

from trainer.targets.base import (
    LABEL,
    MARK,
    Handle,
    Leftover,
    Mount,
    RunSpec,
    State,
    Target,
    TargetError,
)

__all__ = [
    "LABEL",
    "MARK",
    "NAMES",
    "Handle",
    "Leftover",
    "Mount",
    "RunSpec",
    "State",
    "Target",
    "TargetError",
    "newest",
    "open_target",
    "set_up",
]

NAMES = ("local", "docker", "hf-jobs", "hf-space", "runpod")


def open_target(
    name: str, *, work: Path, namespace: str | None = None, registry: str | None = None
) -> Target:
    """Return a target by its name; nothing is contacted yet.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    work : Path
        Folder of runs, where the local target keeps its state.
    namespace : str, optional
        Who pays on the Hub; by default the token's owner. For a Space its whole name will do.
    registry : str, optional
        Where runs keep what their machine does not.

    Raises
    ------
    TargetError
        If there is no such target.
    """
    namespace = namespace or None  # empty as a workflow's variable that is not set
    if name == "local":
        from trainer.targets.local import LocalTarget

        return LocalTarget(work)
    if name == "docker":
        from trainer.targets.docker import DockerTarget

        return DockerTarget()
    if name == "hf-jobs":
        from trainer.targets.hf_jobs import HubJobs

        return HubJobs(namespace)
    if name == "hf-space":
        from trainer.targets.hf_space import HubSpace

        return HubSpace(namespace)
    if name == "runpod":
        from trainer.targets.runpod import RunPod

        return RunPod(registry)
    raise TargetError(f"--target: expected one of {', '.join(NAMES)}, received {name!r}.")


def set_up() -> list[str]:
    """Return the names of the targets that can be asked here: what they need is there."""
    return [name for name in NAMES if _is_set_up(name)]


def _is_set_up(name: str) -> bool:
    if name == "docker":
        from trainer.targets import docker_engine

        try:
            docker_engine.connect(None)
        except TargetError:
            return False  # no engine here, so no container of ours
    if name.startswith("hf-"):
        from huggingface_hub import get_token

        return get_token() is not None
    return name != "runpod" or bool(os.environ.get("RUNPOD_API_KEY"))


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
