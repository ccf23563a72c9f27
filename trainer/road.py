"""The whole road in one call: check, train, evaluate, gate, candidate, release."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape

from polyid.errors import PolyIDError
from polyid.structures import build
from trainer import contract_view, stages
from trainer.champion import Champion
from trainer.conduct import PLAIN, Conduct, forget
from trainer.contract import check_data
from trainer.contract_report import Report
from trainer.gate import Verdict
from trainer.gates_config import Gates, load_gates, require_floors
from trainer.keeping.keeper import Keeper
from trainer.plan import Plan, make_plan
from trainer.registry import Registry, Release
from trainer.reigning import reigning
from trainer.training.attend import Attendant, Event
from trainer.training.run import Trained, groups_of, train
from trainer.training.view import TrainingView
from trainer.watching.jsonlog import JsonView
from trainer.watching.onlookers import onlookers

#: What the recipe scores on the split that ``folds.also`` names, in the run's folder.
_OTHER = "other_split.json"
_REPORT = "report.html"


class CheckFailed(PolyIDError):  # noqa: N818 - the data failed, not the program
    """The data contract has errors; the report was shown."""


@dataclass(frozen=True)
class Outcome:
    """Where the road ended."""

    fingerprint: str
    address: str
    """Where the candidate is."""
    report: Path
    metrics: dict[str, Any]
    gate: dict[str, Any]
    release: Release | None
    trained: bool
    """False if the candidate was there already."""

    @property
    def passed(self) -> bool:
        """Whether the gate passed, or the candidate already stands as a release."""
        return self.gate["verdict"] == "pass" or not self.gate.get("enforced", True)

    def as_json(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "fingerprint": self.fingerprint,
            "candidate": self.address,
            "report": str(self.report),
            "trained": self.trained,
            "verdict": self.gate["verdict"],
            "reasons": self.gate["reasons"],
            "release": None if self.release is None else self.release.tag,
            "metrics": self.metrics,
        }


def check(plan: Plan, gates: Gates | None, console: Console) -> Report:
    """Hold the data file to the contract, and show what was found.

    Raises
    ------
    CheckFailed
        If there are errors.
    """
    if gates is not None:
        require_floors(gates, plan.properties)
    f = plan.params.folds
    report = check_data(plan.data, plan.params.data, folds=f.count, split=f.split)
    contract_view.render(report, console)
    if not report.ok:
        raise CheckFailed(f"{plan.data} does not satisfy the data contract; nothing was trained.")
    return report


def train_plan(
    plan: Plan, console: Console, workers: int | None = None, conduct: Conduct = PLAIN
) -> Trained:
    """Train, with a view of it; first bring here what a store of checkpoints has."""
    smiles = list(plan.frame()["smiles_polymer"])
    depth = plan.params.model.num_messages
    with console.status("Building quotient graphs of the polymers …"):
        build(smiles, depth, cache=plan.cache)
    viewer = JsonView if conduct.log_format == "json" else TrainingView
    with viewer(console) as view:
        attendants: list[Attendant] = []
        if conduct.checkpoints is not None:
            keeper = Keeper(plan, groups_of(plan), conduct.checkpoints, conduct.every_s)
            attendants.append(keeper)
        with onlookers(plan, conduct) as looking:

            def on_event(event: Event) -> None:
                view(event)
                for each in looking:
                    each.hear(event)

            return train(plan, on_event, workers, [*attendants, *looking])


def champion_for(plan: Plan, registry: Registry, folder: Path) -> Champion | None:
    """Return the current release on the folds of the candidate in ``folder``, if there is one."""
    current = registry.current()
    if current is None or not (folder / stages.PREDICTIONS).is_file():
        return None
    frame = plan.frame()
    predictions = pd.read_parquet(folder / stages.PREDICTIONS)
    return reigning(registry, current.tag, frame, plan.folds(frame), predictions, plan.data_hash)


def run(
    data: Path,
    params: str | Path,
    gates_path: Path,
    registry: Registry,
    *,
    work: Path,
    console: Console,
    overrides: Sequence[str] = (),
    publish: bool = False,
    version: str | None = None,
    workers: int | None = None,
    conduct: Conduct = PLAIN,
) -> Outcome:
    """Walk the road; whatever is done already is not done again.

    Raises
    ------
    CheckFailed, PolyIDError
        If an input is faulty.
    trainer.training.run.Interrupted
        If it was asked to stop.
    """
    plan = make_plan(data, params, work, overrides)
    gates = load_gates(gates_path)
    console.print(
        f"Run [bold]{plan.fingerprint}[/]: recipe {plan.params.recipe}, {plan.data}, "
        f"{plan.params.folds.count} {plan.params.folds.split} folds, registry {registry}",
        highlight=False,
        soft_wrap=True,
    )
    known = registry.has_candidate(plan.fingerprint)
    if known:
        console.print("This candidate is in the registry already: nothing is trained.")
        require_floors(gates, plan.properties)
    else:
        registry.require_writable()
        check(plan, gates, console)
        train_plan(plan, console, workers, conduct)
        evaluate_plan(plan, console, workers, conduct)
    if judge_and_store(plan, gates, registry) is None:
        _forget(plan, console, conduct)
    return _finish(plan, registry, publish, version, trained=not known)


def _forget(plan: Plan, console: Console, conduct: Conduct) -> None:
    """Remove the checkpoints of a run whose candidate is stored, and of its twin."""
    twin = _twin(plan)
    for each in [plan] if twin is None else [plan, twin]:
        if (why := forget(each, conduct)) is not None:
            console.print(f"[yellow]Warning:[/] {escape(why)}", highlight=False, soft_wrap=True)


def _twin(plan: Plan) -> Plan | None:
    """Return the same recipe on the split that ``folds.also`` names."""
    other = plan.params.folds.also
    if other is None:
        return None
    folds = plan.params.folds.model_copy(update={"split": other, "also": None})
    return make_plan(plan.data, plan.params.model_copy(update={"folds": folds}), plan.work)


def evaluate_plan(
    plan: Plan, console: Console, workers: int | None = None, conduct: Conduct = PLAIN
) -> dict[str, Any]:
    """Score a trained run, and its twin on the other split if the recipe names one."""
    groups = groups_of(plan)
    metrics = stages.evaluate_run(plan, groups, console.print)
    twin = _twin(plan)
    if twin is not None:
        console.print(f"The same recipe on {twin.params.folds.split} folds, for the report:")
        train_plan(twin, console, workers, conduct)
        stages.write_json(
            plan.folder / _OTHER, stages.evaluate_run(twin, groups_of(twin), console.print)
        )
    return metrics


def gate_plan(
    plan: Plan, gates_path: Path, registry: Registry, candidate: str | None = None
) -> Outcome:
    """Judge a run that was evaluated, or a stored candidate, against today's release.

    Raises
    ------
    PolyIDError
        If ``candidate`` was made from other data, another recipe or other code.
    """
    if candidate is not None:
        stored = registry.candidate(candidate).fingerprint
        if stored != plan.fingerprint:
            raise PolyIDError(
                f"candidate {stored} is not what --data, --params and this code make "
                f"({plan.fingerprint}). Give its data file and recipe, at its git commit (see "
                f"`trainer show candidate/{stored} --registry {registry}`)."
            )
    verdict = judge_and_store(plan, load_gates(gates_path), registry)
    if verdict is not None:
        report = plan.candidate / _REPORT
        gate, place = verdict.as_json(), str(plan.candidate)
        return Outcome(plan.fingerprint, place, report, {}, gate, None, trained=False)
    return _finish(plan, registry, publish=False, version=None, trained=False)


def judge_and_store(plan: Plan, gates: Gates, registry: Registry) -> Verdict | None:
    """Judge the run and store it; a stored one gets a new verdict if its own is out of date.

    Returns the verdict if it could not be stored, because there was nothing to judge.
    """
    other = plan.folder / _OTHER
    split = _read(other) if other.is_file() else None
    if not registry.has_candidate(plan.fingerprint):
        champion = champion_for(plan, registry, plan.candidate)
        verdict = stages.judge_run(plan, gates, champion, split)
        if stages.unjudged(plan.candidate):
            return verdict
        registry.add_candidate(plan.candidate, plan.fingerprint)
        return None
    if not _verdict_is_stale(registry, plan.fingerprint, gates):
        return None
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "candidate"
        shutil.copytree(registry.folder(f"candidate/{plan.fingerprint}"), copy)
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        (copy / "checksums.json").unlink(missing_ok=True)
        stages.judge_run(plan, gates, champion_for(plan, registry, copy), split, copy)
        registry.regate(plan.fingerprint, copy)
    return None


def _verdict_is_stale(registry: Registry, fingerprint: str, gates: Gates) -> bool:
    """Say whether a candidate was judged by another gate or against another release."""
    current = registry.current()
    gate = registry.candidate(fingerprint).gate or {}
    if gate.get("gates") != stages.gates_hash(gates):
        return True
    if current is None or current.fingerprint == fingerprint:
        return False
    return (gate.get("champion") or {}).get("revision") != current.tag


def _finish(
    plan: Plan, registry: Registry, publish: bool, version: str | None, trained: bool
) -> Outcome:
    candidate = registry.candidate(plan.fingerprint)
    gate = candidate.gate or {"verdict": "not judged", "reasons": []}
    made, review = f"candidate/{plan.fingerprint}", f"review/{plan.fingerprint}"
    metrics = _read(registry.folder(made, [stages.METRICS]) / stages.METRICS)
    release = None
    if publish and gate["verdict"] == "pass":
        release = registry.publish(plan.fingerprint, version=version)
    report = registry.folder(review, [_REPORT]) / _REPORT
    if not report.is_file():
        report = registry.folder(made, [_REPORT]) / _REPORT
    return Outcome(plan.fingerprint, candidate.address, report, metrics, gate, release, trained)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
