"""Dropout of whole classes, drawn from the distribution that their elements would give.

nfp's dropout masks every directed edge and feature on its own, before a mean over edges. For a
class of n equal edges the sum of n independent masks is Binomial(n, 1 - p) / (1 - p), so one draw
per class, feature and property has the very same distribution as n draws. A draw is one 32-bit
word, compared with thresholds of the distribution function (inversion): it differs from the exact
distribution by less than `TAIL` + columns · 2⁻³² in total variation. Classes come in the order of
falling size, so the few large ones are drawn apart, and most need few comparisons.

The words come from a counter, not from a state: a member's draws are a function of the run's seed,
the member's number and its step, so they are the same whoever trains beside it and after a resume.
The form matters too. XLA on a CPU draws anew in every place that uses a draw, and one by one where
a sum stands around it; so draws are stored as small integers, and their uses are written out per
property (one core, 16 polymers, 7 properties, 331 classes, 64 features, with gradient: 7 ms; as
one array from Keras's generator over a second).
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.stats import binom

#: Probability that a table leaves out; 1e-7 is float32's rounding.
TAIL = 1e-7

#: Threefry with 13 rounds is the shortest that its authors found no statistical test to fail.
_ROUNDS = 13
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


class Group(NamedTuple):
    """Neighbouring classes that are drawn alike."""

    start: int
    stop: int
    columns: int
    """Most drops that a class of them can have, but for `TAIL`."""


class Kept(NamedTuple):
    """What dropout leaves of the classes ``start`` … ``stop``."""

    start: int
    stop: int
    edges: list[Any]
    """Edges left over (1 - rate), whose mean is the class size: ``(F, B, stop - start, width)``
    per output."""


def columns(largest: NDArray[np.integer], rate: float) -> NDArray[np.int64]:
    """Most drops that classes of ``largest`` edges can have, but for a probability of `TAIL`."""
    return np.where(largest > 0, np.maximum(binom.isf(TAIL, largest, rate), 1), 0).astype(np.int64)


def groups(largest: NDArray[np.integer], rate: float, most: int = 3) -> list[Group]:
    """Cut classes into at most ``most`` groups that need the fewest comparisons.

    ``largest`` ``(n,)`` is the largest class at each place; it must not rise.
    """
    if (np.diff(largest) > 0).any():
        raise ValueError("classes are not in the order of falling size.")
    need = columns(largest, rate)
    steps = [0, *(np.flatnonzero(np.diff(need)) + 1).tolist()]

    def cost(cuts: tuple[int, ...]) -> int:
        ends = (*cuts[1:], len(need))
        return sum(int(need[i]) * (j - i) for i, j in zip(cuts, ends, strict=True))

    choices = [
        (0, *rest)
        for count in range(most)
        for rest in combinations(steps[1:], min(count, len(steps) - 1))
    ]
    best = min(choices, key=cost)
    ends = (*best[1:], len(need))
    return [Group(i, j, int(need[i])) for i, j in zip(best, ends, strict=True)]


def table(largest: int, rate: float, width: int) -> NDArray[np.int32]:
    """Thresholds of P(drops ≤ k) for classes of 0 … ``largest`` edges, ``(largest + 1, width)``.

    A uniform signed 32-bit word lies above a threshold with probability P(drops > k).
    """
    n = np.arange(largest + 1)[:, None]
    share = binom.cdf(np.arange(width)[None], n, rate)
    word = np.clip(np.round(share * 2.0**32) - 1.0, 0.0, 2.0**32 - 1.0)
    return (word - 2.0**31).astype(np.int32)


def threefry(
    key: tuple[Any, Any], counter: tuple[Any, Any], rounds: int = 20, ops: Any = ops
) -> tuple[Any, Any]:
    """Threefry-2x32: two random words from two words of key and two of counter.

    Arrays of unsigned 32-bit integers that broadcast, of the library ``ops``: ``keras.ops`` or
    NumPy. Salmon, Moraes, Dror and Shaw, "Parallel
    random numbers: as easy as 1, 2, 3", SC '11, doi 10.1145/2063384.2063405.
    """
    word = np.uint32 if ops is np else _word
    third = ops.bitwise_xor(ops.bitwise_xor(key[0], key[1]), word(PARITY))
    schedule = (key[0], key[1], third)
    a, b = counter[0] + key[0], counter[1] + key[1]
    for r in range(rounds):
        turn = _ROTATIONS[r // 4 % 2][r % 4]
        a = a + b
        b = ops.bitwise_or(ops.left_shift(b, word(turn)), ops.right_shift(b, word(32 - turn)))
        b = ops.bitwise_xor(a, b)
        if r % 4 == 3:
            nth = r // 4 + 1
            a = a + schedule[nth % 3]
            b = b + schedule[(nth + 1) % 3] + word(nth)
    return a, b


def keys(seed: int, state: Any) -> tuple[Any, Any]:
    """Key of each member's draws in one step: two arrays ``(F,)``.

    ``state`` ``(F, 2)`` holds each member's number and step; ``seed`` is the run's.
    """
    state = ops.cast(state, "uint32")
    low, high = _word(seed & 0xFFFFFFFF), _word(seed >> 32 & 0xFFFFFFFF)
    return threefry((low, high), (state[:, 0], state[:, 1]))


def kept(
    count: Any,
    outputs: int,
    width: int,
    rate: float,
    largest: NDArray[np.integer],
    key: tuple[Any, Any],
    dtype: str,
) -> list[Kept]:
    """Draw what dropout leaves of each class, for each output and feature.

    Parameters
    ----------
    count
        Class sizes ``(F, B, n)`` in falling order; 0 pads.
    outputs, width
        Number of properties and of features: each has masks of its own.
    rate
        Probability that an edge is dropped.
    largest
        Largest class of the data at each place, ``(n,)``.
    key
        From `keys`.
    dtype
        Of the result.
    """
    batch, classes = count.shape[1:]
    limits = table(int(largest[0]), rate, int(columns(largest[:1], rate)[0]))
    index = ops.arange(batch * classes * width, dtype="int32")
    index = ops.cast(ops.reshape(index, (1, batch, classes, width)), "uint32")
    first, second = (part[:, None, None, None] for part in key)
    parts = groups(largest, rate)

    def draw(pair: Any) -> list[Any]:
        """Draw the drops of two outputs, ``(F, B, n, width)`` each, for each group."""
        found = []
        for group in parts:
            rows = ops.convert_to_tensor(limits[:, : max(group.columns, 1)])
            rows = ops.take(rows, count[:, :, group.start : group.stop], axis=0)
            counter = (index[:, :, group.start : group.stop], ops.cast(pair, "uint32"))
            for word in threefry((first, second), counter, _ROUNDS):
                signed = ops.cast(word, "int32")
                drops = ops.cast(signed > rows[..., 0, None], "int32")
                for k in range(1, group.columns):
                    drops = drops + ops.cast(signed > rows[..., k, None], "int32")
                found.append(ops.cast(drops, "uint8" if group.columns < 256 else "int32"))
        return found

    drawn = _each(draw, -(-outputs // 2))
    found = []
    for nth, group in enumerate(parts):
        size = ops.cast(count[:, :, group.start : group.stop], dtype)[..., None]
        left = [
            ops.maximum(size - ops.cast(both[2 * nth + i], dtype), 0.0) * (1.0 / (1.0 - rate))
            for both in drawn
            for i in (0, 1)
        ]
        found.append(Kept(group.start, group.stop, left[:outputs]))
    return found


def _each(f: Callable[[Any], list[Any]], times: int) -> list[list[Any]]:
    """``f(0)`` … ``f(times - 1)``.

    In TensorFlow as a loop inside the program: what a loop gives is stored, so XLA draws once and
    not again in the backward pass, and compiles one draw. JAX is for GPUs, where a loop costs
    launches and a draw nothing.
    """
    if keras.backend.backend() != "tensorflow":
        return [f(i) for i in range(times)]
    drawn = ops.map(f, ops.arange(times, dtype="int32"))
    return [[part[i] for part in drawn] for i in range(times)]


def _word(value: int) -> Any:
    return ops.convert_to_tensor(np.uint32(value))
