"""The steps of all members on a CPU.

Weights, moments and counts lie in arrays here while `fit` runs, and in the Keras model and its
optimiser before and after.
"""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.adam import Learner, numbers
from polyid.engine.batch import Flat, Sizes, flat, join
from polyid.engine.draws import Dropout, nothing_dropped
from polyid.engine.gradients import loss_and_gradient, plan
from polyid.engine.packing import Bucket, unpack
from polyid.engine.watch import copied
from polyid.engine.weights import Architecture, layers

_NO_PM = np.zeros((0, 1))
#: Options of glibc's ``mallopt``, and the largest value that both take.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _LARGEST = -1, -3, 1 << 25


class Descent:
    """What a written-out `polyid.engine.ensemble.Ensemble` does in a step.

    Parameters
    ----------
    architecture, buckets, pm, seed, loss
        As for the ensemble.
    largest_class
        Size of the largest edge class at each place of each bucket's rows.
    dtype
        Precision of the weights.
    """

    def __init__(
        self,
        architecture: Architecture,
        buckets: Sequence[Bucket],
        pm: NDArray | None,
        seed: int,
        loss: str,
        largest_class: Sequence[NDArray[np.integer]],
        dtype: Any = np.float32,
    ) -> None:
        _keep_freed_memory()
        a, self.dtype = architecture, np.dtype(dtype)
        self.plan = plan(a, loss)
        self.polymers = [[unpack(row, b.layout) for row in b.table] for b in buckets]
        self.pm = None if pm is None else [np.asarray(pm, dtype)[b.members] for b in buckets]
        self.dropout = [
            Dropout(largest, a.outputs, a.features, a.dropout, seed, dtype)
            for largest in largest_class
            if a.dropout > 0
        ]
        self._room = np.empty(max(s.stop - s.start for s in layers(a).values()), dtype)
        self._held: list[tuple[Any, NDArray]] = []
        self._alone = lru_cache(maxsize=None)(self._join)  # one batch per polymer

    def begin(self, model: Any, rate: Callable[[int], float]) -> None:
        """Take over from a compiled Keras model.

        Parameters
        ----------
        model
            With its optimiser, Keras's Adam.
        rate
            Learning rate of each step, by its number from 0 on.
        """
        self.rate, self.adam = rate, model.optimizer
        first, second = _moments(model)
        held = model.flat, first, second, model.loss_sum, model.dropout_state, self.adam.iterations
        arrays = [copied(variable) for variable in held]
        self.flat, self.first, self.second, self.losses, self.state, self.done = arrays
        self._held = list(zip(held, arrays, strict=True))

    def values(self, variable: Any) -> NDArray | None:
        """Values of one of Keras's variables, if they lie here: `fit` runs."""
        return next((array for held, array in self._held if held is variable), None)

    def settle(self) -> None:
        """Give everything back to the Keras model and its optimiser."""
        for variable, array in self._held:
            variable.assign(array)
        self._held = []

    def step(self, bucket: int, index: NDArray[np.integer], y: NDArray) -> float:
        """Update every member; gives the mean of their losses.

        Parameters
        ----------
        bucket, index
            The step's bucket and each member's rows of its table, ``(members, batch)``.
        y
            Scaled labels, ``(members, batch, outputs)``.
        """
        number = int(self.done) + 1
        given = numbers(self.adam, self.rate(number - 1), number, self.dtype)
        total = 0.0
        for m, rows in enumerate(index.tolist()):
            learner = Learner(self.flat[m], self._room, self.first[m], self.second[m], given)
            value = self.member(learner, bucket, rows, y[m], self.state[m])
            self.losses[m] += value
            total += value
        self.state[:, 1] += 1
        self.done[...] = number
        return total / len(index)

    def member(
        self,
        learner: Learner,
        bucket: int,
        rows: Sequence[int],
        y: NDArray,
        state: NDArray[np.integer],
    ) -> float:
        """Loss of one member's batch, from whose gradient it learns.

        ``state`` ``(2,)`` is its number and step, which dropout is drawn by.
        """
        batch, edges = self.batch(bucket, rows)
        pm = _NO_PM if self.pm is None else self.pm[bucket][rows][:, None]
        if self.dropout:
            left = self.dropout[bucket].left(edges, state)
        else:
            left = nothing_dropped(edges, self.plan.features)
        return loss_and_gradient(
            self.plan, learner, batch, y.astype(self.dtype), pm.astype(self.dtype), left
        )

    def batch(self, bucket: int, rows: Sequence[int]) -> tuple[Flat, Sizes]:
        """Lay out some polymers of a bucket, and give the sizes of their last edges.

        One alone is kept for its next time.
        """
        return (self._alone if len(rows) == 1 else self._join)(bucket, tuple(rows))

    def _join(self, bucket: int, rows: tuple[int, ...]) -> tuple[Flat, Sizes]:
        batch = join([self.polymers[bucket][row] for row in rows], self.dtype)
        return flat(batch), batch.edges[-1]


def _keep_freed_memory() -> None:
    """Let this process keep what a step frees for the next step.

    The C library gives it back to the system, which clears every page before it gives it again: up
    to a quarter of a step.
    """
    with suppress(OSError, AttributeError):  # another library than glibc
        library = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(option, _LARGEST)


def _moments(model: Any) -> list[Any]:
    """Variables of Adam's first and second moments, like the weights."""
    found = [v for v in model.optimizer.variables if v.shape == model.flat.shape]
    if len(found) != 2:
        raise ValueError(f"the optimiser holds {len(found)} moments; expected Keras's plain Adam.")
    return found
