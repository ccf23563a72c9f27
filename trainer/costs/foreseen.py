"""What a run was expected to take, from the command that starts it into the run's own record."""

import json
import os

from pydantic import ValidationError

from trainer.costs.estimate import Estimate, estimate, size_of
from trainer.costs.prices import chosen, prices
from trainer.plan import Plan
from trainer.record import EstimateRecord, RecordError

#: Variable that carries the estimate into the run; ``null`` where there is none.
VARIABLE = "POLYID_ESTIMATE"


def foresee(plan: Plan, target: str, hardware: str) -> Estimate:
    """Estimate a run before it is started; the dearest, where the target may choose.

    Raises
    ------
    trainer.costs.prices.PriceError
        If no price or no throughput is known of it.
    """
    known = prices(target)
    found = estimate(plan, size_of(plan), chosen(known, target, hardware))
    return max(found, key=lambda it: it.usd)


def as_record(it: Estimate) -> EstimateRecord:
    """Return what the record keeps: the hours of training, which a run measures of itself."""
    hours = it.training_h + it.validation_h
    return EstimateRecord(
        target=it.price.target,
        hardware=it.price.hardware,
        usd_per_hour=it.price.usd_per_hour,
        hours=round(hours, 4),
        cost_usd=round(hours * it.price.usd_per_hour, 4),
        total_usd=round(it.usd, 4),
        measured=it.known.measured,
        basis=it.known.basis,
    )


def as_variable(it: Estimate | None) -> dict[str, str]:
    """Return the variable that a run is started with."""
    return {VARIABLE: "null" if it is None else as_record(it).model_dump_json()}


def recorded(plan: Plan) -> EstimateRecord | None:
    """Return the estimate that this run was started with; one for this machine without any.

    Raises
    ------
    RecordError
        If the variable holds something else.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return as_record(foresee(plan, "local", ""))
    if json.loads(text) is None:
        return None
    try:
        return EstimateRecord.model_validate_json(text)
    except ValidationError as error:
        raise RecordError(f"{VARIABLE} holds no estimate: {error}") from None
