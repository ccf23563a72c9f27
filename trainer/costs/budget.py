"""May this run be started? Its estimate is held against a budget before anything is rented."""

from polyid.errors import PolyIDError
from trainer.costs.estimate import Estimate
from trainer.costs.view import hours_text


class OverBudget(PolyIDError):  # noqa: N818 - nothing failed: the answer is no
    """A run is estimated to cost more than it may."""


def require_within(it: Estimate, budget: float) -> str:
    """Say that a run stays within its budget.

    Raises
    ------
    OverBudget
        If its estimate is above it.
    """
    price = it.price
    kind = "Measured" if it.known.measured else "Estimated"
    text = (
        f"{kind}: {hours_text(it.hours)} on {price.target} {price.hardware} at "
        f"${price.usd_per_hour:.2f} an hour, ${it.usd:.2f} in all; the budget is ${budget:.2f}"
    )
    if it.usd > budget:
        raise OverBudget(
            f"Over budget, nothing was started. {text}. Give a larger --budget, cheaper hardware "
            "(`trainer costs --budget ...` lists them), or a smaller recipe (--set "
            "training.epochs=...)."
        )
    return f"Within budget. {text}."
