"""Dropout of whole classes, drawn from the distribution that their elements would give.

nfp's dropout masks every directed edge and feature on its own, before a mean over edges. For a
class of n equal edges the mean of n independent masks is Binomial(n, 1 - p) / (n (1 - p)), so one
draw per class and feature has the very same distribution as n draws.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.stats import binom

#: Probability that a table leaves out; 1e-7 is float32's rounding.
TAIL = 1e-7


def table(largest: int, rate: float) -> NDArray[np.float32]:
    """P(drops ≤ k) for classes of 0 … ``largest`` edges, ``(largest + 1, columns)``."""
    columns = int(binom.isf(TAIL, largest, rate)) + 1
    n = np.arange(largest + 1)[:, None]
    return binom.cdf(np.arange(columns)[None], n, rate).astype(np.float32)


def kept(
    count: Any,
    outputs: int,
    width: int,
    rate: float,
    largest: int,
    seed: keras.random.SeedGenerator,
    dtype: str,
) -> Any:
    """Mean of the masks in each class, ``(F, B, outputs, n, width)``, of mean 1.

    ``count`` ``(F, B, n)`` are class sizes; a class drops k of its n edges where a uniform draw
    lies above P(drops ≤ k - 1): the inverse of the distribution function, by comparisons alone.
    """
    limits = ops.convert_to_tensor(table(largest, rate), dtype=dtype)
    columns = limits.shape[1]
    row = ops.take(limits, count, axis=0)[:, :, None, :, None, :]
    members, batch, classes = count.shape
    draw = keras.random.uniform(
        (members, batch, outputs, classes, width), dtype=dtype, seed=seed
    )
    drops = ops.zeros_like(draw)
    for k in range(columns):
        drops = drops + ops.cast(draw > row[..., k], dtype)
    size = ops.maximum(ops.cast(count, dtype), 1.0)[:, :, None, :, None]
    return ops.maximum(size - drops, 0.0) / (size * (1.0 - rate))
