"""Quotient graphs from the cache are those that were made, or are made again."""

from pathlib import Path

import numpy as np
import pytest

from polyid.quotient import Quotient
from polyid.structures import Structures, build

SMILES = ["CC(C)CC(C)C", "OCC(=O)OCC(=O)O", "NCCCCCC(=O)NCCCCCC(=O)O", "CC(C)CC(C)C"]


def assert_equal(one: Structures, other: Structures) -> None:
    assert one.vocabulary == other.vocabulary
    assert len(one.quotients) == len(other.quotients)
    for a, b in zip(one.quotients, other.quotients, strict=True):
        assert len(a.blocks) == len(b.blocks)
        for name in set(Quotient._fields) - {"blocks"}:
            left, right = getattr(a, name), getattr(b, name)
            np.testing.assert_array_equal(left, right, err_msg=name)
            assert left.dtype == right.dtype, name
        for left, right in zip(a.blocks, b.blocks, strict=True):
            for name in left._fields:
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@pytest.fixture
def made() -> Structures:
    return build(SMILES, 3)


def test_round_trip(made: Structures, tmp_path: Path) -> None:
    assert_equal(build(SMILES, 3, cache=tmp_path), made)
    told: list[tuple[int, int]] = []
    again = build(SMILES, 3, cache=tmp_path, progress=lambda i, n: told.append((i, n)))
    assert_equal(again, made)
    assert told == []  # nothing was made again
    assert len(list(tmp_path.iterdir())) == 1


def test_progress_counts_distinct_polymers() -> None:
    told: list[tuple[int, int]] = []
    build(SMILES, 1, progress=lambda i, n: told.append((i, n)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_file_cut_short_is_made_again(made: Structures, tmp_path: Path, keep: float) -> None:
    build(SMILES, 3, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else int(keep)])
    assert_equal(build(SMILES, 3, cache=tmp_path), made)
    assert path.read_bytes() == whole


def test_a_flipped_byte_is_noticed(made: Structures, tmp_path: Path) -> None:
    build(SMILES, 3, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 40):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0xFF
        path.write_bytes(bytes(spoilt))
        assert_equal(build(SMILES, 3, cache=tmp_path), made)


def test_another_file_under_its_name(made: Structures, tmp_path: Path) -> None:
    build(SMILES, 3, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    np.savez(path, other=np.zeros(3))
    assert_equal(build(SMILES, 3, cache=tmp_path), made)


def test_other_polymers_depth_or_vocabulary_have_other_files(tmp_path: Path) -> None:
    made = build(SMILES, 2, cache=tmp_path)
    build(SMILES[:2], 2, cache=tmp_path)
    build(SMILES, 3, cache=tmp_path)
    build(SMILES[1:2], 2, made.vocabulary, cache=tmp_path)
    build(SMILES[1:2], 2, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_no_pickle(tmp_path: Path) -> None:
    build(SMILES, 3, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path, allow_pickle=False) as data:
        assert all(data[name].dtype != object for name in data.files)
