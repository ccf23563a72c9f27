"""Prices of hardware: from the provider's API where there is one, else from a dated table."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from huggingface_hub import HfApi, JobHardwareInfo

from polyid.errors import PolyIDError
from polyid.hub_errors import explained
from trainer.costs.throughput import Machine, machine_text, table
from trainer.provenance import hardware

_TABLE = Path(__file__).parents[1] / "templates" / "prices.yaml"
#: What a target takes where no hardware is named.
_DEFAULTS = {
    "local": "this-machine",
    "docker": "this-machine",
    "hf-jobs": "cpu-basic",
    "hf-space": "cpu-basic",
}
#: So many of the cheapest are tried where a target chooses itself.
_CHOICES = 5
_PER_HOUR = {"second": 3600, "minute": 60, "hour": 1}


class PriceError(PolyIDError):
    """No price is known."""


class Price(NamedTuple):
    """What an hour of some hardware costs, who says so, and when."""

    target: str
    hardware: str
    usd_per_hour: float
    machine: Machine
    source: str
    date: date
    """When the source was read."""
    weak: str = ""
    """Why it is not to be relied upon; empty if it is."""


@cache
def content() -> dict[str, Any]:
    """Read the table."""
    found: dict[str, Any] = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return found


def targets() -> list[str]:
    """Return the names of the targets that prices are known of."""
    return list(content()["prices"])


def listed(target: str) -> list[Price]:
    """Return the prices of a target as the table has them."""
    place = content()["prices"].get(target)
    if place is None:
        raise PriceError(
            f"--target: expected one of {', '.join(targets())}, received {target!r}. Prices stand "
            "in trainer/templates/prices.yaml."
        )
    return [
        Price(
            target, name, row["usd"], _machine(row), place["source"], place["date"],
            place.get("weak", ""),
        )
        for name, row in place["rows"].items()
    ]  # fmt: skip


def prices(target: str) -> list[Price]:
    """Return the prices of a target as its provider tells them now, where that can be asked.

    Hardware whose throughput nobody knows is left out. Without an answer the table is used.
    """
    known = listed(target)
    try:
        if target == "hf-jobs":
            with explained("jobs/hardware", "asking for prices"):
                return _from_hub(target, HfApi().list_jobs_hardware())
        if target == "hf-space":
            with explained("spaces/hardware", "asking for prices"):
                return _from_hub(target, HfApi().list_spaces_hardware())
        if target in ("local", "docker"):
            return [price._replace(machine=this_machine()) for price in known]
        if target == "runpod" and os.environ.get("RUNPOD_API_KEY"):
            return _from_runpod()
    except PolyIDError as error:
        said = f"{known[0].source}; its API did not answer ({type(error).__name__})"
        return [price._replace(source=said) for price in known]
    return known


def chosen(known: Iterable[Price], target: str, hardware: str | None) -> list[Price]:
    """Return the prices of what a run may get: what is named, or what the target takes itself.

    Raises
    ------
    PriceError
        If there is none.
    """
    rows = list(known)
    named = [name.strip() for name in (hardware or "").split(",") if name.strip()]
    if not named and target in _DEFAULTS:
        named = [_DEFAULTS[target]]
    if named:
        return [price_of(rows, target, name) for name in named]
    if not rows:
        raise PriceError(f"No price of {target} is known; see `trainer costs --target {target}`.")
    return sorted(rows, key=lambda price: price.usd_per_hour)[:_CHOICES]


def price_of(known: Iterable[Price], target: str, hardware: str) -> Price:
    """Return the price of one kind of hardware.

    Raises
    ------
    PriceError
        If there is none.
    """
    rows = list(known)
    for price in rows:
        if price.hardware == hardware:
            return price
    raise PriceError(
        f"--hardware: {target} has {', '.join(price.hardware for price in rows)}; received "
        f"{hardware!r}."
    )


def _machine(row: dict[str, Any]) -> Machine:
    if "gpu" in row:
        return _gpu(row["gpu"])
    return Machine(table()[0].machine if row.get("measured") else "", cores=row["cores"])


def this_machine() -> Machine:
    """Describe this machine; a GPU that the table does not know is taken for its slowest."""
    found = hardware()
    if not found.gpus:
        return Machine(machine_text(found), cores=found.cores)
    known = [name for name in content()["gpus"] if re.search(rf"\b{name}\b", found.gpus[0])]
    return _gpu(max(known, key=len, default="T4"))._replace(name=found.gpus[0])


def _gpu(name: str) -> Machine:
    return Machine(name, **content()["gpus"][name])


def _from_hub(target: str, rows: Iterable[JobHardwareInfo]) -> list[Price]:
    found = []
    for row in rows:
        it, gpus = row.accelerator, content()["gpus"]
        model = str(it.model).removeprefix("Nvidia ") if it else ""
        if it and (model not in gpus or str(it.quantity) != "1"):
            continue  # several GPUs train no faster: one program runs on one
        cores = re.match(r"\d+", row.cpu)
        machine = _gpu(model) if it else Machine("", cores=int(cores[0]) if cores else 1)
        hourly = row.unit_cost_usd * _PER_HOUR[row.unit_label]
        found.append(Price(target, row.name, round(hourly, 4), machine, "the Hub's API", _today()))
    return found


def _from_runpod() -> list[Price]:
    from trainer.targets.runpod_api import Client

    gpus, found = content()["gpus"], []
    for row in Client().gpus():
        # ids are such as "NVIDIA GeForce RTX 4090" or "NVIDIA A100 80GB PCIe"
        names = [name for name in gpus if re.search(rf"\b{re.escape(name)}\b", row.id)]
        if names and row.nvidia and row.usd_per_hour:
            gpu = _gpu(max(names, key=len))
            found.append(Price("runpod", row.id, row.usd_per_hour, gpu, "RunPod's API", _today()))
    return found


def _today() -> date:
    return datetime.now(UTC).date()
