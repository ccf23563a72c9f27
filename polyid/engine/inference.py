"""Predictions of many polymers by all members at once, in bounded memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.network import network
from polyid.engine.packing import fields, layout_for, pack, sizes
from polyid.engine.weights import Architecture, count
from polyid.quotient import TOP, Block, Quotient

#: Classes that one pass may hold over all members: about 200 MB of states at 128 features.
BUDGET = 200_000
#: Most polymers in one pass: their states should stay in the processor's cache.
BATCH = 8


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
        Polymers, refined for ``architecture.num_messages`` blocks. Those that the network cannot
        tell apart (chains that differ in their tetrahedral stereo marks, say) are computed once.
    pm
        Fraction of meso dyads, ``(n,)``, for the ``pm`` network.
    progress
        Told (done, of how many).
    """
    from keras import ops

    takes_pm = architecture.name == "pm"
    if takes_pm and pm is None:
        raise ValueError("the pm network needs pm, the fraction of meso dyads")
    n = len(quotients)
    first, which = _distinct(quotients, pm if takes_pm else None)
    some = [quotients[i] for i in first]
    found = np.empty((len(flat), len(some), architecture.outputs), dtype=np.float32)
    weights = ops.convert_to_tensor(flat)
    done = 0
    for rows in _batches(some, len(flat)):
        chosen = [some[i] for i in rows]
        layout = layout_for(chosen)
        x = fields(pack(chosen, layout)[None], layout)
        values = []
        if takes_pm and pm is not None:
            values = [np.asarray(pm, dtype=flat.dtype)[[first[i] for i in rows]][None]]
        run = _program(architecture, len(flat), len(rows), layout.degree, str(flat.dtype))
        found[:, rows] = np.asarray(run(weights, x, *values))
        done += len(set(rows))
        if progress is not None:
            progress(done * n // len(some), n)
    return found[:, which]


def _distinct(
    quotients: Sequence[Quotient], pm: NDArray[np.float32] | None
) -> tuple[list[int], list[int]]:
    """First of each kind of polymer, and which kind each is."""
    kinds: dict[tuple[bytes, float], int] = {}
    first: list[int] = []
    which = []
    for i, q in enumerate(quotients):
        key = (_digest(q), 0.0 if pm is None else float(pm[i]))
        if key not in kinds:
            kinds[key] = len(first)
            first.append(i)
        which.append(kinds[key])
    return first, which


def _digest(q: Quotient) -> bytes:
    """Content of what the network reads."""
    names = [name for name in TOP if not name.endswith("class")]
    parts = [getattr(q, name) for name in names]
    parts += [getattr(b, name) for b in q.blocks for name in Block._fields]
    digest = hashlib.blake2b(repr([len(part) for part in parts]).encode(), digest_size=16)
    for part in parts:
        digest.update(part.tobytes())
    return digest.digest()


def _batches(quotients: Sequence[Quotient], members: int) -> Iterator[list[int]]:
    """Polymers of like size, the largest first, as memory is highest then.

    A batch is a power of two, so that few programs are traced; the last polymer fills it up.
    """
    largest = np.array([sizes(q).max() for q in quotients], dtype=np.int64)
    order = np.argsort(-largest, kind="stable").tolist()
    start = 0
    while start < len(order):
        room = max(1, min(BATCH, BUDGET // (members * int(largest[order[start]]))))
        left = len(order) - start
        batch = min(1 << room.bit_length() - 1, 1 << (left - 1).bit_length())
        rows = order[start : start + batch]
        start += batch
        yield rows + rows[-1:] * (batch - len(rows))


@lru_cache(maxsize=16)
def _program(
    architecture: Architecture, members: int, batch: int, degree: int, dtype: str
) -> Callable[..., Any]:
    """``(flat, fields, pm)`` to predictions; in TensorFlow a graph for any number of classes.

    A graph frees what is used up, and runs on all cores what does not wait for another; XLA would
    take half a minute for each new layout to win little.
    """
    import keras

    def run(flat: Any, x: dict[str, Any], pm: Any = None) -> Any:
        return network(architecture, flat, x, pm)

    if keras.backend.backend() != "tensorflow":
        return run
    import tensorflow as tf

    depth = architecture.num_messages
    kinds = {"out_edge": (degree,), "out_count": (degree,)}
    names = ["atom_token", "edge_token", "atom_count/0", "edge_count/0"]
    names += [f"{name}/{r}" for r in range(1, depth + 1) for name in Block._fields]
    signature = {
        name: tf.TensorSpec((1, batch, None, *kinds.get(name.split("/")[0], ())), "int32")
        for name in names
    }
    known = [tf.TensorSpec((members, count(architecture)), dtype), signature]
    if architecture.name == "pm":
        known.append(tf.TensorSpec((1, batch), dtype))
    return tf.function(run, input_signature=known, autograph=False)
