"""The steps of all members on a CPU: gradients, and Adam on each layer as soon as its is there.

A layer's gradient is used while it lies in the processor's cache, and is never stored: Adam is
bound by memory. Weights, moments and counts lie in arrays here while `fit` runs, and in the Keras
model and its optimiser before and after.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.batch import Batch, join
from polyid.engine.draws import Dropout
from polyid.engine.gradients import Sink, loss_and_gradient
from polyid.engine.jit import kernel
from polyid.engine.packing import Bucket, unpack
from polyid.engine.watch import copied
from polyid.engine.weights import Architecture, layers


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
        a = self.architecture = architecture
        self.loss, self.dtype = loss, np.dtype(dtype)
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
        self.rate, adam = rate, model.optimizer
        self.betas, self.epsilon = (adam.beta_1, adam.beta_2), adam.epsilon
        self.decay = adam.weight_decay or 0.0
        first, second = _moments(model)
        held = model.flat, first, second, model.loss_sum, model.dropout_state, adam.iterations
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
        rate, number = self.rate(int(self.done)), int(self.done) + 1
        one, two = self.betas
        # Keras raises them to the step's power as numbers of 32 bits, whatever the weights are
        past, past_second = (float(np.float32(x)) ** number for x in (one, two))
        alpha = rate * math.sqrt(1 - past_second) / (1 - past)
        numbers = [alpha, rate * self.decay, 1 - one, 1 - two, self.epsilon]
        numbers = [self.dtype.type(x) for x in numbers]

        def take(m: int, where: slice, d: NDArray) -> None:
            _adam(self.flat[m, where], self.first[m, where], self.second[m, where], d, *numbers)

        total = 0.0
        for m, rows in enumerate(index.tolist()):
            sink = Sink(lambda where: self._room[: where.stop - where.start], partial(take, m))
            value = self.member(self.flat[m], bucket, rows, y[m], self.state[m], sink)
            self.losses[m] += value
            total += value
        self.state[:, 1] += 1
        self.done[...] = number
        return total / len(index)

    def member(
        self,
        flat: NDArray,
        bucket: int,
        rows: Sequence[int],
        y: NDArray,
        state: NDArray[np.integer],
        sink: Sink,
    ) -> float:
        """Loss of one member's batch; its gradient goes to ``sink``.

        ``state`` ``(2,)`` is its number and step, which dropout is drawn by.
        """
        batch = self.batch(bucket, rows)
        pm = None if self.pm is None else self.pm[bucket][rows][:, None]
        left = self.dropout[bucket].left(batch.edges[-1], state) if self.dropout else None
        return loss_and_gradient(self.architecture, flat, batch, y, self.loss, sink, pm, left)

    def batch(self, bucket: int, rows: Sequence[int]) -> Batch:
        """Lay out some polymers of a bucket; one alone is kept for its next time."""
        return (self._alone if len(rows) == 1 else self._join)(bucket, tuple(rows))

    def _join(self, bucket: int, rows: tuple[int, ...]) -> Batch:
        return join([self.polymers[bucket][row] for row in rows], self.dtype)


def _moments(model: Any) -> list[Any]:
    """Variables of Adam's first and second moments, like the weights."""
    found = [v for v in model.optimizer.variables if v.shape == model.flat.shape]
    if len(found) != 2:
        raise ValueError(f"the optimiser holds {len(found)} moments; expected Keras's plain Adam.")
    return found


@kernel
def _adam(
    w: Any,
    first: Any,
    second: Any,
    d: Any,
    alpha: Any,
    decay: Any,
    one: Any,
    two: Any,
    epsilon: Any,
) -> None:
    """Make a step of Adam, as Keras does, with decoupled decay (arXiv 1412.6980, 1711.05101).

    ``one`` and ``two`` are how much of the new gradient either moment takes up.
    """
    for i in range(len(w)):
        first[i] += (d[i] - first[i]) * one
        second[i] += (d[i] * d[i] - second[i]) * two
        w[i] = w[i] - w[i] * decay - first[i] * alpha / (np.sqrt(second[i]) + epsilon)
