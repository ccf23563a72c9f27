"""Hours and dollars of a run on some hardware, and what a budget allows."""

from collections.abc import Iterable
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np

from trainer.costs.prices import Price, content
from trainer.costs.throughput import Measured, Throughput, throughput
from trainer.plan import Plan

#: Seconds after training: nearest polymers of each fold, both baselines, plots (102 s), then
#: gate, report and a registry on disk (3 s). Measured 2026-11-25 as processor time of a quick
#: run's stages on the whole property table, on two busy cores: it depends on the rows and hardly
#: on the network. The candidate's way to the Hub depends on the line and is not in it.
FINISH_S = 105.0
#: Seconds until a rented machine has fetched the image and runs; providers bill them. Assumed.
BOOT_S = 180.0
#: Weights of a member per block and squared width, counted for the publication's network.
_WEIGHTS = 18
_UNBILLED = ("local", "docker", "self-hosted")


class Size(NamedTuple):
    """What a run has to do, counted before anything is trained."""

    members: int
    updates: int
    """Of each member."""
    watched: int
    """Polymers that each member predicts over the run: validation, and its fold at the end."""
    storage_gb: float
    """Of the candidate."""


class Estimate(NamedTuple):
    """What a run takes on some hardware."""

    price: Price
    known: Throughput
    size: Size
    training_h: float
    validation_h: float
    around_h: float
    """Boot, start and evaluation."""
    storage_usd: float
    """Of the candidate, for a month."""

    @property
    def hours(self) -> float:
        """All hours of the machine."""
        return self.training_h + self.validation_h + self.around_h

    @property
    def usd(self) -> float:
        """Everything: the machine's hours, and a month of storage where anything is billed."""
        billed = self.price.usd_per_hour * self.hours
        return billed + self.storage_usd if billed else 0.0

    def runs(self, budget: float) -> int | None:
        """Return how many such runs a budget pays; None where nobody is billed."""
        return None if self.usd == 0 else floor(budget / self.usd)

    def as_json(self, budget: float | None = None) -> dict[str, Any]:
        """Return plain data."""
        price, known = self.price, self.known
        return {
            "target": price.target,
            "hardware": price.hardware,
            "gpu": price.machine.name if price.machine.tflops else None,
            "usd_per_hour": price.usd_per_hour,
            "price_source": price.source,
            "price_date": price.date.isoformat(),
            "price_weak": price.weak or None,
            "measured": known.measured,
            "basis": known.basis,
            "updates": self.size.updates * self.size.members,
            "ms_per_update": round(known.ms_per_round / known.beside, 4),
            "hours": round(self.hours, 6),
            "training_hours": round(self.training_h, 6),
            "validation_hours": round(self.validation_h, 6),
            "around_hours": round(self.around_h, 6),
            "storage_gb": round(self.size.storage_gb, 4),
            "storage_usd": round(self.storage_usd, 4),
            "usd": round(self.usd, 4),
            **({} if budget is None else {"runs": self.runs(budget)}),
        }


def size_of(plan: Plan) -> Size:
    """Count what a run has to do; early stopping may spare some of it."""
    frame, t, m = plan.frame(), plan.params.training, plan.params.model
    fold = plan.folds(frame).of(frame)
    held = np.bincount(fold[fold >= 0], minlength=plan.params.folds.count)
    train = (len(frame) - int(held.min())) * (1 - t.holdout)
    # a bucket's last batch is filled up
    updates = t.epochs * (ceil(train / t.batch_size) + len(t.buckets) - 1)
    aside = (len(frame) - held.mean()) * t.holdout if t.holdout else held.mean()
    watched = ceil(t.epochs / t.validate_every) * aside + held.mean()
    twice = 2 if plan.params.folds.also else 1
    gb = plan.params.folds.count * _WEIGHTS * m.num_messages * m.features**2 * 4 / 1e9
    return Size(plan.params.folds.count, twice * updates, round(twice * watched), gb)


def estimate(
    plan: Plan, size: Size, known_prices: Iterable[Price], here: Measured | None = None
) -> list[Estimate]:
    """Estimate a run on every hardware that has a price.

    Parameters
    ----------
    plan, size
        The run, and what `size_of` counted.
    known_prices
        Of which hardware.
    here
        A measurement of this run on this machine.
    """
    return [_one(plan, size, price, here) for price in known_prices]


def _one(plan: Plan, size: Size, price: Price, here: Measured | None) -> Estimate:
    known = throughput(plan, price.machine, here)
    rounds = size.updates * ceil(size.members / known.beside)
    rented = price.target not in _UNBILLED
    around = known.start_s + FINISH_S + (BOOT_S if rented else 0.0)
    return Estimate(
        price,
        known,
        size,
        rounds * known.ms_per_round / 3.6e6,
        size.watched * size.members * known.ms_per_watched / 3.6e6,
        around / 3600,
        size.storage_gb * float(content()["storage"]["usd_per_gb_month"]),
    )
