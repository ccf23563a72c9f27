"""Candidates to review, with real scores, verdicts and plots of made-up predictions."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evaluation_kit import RHO, TG, champion, gates, metrics, predictions
from registry_kit import Run, write_json

from trainer.changes import ParamChange, row_changes
from trainer.gate import judge
from trainer.plot_files import plots_of, write_plots
from trainer.registry import Registry
from trainer.review.data import Change

HISTORY = pd.DataFrame(
    {
        "member": np.repeat([0, 1], 30),
        "epoch": [*range(1, 31)] * 2,
        "loss": np.tile(np.geomspace(1.0, 0.02, 30), 2),
        "val_loss": np.tile(np.geomspace(1.1, 0.2, 30), 2),
        "learning_rate": 1e-3,
        "seconds": 1.0,
    }
)
#: Predictions that get each verdict, and the champion's.
TABLES = {
    "pass": (lambda: predictions(1), lambda: predictions(3, error=0.25)),
    "fail": (lambda: predictions(1, error=0.5), lambda: predictions(3)),
    "inconclusive": (lambda: _one_bad_fold(), lambda: predictions(0, error=0.1)),
}


def _one_bad_fold() -> pd.DataFrame:
    table = predictions(0, error=0.1)
    table.loc[(table["fold"] == 2) & (table["property"] == TG), "y_pred"] += 60.0
    return table


@dataclass(frozen=True)
class Made:
    """A candidate."""

    fingerprint: str
    table: pd.DataFrame
    gate: dict[str, Any]


def stored(
    registry: Registry, folder: Path, verdict: str, first: bool = False, plots: bool = True,
    **changes: Any,
) -> Made:  # fmt: skip
    """Make a candidate with a verdict, beside the champion v1.0.0 unless it is the ``first``."""
    ours, theirs = (make() for make in TABLES[verdict])
    scored = metrics(ours)
    rival = None if first else champion(theirs)
    judged = judge(scored, gates(**changes), [TG, RHO], predictions=ours, champion=rival)
    assert judged.verdict == verdict
    run = Run(folder, data=verdict, verdict=judged.verdict).write()
    write_json(folder / "metrics.json", scored | {"fingerprint": run.fingerprint})
    write_json(folder / "gate.json", judged.as_json())
    if plots:
        write_plots(folder, plots_of(scored, ours, HISTORY))
    registry.add_candidate(folder, run.fingerprint)
    return Made(run.fingerprint, ours, json.loads((folder / "gate.json").read_text()))


def a_change(table: pd.DataFrame) -> Change:
    """Change labels of ``table``: many came, a few went, one was relabelled, with a nasty name."""
    old = table.iloc[40:].copy()
    old.iloc[3, old.columns.get_loc("y_true")] += 12.0
    extra = old.head(2).assign(smiles_polymer="C#N@someone", y_true=1.0, group="[C@@H](C)|N.O")
    return Change(
        base="b" * 40,
        rows=row_changes(table, pd.concat([old, extra])),
        params=[ParamChange("training.epochs", "60", "90")],
        gates=[ParamChange("floors.Density.max_mae", "0.05", "0.06")],
    )
