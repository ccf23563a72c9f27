"""The order of data: a pure function of seed, member and step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyid.engine.order import DataOrder, steps_per_bucket
from polyid.errors import PolyIDError

#: Three members, two buckets: rows of each bucket's table.
POOLS = [
    [np.array([0, 2, 4, 6, 8]), np.array([1, 3, 5])],
    [np.array([0, 1, 2, 3]), np.array([0, 2, 4, 6, 7, 8, 9])],
    [np.array([5, 6, 7]), np.array([1])],
]
STEPS = steps_per_bucket(POOLS, 2)


def order(seed: int = 3, names: tuple[int, ...] = (0, 1, 2)) -> DataOrder:
    return DataOrder([POOLS[n] for n in names], 2, seed, list(names), STEPS)


def walk(one: DataOrder, steps: range) -> list[tuple[int, list]]:
    return [(batch.bucket, batch.rows.tolist()) for batch in map(one.batch, steps)]


def test_steps_cover_the_largest_pool() -> None:
    assert STEPS == [3, 4]
    assert order().steps_per_epoch == 7


@given(steps=st.lists(st.integers(0, 400), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_whatever_was_asked_before(steps: list[int], seed: int) -> None:
    one = order(seed)
    for step in steps:
        (expected,) = walk(order(seed), range(step, step + 1))
        assert walk(one, range(step, step + 1)) == [expected]


def test_every_pool_is_shown_once_per_lap() -> None:
    """Laps of a stream do not care about epochs: a short pool begins anew in the middle."""
    one = order()
    streams: dict[tuple[int, int], list[int]] = {}
    for step in range(21 * one.steps_per_epoch):
        bucket, rows = one.batch(step)
        for member, row in enumerate(rows):
            streams.setdefault((member, bucket), []).extend(row.tolist())
    for (member, bucket), stream in streams.items():
        pool = POOLS[member][bucket]
        laps = [stream[i : i + len(pool)] for i in range(0, len(stream), len(pool))]
        whole = [lap for lap in laps if len(lap) == len(pool)]
        assert whole
        assert all(sorted(lap) == pool.tolist() for lap in whole)
        if len(pool) > 2:
            assert len({tuple(lap) for lap in whole}) > 1  # shuffled anew


def test_every_epoch_takes_each_bucket_as_often_as_said() -> None:
    one = order()
    for epoch in range(5):
        first = epoch * one.steps_per_epoch
        buckets = [one.batch(first + i).bucket for i in range(one.steps_per_epoch)]
        assert np.bincount(buckets).tolist() == STEPS


@pytest.mark.parametrize("names", [(1,), (2, 1), (0, 1), (1, 2, 0)])
def test_a_member_walks_the_same_path_alone_and_beside_others(names: tuple[int, ...]) -> None:
    place = names.index(1)
    alone, beside = order(names=(1,)), order(names=names)
    for step in range(30):
        ours, theirs = alone.batch(step), beside.batch(step)
        assert ours.bucket == theirs.bucket
        assert ours.rows[0].tolist() == theirs.rows[place].tolist()


def test_seeds_and_members_differ() -> None:
    assert walk(order(1), range(20)) != walk(order(2), range(20))
    twins = DataOrder([POOLS[0], POOLS[0]], 2, 3, [0, 1], STEPS)
    assert any((b.rows[0] != b.rows[1]).any() for b in map(twins.batch, range(20)))


def test_an_empty_pool_is_named() -> None:
    pools = [POOLS[0], [np.array([1]), np.array([], dtype=int)]]
    with pytest.raises(PolyIDError, match=r"member 1 has no training polymer in size bucket 1"):
        steps_per_bucket(pools, 2)
