"""A run on a target, from the question whether it is needed to the candidate it leaves."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from trainer import inputs
from trainer.plan import Plan
from trainer.registry import Registry
from trainer.targets import Handle, RunSpec, State, Target, TargetError

_HUB = "hf://"
#: Seconds between two looks at a run that waits for a machine.
_PACE = 2.0


class Asked(NamedTuple):
    """What a run is to have on its target."""

    image: str = ""
    flavor: str = ""
    timeout_s: int = 6 * 3600
    """The target stops it after so many seconds."""
    queue_s: float = 1800.0
    """It is cancelled if no machine takes it for so many seconds."""


class Dispatched(NamedTuple):
    """How a dispatch ended."""

    fingerprint: str
    handle: Handle | None
    """None if the candidate was there already, so nothing was started."""
    state: State | None
    """None if nobody waited for the end."""
    candidate: bool
    """Whether the candidate is in the registry."""


def dispatch(
    plan: Plan,
    gates: Path,
    registry: Registry,
    target: Target,
    asked: Asked,
    say: Callable[[str], None],
    *,
    follow: bool = True,
) -> Dispatched:
    """Start the run of ``plan``, or adopt it, and follow it to its candidate.

    Raises
    ------
    TargetError
        If the target refuses, or needs what is not given.
    polyid.errors.PolyIDError
        If the registry could not take the candidate in the end; nothing was started.
    """
    if registry.has_candidate(plan.fingerprint):
        say(f"Candidate {plan.fingerprint} is in {registry} already: nothing is started.")
        return Dispatched(plan.fingerprint, None, None, True)
    registry.require_writable()
    handle = target.submit(_spec(plan, gates, registry, target, asked))
    how = "adopted, it was running already" if handle.adopted else "started"
    say(f"Run {plan.fingerprint} on {target.name}: {how}. {handle.url}")
    if not follow:
        return Dispatched(plan.fingerprint, handle, None, False)
    state = watch(target, handle, asked.queue_s, say)
    return Dispatched(plan.fingerprint, handle, state, registry.has_candidate(plan.fingerprint))


def watch(target: Target, handle: Handle, queue_s: float, say: Callable[[str], None]) -> State:
    """Wait for a machine, hand on the log, and return how the run ended."""
    deadline = time.monotonic() + queue_s
    while (state := target.status(handle)).stage == "queued":
        if time.monotonic() > deadline:
            target.cancel(handle)
            return State("cancelled", f"no machine took it within {queue_s:g} s; it was cancelled")
        time.sleep(min(_PACE, queue_s))
    for line in target.logs(handle):
        say(line)
    while not (state := target.status(handle)).ended:
        time.sleep(_PACE)
    return state


def _spec(plan: Plan, gates: Path, registry: Registry, target: Target, asked: Asked) -> RunSpec:
    address = str(registry)
    if target.name == "local":
        # the staged recipe holds the overrides, so that the run reads one file
        recipe = plan.folder / "recipe.yaml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(inputs.recipe_text(plan), encoding="utf-8")
        places = {"data": plan.data, "params": recipe, "gates": gates, "work": plan.work}
        options = [w for key, p in places.items() for w in (f"--{key}", str(p.resolve()))]
        address = address if address.startswith(_HUB) else str(Path(address).resolve())
        command = (sys.executable, "-m", "trainer.cli", "job", *options, "--registry", address)
        return RunSpec(plan.fingerprint, command, timeout_s=asked.timeout_s)
    if not address.startswith(_HUB):
        raise TargetError(
            f"--registry: received {address}, which a rented machine cannot reach; expected "
            "hf://namespace/name. Give it, or --target local."
        )
    if not asked.image:
        raise TargetError(
            f"--image: received nothing, and {target.name} runs a container; expected the training "
            "image, best by digest (`make images` builds it from Dockerfile.train)."
        )
    inputs.stage(plan, gates, address.removeprefix(_HUB))
    return RunSpec(
        plan.fingerprint,
        ("trainer", "job", "--registry", address, "--inputs", plan.fingerprint),
        image=asked.image,
        flavor=asked.flavor,
        timeout_s=asked.timeout_s,
        env={"IMAGE_DIGEST": asked.image.partition("@")[2]} if "@" in asked.image else {},
        secrets=("HF_TOKEN",),
    )
