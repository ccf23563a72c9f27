"""Names and shapes of a network's weights, their first values, and one flat vector of them all.

An optimiser walks one vector in one pass; three million weights in two hundred small tensors cost
it twice the time. The names follow nfp's layers, so that weights convert both ways.
"""

from collections.abc import Mapping
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]


class Architecture(NamedTuple):
    """What decides the shape of a network."""

    name: str
    """``global100``, or ``pm`` for PolyID's tacticity-aware ``pm_model``."""
    atom_classes: int
    """Atom tokens, padding and unknown included (nfp's ``atom_classes``)."""
    bond_classes: int
    features: int
    """Width of the atom and edge states."""
    mol_features: int
    """Width of the global state."""
    num_messages: int
    outputs: int
    """Number of properties."""
    dropout: float = 0.0
    """Before the readout; ``pm`` has none."""


NAMES = ("global100", "pm")


def shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """Every weight's shape, in a fixed order.

    Kernels of nfp's dense layers on a concatenation stand as one matrix, with the rows in the
    order of that concatenation: (edge, source, target, global) and (target, edge, global).
    What no output depends on has no weights, as Keras leaves it out of a model: the last block's
    atom update, and in ``pm`` its global update.
    """
    if a.name not in NAMES:
        raise ValueError(f"model {a.name!r} is not known; expected one of {list(NAMES)}.")
    f, g = a.features, a.mol_features
    found: dict[str, tuple[int, ...]] = {
        "atom_embedding": (a.atom_classes, f),
        "bond_embedding": (a.bond_classes, f),
    }
    if a.name == "pm":
        found |= {"pm/kernel": (1, g), "pm/bias": (g,)}

    def attention(prefix: str) -> dict[str, tuple[int, ...]]:
        return {
            f"{prefix}/query/kernel": (f, 1),
            f"{prefix}/query/bias": (1,),
            f"{prefix}/value/kernel": (f, g),
            f"{prefix}/value/bias": (g,),
        }

    found |= attention("global/0")
    for r in range(1, a.num_messages + 1):
        last = r == a.num_messages
        if a.name == "global100" or not last:
            found |= attention(f"global/{r}")
        dense = [(f"edge/{r}/dense1", 3 * f + g, 2 * f), (f"edge/{r}/dense2", 2 * f, f)]
        if not last:
            dense += [
                (f"node/{r}/message1", 2 * f + g, 2 * f),
                (f"node/{r}/message2", 2 * f, f),
                (f"node/{r}/dense1", f, 2 * f),
                (f"node/{r}/dense2", 2 * f, f),
            ]
        for name, rows, columns in dense:
            found |= {f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)}
    found |= {"readout/kernel": (f, a.outputs), "readout/bias": (a.outputs,)}
    return found


def count(a: Architecture) -> int:
    """Count the weights of one member."""
    return sum(prod(shape) for shape in shapes(a).values())


def initial(a: Architecture, seed: int, member: int) -> Weights:
    """First values as Keras draws them for nfp's layers, the same whoever trains beside.

    Embeddings uniform in ±0.05, kernels Glorot-uniform, biases 0; the readout's kernel is one
    ``(features, 1)`` kernel per property.
    """
    rng = np.random.default_rng([seed, member])
    found: Weights = {}
    for name, shape in shapes(a).items():
        if name.endswith("bias"):
            value = np.zeros(shape)
        elif name.endswith("embedding"):
            value = rng.uniform(-0.05, 0.05, shape)
        else:
            columns = 1 if name == "readout/kernel" else shape[1]
            limit = np.sqrt(6.0 / (shape[0] + columns))
            value = rng.uniform(-limit, limit, shape)
        found[name] = value.astype(np.float32)
    return found


def flatten(a: Architecture, weights: Mapping[str, NDArray]) -> NDArray[np.float32]:
    """One vector, ``(count,)``, of named weights, in their own precision."""
    parts = []
    for name, shape in shapes(a).items():
        if name not in weights:
            raise ValueError(f"weight {name!r} of shape {shape} is missing.")
        if weights[name].shape != shape:
            raise ValueError(f"weight {name!r} has shape {weights[name].shape}; expected {shape}.")
        parts.append(np.asarray(weights[name]).ravel())
    return np.concatenate(parts)


def unflatten(a: Architecture, flat: NDArray) -> Weights:
    """Named weights of one vector ``(count,)``."""
    if flat.shape != (count(a),):
        raise ValueError(f"flat weights have shape {flat.shape}; expected {(count(a),)}.")
    return {name: flat[i:j].reshape(shape) for name, i, j, shape in _places(a)}


def one_of(a: Architecture, flat: NDArray, name: str) -> NDArray:
    """One weight, a view of the vector ``(count,)``."""
    start, end, shape = _place(a, name)
    return flat[start:end].reshape(shape)


@cache
def _place(a: Architecture, name: str) -> tuple[int, int, tuple[int, ...]]:
    return {name: (start, end, shape) for name, start, end, shape in _places(a)}[name]


@cache
def layers(a: Architecture) -> dict[str, slice]:
    """Where the weights of each layer stand in the vector, by names as ``edge/1``, ``readout``."""
    found: dict[str, slice] = {}
    for name, start, end, _ in _places(a):
        first, _, rest = name.partition("/")
        second = rest.partition("/")[0]
        layer = f"{first}/{second}" if second.isdigit() else first
        found[layer] = slice(found[layer].start if layer in found else start, end)
    return found


@cache
def _places(a: Architecture) -> list[tuple[str, int, int, tuple[int, ...]]]:
    """Where each weight begins and ends in the vector, and its shape."""
    found, start = [], 0
    for name, shape in shapes(a).items():
        found.append((name, start, start + prod(shape), shape))
        start += prod(shape)
    return found


def views(a: Architecture, flat: Any) -> dict[str, Any]:
    """Weights of all members inside a compiled program, ``(members, *shape)`` each.

    ``flat`` is ``(members, count)``. One split, whose gradient is one concatenation.
    """
    from keras import ops

    named = shapes(a)
    ends = np.cumsum([int(np.prod(shape)) for shape in named.values()])
    parts = ops.split(flat, ends[:-1].tolist(), axis=1)
    members = flat.shape[0]
    return {
        name: ops.reshape(part, (members, *shape))
        for (name, shape), part in zip(named.items(), parts, strict=True)
    }
