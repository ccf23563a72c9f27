"""What the page says of a run before it is started: where, how long, for how much, kept where."""

from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer import space_hardware
from trainer.conduct import Conduct
from trainer.costs.estimate import Estimate
from trainer.costs.foreseen import foresee
from trainer.costs.view import hours_text, usd_text
from trainer.plan import Plan

Facts = list[tuple[str, str]]


class Expected(NamedTuple):
    """What a run takes here."""

    estimate: Estimate | None
    """None where nothing is known of the hardware."""
    why_not: str = ""
    """Why there is none."""


def expect(plan: Plan, space: str | None) -> Expected:
    """Estimate a run on the hardware that this page is on, or waits for."""
    try:
        if space is None:
            return Expected(foresee(plan, "local", ""))
        return Expected(foresee(plan, "hf-space", space_hardware.hardware(space)[1]))
    except PolyIDError as error:
        return Expected(None, str(error))


def expected_facts(plan: Plan, space: str | None, conduct: Conduct) -> Facts:
    """Return names and texts for a reader."""
    found = expect(plan, space)
    kept = ("Checkpoints", _kept(conduct))
    if found.estimate is None:
        return [("Estimate", f"none: {found.why_not}"), kept]
    it = found.estimate
    price, how = it.price, "measured" if it.known.measured else "estimated"
    where = price.hardware + (f" ({price.machine.name})" if price.machine.tflops else "")
    if price.usd_per_hour:
        where += f", ${price.usd_per_hour:.2f} an hour ({price.source}, {price.date})"
        cost = f"{usd_text(it.usd)}, with the start, the evaluation and a month of storage"
    else:
        cost = "nothing: nobody is billed for it"
    return [
        ("Hardware", where),
        ("Expected time", f"{hours_text(it.hours)}, of which training {hours_text(it.training_h)}"),
        ("Expected cost", cost),
        ("Throughput", f"{how}: {it.known.basis}"),
        kept,
    ]


def _kept(conduct: Conduct) -> str:
    if conduct.checkpoints is None:
        return "in the work folder only; they go when that goes"
    every = f"every {conduct.every_s / 60:g} min" if conduct.every_s else "as often as it can be"
    return f"also at {conduct.checkpoints}, {every}: the same run goes on from there anywhere"
