"""Ten steps of the very run, then a checkpoint that is saved, loaded and gone on from.

In a process of its own, as TensorFlow may take the process with it.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from polyid.errors import PolyIDError
from trainer.doctor.case import Case
from trainer.plan import Plan, make_plan
from trainer.registry.staging import size_text
from trainer.training.groups import Group
from trainer.training.run import groups_of

STEPS = 10
_LIMIT_S = 1800
#: How TensorFlow begins a line of the levels info and warning.
_CHATTER = re.compile(r"[IW]\d{4} ")


def trial(case: Case) -> str:
    """Train ten steps, and say how long the run will take at that pace."""
    plan = make_plan(case.data, case.params, case.work, case.overrides)
    groups = groups_of(plan)
    spec = {"plan": plan.as_json(), "members": list(groups[0].members)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "trainer.doctor.trial"],
            input=json.dumps(spec), capture_output=True, text=True, timeout=_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PolyIDError(
            f"{STEPS} steps did not end within {_LIMIT_S} s. Take a smaller recipe or a faster "
            "machine."
        ) from None
    if done.returncode != 0:
        raise PolyIDError(
            f"The trial ended with exit code {done.returncode}: {_reason(done)}. Mend that first: "
            "the run would end in the same way."
        )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    epochs = plan.params.training.epochs
    hours = said["seconds"] * said["steps_per_epoch"] * epochs * len(groups) / 3600
    return (
        f"{said['steps']} steps in {said['took']:.1f} s with the start, then {said['seconds']:.3f} "
        f"s each; a checkpoint of {size_text(said['bytes'])} was saved, loaded and gone on from. "
        f"All {plan.params.folds.count} folds: about {hours:.2g} h of one process"
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two arrays are the same; a loss that nobody measured is not a number in both."""
    import numpy as np

    return bool(np.array_equal(one, other, equal_nan=True))


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a failed trial said of itself, or else the last that was said in it.

    TensorFlow's threads go on talking while their process ends, below the level of an error.
    """
    if done.stdout.strip():
        return str(json.loads(done.stdout.splitlines()[-1])["failed"])
    said = [line for line in done.stderr.splitlines() if line[:1].strip()]
    lines = [line for line in said if not _CHATTER.match(line)] or said
    return lines[-1] if lines else "it said nothing"


class _Count:
    """Stops training after so many steps, and keeps the time of each."""

    def __init__(self, limit: int) -> None:
        self.limit, self.at = limit, [time.monotonic()]

    def __call__(self) -> bool:
        if self.steps < self.limit:  # asked once more at the end of an epoch
            self.at.append(time.monotonic())
        return self.steps >= self.limit

    @property
    def steps(self) -> int:
        return len(self.at) - 1

    @property
    def pace(self) -> float:
        """Seconds of a step once everything is laid out: the median."""
        each = sorted(b - a for a, b in zip(self.at, self.at[1:], strict=False))
        return each[len(each) // 2]


def main() -> int:
    """Do the trial of the plan on standard input, and print what came of it."""
    spec = json.loads(sys.stdin.read())
    try:
        print(json.dumps(measured(Plan.from_json(spec["plan"]), spec["members"])))
    except PolyIDError as error:
        print(json.dumps({"failed": str(error)}))
        return 1
    return 0


def measured(plan: Plan, names: list[int]) -> dict[str, Any]:
    """Take the steps in this process, and see that a checkpoint comes back as it was saved.

    Raises
    ------
    PolyIDError
        If it cannot be written, or does not come back.
    """
    from trainer.training import checkpoint
    from trainer.training.bench import set_up

    folder: Path = plan.folder / "doctor"
    bench = set_up(plan)
    members = [bench.ready.members[i] for i in names]
    fitter, count = bench.fitter(len(names)), _Count(STEPS)
    first = fitter.fit(members, None, None, count)
    try:
        path = checkpoint.save(folder / Group(tuple(names)).name, int(first["epoch"]), first)
        found, warnings = checkpoint.newest(path.parent)
        if found is None or not all(_same(found.arrays[name], first[name]) for name in first):
            raise PolyIDError(f"{path} does not hold what was saved: {' '.join(warnings)}")
        fitter.fit(members, found.arrays, None, _Count(1))
        size = path.stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "steps": count.steps,
        "took": count.at[-1] - count.at[0],
        "seconds": count.pace,
        "steps_per_epoch": sum(bench.ready.steps),
        "bytes": size,
    }


if __name__ == "__main__":
    sys.exit(main())
