"""Losses and gradients of all members' steps on a CPU, in NumPy: nothing is padded or compiled."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.backward import Readout, loss_and_gradient
from polyid.engine.batch import Batch, Sizes, join
from polyid.engine.dropout import Dropout
from polyid.engine.packing import Bucket, unpack
from polyid.engine.weights import Architecture, count


class Gradients:
    """What a step asks for; the polymers are laid out once.

    Parameters
    ----------
    architecture, buckets, members, pm, seed, loss
        As for `polyid.engine.ensemble.Ensemble`.
    largest_class
        Size of the largest edge class at each place of each bucket's rows.
    dtype
        Precision of weights and gradients.
    """

    def __init__(
        self,
        architecture: Architecture,
        buckets: Sequence[Bucket],
        members: int,
        pm: NDArray | None,
        seed: int,
        loss: str,
        largest_class: Sequence[NDArray[np.integer]],
        dtype: Any = np.float32,
    ) -> None:
        a = self.architecture = architecture
        self.loss = loss
        self.polymers = [[unpack(row, b.layout) for row in b.table] for b in buckets]
        self.pm = None if pm is None else [np.asarray(pm, dtype)[b.members] for b in buckets]
        self.dropout = [
            Dropout(largest, a.outputs, a.features, a.dropout, seed, dtype)
            for largest in largest_class
            if a.dropout > 0
        ]
        self.gradient = np.zeros((members, count(a)), dtype)
        self._alone = lru_cache(maxsize=None)(self._join)  # one batch per polymer

    def __call__(
        self,
        flat: NDArray,
        bucket: int,
        index: NDArray[np.integer],
        y: NDArray,
        state: NDArray[np.integer],
    ) -> tuple[NDArray, NDArray]:
        """Losses ``(members,)``, and gradients like ``flat``, which the next call overwrites.

        Parameters
        ----------
        flat
            Weights, ``(members, count)``.
        bucket, index
            The step's bucket and each member's rows of its table, ``(members, batch)``.
        y
            Scaled labels, ``(members, batch, outputs)``.
        state
            Number and step of each member, ``(members, 2)``, which dropout is drawn by.
        """
        losses = np.empty(len(flat), flat.dtype)
        for m, rows in enumerate(index.tolist()):
            batch = self.batch(bucket, rows)
            pm = None if self.pm is None else self.pm[bucket][rows][:, None]
            readout = None
            if self.dropout:
                readout = _dropped(self.dropout[bucket], batch.edges[-1], state[m])
            losses[m] = loss_and_gradient(
                self.architecture, flat[m], batch, y[m], self.loss, self.gradient[m], pm, readout
            )
        return losses, self.gradient

    def batch(self, bucket: int, rows: Sequence[int]) -> Batch:
        """Lay out some polymers of a bucket; one alone is kept for its next time."""
        return (self._alone if len(rows) == 1 else self._join)(bucket, tuple(rows))

    def _join(self, bucket: int, rows: tuple[int, ...]) -> Batch:
        return join([self.polymers[bucket][row] for row in rows], self.gradient.dtype)


def _dropped(
    dropout: Dropout, edge: Sizes, state: NDArray[np.integer]
) -> Callable[[NDArray], Readout]:
    """Mean over what dropout left of the edges of each polymer."""
    places = np.arange(len(edge.of))
    # sizes are whole numbers, and their logarithms are there
    size = np.rint(np.exp(edge.log[edge.of, places].astype(float))).astype(np.int32)
    cuts = np.split(size, edge.first[1:])
    left = np.concatenate([dropout.left(each, i, state) for i, each in enumerate(cuts)], axis=1)
    share = np.zeros_like(edge.log)
    total = np.maximum(np.bincount(edge.of, weights=size, minlength=len(cuts)), 1)
    share[edge.of, places] = 1.0 / total[edge.of]

    def readout(edges: NDArray) -> Readout:
        mean = np.stack([share @ (part * edges) for part in left], axis=2)

        def back(d_mean: NDArray) -> NDArray:
            found = np.zeros_like(edges)
            for nth, part in enumerate(left):
                found += part * (share.T @ d_mean[:, :, nth])
            return found

        return mean, back

    return readout
