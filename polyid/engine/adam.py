"""Adam, on each matrix as soon as its gradient is there and lies in the processor's cache.

Adam is bound by memory: three numbers are read and written for each weight. Taking the gradient
from the registers of the product that ends in it was not quicker.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.jit import inner
from polyid.engine.product import turned_product


class Learner(NamedTuple):
    """A member's weights, and what is done with their gradient."""

    weights: NDArray
    """``(count,)``."""
    gradient: NDArray
    """Where it is written, ``(count,)``; if a step follows, room for that of one layer."""
    first: NDArray
    """Adam's first moment, ``(count,)``."""
    second: NDArray
    """Its second one."""
    numbers: NDArray
    """What `numbers` gives, ``(5,)``; empty ``(0,)`` where only the gradient is wanted."""


def numbers(adam: Any, rate: float, step: int, dtype: Any) -> NDArray:
    """Give what a step of Keras's Adam takes: α, decay, 1 - β₁, 1 - β₂, ε.

    With decoupled decay; arXiv 1412.6980 and 1711.05101.

    Parameters
    ----------
    adam
        Keras's optimiser, for its betas, epsilon and decay.
    rate
        Learning rate.
    step
        Number of the step, from 1.
    dtype
        Precision of the weights.
    """
    one, two = adam.beta_1, adam.beta_2
    # Keras raises them to the step's power as numbers of 32 bits, whatever the weights are
    past, past_second = (float(np.float32(x)) ** step for x in (one, two))
    alpha = rate * math.sqrt(1 - past_second) / (1 - past)
    decay = rate * (adam.weight_decay or 0.0)
    return np.array([alpha, decay, 1 - one, 1 - two, adam.epsilon], dtype)


@inner
def layer_of(all_of: Any, where: Any) -> Any:
    """Give a layer's part of a learner, from where it begins to where it ends."""
    start, stop = where
    weights, first, second = all_of.weights, all_of.first, all_of.second
    if len(all_of.numbers):
        gradient = all_of.gradient[: stop - start]
    else:
        gradient = all_of.gradient[start:stop]
    return Learner(
        weights[start:stop], gradient, first[start:stop], second[start:stop], all_of.numbers
    )


@inner
def learn(layer: Any, start: int, stop: int) -> None:
    """Make a step with the gradient that is written there, if one is to be made."""
    if len(layer.numbers) == 0:
        return
    w, d = layer.weights[start:stop], layer.gradient[start:stop]
    first, second = layer.first[start:stop], layer.second[start:stop]
    alpha, decay, one, two, epsilon = layer.numbers
    for i in range(len(w)):
        first[i] += (d[i] - first[i]) * one
        second[i] += (d[i] * d[i] - second[i]) * two
        w[i] = w[i] - w[i] * decay - first[i] * alpha / (np.sqrt(second[i]) + epsilon)


@inner
def learn_product(layer: Any, at: int, a: Any, b: Any) -> None:
    """Make a step with ``a.T @ b``, ``(rows, columns)``, the gradient of what begins there."""
    end = at + a.shape[1] * b.shape[1]
    turned_product(a, b, layer.gradient[at:end].reshape(a.shape[1], b.shape[1]))
    learn(layer, at, end)


@inner
def learn_sum(layer: Any, at: int, rows: Any) -> None:
    """Make a step with the sum of ``rows``, the gradient of the bias that begins there."""
    end = at + rows.shape[1]
    d = layer.gradient[at:end]
    d[:] = 0
    for i in range(len(rows)):
        for c in range(len(d)):
            d[c] += rows[i, c]
    learn(layer, at, end)
