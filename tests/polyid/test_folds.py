"""Folds hold whole monomer sets out, and say so by a hash."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyid.dataset import Columns, DataSpec, PropertyColumn, load_table
from polyid.errors import PolyIDError
from polyid.folds import Folds, make_folds

TABLE = DataSpec(properties={"Glass_Transition": PropertyColumn("Glass_Transition", "°C")})
STEREO = DataSpec(
    Columns(pm="pm", replicate="replicate_structure"),
    {"Glass_Transition": PropertyColumn("Tg", "°C")},
)


def frame(groups: list[int], mechanisms: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "group": [f"g{g}" for g in groups],
            "sample": [str(i) for i in range(len(groups))],
            "mechanism": mechanisms or ["ester"] * len(groups),
        }
    )


def assert_honest(folds: Folds, data: pd.DataFrame) -> None:
    """No monomer set stands on both sides of any fold, and every row is held out once."""
    fold = folds.of(data)
    assert set(fold) == set(range(folds.count))
    for i in range(folds.count):
        assert not set(data["group"][fold == i]) & set(data["group"][fold != i])


@pytest.fixture(scope="session")
def polymers(property_table: Path) -> pd.DataFrame:
    return load_table(property_table, TABLE)


@pytest.fixture(scope="session")
def stereo(stereo_table: Path) -> pd.DataFrame:
    return load_table(stereo_table, STEREO)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_no_monomer_set_on_both_sides_of_the_property_table(
    polymers: pd.DataFrame, count: int
) -> None:
    assert_honest(make_folds(polymers, count, "grouped", 7), polymers)


@pytest.mark.parametrize("count", [2, 4, 10])
def test_no_monomer_set_on_both_sides_of_the_stereo_set(stereo: pd.DataFrame, count: int) -> None:
    folds = make_folds(stereo, count, "grouped", 7)
    assert_honest(folds, stereo)
    # stereo marks do not make another monomer set: R, S and racemic chains stay together
    assert all("@" not in group for group in folds.assignment)


def test_the_test_of_honesty_can_fail(stereo: pd.DataFrame) -> None:
    with pytest.raises(AssertionError):
        assert_honest(make_folds(stereo, 4, "random", 7), stereo)


@settings(deadline=None, max_examples=150)
@given(
    groups=st.lists(st.integers(0, 11), min_size=1, max_size=50),
    mechanisms=st.lists(st.sampled_from(["ester", "amide", "vinyl"]), min_size=50, max_size=50),
    count=st.integers(2, 6),
    seed=st.integers(0, 9),
    split=st.sampled_from(["grouped", "random"]),
)
def test_any_table(
    groups: list[int], mechanisms: list[str], count: int, seed: int, split: str
) -> None:
    data = frame(groups, mechanisms[: len(groups)])
    if data["group" if split == "grouped" else "sample"].nunique() < count:
        with pytest.raises(PolyIDError, match=r"folds\.count is|nothing can be held out"):
            make_folds(data, count, split, seed)
        return
    folds = make_folds(data, count, split, seed)
    fold = folds.of(data)
    assert set(fold) == set(range(count))
    assert set(folds.assignment) == set(data[folds.key])
    if split == "grouped":
        assert_honest(folds, data)


def test_mechanisms_are_spread(polymers: pd.DataFrame) -> None:
    fold = make_folds(polymers, 5, "grouped", 7).of(polymers)
    shares = pd.crosstab(polymers["mechanism"], fold, normalize="index")
    for mechanism in ("imide", "amide", "ester", "vinyl"):
        assert shares.loc[mechanism].between(0.1, 0.3).all(), mechanism
    sizes = np.bincount(fold)
    assert sizes.max() < 1.2 * sizes.min()


def test_the_same_seed_gives_the_same_folds(polymers: pd.DataFrame) -> None:
    one, same, other = (make_folds(polymers, 5, "grouped", seed) for seed in (7, 7, 8))
    assert one == same
    assert one.hash == same.hash
    assert one.assignment != other.assignment
    assert one.hash != other.hash


def test_the_hash_changes_with_anything() -> None:
    folds = Folds("grouped", 2, 7, {"a": 0, "b": 1, "c": 0})
    others = [
        Folds("random", 2, 7, folds.assignment),
        Folds("grouped", 3, 7, folds.assignment),
        Folds("grouped", 2, 7, {"a": 0, "b": 1, "c": 1}),
        Folds("grouped", 2, 7, {"a": 0, "b": 1}),
        Folds("grouped", 2, 7, {"a": 0, "b": 1, "d": 0}),
    ]
    assert len({folds.hash, *(other.hash for other in others)}) == 6
    # neither the order of the rows nor the seed that led there makes other folds
    assert Folds("grouped", 2, 9, {"c": 0, "b": 1, "a": 0}).hash == folds.hash


def test_the_random_split_is_there_by_name(stereo: pd.DataFrame) -> None:
    folds = make_folds(stereo, 4, "random", 7)
    assert folds.key == "sample"
    fold = folds.of(stereo)
    # the two chains of one sample are never on both sides, but its monomers are
    assert stereo.groupby("sample").apply(lambda part: fold[part.index].std()).max() == 0
    assert stereo.assign(fold=fold).groupby("group")["fold"].nunique().max() > 1


def test_unknown_split() -> None:
    with pytest.raises(PolyIDError, match=r"'stratified'; expected one of \['grouped', 'random'\]"):
        make_folds(frame([1, 2, 3]), 2, "stratified")


@pytest.mark.parametrize(("split", "what"), [("grouped", "monomer sets"), ("random", "samples")])
def test_more_folds_than_groups(split: str, what: str) -> None:
    with pytest.raises(
        PolyIDError, match=f"folds.count is 5, but the data hold 3 {what}; .*2 to 3"
    ):
        make_folds(frame([1, 2, 3]), 5, split)


def test_one_group_only() -> None:
    with pytest.raises(PolyIDError, match="the data hold 1 monomer sets: nothing can be held out"):
        make_folds(frame([1, 1, 1, 1]), 2)


def test_one_fold_holds_nothing_out() -> None:
    with pytest.raises(PolyIDError, match=r"folds\.count is 1"):
        make_folds(frame([1, 2, 3]), 1)


def test_rows_the_folds_do_not_know() -> None:
    folds = Folds("grouped", 2, 7, {"g1": 0, "g2": 1})
    assert folds.of(frame([2, 5, 1])).tolist() == [1, -1, 0]


class TestFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        folds = make_folds(frame(list(range(9))), 3, seed=4)
        folds.save(tmp_path / "folds.json")
        assert Folds.load(tmp_path / "folds.json") == folds

    @pytest.mark.parametrize(
        "change",
        [{"assignment": {"a": 1, "b": 0}}, {"count": 3}, {"split": "random"}, {"hash": "0"}],
    )
    def test_tampered(self, tmp_path: Path, change: dict) -> None:
        path = tmp_path / "folds.json"
        Folds("grouped", 2, 7, {"a": 0, "b": 1}).save(path)
        content = json.loads(path.read_text()) | change
        path.write_text(json.dumps(content))
        with pytest.raises(PolyIDError, match="was changed"):
            Folds.load(path)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"split": "grouped"}'])
    def test_no_folds(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "folds.json").write_text(text)
        with pytest.raises(PolyIDError, match="holds no folds"):
            Folds.load(tmp_path / "folds.json")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(PolyIDError, match="holds no folds"):
            Folds.load(tmp_path / "folds.json")
