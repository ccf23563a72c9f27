"""What holds for a run wherever it happens: recipe, data, work folder, registry, checkpoints."""

import shutil
import tempfile

from polyid.errors import PolyIDError
from trainer.conduct import Wanted, conduct_of
from trainer.contract import check_data
from trainer.doctor.case import Case
from trainer.doctor.finding import Question
from trainer.gates_config import load_gates, require_floors
from trainer.keeping.carrier import Carrier, Task
from trainer.registry.hub import HubRegistry
from trainer.registry.hub_access import require_access
from trainer.registry.staging import size_text

#: Bytes that a run of the largest recipe keeps: members, two checkpoints of each, caches.
ROOM = 4_000_000_000
_STORE_S = 120.0


def everywhere(case: Case) -> list[Question]:
    """Return what is asked for every run."""
    return [
        Question("recipe and gate", lambda: recipe(case)),
        Question("data", lambda: data(case)),
        Question("work folder", lambda: work(case)),
        Question("registry", lambda: registry(case)),
    ]


def recipe(case: Case) -> str:
    """Hold recipe and gate to their rules."""
    found = case.recipe()
    require_floors(load_gates(case.gates), list(found.data.properties))
    f = found.folds
    return f"recipe {found.recipe}: {f.count} {f.split} folds, {found.training.epochs} epochs"


def data(case: Case) -> str:
    """Hold the data to the contract."""
    found = case.recipe()
    f = found.folds
    report = check_data(case.data, found.data, folds=f.count, split=f.split)
    if not report.ok:
        count = len(report.errors)
        raise PolyIDError(
            f"{case.data}: {count} errors. See them: trainer check --data {case.data}"
        )
    return f"{case.data}: {report.rows} rows keep the contract"


def work(case: Case) -> str:
    """See that the work folder can be written and holds a run."""
    folder = case.work
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PolyIDError(
            f"{folder} cannot be written: {error.strerror}. Give this user the right to write "
            "there, or another folder: --work DIR"
        ) from error
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise PolyIDError(
            f"{folder}: {size_text(free)} free, {size_text(ROOM)} wanted. Free some space, or give "
            "another folder: --work DIR"
        )
    return f"{folder} is writable, {size_text(free)} free"


def registry(case: Case) -> str:
    """See that the candidate may be stored in the end; on the Hub nothing is written."""
    place = case.registry
    if isinstance(place, HubRegistry):
        access = require_access(place.repo)
        state = "may be written" if access.exists else "does not exist yet and may be created"
        return f"{place} {state} by {access.who}"
    place.require_writable()
    return f"{place} is writable"


def checkpoints(case: Case) -> str:
    """Write a file to the store of checkpoints, read it back and remove it."""
    url = conduct_of(case.recipe(), Wanted(case.checkpoints)).checkpoints
    if url is None:
        return "no store: a run resumes from its work folder only (--checkpoints URL keeps more)"
    if url.startswith("hf://"):
        access = require_access(url.removeprefix("hf://"))
        return f"{url} may be written by {access.who}"
    carried = Carrier(Task("probe", url, "doctor"), _STORE_S).wait()
    if not carried.ok:
        raise PolyIDError(
            f"{url} cannot be written and read back ({carried.text}). Check the address, and the "
            "credentials in this environment; or give another store: --checkpoints URL"
        )
    return f"{url} was written, read and cleared"
