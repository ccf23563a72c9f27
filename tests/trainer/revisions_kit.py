"""Two releases, a candidate that failed and one that was never judged, without training."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from evaluation_kit import RHO, TG, predictions
from registry_kit import Run, write_json
from rich.console import Console

from polyid.properties import PROPERTIES
from trainer.record import write_record
from trainer.registry import Registry

UNITS = {name: PROPERTIES[name].unit for name in (TG, RHO)}
#: What a candidate that nobody judged and nobody described still has.
BARE = "0123456789abcdef"


@dataclass
class Labelled(Run):
    """A run with predictions, and whose record can be given other content."""

    units: dict[str, str] = field(default_factory=lambda: dict(UNITS))
    table: pd.DataFrame = field(default_factory=predictions)
    recorded: dict[str, Any] = field(default_factory=dict)

    def write(self) -> "Labelled":
        super().write()
        self.table.to_parquet(self.folder / "predictions.parquet", index=False)
        record = self.record()
        changes = {
            key: getattr(record, key).model_copy(update=value)
            if key in ("data", "code", "folds", "hardware")
            else value
            for key, value in self.recorded.items()
        }
        write_record(record.model_copy(update=changes), self.folder)
        return self


def first(folder: Path) -> Labelled:
    """Make the run that becomes v1.0.0."""
    return Labelled(folder / "run-1").write()


def second(folder: Path) -> Labelled:
    """Make the run that becomes v1.1.0: rows came, went and changed; another learning rate."""
    old = predictions()
    is_tg = old["property"] == TG
    new = old.drop(index=[0, 1])  # two labels of Tg went
    new.loc[2, "y_true"] += 5.5  # one changed
    new.loc[3, "mechanism"] = "imide"  # one was made in another way
    extra = old.loc[is_tg].tail(1).assign(smiles_polymer="C[nH]C", sample="new", row=150)
    run = Labelled(
        folder / "run-2",
        data="more data",
        params="other params",
        champion="v1.0.0",
        weights=b"other" * 9000,
        table=pd.concat([new, extra], ignore_index=True),
        recorded={
            "params": {"model": {"name": "global100"}, "training": {"learning_rate": 0.01}},
            "data": {"rows": 119, "md5": "12" * 16},
            "code": {"commit": "cd" * 20, "image": "ghcr.io/us/train@sha256:" + "0" * 64},
            "packages": {"numpy": "2.5.0", "nfp": None},
        },
    ).write()
    scores = run.metrics()
    scores["properties"][TG]["model"]["mae"] = 21.4
    scores["properties"][TG]["n"] = 99
    write_json(run.folder / "metrics.json", scores)
    return run


def failed(folder: Path) -> Labelled:
    """Make a run that failed, outside git, with a part of the properties."""
    units = {TG: UNITS[TG]}
    table = predictions()
    return Labelled(
        folder / "run-3",
        code="other code",
        verdict="fail",
        champion="v1.1.0",
        units=units,
        table=table[table["property"] == TG],
        recorded={"code": {"commit": None, "dirty": None}},
    ).write()


def fill(registry: Registry, folder: Path) -> dict[str, Labelled]:
    """Put v1.0.0, v1.1.0 and a failed candidate into a registry."""
    runs = {"v1.0.0": first(folder), "v1.1.0": second(folder)}
    for run in runs.values():
        registry.add_candidate(run.folder, run.fingerprint)
        registry.publish(run.fingerprint)
    runs["failed"] = failed(folder)
    registry.add_candidate(runs["failed"].folder, runs["failed"].fingerprint)
    return runs


def add_bare(registry: Registry, folder: Path) -> None:
    """Store a candidate that has neither record nor metrics nor verdict."""
    (folder / "bare").mkdir()
    (folder / "bare" / "parameters.json").write_text(json.dumps({"members": 1}))
    registry.add_candidate(folder / "bare", BARE)


def printed(render: Callable[[Console], None], width: int = 100) -> str:
    """Return what a view prints."""
    console = Console(width=width, record=True, file=io.StringIO())
    render(console)
    return console.export_text()


def on_one_line(text: str) -> str:
    """Put text together that a table may have broken."""
    return " ".join(text.split())
