"""Measured throughput: a few real training steps here, in as many processes as a run has."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from polyid.errors import PolyIDError
from trainer.costs.throughput import Measured, Work, machine_text
from trainer.plan import Plan
from trainer.provenance import hardware

#: Polymers that are predicted to time watching.
_WATCHED = 32
#: Share of its time that a process must have had, for its time to be that of a quiet machine.
_QUIET = 0.9


class MeasureError(PolyIDError):
    """The steps could not be taken."""


def measure(plan: Plan, updates: int = 30) -> Measured:
    """Take ``updates`` training steps of a run, and return how long they take here.

    Raises
    ------
    MeasureError
        If a process that takes them fails; the message ends with what it said.
    """
    machine, count = hardware(), plan.params.folds.count
    workers = 1 if machine.gpus else min(machine.cores, count)
    members = count if machine.gpus else 1
    plan.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        spec = Path(name) / "spec.json"
        content = {
            "plan": plan.as_json(),
            "threads": max(1, machine.cores // workers),
            "members": members,
            "updates": updates,
            "watched": _WATCHED,
        }
        spec.write_text(json.dumps(content), encoding="utf-8")
        command = [sys.executable, "-m", "trainer.costs.steps", str(spec)]
        env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        crew = [
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
            )
            for _ in range(workers)
        ]
        try:
            said = [process.communicate() for process in crew]
        finally:
            for process in crew:
                process.kill()
    for process, (_, problem) in zip(crew, said, strict=True):
        if process.returncode:
            raise MeasureError(
                f"The training steps ended with exit code {process.returncode}: "
                f"{problem.strip().splitlines()[-1] if problem.strip() else 'nothing was said'}. "
                "`trainer check` says whether data and recipe are sound."
            )
    found = [json.loads(out.splitlines()[-1]) for out, _ in said]
    # one thread's work is its time on a machine that does nothing else
    busy = not machine.gpus and mean(f["cpu"] / f["wall"] for f in found) < _QUIET
    kind = "cpu" if busy else "wall"
    note = f"{updates} updates in {workers} process{'es' * (workers > 1)}"
    return Measured(
        work=Work.of(plan),
        data=plan.data_hash,
        machine=machine_text(machine),
        cores=machine.cores,
        gpu=bool(machine.gpus),
        ms_per_update=round(1000 * mean(f[kind] for f in found) / members, 2),
        ms_per_watched=round(1000 * mean(f[f"watch_{kind}"] for f in found), 2),
        start_s=round(mean(f["start_cpu"] for f in found), 1),
        date=datetime.now(UTC).date(),
        note=f"{note}; the machine was busy: processor time" if busy else note,
        compiled=bool(machine.gpus),
    )
