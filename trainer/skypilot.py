"""A run as a task of SkyPilot, for whoever has accounts at AWS, GCP, Azure, Lambda or Kubernetes.

SkyPilot is not part of this environment: its libraries hold others back. The task is written here,
shown to SkyPilot itself where it is installed, and launched by SkyPilot's own command.
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from polyid.errors import PolyIDError
from trainer.targets.base import MARK, RunSpec

#: Where a run may go, and whether machines there are also rented out cheaper and interruptible.
CLOUDS = {"aws": True, "gcp": True, "azure": True, "lambda": False, "kubernetes": False}
GPUS = ("L4", "A10G", "A10", "T4")
#: The version that the task was made for and is tested with.
VERSION = "0.14.1"
_TRAINER = "/opt/venv/bin/trainer"
_DISK_GB = 100
#: Seconds from the wish to stop to the end.
_PATIENCE_S = 150

_ASK = """
import sys
import sky
task = sky.Task.from_yaml(sys.argv[1])
print(sky.__version__, len(task.resources))
"""


class Wish(NamedTuple):
    """What the task is to have."""

    clouds: Sequence[str] = tuple(CLOUDS)
    gpus: Sequence[str] = GPUS
    spot: bool = True
    """Rent interruptible machines where there are some, and go on elsewhere when one is taken."""


def render(spec: RunSpec, wish: Wish) -> str:
    """Return the task as YAML. It holds no secret, only the names of those that are needed.

    Parameters
    ----------
    spec
        What any rented machine would run.
    wish
        Where, and on what.

    Raises
    ------
    PolyIDError
        If the wish cannot be a task.
    """
    if unknown := [name for name in wish.clouds if name not in CLOUDS]:
        raise PolyIDError(
            f"--cloud: received {', '.join(unknown)}; expected one or more of {', '.join(CLOUDS)}."
        )
    if not spec.image or spec.image.strip() != spec.image or "://" in spec.image:
        raise PolyIDError(
            f"--image: received {spec.image!r}; expected the training image, best by digest, such "
            "as ghcr.io/acme/polyid-train@sha256:... (`make images` builds it)."
        )
    words = [_TRAINER, *spec.command[1:]]
    task = {
        "name": f"polyid-{spec.fingerprint}",
        "envs": {MARK: spec.fingerprint, **spec.env},
        "secrets": dict.fromkeys(spec.secrets),
        "resources": {
            "image_id": f"docker:{spec.image}",
            "accelerators": dict.fromkeys(wish.gpus, 1),
            "disk_size": _DISK_GB,
            "any_of": [_place(name, wish.spot) for name in wish.clouds],
            "job_recovery": {
                "strategy": "EAGER_NEXT_REGION",
                "max_restarts_on_errors": 0,
                "recover_on_exit_codes": [75],
            },
        },
        # SkyPilot sets up its own tools in the container, which the image's user may not
        "config": {
            "docker": {"run_options": ["--user=0"]},
            "kubernetes": {"pod_config": {"spec": {"securityContext": {"runAsUser": 0}}}},
        },
        # it does not run the image's entry point; the limit is counted in each sitting
        "run": f"exec timeout --kill-after={_PATIENCE_S} {spec.timeout_s} {shlex.join(words)}\n",
    }
    text = yaml.safe_dump(task, sort_keys=False, allow_unicode=True, width=100)
    return f"# Made by `trainer sky`. Start it with: {launch('THIS_FILE', spec.secrets)}\n{text}"


def launch(path: str, secrets: Sequence[str]) -> str:
    """Return the command that starts a task, with its secrets read from the environment."""
    given = [word for name in secrets for word in ("--secret", name)]
    return shlex.join(["sky", "jobs", "launch", path, *given])


def validated(path: Path) -> str | None:
    """Let the SkyPilot that is installed on this machine read a task; None if there is none.

    Returns
    -------
    str or None
        Its version, and among how many kinds of machine it would choose.

    Raises
    ------
    PolyIDError
        If SkyPilot refuses the task.
    """
    command = shutil.which("sky")
    if command is None:
        return None
    # the command stands beside the interpreter of its environment
    python = Path(command).resolve().parent / "python"
    done = subprocess.run(
        [str(python), "-c", _ASK, str(path)], capture_output=True, text=True, cwd=path.parent
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise PolyIDError(
            f"{path}: the SkyPilot at {command} refuses it: {lines[-1]} It was made for SkyPilot "
            f"{VERSION}; see docs/other-clouds.md."
        )
    version, kinds = done.stdout.split()[-2:]
    return f"SkyPilot {version} reads it: {kinds} kinds of machine"


def _place(name: str, spot: bool) -> dict[str, Any]:
    return {"infra": name, "use_spot": True} if spot and CLOUDS[name] else {"infra": name}
