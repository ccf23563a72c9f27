"""Loss and gradient of one member in NumPy: reverse-mode differentiation, written out.

The forward pass is `polyid.engine.arithmetic`; each function here takes the gradient of what one
of those gave and what it left, writes the gradients of the weights to ``d``, and gives those of
the states. On a CPU it spares compiling `polyid.engine.network` and padding every polymer; tests
hold losses and gradients of the two together, and docs/engine.md has what either takes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.arithmetic import (
    Attention,
    Node,
    attention,
    edge_update,
    node_update,
    share_of_edges,
)
from polyid.engine.batch import Batch, Step
from polyid.engine.weights import Architecture, Weights, unflatten

#: Mean states ``(polymers, features, outputs or 1)`` of edge states ``(edges, features)``, and
#: how the gradient of the one becomes that of the other.
Readout = tuple[NDArray, Callable[[NDArray], NDArray]]


class _Block(NamedTuple):
    """What one message block saw and left."""

    atoms: NDArray
    edges: NDArray
    glob: NDArray
    attention: Attention | None
    """Of ``global100``, before the block."""
    hidden: NDArray
    new_edges: NDArray
    node: Node | None
    new_atoms: NDArray
    after: Attention | None
    """Of ``pm``, after the block."""


def loss_and_gradient(
    a: Architecture,
    flat: NDArray,
    batch: Batch,
    y: NDArray,
    loss: str,
    gradient: NDArray,
    pm: NDArray | None = None,
    readout: Callable[[NDArray], Readout] | None = None,
) -> float:
    """Loss of one member's batch; its gradient by every weight goes to ``gradient``.

    Parameters
    ----------
    a
        The network.
    flat
        Its weights, ``(count,)``; their precision is that of the result.
    batch
        Polymers.
    y
        Scaled labels, ``(polymers, outputs)``, NaN where there is none.
    loss
        ``mae`` or ``huber``, as `polyid.engine.ensemble.masked_loss` has them.
    gradient
        An array like ``flat``, to be written.
    pm
        Fraction of meso dyads, ``(polymers, 1)``, for the ``pm`` network.
    readout
        How edge states are averaged; weighted by class size without it.
    """
    w, d = unflatten(a, flat), unflatten(a, gradient)  # views
    first, blocks, edges = _forward(a, w, batch, pm)

    mean, back = (readout or _plain(batch))(edges)
    kernel = w["readout/kernel"]
    predicted = np.einsum("bfp,fp->bp", mean, kernel) + w["readout/bias"]
    value, d_predicted = _loss(y, predicted, loss)
    d["readout/bias"][:] = d_predicted.sum(axis=0)
    d["readout/kernel"][:] = np.einsum("bfp,bp->fp", mean, d_predicted)
    d_edges = back(d_predicted[:, None, :] * kernel)

    d_atoms, d_glob = np.zeros_like(blocks[-1].new_atoms), np.zeros_like(first[2])
    for r in range(a.num_messages, 0, -1):
        step, block = batch.steps[r - 1], blocks[r - 1]
        if block.after is not None:
            states = block.new_atoms, block.new_edges
            _attention_back(w, d, f"global/{r}", *states, block.after, d_glob, d_atoms, d_edges)
        if block.node is None:
            d_atoms = np.zeros_like(block.atoms)
        else:
            d_atoms = _node_back(w, d, r, step, block, block.node, d_atoms, d_edges, d_glob)
        d_edges = _edge_back(w, d, r, step, block, d_edges, d_atoms, d_glob)
        if block.attention is not None:
            states = block.atoms, block.edges
            _attention_back(w, d, f"global/{r}", *states, block.attention, d_glob, d_atoms, d_edges)
    if pm is not None and a.name == "pm":
        np.matmul(pm.T, d_glob, out=d["pm/kernel"])
        d["pm/bias"][:] = d_glob.sum(axis=0)
    _attention_back(w, d, "global/0", *first[:2], first[3], d_glob, d_atoms, d_edges)
    for name, token, d_states in (
        ("atom_embedding", batch.atom_token, d_atoms),
        ("bond_embedding", batch.edge_token, d_edges),
    ):
        d[name][:] = 0
        np.add.at(d[name], token, d_states)
    return value


def _forward(
    a: Architecture, w: Weights, batch: Batch, pm: NDArray | None
) -> tuple[tuple[NDArray, NDArray, NDArray, Attention], list[_Block], NDArray]:
    """First states, what every block left, and the last edge states."""
    atoms = w["atom_embedding"][batch.atom_token]
    edges = w["bond_embedding"][batch.edge_token]
    glob, attended = attention(w, "global/0", atoms, edges, batch.atoms[0], batch.edges[0])
    first = atoms, edges, glob, attended
    if a.name == "pm":
        assert pm is not None
        glob = glob + pm @ w["pm/kernel"] + w["pm/bias"]
    blocks = []
    for r, step in enumerate(batch.steps, 1):
        before: Attention | None = None
        node: Node | None = None
        after: Attention | None = None
        if a.name == "global100":
            sizes = batch.atoms[r - 1], batch.edges[r - 1]
            more, before = attention(w, f"global/{r}", atoms, edges, *sizes)
            glob = glob + more
        new_edges, hidden = edge_update(w, r, step, atoms, edges, glob)
        new_atoms, new_glob = atoms, glob
        if r < a.num_messages:  # the readout sees edges only
            new_atoms, node = node_update(w, r, step, atoms, new_edges, glob)
            if a.name == "pm":
                sizes = batch.atoms[r], batch.edges[r]
                more, after = attention(w, f"global/{r}", new_atoms, new_edges, *sizes)
                new_glob = glob + more
        blocks.append(_Block(atoms, edges, glob, before, hidden, new_edges, node, new_atoms, after))
        atoms, edges, glob = new_atoms, new_edges, new_glob
    return first, blocks, edges


def _dense_back(
    w: Weights, d: Weights, name: str, states: NDArray, d_found: NDArray, bias: bool = True
) -> NDArray:
    """Take back ``states @ kernel + bias``."""
    np.matmul(states.T, d_found, out=d[f"{name}/kernel"])
    if bias:
        d_found.sum(axis=0, out=d[f"{name}/bias"])
    return d_found @ w[f"{name}/kernel"].T


def _edge_back(
    w: Weights,
    d: Weights,
    r: int,
    step: Step,
    block: _Block,
    d_found: NDArray,
    d_atoms: NDArray,
    d_glob: NDArray,
) -> NDArray:
    """Take back `edge_update`: adds to ``d_atoms`` and ``d_glob``, gives that of the edges."""
    atoms, edges, glob = block.atoms, block.edges, block.glob
    d_hidden = _dense_back(w, d, f"edge/{r}/dense2", block.hidden, d_found)
    d_hidden *= block.hidden > 0
    d_parts = step.hidden_back @ d_hidden
    sources, targets, globs = len(edges), len(edges) + len(atoms), len(edges) + 2 * len(atoms)
    f, name = edges.shape[1], f"edge/{r}/dense1"
    k, dk = w[f"{name}/kernel"], d[f"{name}/kernel"]
    np.matmul(edges.T, d_parts[:sources], out=dk[:f])
    np.matmul(atoms.T, d_parts[sources:targets], out=dk[f : 2 * f])
    np.matmul(atoms.T, d_parts[targets:globs], out=dk[2 * f : 3 * f])
    _shared_back(k[3 * f :], dk[3 * f :], d[f"{name}/bias"], glob, d_parts[globs:], d_glob)
    d_atoms += d_parts[sources:targets] @ k[f : 2 * f].T
    d_atoms += d_parts[targets:globs] @ k[2 * f : 3 * f].T
    d_edges = d_parts[:sources] @ k[:f].T
    d_edges += step.edge_back @ d_found
    return d_edges


def _node_back(
    w: Weights,
    d: Weights,
    r: int,
    step: Step,
    block: _Block,
    node: Node,
    d_found: NDArray,
    d_edges: NDArray,
    d_glob: NDArray,
) -> NDArray:
    """Take back `node_update`: adds to ``d_edges`` and ``d_glob``, gives that of the atoms."""
    atoms, glob = block.atoms, block.glob
    d_update = _dense_back(w, d, f"node/{r}/dense2", node.update, d_found)
    d_update *= node.update > 0
    d_message = _dense_back(w, d, f"node/{r}/dense1", node.message, d_update)
    d_summed = _dense_back(w, d, f"node/{r}/message2", node.summed, d_message, bias=False)
    np.matmul(step.degree[:, 0], d_message, out=d[f"node/{r}/message2/bias"])
    d_hidden = step.leaving_back @ d_summed
    d_hidden *= node.hidden > 0
    f, name = atoms.shape[1], f"node/{r}/message1"
    k, dk = w[f"{name}/kernel"], d[f"{name}/kernel"]
    np.matmul(block.new_edges.T, d_hidden, out=dk[f : 2 * f])
    d_edges += d_hidden @ k[f : 2 * f].T
    d_parts = step.target_back @ d_hidden
    np.matmul(atoms.T, d_parts[: len(atoms)], out=dk[:f])
    _shared_back(k[2 * f :], dk[2 * f :], d[f"{name}/bias"], glob, d_parts[len(atoms) :], d_glob)
    d_atoms = d_parts[: len(atoms)] @ k[:f].T
    d_atoms += step.atom_back @ d_found
    return d_atoms


def _shared_back(
    k: NDArray, dk: NDArray, d_bias: NDArray, glob: NDArray, d_part: NDArray, d_glob: NDArray
) -> None:
    """Take back what each polymer's global state and the bias add to all its classes."""
    np.matmul(glob.T, d_part, out=dk)
    d_part.sum(axis=0, out=d_bias)
    d_glob += d_part @ k.T


