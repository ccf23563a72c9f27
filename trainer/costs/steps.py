"""One process that takes a few real training steps and says how long each took.

``python -m trainer.costs.steps SPEC.json`` prints one JSON object. It is started by
`trainer.costs.measure`, as often as a run on this machine would start a worker.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

#: Steps that are not counted: on a GPU the first ones compile the branches of the program.
_UNCOUNTED_S = 2.0


def main() -> None:
    """Do what the specification named on the command line says."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(spec["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(json.dumps(_measure(spec)), flush=True)


class _Clock:
    """Asked after every step: notes the time, and stops after enough of them."""

    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.ticks: list[tuple[float, float]] = []

    def __call__(self) -> bool:
        self.ticks.append((time.monotonic(), time.process_time()))
        return len(self.gaps()) >= self.updates

    def gaps(self, kind: int = 1) -> list[float]:
        """Seconds of the steps that are counted: 0 by the wall clock, 1 of this process's work."""
        found = []
        for before, after in zip(self.ticks, self.ticks[1:], strict=False):
            # a step of a size that comes for the first time compiles, which takes seconds
            if after[1] - before[1] < _UNCOUNTED_S:
                found.append(after[kind] - before[kind])
        return found


def _measure(spec: dict[str, Any]) -> dict[str, Any]:
    from polyid.engine.fit import Recipe
    from trainer.plan import Plan
    from trainer.training.bench import set_up

    plan = Plan.from_json(spec["plan"])
    t, bench = plan.params.training, set_up(plan)
    # without end and without validation: only steps are timed
    steady = Recipe(10**6, t.batch_size, t.learning_rate, t.decay, loss=t.loss, seed=t.seed)
    members = bench.ready.members[: spec["members"]]
    fitter = bench._replace(recipe=steady).fitter(len(members))
    clock = _Clock(spec["updates"])
    fitter.fit(members, should_stop=clock)
    start = clock.ticks[0][1]
    weights = fitter.model.flat.numpy()
    polymers = members[0].train[: spec["watched"]]
    fitter.predict(weights, polymers)
    asked = time.monotonic(), time.process_time()
    fitter.predict(weights, polymers)
    return {
        "wall": median(clock.gaps(0)),
        "cpu": median(clock.gaps(1)),
        "watch_wall": (time.monotonic() - asked[0]) / len(polymers) / len(members),
        "watch_cpu": (time.process_time() - asked[1]) / len(polymers) / len(members),
        "start_cpu": start,
    }


if __name__ == "__main__":
    main()
