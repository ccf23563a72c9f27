"""The stages of a run after training: predictions, metrics, verdict, report, candidate folder."""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyid.domain import Domain
from polyid.engine.weights import unflatten
from polyid.fingerprints import similarity_matrix
from polyid.folds import Folds
from polyid.intervals import Intervals, cross_coverage
from polyid.modelfiles import MemberFiles, save_member
from polyid.reference import write_reference
from polyid.scaling import Scaler
from polyid.structures import build
from trainer.baselines import fit_baselines
from trainer.card import write_card
from trainer.champion import Champion
from trainer.costs.foreseen import recorded
from trainer.evaluate import evaluate
from trainer.fingerprint import params_hash
from trainer.gate import Verdict, judge_folder
from trainer.gates_config import Gates
from trainer.plan import Plan
from trainer.plot_files import plots_of, write_plots
from trainer.provenance import dvc_md5, git_state, hardware, image_digest, package_versions
from trainer.record import (
    RECORD,
    CodeRecord,
    DataRecord,
    FoldsRecord,
    Record,
    read_record,
    write_record,
)
from trainer.report import write_report
from trainer.training.checkpoint import Arrays, CheckpointError
from trainer.training.groups import Group
from trainer.training.status import read_status

METRICS, PREDICTIONS, HISTORY = "metrics.json", "predictions.parquet", "history.csv"
FOLDS, INTERVALS, DOMAIN, GATE = "folds.json", "intervals.json", "domain.json", "gate.json"

Say = Callable[[str], None]


def evaluate_run(plan: Plan, groups: list[Group], say: Say) -> dict[str, Any]:
    """Make the candidate folder of a trained run, all but the verdict; return its metrics.

    Raises
    ------
    CheckpointError
        If a member's result is missing or damaged.
    """
    frame = plan.frame()
    folds = plan.folds(frame)
    results = [_result(plan, group) for group in groups]
    out = plan.candidate
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    _save_model(plan, frame, folds, groups, results, out)
    history = _history(groups, results)
    history.to_csv(out / HISTORY, index=False)
    folds.save(out / FOLDS)

    say("Comparing with the training polymers of each fold …")
    predicted = _out_of_fold(plan, frame, folds, results)
    say("Fitting the baselines on the same folds (mean, Gaussian process) …")
    baselines = fit_baselines(frame, folds.of(frame), plan.properties, cache=plan.cache)
    table = baselines.merge(predicted, on=["sample", "property"], how="left", validate="1:1")
    first = frame.drop_duplicates("sample").set_index("sample")
    table["mechanism"] = table["sample"].map(first["mechanism"])
    table["smiles_polymer"] = table["sample"].map(first["smiles_polymer"])
    level = plan.params.intervals.level
    table = cross_coverage(table, level)
    Intervals.fit(table, level).save(out / INTERVALS)
    table.to_parquet(out / PREDICTIONS, index=False)
    metrics = evaluate(
        table,
        split=folds.split,
        folds_hash=folds.hash,
        data_hash=plan.data_hash,
        fingerprint=plan.fingerprint,
        level=level,
    )
    write_json(out / METRICS, metrics)
    write_plots(out, plots_of(metrics, table, history))
    Domain.fit(frame, plan.params.domain.radius, plan.properties).save(out / DOMAIN)
    write_reference(out, frame)
    return metrics


