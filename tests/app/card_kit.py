"""The card of a small model: made by the pipeline's own code from out-of-fold predictions."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from trainer.card import CARD, render_card
from trainer.evaluate import evaluate
from trainer.plot_files import captions_in, plots_of, write_plots
from trainer.record import CodeRecord, DataRecord, FoldsRecord, HardwareRecord, Record

_SHA = "12" * 32


def add_card(
    folder: Path, predictions: pd.DataFrame, fingerprint: str, data_hash: str, commit: str
) -> None:
    """Write ``README.md`` and ``plots/``.

    Parameters
    ----------
    predictions
        Out-of-fold, with the columns ``sample, property, fold, mechanism, y_true, y_pred``.
    """
    mean = predictions.groupby("property")["y_true"].transform("mean")
    width = 1.7 * (predictions["y_pred"] - predictions["y_true"]).abs().groupby(
        predictions["property"]
    ).transform("mean")
    whole = predictions.assign(
        y_mean=mean,
        y_gp=(predictions["y_true"] + mean) / 2,
        low=predictions["y_pred"] - width,
        high=predictions["y_pred"] + width,
    )
    metrics = evaluate(
        whole, split="grouped", folds_hash=_SHA, data_hash=data_hash, fingerprint=fingerprint
    )
    write_plots(folder, plots_of(metrics, whole, None))
    time = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    labels = predictions["property"].value_counts().to_dict()
    record = Record(
        fingerprint=fingerprint,
        data=DataRecord(
            name="polymers.csv",
            hash=data_hash,
            rows=predictions["sample"].nunique(),
            labels={str(name): int(count) for name, count in labels.items()},
            licence="CC-BY-4.0",
        ),
        code=CodeRecord(hash=_SHA, commit=commit, dirty=False, image=None),
        params={"domain": {"radius": 2}},
        params_hash=_SHA,
        folds=FoldsRecord(hash=_SHA, split="grouped", count=3, seed=7),
        seeds={"member_0": 1},
        packages={"numpy": "2"},
        hardware=HardwareRecord(cpu="a processor", cores=2, memory_gb=8.0, gpus=[]),
        hours=0.25,
        cost_usd=None,
        started=time,
        finished=time,
        gate="pass",
    )
    text = render_card(record, metrics, plots=captions_in(folder, metrics))
    (folder / CARD).write_text(text, encoding="utf-8")
