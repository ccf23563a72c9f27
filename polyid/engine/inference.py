"""Predictions of many polymers by all members at once, in bounded memory."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from polyid.engine.network import forward
from polyid.engine.packing import layout_for, pack, sizes
from polyid.engine.weights import Architecture
from polyid.quotient import Quotient

#: Classes that one pass may hold over all members: about 200 MB of states at 128 features.
BUDGET = 200_000


def predict(
    architecture: Architecture,
    flat: NDArray[np.float32],
    quotients: Sequence[Quotient],
    pm: NDArray[np.float32] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Scaled predictions, ``(members, n, outputs)``.

    Parameters
    ----------
    architecture, flat
        The network and all members' weights, ``(members, count)``.
    quotients
        Polymers, refined for ``architecture.num_messages`` blocks.
    pm
        Fraction of meso dyads, ``(n,)``, for the ``pm`` network.
    progress
        Told (done, of how many).
    """
    from keras import ops

    members, n = len(flat), len(quotients)
    found = np.empty((members, n, architecture.outputs), dtype=np.float32)
    weights = ops.convert_to_tensor(flat)
    largest = np.array([sizes(q).max() for q in quotients])
    order = np.argsort(-largest, kind="stable")  # the largest first: memory is highest at once
    start = 0
    while start < n:
        room = max(1, BUDGET // (members * int(largest[order[start]])))
        some = order[start : start + room]
        chosen = [quotients[i] for i in some]
        layout = layout_for(chosen)
        rows = np.broadcast_to(pack(chosen, layout), (members, len(some), layout.width))
        values = None
        if architecture.name == "pm":
            if pm is None:
                raise ValueError("the pm network needs pm, the fraction of meso dyads")
            values = ops.convert_to_tensor(np.broadcast_to(pm[some], (members, len(some))))
        out = forward(architecture, layout, weights, ops.convert_to_tensor(rows), values)
        found[:, some] = np.asarray(out)
        start += len(some)
        if progress is not None:
            progress(start, n)
    return found