def judge_run(
    plan: Plan,
    gates: Gates,
    champion: Champion | None,
    other_split: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Verdict:
    """Judge the candidate folder, and write ``gate.json``, ``record.yaml``, card and report.

    Without metrics or predictions the verdict is ``fail``, and nothing is written.

    ``folder`` is the candidate's, the run's own by default; a verdict on a stored candidate is
    given on a copy of it.
    """
    out = folder or plan.candidate
    verdict = judge_folder(out, gates, plan.properties, champion)
    if unjudged(out):
        return verdict
    write_json(out / GATE, verdict.as_json() | {"gates": gates_hash(gates)})
    record = _record(plan, verdict, out)
    write_record(record, out)
    write_card(out)
    write_report(
        out,
        metrics=json.loads((out / METRICS).read_text(encoding="utf-8")),
        gate=verdict.as_json(),
        predictions=pd.read_parquet(out / PREDICTIONS),
        history=pd.read_csv(out / HISTORY),
        params=plan.params.plain(),
        record=record.model_dump(mode="json"),
        champion=champion,
        other_split=other_split,
    )
    return verdict


def unjudged(folder: Path) -> bool:
    """Say whether a folder lacks what a verdict rests on; it is no candidate then."""
    return not (folder / METRICS).is_file() or not (folder / PREDICTIONS).is_file()


def gates_hash(gates: Gates) -> str:
    """SHA-256 of the gate's settings: another gate, another verdict."""
    return params_hash(gates.model_dump(mode="json"))


def _result(plan: Plan, group: Group) -> Arrays:
    found = group.read(plan.folder)
    if found is None:
        raise CheckpointError(
            f"{group.result(plan.folder)} is missing or damaged: the run is not finished. "
            "Run `trainer train` again: it trains what is missing."
        )
    return found


def _save_model(
    plan: Plan,
    frame: pd.DataFrame,
    folds: Folds,
    groups: list[Group],
    results: list[Arrays],
    out: Path,
) -> None:
    """Write parameters and members."""
    parameters = plan.model_parameters()
    smiles = list(frame["smiles_polymer"])
    vocabulary = build(smiles, parameters.num_messages, cache=plan.cache).vocabulary
    architecture = parameters.architecture(vocabulary)
    parameters.save(out)
    for group, result in zip(groups, results, strict=True):
        for place, member in enumerate(group.members):
            weights = unflatten(architecture, result["weights"][place])
            save_member(
                out, member, MemberFiles(weights, vocabulary, _scaler(result, member, plan))
            )


def _scaler(result: Arrays, member: int, plan: Plan) -> Scaler:
    return Scaler(tuple(plan.properties), result[f"center_{member}"], result[f"scale_{member}"])


def _history(groups: list[Group], results: list[Arrays]) -> pd.DataFrame:
    parts = []
    for group, result in zip(groups, results, strict=True):
        history, count = result["history"], len(group.members)
        for place, member in enumerate(group.members):
            parts.append(
                pd.DataFrame(
                    {
                        "member": member,
                        "epoch": history[:, 0].astype(int),
                        "loss": history[:, 3 + place],
                        "val_loss": history[:, 3 + count + place],
                        "learning_rate": history[:, 1],
                        "seconds": history[:, 2],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _out_of_fold(
    plan: Plan, frame: pd.DataFrame, folds: Folds, results: list[Arrays]
) -> pd.DataFrame:
    """Each sample predicted by the member that never saw it: long, mean over replicates."""
    values = np.full((len(frame), len(plan.properties)), np.nan)
    for result in results:
        for key, rows in result.items():
            if key.startswith("rows_"):
                values[rows] = result[f"predicted_{key.removeprefix('rows_')}"]
    table = pd.DataFrame(values, columns=plan.properties)
    table["sample"] = frame["sample"].to_numpy()
    table["similarity"] = _nearest_in_training(plan, frame, folds)
    mean = table.groupby("sample", sort=False).mean().reset_index()
    long = mean.melt(["sample", "similarity"], var_name="property", value_name="y_pred")
    long["spread"] = np.nan
    return long


def _nearest_in_training(plan: Plan, frame: pd.DataFrame, folds: Folds) -> np.ndarray:
    """Similarity of each row to the nearest polymer that its member was trained on, ``(n,)``."""
    distinct = frame["smiles_polymer"].drop_duplicates()
    place = {s: i for i, s in enumerate(distinct)}
    index = frame["smiles_polymer"].map(place).to_numpy()
    likeness = similarity_matrix(list(distinct), list(distinct), plan.params.domain.radius)
    fold = folds.of(frame)
    found = np.empty(len(frame))
    for i in range(folds.count):
        trained = np.unique(index[fold != i])
        held = np.flatnonzero(fold == i)
        found[held] = likeness[np.ix_(index[held], trained)].max(axis=1)
    return found


def _record(plan: Plan, verdict: Verdict, out: Path) -> Record:
    status = read_status(plan.folder)
    if not status and (out / RECORD).is_file():
        # judged again where it was not trained: what it took stands in the record it came with
        return read_record(out).model_copy(update={"gate": verdict.verdict})
    frame, folds, params = plan.frame(), plan.folds(plan.frame()), plan.params
    commit, dirty = git_state(Path(__file__).parent)
    now = datetime.now(UTC).replace(microsecond=0)
    hours, estimate = float(status.get("seconds", 0.0)) / 3600, recorded(plan)
    billed = estimate is not None and estimate.usd_per_hour > 0
    return Record(
        fingerprint=plan.fingerprint,
        data=DataRecord(
            name=plan.data.name,
            hash=plan.data_hash,
            rows=len(frame),
            labels={p: int(frame[p].notna().sum()) for p in plan.properties},
            licence=params.data.licence,
            md5=dvc_md5(plan.data),
        ),
        code=CodeRecord(hash=plan.code_hash, commit=commit, dirty=dirty, image=image_digest()),
        params=params.plain(),
        params_hash=plan.params_hash,
        folds=FoldsRecord(
            hash=folds.hash,
            split=params.folds.split,
            count=folds.count,
            seed=folds.seed,
        ),
        seeds={"folds": folds.seed, "training": params.training.seed},
        packages=package_versions(),
        hardware=hardware(),
        hours=round(hours, 4),
        cost_usd=round(hours * estimate.usd_per_hour, 4) if estimate and billed else None,
        started=datetime.fromisoformat(status["started"]) if "started" in status else now,
        finished=now,
        gate=verdict.verdict,
        estimate=estimate,
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write in one step; a number that is not finite is an error."""
    part = path.with_suffix(".part")
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
