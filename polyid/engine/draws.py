"""Dropout on a CPU: the draws of `polyid.engine.dropout`, bit for bit, and the means over them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.arithmetic import share_of_edges
from polyid.engine.batch import Sizes
from polyid.engine.dropout import PARITY, columns, groups, table, threefry
from polyid.engine.jit import inner, kernel


class Dropout:
    """What `polyid.engine.dropout.kept` draws for the polymers of one bucket.

    Parameters
    ----------
    largest
        Largest class of the data at each place of a bucket's rows, ``(n,)``, falling.
    outputs, width, rate
        As for `polyid.engine.dropout.kept`.
    seed
        Of the run.
    dtype
        Of what is left.
    """

    def __init__(
        self,
        largest: NDArray[np.integer],
        outputs: int,
        width: int,
        rate: float,
        seed: int,
        dtype: Any = np.float32,
    ) -> None:
        self.places, self.outputs, self.width, self.rate = len(largest), outputs, width, rate
        self.dtype = np.dtype(dtype)
        self.seed = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF)
        self.limits = table(int(largest[0]), rate, int(columns(largest[:1], rate)[0]))
        parts = groups(largest, rate)
        self.columns = np.repeat([p.columns for p in parts], [p.stop - p.start for p in parts])

    def left(self, edges: Sizes, state: NDArray[np.integer]) -> NDArray:
        """Draw what is left of each edge class, ``(outputs, n, width)``.

        See `polyid.engine.dropout.Kept`.

        Parameters
        ----------
        edges
            Classes of the step's polymers, those of each in the order of falling size.
        state
            Number and step of the member, ``(2,)``.
        """
        state = np.asarray(state).astype(np.uint32)[:, None]
        key = threefry(self.seed, (state[0], state[1]), ops=np)
        found = np.empty((self.outputs, len(edges.of), self.width), self.dtype)
        scale = self.dtype.type(1.0 / (1.0 - self.rate))
        _draw(edges, self.places, self.columns, self.limits, key[0][0], key[1][0], scale, found)
        return found


def nothing_dropped(edges: Sizes, width: int) -> NDArray:
    """Give all edges of each class, for all outputs at once: ``(1, n, width)``."""
    return np.repeat(np.exp(edges.log)[None, :, None], width, axis=2)


@inner
def dropped_mean(edges: Any, sizes: Any, left: Any) -> Any:
    """Mean over what dropout left of the edges of each polymer, ``(outputs, polymers, width)``."""
    share = _one_edge(sizes)
    found = np.zeros((len(left), len(sizes.first) - 1, edges.shape[1]), edges.dtype)
    for n in range(len(left)):
        for i in range(len(edges)):
            p = sizes.of[i]
            for c in range(edges.shape[1]):
                found[n, p, c] += share[i] * left[n, i, c] * edges[i, c]
    return found


@inner
def dropped_mean_back(d_mean: Any, sizes: Any, left: Any) -> Any:
    """Gradient of `dropped_mean` by the edges' states, ``(n, width)``."""
    share = _one_edge(sizes)
    found = np.zeros(left.shape[1:], left.dtype)
    for n in range(len(left)):
        for i in range(len(found)):
            p = sizes.of[i]
            for c in range(found.shape[1]):
                found[i, c] += share[i] * left[n, i, c] * d_mean[n, p, c]
    return found


@inner
def _one_edge(sizes: Any) -> Any:
    """Share of one edge of each class in its polymer, ``(n,)``."""
    return share_of_edges(sizes) / np.exp(sizes.log)


@kernel
def _draw(
    edges: Any, places: int, columns: Any, limits: Any, low: Any, high: Any, scale: Any, found: Any
) -> None:
    outputs, _, width = found.shape
    zero = found.dtype.type(0)
    first, second = np.empty(width, np.int32), np.empty(width, np.int32)
    for i in range(len(edges.of)):
        polymer = edges.of[i]
        place = i - edges.first[polymer]
        # sizes are whole numbers, and their logarithms are there
        size = int(np.rint(np.exp(np.float64(edges.log[i]))))
        # a class that is no larger than k has no more than k drops
        most = min(columns[place], size)
        start = np.uint32((polymer * places + place) * width)
        for pair in range((outputs + 1) // 2):
            _words(low, high, start, np.uint32(pair), first, second)
            for which in range(min(2, outputs - 2 * pair)):
                row = found[2 * pair + which, i]
                _left(second if which else first, limits[size, :most], size, row)
                for c in range(width):
                    row[c] = max(row[c], zero) * scale


@inner
def _left(words: Any, limits: Any, size: Any, row: Any) -> None:
    one = row.dtype.type(1)
    row[:] = size
    for limit in limits:
        for c in range(len(row)):
            row[c] -= one if words[c] > limit else row.dtype.type(0)


@inner
def _words(low: Any, high: Any, start: Any, pair: Any, first: Any, second: Any) -> None:
    """Thirteen rounds of `polyid.engine.dropout.threefry`."""
    third = np.uint32(low ^ high ^ np.uint32(PARITY))
    for c in range(len(first)):
        a, b = np.uint32(start + np.uint32(c) + low), np.uint32(pair + high)
        a, b = _round(a, b, 13)
        a, b = _round(a, b, 15)
        a, b = _round(a, b, 26)
        a, b = _round(a, b, 6)
        a, b = np.uint32(a + high), np.uint32(b + third + np.uint32(1))
        a, b = _round(a, b, 17)
        a, b = _round(a, b, 29)
        a, b = _round(a, b, 16)
        a, b = _round(a, b, 24)
        a, b = np.uint32(a + third), np.uint32(b + low + np.uint32(2))
        a, b = _round(a, b, 13)
        a, b = _round(a, b, 15)
        a, b = _round(a, b, 26)
        a, b = _round(a, b, 6)
        a, b = np.uint32(a + low), np.uint32(b + high + np.uint32(3))
        a, b = _round(a, b, 17)
        first[c], second[c] = np.int32(a), np.int32(b)


@inner
def _round(a: Any, b: Any, turn: int) -> Any:
    a = np.uint32(a + b)
    turned = np.uint32(b << np.uint32(turn)) | np.uint32(b >> np.uint32(32 - turn))
    return a, np.uint32(a ^ turned)
