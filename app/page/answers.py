"""What the page shows of one polymer: its prediction and drawings, or what is wrong with it."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from app.page.entries import Entry
from app.problems import Problem
from app.service import Service


class Answer(NamedTuple):
    """One polymer, answered."""

    entry: Entry
    fault: Problem | None
    """Why there is no prediction; None if there is one."""
    found: dict[str, Any]
    """As `app.schemas.Prediction`; empty without a prediction."""
    drawn: dict[str, Any]
    """As `app.drawing.draw`; empty if nothing could be drawn."""


async def answer_all(service: Service, entries: Sequence[Entry]) -> list[Answer]:
    """Predict polymers and draw them; a fault is the answer of the polymer that has it."""
    return list(await asyncio.gather(*(answer(service, entry) for entry in entries)))


async def answer(service: Service, entry: Entry) -> Answer:
    """Predict one polymer and draw it."""
    try:
        ask = entry.ask()
        found = await service.predict(ask)
    except Problem as problem:
        return Answer(entry, problem, {}, {})
    near = [one["smiles_monomer"] for one in found["validity"]["nearest"]]
    wanted = {
        "kind": found["kind"],
        "text": found["input"],
        "mechanism": ask.mechanism,
        "chain": found["smiles_polymer"],
        "others": near,
        "pm": ask.pm,
    }
    try:
        drawn = await service.draw(wanted)
    except Problem:
        drawn = {}  # the numbers stand without it
    return Answer(entry, None, found, drawn)
