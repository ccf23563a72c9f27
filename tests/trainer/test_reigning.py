"""The release is set beside a candidate on the candidate's own folds and data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from road_kit import TG, TM, Road

from polyid.folds import Folds, make_folds
from polyid.multimodel import MultiModel
from trainer.champion import Champion, why_not_comparable
from trainer.evaluate import evaluate
from trainer.plan import Plan, make_plan
from trainer.registry import LocalRegistry
from trainer.reigning import reigning

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plan(finished: Road) -> Plan:
    return make_plan(finished.data, finished.params, finished.work)


def predictions(frame: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Out-of-fold predictions of some candidate."""
    fold, parts = folds.of(frame), []
    for name in (TG, TM):
        part = frame[["sample", "group", "mechanism", "smiles_polymer", "row"]].assign(
            fold=fold, property=name, y_true=frame[name], y_pred=frame[name] + 5, spread=np.nan,
            similarity=0.5, y_mean=frame[name].mean(), y_gp=frame[name] - 3,
        )  # fmt: skip
        parts.append(part.dropna(subset="y_true"))
    return pd.concat(parts, ignore_index=True)


def compared(road: Road, frame: pd.DataFrame, folds: Folds, data_hash: str) -> tuple[Champion, str]:
    """Return the champion, and why it cannot be compared with the candidate."""
    table = predictions(frame, folds)
    metrics = evaluate(
        table, split=folds.split, folds_hash=folds.hash, data_hash=data_hash, fingerprint="0" * 16
    )
    champion = reigning(LocalRegistry(road.registry), "v1.0.0", frame, folds, table, data_hash)
    return champion, why_not_comparable(table, metrics, champion)


def test_the_same_folds_of_the_same_data(finished: Road, plan: Plan) -> None:
    frame = plan.frame()
    champion, why = compared(finished, frame, plan.folds(frame), plan.data_hash)
    assert why == ""
    stored = pd.read_parquet(finished.registry / "releases" / "v1.0.0" / "predictions.parquet")
    pd.testing.assert_frame_equal(champion.predictions, stored)
    assert champion.revision == "v1.0.0"
    assert champion.params is not None


def test_added_rows(finished: Road, plan: Plan) -> None:
    """What the release was trained on is predicted by the member that never saw it."""
    more = plan.frame()
    new = more.tail(3).assign(
        row=[48, 49, 50], sample=["48", "49", "50"], group=["new1", "new2", "new3"]
    )
    more = pd.concat([more, new], ignore_index=True)
    folds = make_folds(more, 3, "grouped", 5)
    champion, why = compared(finished, more, folds, "e" * 64)
    assert why == ""
    assert champion.metrics["data_hash"] == "e" * 64
    assert champion.metrics["properties"][TG]["n"] == more[TG].notna().sum()
    table = champion.predictions.set_index(["property", "sample"])
    assert table["y_pred"].notna().all()

    release = finished.registry / "releases" / "v1.0.0"
    stored = pd.read_parquet(release / "predictions.parquet").set_index(["property", "sample"])
    known = table.loc[stored.index]
    np.testing.assert_allclose(known["y_pred"], stored["y_pred"], rtol=1e-3, atol=0.1)
    # and not by a member that did see it
    old = Folds.load(release / "folds.json")
    values = MultiModel.load_models(release).predict_members(list(more["smiles_polymer"]))
    seen = values[1 - old.of(more)[:48], np.arange(48), 0]
    ours = known.loc[TG]["y_pred"].reindex(more["sample"][:48]).to_numpy()
    assert (np.abs(seen - ours) > 0.5).mean() > 0.9


def test_other_labels_of_the_same_polymers(finished: Road, plan: Plan) -> None:
    frame = plan.frame()
    frame[TG] += 10
    champion, why = compared(finished, frame, plan.folds(frame), "e" * 64)
    assert why == ""
    rows = champion.predictions[champion.predictions["property"] == TG].set_index("sample")
    np.testing.assert_array_equal(rows["y_true"], frame.set_index("sample")[TG].loc[rows.index])


def test_another_split_cannot_be_compared(finished: Road, plan: Plan) -> None:
    frame = plan.frame()
    _, why = compared(finished, frame, make_folds(frame, 2, "random", 7), plan.data_hash)
    assert "the folds differ" in why


def test_a_tampered_release_is_refused(walked: Road, plan: Plan) -> None:
    victim: Path = walked.registry / "releases" / "v1.0.0" / "predictions.parquet"
    victim.parent.chmod(0o755)
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content + b" ")
    frame = plan.frame()
    with pytest.raises(ValueError, match=r"predictions\.parquet"):
        compared(walked, frame, plan.folds(frame), plan.data_hash)
