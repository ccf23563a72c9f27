"""Controllers killed at random moments, on any target.

``POLYID_KILLS`` says how many moments are tried on each target (a few by default, for time),
``POLYID_KILL_SPAN`` how long after its first sign a controller is killed at the latest, and
``POLYID_KILL_SEED`` which moments.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from road_kit import ROOT, TRAINER, Road, wait_for

from trainer.dispatching import Asked, dispatch
from trainer.plan import Plan, make_plan
from trainer.reap import reap
from trainer.registry import open_registry
from trainer.staged import StagedInputs
from trainer.targets import Target

KILLS = int(os.environ.get("POLYID_KILLS", "2"))
SPAN_S = float(os.environ.get("POLYID_KILL_SPAN", "8"))
SEED = os.environ.get("POLYID_KILL_SEED", "7")
_ASKED = Asked()


@dataclass(frozen=True)
class Place:
    """A target on which controllers are killed."""

    road: Road
    target: Target
    begun: Callable[[Plan], object]
    """Whether a submit has left its first sign."""
    asked: Asked = _ASKED
    options: tuple[str, ...] = ()
    """The same for the command line."""
    ends: bool = True
    """Whether a run there ends with a candidate; else it goes on until it is stopped."""

    def plan(self, seed: int) -> Plan:
        """Return one of many runs that differ in their seed alone."""
        road = self.road
        return make_plan(road.data, road.params, road.work, [f"training.seed={seed}"])

    def again(self, plan: Plan, *, follow: bool = False):
        """Dispatch in this process."""
        registry = open_registry(self.road.place("registry"))
        return dispatch(
            plan, self.road.gates, registry, self.target, self.asked, lambda line: None,
            follow=follow,
        )  # fmt: skip

    def kill(self, seed: int, wait: float) -> None:
        """Start `trainer dispatch`, and kill it a while after it has begun to submit."""
        road, plan = self.road, self.plan(seed)
        places = [w for n in ("data", "params", "gates", "registry", "work")
                  for w in (f"--{n}", road.place(n))]  # fmt: skip
        words = ["dispatch", "--target", self.target.name, *places, *self.options]
        with (road.folder / f"controller-{seed}.txt").open("w") as output:
            controller = subprocess.Popen(
                [*TRAINER, *words, "--set", f"training.seed={seed}"],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            wait_for(lambda: self.begun(plan) or controller.poll() is not None, 600)
            time.sleep(wait)
        finally:
            controller.send_signal(signal.SIGKILL)
            controller.wait()


def check(at: Place) -> list[str]:
    """Kill controllers, and see each time that all is stopped or adopted; tell what was found."""
    rng, told = random.Random(SEED), []
    registry, target = at.road.place("registry"), at.target
    repo = registry.partition("hf://")[2]
    places = [target, *([StagedInputs(repo)] if repo else [])]
    for seed in range(1, KILLS + 1):
        # half of them in the first eighth, where it submits
        plan, wait = at.plan(seed), SPAN_S * rng.random() ** 3
        at.kill(seed, wait)
        live = target.find(plan.fingerprint)
        assert len(live) <= 1
        stored = open_registry(registry).has_candidate(plan.fingerprint)
        if seed % 2 and not stored:  # the next dispatch, without a reaper in between
            still = target.find(plan.fingerprint)
            ended = at.again(plan)
            if still and target.find(plan.fingerprint):  # it may have ended by itself meanwhile
                assert ended.candidate or (ended.handle and ended.handle.adopted)
        reaped = reap(places, timedelta(0))
        assert reaped.clean
        assert target.leftovers() == []
        wait_for(lambda: not processes_of(at.road.work), 120)
        state = "live" if live else "stored" if stored else "nothing started"
        stopped = len([f for f in reaped.found if f.fate == "stopped"])
        told.append(f"{target.name} {seed}: killed after {wait:.2f} s, {state}, {stopped} reaped")
        if at.ends and seed == KILLS:  # one of them is followed to its end
            assert at.again(plan, follow=True).candidate, told
        else:
            ended = at.again(plan)
            assert ended.candidate or (ended.handle and not ended.handle.adopted)
            assert reap(places, timedelta(0)).clean
        assert target.leftovers() == []
    return told


def processes_of(folder: Path) -> list[str]:
    """Return command lines of living processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in line and int(place.parent.name) != os.getpid():
            found.append(line)
    return found
