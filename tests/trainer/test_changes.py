"""Labels that came, went or changed, one by one (counts and parameters: see test_report)."""

import pandas as pd
import pytest
from evaluation_kit import RHO, TG, predictions

from trainer.changes import RowChange, label_changes, row_changes


@pytest.fixture
def old() -> pd.DataFrame:
    return predictions()


def test_the_same_in_another_order_is_no_change(old: pd.DataFrame) -> None:
    shuffled = old.sample(frac=1, random_state=1).assign(sample="x", row=7)
    assert row_changes(shuffled, old) == []
    noise = old.assign(y_true=old["y_true"] * (1 + 1e-9))
    assert row_changes(noise, old) == []
    assert len(row_changes(old.assign(y_true=old["y_true"] + 1e-3), old)) == len(old)


def test_each_kind_says_what_and_where(old: pd.DataFrame) -> None:
    new = old.drop(index=4)
    new.loc[6, "y_true"] = 12.5
    new.loc[8, "mechanism"] = "imide"
    extra = old.loc[[9]].assign(smiles_polymer="CO", group="gx", sample="sx", row=200, y_true=1.0)
    found = row_changes(pd.concat([new, extra]), old)
    assert [c.kind for c in found] == ["came", "went", "changed", "changed"]
    came, went, value, mechanism = found
    assert came == RowChange(
        kind="came", property=TG, mechanism="amide", monomers="gx", smiles="CO", old=None, new=1.0,
        old_mechanism=None, old_sample=None, new_sample="sx", old_line=None, new_line=202,
    )  # fmt: skip
    assert (went.old, went.new) == (old.loc[4, "y_true"], None)
    assert (went.old_sample, went.old_line, went.smiles) == ("s4", 6, "C" * 5)
    assert (value.old, value.new, value.old_mechanism) == (old.loc[6, "y_true"], 12.5, None)
    assert (mechanism.old_mechanism, mechanism.mechanism) == ("ester", "imide")
    assert mechanism.old == mechanism.new
    assert [tuple(c) for c in label_changes(pd.concat([new, extra]), old)] == [(TG, 1, 1, 2)]


def test_several_labels_of_one_chain(old: pd.DataFrame) -> None:
    """Equal labels are matched first; the rest in the order of their values."""
    rows = old.loc[old["property"] == RHO].head(4).assign(smiles_polymer="CC", mechanism="ester")
    before = rows.assign(y_true=[1.0, 2.0, 3.0, 4.0])
    after = rows.assign(y_true=[2.0, 4.0, 1.1, 5.0])
    found = row_changes(after, before)
    assert [(c.kind, c.old, c.new) for c in found] == [("changed", 1.0, 1.1), ("changed", 3.0, 5.0)]
    found = row_changes(after.head(3), before)
    assert [(c.kind, c.old, c.new) for c in found] == [
        ("went", 3.0, None),
        ("changed", 1.0, 1.1),
    ]


def test_properties_in_order_and_no_label_is_no_row(old: pd.DataFrame) -> None:
    found = row_changes(old, old.head(0))
    assert [c.property for c in found] == [TG] * 150 + [RHO] * 150
    assert {c.kind for c in found} == {"came"}
    assert row_changes(old.assign(y_true=float("nan")), old.head(0)) == []


def test_columns_that_older_files_lack(old: pd.DataFrame) -> None:
    bare = old[["property", "smiles_polymer", "y_true"]]
    (change,) = row_changes(bare, bare.iloc[1:])
    assert (change.kind, change.mechanism, change.new_line) == ("came", "", None)
