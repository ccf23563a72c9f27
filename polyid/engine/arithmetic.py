"""The arithmetic of PolyID's networks in NumPy, one member at a time.

It is that of `polyid.engine.layers`, on polymers that lie one after the other as one graph of
several parts (`polyid.engine.batch`): no padding, any shape, nothing to compile. What is gathered
and summed is one sparse matrix product. Every function also gives what its gradient needs; see
`polyid.engine.backward`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.batch import Sizes, Step
from polyid.engine.weights import Weights


class Attention(NamedTuple):
    """What `attention` leaves for its gradient."""

    atom_share: NDArray
    """Weight of each atom class in its polymer, ``(polymers, atoms)``; with the edges' they add
    to 1."""
    edge_share: NDArray
    mean: NDArray
    """Weighted mean of the states, ``(polymers, features)``."""


class Node(NamedTuple):
    """What `node_update` leaves for its gradient."""

    hidden: NDArray
    """Messages' hidden layer, ``(edges, 2 features)``."""
    summed: NDArray
    """The same summed over the edges that leave, ``(atoms, 2 features)``."""
    message: NDArray
    """``(atoms, features)``"""
    update: NDArray
    """Hidden layer of the update, ``(atoms, 2 features)``."""


def attention(
    w: Weights, name: str, atoms: NDArray, edges: NDArray, atom: Sizes, edge: Sizes
) -> tuple[NDArray, Attention]:
    """Nfp's ``GlobalUpdate`` with one head, ``(polymers, g)``."""
    query, bias = w[f"{name}/query/kernel"][:, 0], w[f"{name}/query/bias"]
    atom_share = atom.log + (atoms @ query + bias)
    edge_share = edge.log + (edges @ query + bias)
    top = np.maximum(atom_share.max(axis=1), edge_share.max(axis=1, initial=-np.inf))[:, None]
    for share in (atom_share, edge_share):
        share -= top
        np.exp(share, out=share)
    total = (atom_share.sum(axis=1) + edge_share.sum(axis=1))[:, None]
    atom_share /= total
    edge_share /= total
    mean = atom_share @ atoms + edge_share @ edges
    found = mean @ w[f"{name}/value/kernel"] + w[f"{name}/value/bias"]
    return found, Attention(atom_share, edge_share, mean)


def edge_update(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray
) -> tuple[NDArray, NDArray]:
    """Nfp's ``EdgeUpdate`` and the residual; and its hidden layer ``(edges, 2 features)``."""
    hidden = _edge_hidden(w, r, step, atoms, edges, glob)
    found = hidden @ w[f"edge/{r}/dense2/kernel"]
    found += w[f"edge/{r}/dense2/bias"]
    found += edges.take(step.edge_parent, axis=0)
    return found, hidden


def mean_edge(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray, share: NDArray
) -> NDArray:
    """Mean of the states that `edge_update` gives, ``(polymers, features)``, by way of less.

    The update ends in a linear layer: the hidden layer can be averaged instead of its result.
    ``share`` is from `share_of_edges`.
    """
    hidden = share @ _edge_hidden(w, r, step, atoms, edges, glob)
    found = hidden @ w[f"edge/{r}/dense2/kernel"]
    found += share.sum(axis=1, keepdims=True) * w[f"edge/{r}/dense2/bias"]
    found += share @ edges.take(step.edge_parent, axis=0)
    return found


def _edge_hidden(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray
) -> NDArray:
    f, k = edges.shape[1], w[f"edge/{r}/dense1/kernel"]
    sources, targets, globs = len(edges), len(edges) + len(atoms), len(edges) + 2 * len(atoms)
    parts = np.empty((globs + len(glob), k.shape[1]), dtype=k.dtype)
    np.matmul(edges, k[:f], out=parts[:sources])
    np.matmul(atoms, k[f : 2 * f], out=parts[sources:targets])
    np.matmul(atoms, k[2 * f : 3 * f], out=parts[targets:globs])
    parts[globs:] = glob @ k[3 * f :] + w[f"edge/{r}/dense1/bias"]
    hidden = step.hidden @ parts
    return np.maximum(hidden, 0, out=hidden)


def node_update(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray
) -> tuple[NDArray, Node]:
    """Nfp's ``NodeUpdate`` and the residual; ``edges`` are the states after the block."""
    f, k = atoms.shape[1], w[f"node/{r}/message1/kernel"]
    parts = np.empty((len(atoms) + len(glob), k.shape[1]), dtype=k.dtype)
    np.matmul(atoms, k[:f], out=parts[: len(atoms)])
    parts[len(atoms) :] = glob @ k[2 * f :] + w[f"node/{r}/message1/bias"]
    hidden = edges @ k[f : 2 * f]
    hidden += step.to_target @ parts
    np.maximum(hidden, 0, out=hidden)
    summed = step.leaving @ hidden
    message = summed @ w[f"node/{r}/message2/kernel"]
    message += step.degree * w[f"node/{r}/message2/bias"]
    update = message @ w[f"node/{r}/dense1/kernel"]
    update += w[f"node/{r}/dense1/bias"]
    np.maximum(update, 0, out=update)
    found = update @ w[f"node/{r}/dense2/kernel"]
    found += w[f"node/{r}/dense2/bias"]
    found += atoms.take(step.atom_parent, axis=0)
    return found, Node(hidden, summed, message, update)


def share_of_edges(edge: Sizes) -> NDArray:
    """Share of each class in the edges of its polymer, ``(polymers, edges)``."""
    count = np.exp(edge.log)
    return count / np.maximum(count.sum(axis=1, keepdims=True), 1)
