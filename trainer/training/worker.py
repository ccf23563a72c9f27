"""One worker process: trains its groups of members, one after the other, and tells what it does.

``python -m trainer.training.worker SPEC.json`` prints one JSON object per event on its standard
output. It stops after the step at hand, with exit code 75, when it gets SIGTERM or when its parent
is gone; everything up to its last finished epoch is then on disk. Before its first step there is
nothing to save, and SIGTERM ends it at once.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from polyid.errors import PolyIDError

BAD_INPUT, INTERRUPTED = 2, 75
#: Least seconds between two words that steps end; and between two checkpoints of one group, of
#: which a publication-size one has 40 MB.
BEAT_SECONDS = 1.0
CHECKPOINT_SECONDS = float(os.environ.get("POLYID_CHECKPOINT_SECONDS", "10"))


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker is told; plain, for JSON."""

    plan: dict[str, Any]
    """`trainer.plan.Plan.as_json`: the parent's, so that both mean the same run."""
    groups: list[list[int]]
    threads: int
    parent: int
    """Process that waits for this one."""

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Beat:
    """Tells, at most once a second, that steps end."""

    def __init__(self, stop: "Stop") -> None:
        self.stop, self.steps, self.last = stop, 0, 0.0
        self.members: list[int] = []

    def __call__(self) -> bool:
        """Count a step, and say whether to stop after it."""
        self.steps += 1
        now = time.monotonic()
        if now - self.last > BEAT_SECONDS:
            self.last = now
            emit("step", members=self.members, steps=self.steps)
        return self.stop()


def emit(event: str, **details: Any) -> None:
    """Tell the parent."""
    try:
        print(json.dumps({"event": event, **details}), flush=True)
    except BrokenPipeError:
        # the parent is gone; `stop` notices, and the work so far is saved
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def main() -> int:
    """Train the groups of the specification named on the command line."""
    spec = WorkerSpec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which tells us

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(spec.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    try:
        return _train(spec, Stop(spec.parent))
    except PolyIDError as error:
        emit("failed", text=str(error))
        return BAD_INPUT


class Stop:
    """Whether to stop: SIGTERM came, or the parent is gone.

    The first call, after the first step, is what makes SIGTERM wait for the end of a step. Until
    then it ends the process: a GPU's program may take minutes to compile and cannot be asked.
    """

    def __init__(self, parent: int) -> None:
        self.parent = parent
        self.asked = self.armed = False

    def __call__(self) -> bool:
        """Say whether to stop, after a step."""
        if not self.armed:
            self.armed = True
            signal.signal(signal.SIGTERM, self._note)
        return self.due()

    def due(self) -> bool:
        """Say the same before anything is trained."""
        return self.asked or os.getppid() != self.parent

    def _note(self, number: int, _: FrameType | None) -> None:
        self.asked = True


def _train(spec: WorkerSpec, stop: Stop) -> int:
    from polyid.engine.fit import Epoch, Fitter
    from trainer.plan import Plan
    from trainer.training import checkpoint
    from trainer.training.bench import set_up
    from trainer.training.groups import Group

    plan = Plan.from_json(spec.plan)
    bench = set_up(plan)
    ready = bench.ready
    fitters: dict[int, Fitter] = {}
    beat = Beat(stop)
    for names in spec.groups:
        group = Group(tuple(names))
        if group.read(plan.folder) is not None:
            emit("done", members=names, seconds=0.0)
            continue
        if stop.due():
            return INTERRUPTED
        found, warnings = checkpoint.newest(group.checkpoints(plan.folder))
        for text in warnings:
            emit("warning", members=names, text=text)
        if found is not None:
            emit("resume", members=names, epoch=found.epoch, path=str(found.path))
        if len(names) not in fitters:
            emit("compile", members=names)
            fitters[len(names)] = bench.fitter(len(names))
        fitter, began, last = fitters[len(names)], time.monotonic(), time.monotonic()
        latest: Epoch | None = None

        def on_epoch(epoch: Epoch, group: Group = group) -> None:
            nonlocal last, latest
            latest = epoch
            emit(
                "epoch", members=epoch.members, epoch=epoch.epoch, epochs=epoch.epochs,
                loss=epoch.loss, val_loss=[v if v == v else None for v in epoch.val_loss],
                seconds=epoch.seconds,
            )  # fmt: skip
            if time.monotonic() - last > CHECKPOINT_SECONDS:
                checkpoint.save(group.checkpoints(plan.folder), epoch.epoch, epoch.snapshot())
                last = time.monotonic()

        members = [ready.members[i] for i in names]
        beat.members = names
        result = fitter.fit(members, found.arrays if found else None, on_epoch, beat)
        if not int(result["done"]):
            if latest is not None:
                checkpoint.save(group.checkpoints(plan.folder), int(result["epoch"]), result)
            emit("interrupted", members=names, epoch=int(result["epoch"]))
            return INTERRUPTED
        checkpoint.write_arrays(
            group.result(plan.folder), _outcome(result, fitter, ready, names, bench.fold)
        )
        shutil.rmtree(group.checkpoints(plan.folder), ignore_errors=True)
        emit("done", members=names, seconds=time.monotonic() - began)
    return 0


def _outcome(
    result: Mapping[str, Any], fitter: Any, ready: Any, names: list[int], fold: Any
) -> dict[str, Any]:
    """Weights, history, and what each member predicts for the fold it never saw."""
    import numpy as np

    found = {key: result[key] for key in ("weights", "history", "best_epoch")}
    for place, name in enumerate(names):
        rows = np.flatnonzero(fold == name)
        scaled = fitter.predict(result["weights"], rows)[place]
        found[f"rows_{name}"] = rows
        scaler = ready.scalers[name]
        found[f"predicted_{name}"] = scaler.inverse(scaled.astype(float))
        found[f"center_{name}"], found[f"scale_{name}"] = scaler.center, scaler.scale
    return found


if __name__ == "__main__":
    sys.exit(main())
