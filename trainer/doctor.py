"""Can a run start here, and will its end be allowed? Each answer with what to do about it."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer.config import Params, load_params
from trainer.contract import check_data
from trainer.gates_config import load_gates, require_floors
from trainer.registry import Registry
from trainer.registry.hub import HubRegistry
from trainer.registry.hub_access import require_access
from trainer.registry.staging import size_text

#: Bytes that a run of the largest recipe keeps: members, two checkpoints of each, caches.
_ROOM = 4_000_000_000


class Finding(NamedTuple):
    """One question and its answer."""

    check: str
    ok: bool
    detail: str
    """What was found; if it is not well, what to do."""


def examine(
    data: Path, params: str, gates: Path, overrides: Sequence[str], registry: Registry, work: Path
) -> list[Finding]:
    """Ask everything that would otherwise stop a run after hours of work.

    Parameters
    ----------
    data, params, gates, overrides
        What would be trained, and what judges it.
    registry
        Where it is to be kept. On the Hub nothing is written; a folder is created.
    work
        Where the run would work.
    """
    return [
        _ask("recipe and gate", lambda: _recipe(params, gates, overrides)),
        _ask("data", lambda: _data(data, load_params(params, overrides))),
        _ask("work folder", lambda: _work(work)),
        _ask("registry", lambda: _registry(registry)),
    ]


def _ask(check: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, question())
    except PolyIDError as error:
        return Finding(check, False, str(error))


def _recipe(params: str, gates: Path, overrides: Sequence[str]) -> str:
    recipe = load_params(params, overrides)
    require_floors(load_gates(gates), list(recipe.data.properties))
    f = recipe.folds
    return f"recipe {recipe.recipe}: {f.count} {f.split} folds, {recipe.training.epochs} epochs"


def _data(data: Path, recipe: Params) -> str:
    f = recipe.folds
    report = check_data(data, recipe.data, folds=f.count, split=f.split)
    if not report.ok:
        count = len(report.errors)
        raise PolyIDError(f"{data}: {count} errors. See them: trainer check --data {data}")
    return f"{data}: {report.rows} rows keep the contract"


def _work(work: Path) -> str:
    try:
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work):
            pass
    except OSError as error:
        raise PolyIDError(
            f"{work} cannot be written: {error.strerror}. Give this user the right to write there, "
            "or another folder: --work DIR"
        ) from error
    free = shutil.disk_usage(work).free
    if free < _ROOM:
        raise PolyIDError(
            f"{work}: {size_text(free)} free, {size_text(_ROOM)} wanted. Free some space, or give "
            "another folder: --work DIR"
        )
    return f"{work} is writable, {size_text(free)} free"


def _registry(registry: Registry) -> str:
    if isinstance(registry, HubRegistry):
        access = require_access(registry.repo)
        state = "may be written" if access.exists else "does not exist yet and may be created"
        return f"{registry} {state} by {access.who}"
    registry.require_writable()
    return f"{registry} is writable"
