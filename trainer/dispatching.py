"""A run on a target, from the question whether it is needed to the candidate it leaves."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer import inputs
from trainer.conduct import NOTHING, Wanted, as_options, conduct_of
from trainer.costs.budget import require_within
from trainer.costs.estimate import Estimate
from trainer.costs.foreseen import as_variable, foresee
from trainer.keeping.access import store_access
from trainer.plan import Plan
from trainer.registry import Registry
from trainer.reporting import REPORT_TOKEN, surroundings
from trainer.targets import Handle, Mount, RunSpec, State, Target, TargetError

_HUB = "hf://"
#: Seconds between two looks at a run that waits for a machine.
_PACE = 2.0
#: Where a container sees the files of this machine.
_MOUNTED = "/srv/run"


class Asked(NamedTuple):
    """What a run is to have on its target."""

    image: str = ""
    flavor: str = ""
    timeout_s: int = 6 * 3600
    """The target stops it after so many seconds."""
    queue_s: float = 1800.0
    """It is cancelled if no machine takes it for so many seconds."""
    restarts: int = 3
    """How often it goes on elsewhere when its machine is lost."""
    conduct: Wanted = NOTHING
    """A rented machine keeps its checkpoints in the registry's repository by default."""
    report_to: str = ""
    """GitHub repository that a rented machine tells of the end, if there is a token for it."""
    budget: float | None = None
    """It is not started if it is estimated to cost more US dollars."""


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
    trainer.costs.budget.OverBudget
        If it is estimated to cost more than it may; nothing was started.
    polyid.errors.PolyIDError
        If the registry could not take the candidate in the end; nothing was started.
    """
    if registry.has_candidate(plan.fingerprint):
        say(f"Candidate {plan.fingerprint} is in {registry} already: nothing is started.")
        return Dispatched(plan.fingerprint, None, None, True)
    expected = _within_budget(plan, target, asked, say)
    registry.require_writable()
    spec = _spec(plan, gates, registry, target, asked)
    spec = replace(spec, env={**spec.env, **as_variable(expected)})
    for left in range(asked.restarts, -1, -1):
        handle = target.submit(spec)
        how = "adopted, it was running already" if handle.adopted else "started"
        say(f"Run {plan.fingerprint} on {target.name}: {how}. {handle.url}")
        if not follow:
            return Dispatched(plan.fingerprint, handle, None, False)
        with _held(target, handle):
            state = watch(target, handle, asked.queue_s, say)
        stored = registry.has_candidate(plan.fingerprint)
        if stored or not state.lost:
            break
        then = "It goes on elsewhere" if left else "It is not tried again"
        say(f"Lost: {state.message}. {then}.")
    return Dispatched(plan.fingerprint, handle, state, stored)


def _within_budget(
    plan: Plan, target: Target, asked: Asked, say: Callable[[str], None]
) -> Estimate | None:
    """Estimate the run; only a budget needs that the estimate can be made."""
    try:
        expected = foresee(plan, target.name, asked.flavor)
    except PolyIDError:
        if asked.budget is not None:
            raise
        return None
    if asked.budget is not None:
        say(require_within(expected, asked.budget))
    return expected


@contextmanager
def _held(target: Target, handle: Handle) -> Iterator[None]:
    """Stop a run whose follower leaves, also by Ctrl-C, where it would cost on without one."""
    followed = False
    try:
        yield
        followed = True
    finally:
        if not followed and getattr(target, "needs_follower", False):
            target.cancel(handle)


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
        places = _places(plan, gates)
        options = [w for key, p in places.items() for w in (f"--{key}", str(p.resolve()))]
        address = address if address.startswith(_HUB) else str(Path(address).resolve())
        conduct = as_options(conduct_of(plan.params, asked.conduct))
        job = (sys.executable, "-m", "trainer.cli", "job")
        command = (*job, *options, "--registry", address, *conduct)
        return RunSpec(plan.fingerprint, command, timeout_s=asked.timeout_s)
    if target.name == "docker":
        return _in_container(plan, gates, address, asked)
    return rented(plan, gates, address, target.name, asked)


def rented(
    plan: Plan, gates: Path, address: str, where: str, asked: Asked, *, stage: bool = True
) -> RunSpec:
    """Return a run on a machine that has nothing but the image, and stage its inputs on the Hub.

    Raises
    ------
    TargetError
        If the registry is not on the Hub, or there is no image.
    """
    if not address.startswith(_HUB):
        raise TargetError(
            f"--registry: received {address}, which a rented machine cannot reach; expected "
            "hf://namespace/name. Give it, or --target local."
        )
    if not asked.image:
        raise TargetError(
            f"--image: received nothing, and {where} runs a container; expected the training "
            "image, best by digest (`make images` builds it from Dockerfile.train)."
        )
    if asked.conduct.checkpoints is None and plan.params.conduct.checkpoints is None:
        asked = asked._replace(conduct=asked.conduct._replace(checkpoints=address))
    kept = conduct_of(plan.params, asked.conduct)
    access = store_access(kept.checkpoints)
    if stage:
        inputs.stage(plan, gates, address.removeprefix(_HUB))
    reports = bool(asked.report_to and os.environ.get(REPORT_TOKEN))
    told = surroundings(asked.report_to) if reports else {}
    return RunSpec(
        plan.fingerprint,
        (
            *("trainer", "job", "--registry", address, "--inputs", plan.fingerprint),
            *as_options(kept),
        ),
        image=asked.image,
        flavor=asked.flavor,
        timeout_s=asked.timeout_s,
        env={**_digest(asked.image), **access.env, **told},
        secrets=("HF_TOKEN", *access.secrets, *([REPORT_TOKEN] if reports else [])),
    )


def _in_container(plan: Plan, gates: Path, address: str, asked: Asked) -> RunSpec:
    """Return a run in a container of this machine, which sees the run's own files of it."""
    mounts, options = [], []
    for key, path in _places(plan, gates).items():
        place = f"{_MOUNTED}/{key}{path.suffix if key != 'work' else ''}"
        mounts.append(Mount(path, place, writable=key == "work"))
        options += [f"--{key}", place]
    on_hub = address.startswith(_HUB)
    if not on_hub:
        mounts.append(Mount(Path(address), f"{_MOUNTED}/registry", writable=True))
    conduct = conduct_of(plan.params, asked.conduct)
    access = store_access(conduct.checkpoints)
    to_hub = on_hub or (conduct.checkpoints or "").startswith(_HUB)
    endpoint = os.environ.get("HF_ENDPOINT")
    hub = {"HF_ENDPOINT": endpoint} if to_hub and endpoint else {}
    return RunSpec(
        plan.fingerprint,
        (
            *("trainer", "job", *options, "--expect", plan.fingerprint),
            *("--registry", address if on_hub else f"{_MOUNTED}/registry"),
            *as_options(conduct),
        ),
        image=asked.image,
        timeout_s=asked.timeout_s,
        env={**_digest(asked.image), **hub, **access.env},
        secrets=(*(("HF_TOKEN",) if to_hub else ()), *access.secrets),
        mounts=tuple(mounts),
        network=on_hub or conduct.checkpoints is not None,
    )


def _places(plan: Plan, gates: Path) -> dict[str, Path]:
    """Return what a run on this machine reads and writes; the recipe with its overrides."""
    recipe = plan.folder / "recipe.yaml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(inputs.recipe_text(plan), encoding="utf-8")
    return {"data": plan.data, "params": recipe, "gates": gates, "work": plan.work}


def _digest(image: str) -> dict[str, str]:
    return {"IMAGE_DIGEST": image.partition("@")[2]} if "@" in image else {}