def _attention_back(
    w: Weights,
    d: Weights,
    name: str,
    atoms: NDArray,
    edges: NDArray,
    left: Attention,
    d_found: NDArray,
    d_atoms: NDArray,
    d_edges: NDArray,
) -> None:
    """Take back `attention`: adds to ``d_atoms`` and ``d_edges``.

    A weight p of a softmax with the mean m = Σ p x has dm/dlogit = p (x - m).
    """
    d_mean = _dense_back(w, d, f"{name}/value", left.mean, d_found)
    query = w[f"{name}/query/kernel"][:, 0]
    level = (left.mean * d_mean).sum(axis=1, keepdims=True)
    d_query, d_bias = d[f"{name}/query/kernel"][:, 0], d[f"{name}/query/bias"]
    d_query[:] = d_bias[:] = 0
    for states, share, d_states in (
        (atoms, left.atom_share, d_atoms),
        (edges, left.edge_share, d_edges),
    ):
        d_logit = (share * (d_mean @ states.T - level)).sum(axis=0)
        d_query += d_logit @ states
        d_bias += d_logit.sum()
        d_states += share.T @ d_mean
        d_states += d_logit[:, None] * query


def _plain(batch: Batch) -> Callable[[NDArray], Readout]:
    """Mean over the edges of each polymer."""
    share = share_of_edges(batch.edges[-1])

    def readout(edges: NDArray) -> Readout:
        return (share @ edges)[:, :, None], lambda d_mean: share.T @ d_mean.sum(axis=2)

    return readout


def _loss(y: NDArray, predicted: NDArray, name: str) -> tuple[float, NDArray]:
    """Loss of a batch, and its gradient by the predictions."""
    there = np.isfinite(y)
    difference = np.where(there, predicted - np.where(there, y, 0), 0).astype(predicted.dtype)
    labels = max(int(there.sum()), 1)
    size, slope = np.abs(difference), np.sign(difference)
    if name == "huber":
        near = size < 1.0
        size, slope = (
            np.where(near, 0.5 * size**2, size - 0.5),
            np.where(near, difference, slope),
        )
    return float(size.sum() / labels), slope / labels
