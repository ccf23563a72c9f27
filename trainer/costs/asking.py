"""One question about costs and its answer: which prices, which estimates."""

from typing import Any, NamedTuple

from trainer.costs.estimate import Estimate, Size, estimate, size_of
from trainer.costs.measure import Measured
from trainer.costs.prices import chosen, prices, targets
from trainer.costs.prices import listed as listed_prices
from trainer.plan import Plan


class Answer(NamedTuple):
    """What a run takes, wherever it was asked for."""

    plan: Plan
    size: Size
    estimates: list[Estimate]
    here: Measured | None

    @property
    def what(self) -> str:
        """Say what was estimated."""
        t, size = self.plan.params, self.size
        return (
            f"Run {self.plan.fingerprint}: recipe {t.recipe}, {size.members} members × "
            f"{size.updates:,} updates of batch {t.training.batch_size}, {size.watched:,} "
            f"predictions each, candidate of {1000 * size.storage_gb:.0f} MB."
        )

    def dearest(self, target: str, hardware: str | None) -> Estimate:
        """Return the most that a run may cost there."""
        names = {p.hardware for p in chosen((it.price for it in self.estimates), target, hardware)}
        return max((it for it in self.estimates if it.price.hardware in names), key=_usd)

    def as_json(self, budget: float | None = None) -> dict[str, Any]:
        """Return plain data."""
        return {
            "fingerprint": self.plan.fingerprint,
            "recipe": self.plan.params.recipe,
            "budget": budget,
            "measured_here": self.here.as_dict() if self.here else None,
            "estimates": [it.as_json(budget) for it in self.estimates],
        }


def _usd(it: Estimate) -> float:
    return it.usd


def ask(
    plan: Plan,
    target: str | None = None,
    hardware: str | None = None,
    *,
    listed: bool = False,
    here: Measured | None = None,
) -> Answer:
    """Estimate a run on one target or all, on one kind of hardware or all.

    Raises
    ------
    trainer.costs.prices.PriceError
        If no price of what is asked for is known.
    """
    look = listed_prices if listed else prices
    known = [price for name in ([target] if target else targets()) for price in look(name)]
    if hardware:
        known = chosen(known, target or "the table", hardware)
    size = size_of(plan)
    return Answer(plan, size, estimate(plan, size, known, here), here)
