"""Draws per class have the distribution of independent draws per edge, and each member its own."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from exactness_kit import Pair, batch, make_pair
from numpy.typing import NDArray
from scipy import stats

from polyid.engine.dropout import (
    TAIL,
    Group,
    Kept,
    columns,
    groups,
    kept,
    keys,
    table,
    threefry,
)
from polyid.engine.network import forward
from polyid.engine.packing import layout_for, pack

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")

#: Every statistical test rejects a right engine with this probability (seeds are fixed, so a test
#: that passes once passes always; the rate says how strict it is).
ERROR_RATE = 1e-4


def words(*values: int) -> tuple[tf.Tensor, ...]:
    return tuple(tf.constant([v], dtype=tf.uint32) for v in values)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # from the known answers that ship with Random123
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers(
    counter: tuple[int, int], key: tuple[int, int], expected: tuple[int, int]
) -> None:
    a, b = threefry(words(*key), words(*counter))
    assert (int(a[0]), int(b[0])) == expected


def joined(parts: list[Kept]) -> NDArray:
    """Groups of classes side by side, ``(outputs, members, batch, classes, width)``."""
    assert [p.start for p in parts[1:]] == [p.stop for p in parts[:-1]]
    return np.concatenate([np.stack(part.edges) for part in parts], axis=3)


def draw(
    sizes: list[int], rate: float, outputs: int = 2, width: int = 20_000, step: int = 0
) -> NDArray:
    """Number of dropped edges, ``(members, outputs, classes, width)``, of two members."""
    count = tf.constant([[sizes]] * 2, dtype=tf.int32)
    key = keys(11, tf.constant([[0, step], [1, step]]))
    left = joined(kept(count, outputs, width, rate, np.array(sizes), key, "float32"))
    drops = np.array(sizes)[:, None] - left[:, :, 0].swapaxes(0, 1) * (1 - rate)
    np.testing.assert_allclose(drops, np.round(drops), atol=1e-4)
    return np.round(drops).astype(int)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_drops_are_binomial(rate: float) -> None:
    sizes = [150, 36, 7, 2, 1, 0]
    drops = draw(sizes, rate)
    assert (drops[:, :, -1] == 0).all()
    for i, n in enumerate(sizes[:-1]):
        observed = drops[:, :, i].ravel()
        expected = stats.binom.pmf(np.arange(n + 1), n, rate) * observed.size
        found = np.bincount(observed, minlength=n + 1)
        often = expected >= 10
        kinds = [*found[often], found[~often].sum()], [*expected[often], expected[~often].sum()]
        seen, due = (np.array(x) for x in kinds)
        seen, due = (seen, due) if due[-1] >= 1 else (seen[:-1], due[:-1])
        p = stats.chi2.sf(((seen - due) ** 2 / due).sum(), len(due) - 1)
        assert p > ERROR_RATE, f"class of {n}: p = {p:.2e}"


def test_draws_are_independent() -> None:
    drops = draw([7, 7], 0.3)
    later = draw([7, 7], 0.3, step=1)
    series = [*drops.reshape(-1, drops.shape[-1]), *later.reshape(-1, later.shape[-1])]
    series.append(np.roll(series[0], 1))
    r = np.corrcoef(series)[np.triu_indices(len(series), 1)]
    limit = stats.norm.isf(ERROR_RATE / 2 / len(r)) / np.sqrt(drops.shape[-1])
    assert np.abs(r).max() < limit


def test_draws_are_a_function_of_seed_member_and_step_only() -> None:
    count = tf.constant([[[40, 3]]] * 2, dtype=tf.int32)

    def of(seed: int, state: list[list[int]]) -> NDArray:
        some = count[: len(state)]
        key = keys(seed, tf.constant(state))
        return joined(kept(some, 3, 64, 0.2, np.array([40, 3]), key, "float32"))

    both = of(5, [[4, 9], [2, 9]])
    np.testing.assert_array_equal(both[:, 1:], of(5, [[2, 9]]))
    np.testing.assert_array_equal(both, of(5, [[4, 9], [2, 9]]))
    for other in (of(6, [[4, 9], [2, 9]]), of(5, [[5, 9], [3, 9]]), of(5, [[4, 10], [2, 10]])):
        assert (other != both).mean() > 0.3


def test_the_table_leaves_out_what_it_says() -> None:
    for largest, rate in ((1, 0.05), (36, 0.05), (432, 0.05), (20, 0.5)):
        width = int(columns(np.array([largest]), rate)[0])
        limits = table(largest, rate, width).astype(float) + 2.0**31
        above = (2.0**32 - 1 - limits) / 2.0**32  # P(word > threshold)
        n, k = np.arange(largest + 1)[:, None], np.arange(limits.shape[1])[None]
        np.testing.assert_allclose(above, stats.binom.sf(k, n, rate), rtol=0, atol=2.0**-31)
        assert stats.binom.sf(width, largest, rate) <= TAIL


def test_groups_need_the_fewest_comparisons() -> None:
    sizes = np.repeat([432, 36, 18, 3, 1, 0], [3, 40, 90, 50, 100, 20])
    found = groups(sizes, 0.05)
    assert (found[0].start, found[-1].stop, len(found)) == (0, len(sizes), 3)
    need = columns(sizes, 0.05)
    assert all(need[g.start] == g.columns for g in found)
    cost = sum((g.stop - g.start) * g.columns for g in found)
    one, two = groups(sizes, 0.05, most=1), groups(sizes, 0.05, most=2)
    assert cost < sum((g.stop - g.start) * g.columns for g in two) < len(sizes) * one[0].columns
    assert cost < 0.2 * len(sizes) * one[0].columns
    assert groups(np.array([0]), 0.05) == [Group(0, 1, 0)]
    with pytest.raises(ValueError, match="falling"):
        groups(sizes[::-1], 0.05)


def moments_agree(ours: NDArray, theirs: NDArray) -> None:
    """Mean by Welch's test, variance by the Brown–Forsythe test, per property."""
    for a, b in zip(ours.T, theirs.T, strict=True):
        assert stats.ttest_ind(a, b, equal_var=False).pvalue > ERROR_RATE
        assert stats.levene(a, b, center="median").pvalue > ERROR_RATE


