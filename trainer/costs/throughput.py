"""How long an update takes: measured where it was measured, else scaled and said to be so."""

from datetime import date
from functools import cache
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from trainer.plan import Plan
from trainer.record import HardwareRecord

_TABLE = Path(__file__).parents[1] / "templates" / "throughput.yaml"

#: Float32 peak and memory traffic of the two cores that took the compiled program, in TFLOP/s
#: and GB/s: a large product of matrices, and Adam over one member's weights.
_BASE_TFLOPS, _BASE_GBPS = 0.26, 20.0
#: Small matrices fill a large processor less well than two cores.
_FILLED = 0.25
#: What is bound by launches of kernels, about a thousand a step: so much faster at most, and so
#: many milliseconds at least.
_MOST, _LEAST_MS = 30.0, 2.0


class Work(NamedTuple):
    """What decides how long an update takes."""

    model: str
    features: int
    mol_features: int
    num_messages: int
    batch_size: int
    buckets: int

    @classmethod
    def of(cls, plan: Plan) -> "Work":
        """Return the work of one update of a run."""
        m, t = plan.params.model, plan.params.training
        return cls(m.name, m.features, m.mol_features, m.num_messages, t.batch_size, len(t.buckets))

    @property
    def amount(self) -> float:
        """Multiplications of an update, up to a factor: rows by width squared, in every block."""
        return float(self.batch_size * self.num_messages * self.features**2)


class Measured(NamedTuple):
    """One measurement: a line of the table."""

    work: Work
    data: str
    """SHA-256 of the data file."""
    machine: str
    cores: int
    gpu: bool
    ms_per_update: float
    """Of one member on one core while every core has one; on a GPU, of a step over its members."""
    ms_per_watched: float
    """To predict one polymer by one member, for validation."""
    start_s: float
    """From a worker's start to its first update: imports, features, compilation."""
    date: date
    note: str
    compiled: bool = False
    """Whether the compiled program took it, which a CPU does no longer run and a GPU does."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as the table holds it."""
        return {**self._asdict(), "work": self.work._asdict()}

    @property
    def text(self) -> str:
        """Say what was measured."""
        return (
            f"{self.ms_per_update:g} ms per update and member, {self.ms_per_watched:g} ms per "
            f"prediction, {self.start_s:g} s until the first update, on {self.machine} "
            f"({self.note})."
        )


class Throughput(NamedTuple):
    """Throughput on some hardware, and how it is known."""

    ms_per_round: float
    """For one update of each of the members that are trained side by side."""
    beside: int
    """Members that are trained side by side."""
    ms_per_watched: float
    """To predict one polymer by one member, over the whole machine."""
    start_s: float
    measured: bool
    """Whether this very run was measured on this very hardware."""
    basis: str
    """Where it was measured and when, and by what it was multiplied, if it was."""


class Machine(NamedTuple):
    """Hardware, as far as throughput goes."""

    name: str
    """Of its GPU; without one, what a measurement on it is called. Empty if nobody measured."""
    cores: int = 0
    tflops: float = 0.0
    """Float32 peak of its GPU, by its data sheet; 0 without one."""
    gbps: float = 0.0
    """Memory bandwidth of its GPU, by its data sheet."""

    @property
    def factor(self) -> float:
        """Estimated updates a second, as a multiple of the table's two cores."""
        if not self.tflops:
            return self.cores / 2
        return min(_FILLED * self.tflops / _BASE_TFLOPS, self.gbps / _BASE_GBPS, _MOST)


def machine_text(found: HardwareRecord) -> str:
    """Name a machine as measurements on it are named."""
    return found.gpus[0] if found.gpus else f"{found.cores} cores, {found.cpu}"


@cache
def table() -> tuple[Measured, ...]:
    """Read the committed measurements."""
    content = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return tuple(Measured(**{**row, "work": Work(**row["work"])}) for row in content)


def throughput(plan: Plan, machine: Machine, here: Measured | None = None) -> Throughput:
    """Return how long updates of a run take on a machine.

    Parameters
    ----------
    plan : Plan
        The run.
    machine : Machine
        Where.
    here : Measured, optional
        A measurement of this very run, beside the table.
    """
    members = plan.params.folds.count
    rows = [*([here] if here else []), *table()]
    own = [row for row in rows if row.machine == machine.name and row.gpu == row.compiled]
    like = [row for row in rows if not row.gpu and row.compiled == bool(machine.tflops)]
    row, exact, grown = _closest(plan, own or like)
    measured = exact and bool(own)
    ms, watched = row.ms_per_update * grown, row.ms_per_watched * grown
    basis = f"measured {row.date} on {row.machine}"
    if not exact:
        basis += f" for another recipe or other data; time × {grown:.3g} for its arithmetic"
    if row.gpu:
        return Throughput(ms * members, members, watched, row.start_s, measured, basis)
    if not machine.tflops:
        if not own:
            basis += f"; {machine.cores} such cores are assumed"
        beside = min(machine.cores, members)
        return Throughput(ms, beside, watched / beside, row.start_s, measured, basis)
    # in one program the members share the whole machine, which is so many times two cores
    factor = machine.factor
    basis += f"; throughput of two cores × {factor:.3g}, from the data sheet of {machine.name}"
    share = 1 / (2 * factor)
    return Throughput(
        max(ms * members * share, _LEAST_MS),
        members,
        watched * share,
        row.start_s,
        measured=False,
        basis=basis,
    )


def _closest(plan: Plan, rows: list[Measured]) -> tuple[Measured, bool, float]:
    """Return the measurement most like a run, whether it is of it, and what its times grow by."""
    work = Work.of(plan)
    for row in rows:
        if row.work == work and row.data == plan.data_hash:
            return row, True, 1.0
    row = min(rows, key=lambda row: abs(log(row.work.amount / work.amount)))
    ratio = work.amount / row.work.amount
    # a smaller step is mostly overhead: it shrinks less than its arithmetic
    return row, False, ratio if ratio > 1 else ratio**0.5