@pytest.fixture(scope="module")
def pair() -> Pair:
    rows = pd.DataFrame({"smiles_polymer": ["OC" + "COC" * 6 + "O"], "pm": [0.5]})
    return make_pair(rows, "global100", messages=2, dropout=0.2)


def sampled(pair: Pair, copies: int, rate: float) -> NDArray:
    """Outputs of the engine in training, ``(copies, properties)``."""
    layout = layout_for(pair.quotients)
    row = np.broadcast_to(pack(pair.quotients, layout), (1, copies, layout.width))
    return forward(
        pair.architecture._replace(dropout=rate),
        layout,
        tf.constant(pair.flat[None]),
        tf.constant(row),
        dropout_key=keys(3, tf.constant([[0, 0]])),
        largest_class=np.sort(pair.quotients[0].blocks[-1].edge_count)[::-1],
    ).numpy()[0]


def of_nfp(pair: Pair, copies: int) -> NDArray:
    return pair.model(
        [tf.repeat(x, copies, axis=0) for x in batch(pair, [0])], training=True
    ).numpy()


def test_outputs_are_distributed_as_with_masks_on_every_edge(pair: Pair) -> None:
    ours, theirs = sampled(pair, 3000, 0.2), of_nfp(pair, 3000)
    assert ours.std(axis=0).min() > 1e-3
    moments_agree(ours, theirs)
    # properties have masks of their own in both
    for found in (ours, theirs):
        r = np.corrcoef(found.T)[np.triu_indices(found.shape[1], 1)]
        assert np.abs(r).max() < stats.norm.isf(ERROR_RATE / 6) / np.sqrt(3000)


def test_the_test_notices_one_mask_per_class_or_another_rate(pair: Pair) -> None:
    theirs = of_nfp(pair, 3000)
    with pytest.raises(AssertionError):
        moments_agree(sampled(pair, 3000, 0.15), theirs)
    quotient = pair.quotients[0]
    last = quotient.blocks[-1]
    single = last._replace(edge_count=np.minimum(last.edge_count, 1))
    wrong = pair._replace(quotients=[quotient._replace(blocks=(*quotient.blocks[:-1], single))])
    with pytest.raises(AssertionError):
        moments_agree(sampled(wrong, 3000, 0.2), theirs)


@pytest.mark.parametrize("build", [tf.function, lambda f: tf.function(f, jit_compile=True)])
def test_compiled_draws_are_the_same_draws(build: Callable) -> None:
    count = tf.constant([[[40, 3, 0]]], dtype=tf.int32)

    def f(state: tf.Tensor) -> list[tf.Tensor]:
        left = kept(count, 3, 8, 0.1, np.array([40, 3, 0]), keys(5, state), "float32")
        return [tf.concat([part.edges[p] for part in left], axis=2) for p in range(3)]

    state = tf.constant([[2, 123_456]])
    np.testing.assert_array_equal(np.stack(build(f)(state)), np.stack(f(state)))
