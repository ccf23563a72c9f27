"""Loss and gradient of one member's step on a CPU: nothing is padded.

The forward pass is `polyid.engine.arithmetic`, what takes it back `polyid.engine.backward`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.arithmetic import attention, edge_update, node_update
from polyid.engine.backward import attention_back, edge_back, node_back
from polyid.engine.batch import Batch
from polyid.engine.draws import dropped_mean, dropped_mean_back
from polyid.engine.weights import Architecture, layers, one_of


class Sink(NamedTuple):
    """What is done with the gradient of each layer."""

    room: Callable[[slice], NDArray]
    """Where to write the gradient of the weights that stand in this part of the vector."""
    take: Callable[[slice, NDArray], None]
    """Told that it is written, and that nothing reads these weights any more."""


class _Block(NamedTuple):
    """What one message block saw and left; see `polyid.engine.arithmetic`."""

    atoms: NDArray
    edges: NDArray
    glob: NDArray
    before: tuple[NDArray, ...] | None
    """Attention of ``global100``."""
    hidden: NDArray
    new_edges: NDArray
    new_atoms: NDArray
    node: tuple[NDArray, ...] | None
    after: tuple[NDArray, ...] | None
    """Attention of ``pm``."""


def loss_and_gradient(
    a: Architecture,
    flat: NDArray,
    batch: Batch,
    y: NDArray,
    loss: str,
    sink: Sink,
    pm: NDArray | None = None,
    left: NDArray | None = None,
) -> float:
    """Loss of one member's batch; its gradient goes to ``sink``, layer by layer.

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
    sink
        Takes the gradient.
    pm
        Fraction of meso dyads, ``(polymers, 1)``, for the ``pm`` network.
    left
        What dropout left of the last edges, see `polyid.engine.draws`.
    """
    at = layers(a)
    first, blocks = _forward(a, flat, batch, pm)
    last = blocks[-1].new_edges
    if left is None:  # all edges, and one mean for all outputs
        left = np.repeat(np.exp(batch.edges[-1].log)[None, :, None], a.features, axis=2)
    mean = dropped_mean(last, batch.edges[-1], left)
    kernel = one_of(a, flat, "readout/kernel")
    every = np.broadcast_to(mean, (a.outputs, *mean.shape[1:]))
    predicted = np.einsum("obf,fo->bo", every, kernel) + one_of(a, flat, "readout/bias")
    value, d_predicted = _loss(y, predicted, loss)
    d_mean = np.einsum("bo,fo->obf", d_predicted, kernel)
    if len(mean) == 1:
        d_mean = d_mean.sum(axis=0, keepdims=True)
    d_edges = dropped_mean_back(np.ascontiguousarray(d_mean), batch.edges[-1], left)
    d_kernel, d_bias = np.einsum("obf,bo->fo", every, d_predicted), d_predicted.sum(axis=0)
    _give(sink, at["readout"], d_kernel, d_bias)

    def attended(r: int, place: int, atoms: NDArray, edges: NDArray, seen: Any) -> None:
        where = at[f"global/{r}"]
        d, sizes = sink.room(where), (batch.atoms[place], batch.edges[place])
        saw = (flat[where], d, atoms, edges, *sizes, *seen)
        attention_back(*saw, d_glob, d_atoms, d_edges)
        sink.take(where, d)

    d_atoms, d_glob = np.zeros_like(blocks[-1].new_atoms), np.zeros_like(blocks[-1].glob)
    for r in range(a.num_messages, 0, -1):
        step, b = batch.steps[r - 1], blocks[r - 1]
        if b.after is not None:
            attended(r, r, b.new_atoms, b.new_edges, b.after)
        if b.node is None:
            d_atoms = np.zeros_like(b.atoms)
        else:
            where = at[f"node/{r}"]
            d = sink.room(where)
            seen = (flat[where], d, step, b.atoms, b.new_edges, b.glob, *b.node)
            d_atoms = node_back(*seen, d_atoms, d_edges, d_glob)
            sink.take(where, d)
        where = at[f"edge/{r}"]
        d = sink.room(where)
        seen = (flat[where], d, step, b.atoms, b.edges, b.glob, b.hidden)
        d_edges = edge_back(*seen, d_edges, d_atoms, d_glob)
        sink.take(where, d)
        if b.before is not None:
            attended(r, r - 1, b.atoms, b.edges, b.before)
    if pm is not None and a.name == "pm":
        _give(sink, at["pm"], pm.T @ d_glob, d_glob.sum(axis=0))
    attended(0, 0, blocks[0].atoms, blocks[0].edges, first)
    for name, token, d_states in (
        ("atom_embedding", batch.atom_token, d_atoms),
        ("bond_embedding", batch.edge_token, d_edges),
    ):
        embedding = np.zeros_like(one_of(a, flat, name))
        np.add.at(embedding, token, d_states)
        _give(sink, at[name], embedding)
    return value


def _give(sink: Sink, where: slice, *parts: NDArray) -> None:
    """Hand the gradient of a small layer over."""
    d = sink.room(where)
    np.concatenate([part.ravel() for part in parts], out=d, casting="same_kind")
    sink.take(where, d)


def _forward(
    a: Architecture, flat: NDArray, batch: Batch, pm: NDArray | None
) -> tuple[tuple[NDArray, ...], list[_Block]]:
    """Give what the first attention left, and every block."""
    at = layers(a)
    atoms = one_of(a, flat, "atom_embedding")[batch.atom_token]
    edges = one_of(a, flat, "bond_embedding")[batch.edge_token]

    def attended(r: int, place: int, atoms: NDArray, edges: NDArray, glob: NDArray) -> Any:
        sizes = batch.atoms[place], batch.edges[place]
        return attention(flat[at[f"global/{r}"]], atoms, edges, *sizes, glob)

    glob = np.zeros((len(batch.edges[0].first) - 1, a.mol_features), flat.dtype)
    glob, *first = attended(0, 0, atoms, edges, glob)
    if a.name == "pm":
        assert pm is not None
        glob = glob + pm @ one_of(a, flat, "pm/kernel") + one_of(a, flat, "pm/bias")
    blocks = []
    for r, step in enumerate(batch.steps, 1):
        before = node = after = None
        if a.name == "global100":
            glob, *before = attended(r, r - 1, atoms, edges, glob)
        new_edges, hidden = edge_update(flat[at[f"edge/{r}"]], step, atoms, edges, glob)
        new_atoms, later = atoms, glob
        if r < a.num_messages:  # the readout sees edges only
            seen = step, atoms, new_edges, glob
            new_atoms, *node = node_update(flat[at[f"node/{r}"]], *seen)
            if a.name == "pm":
                later, *after = attended(r, r, new_atoms, new_edges, glob)
        blocks.append(_Block(atoms, edges, glob, before, hidden, new_edges, new_atoms, node, after))
        atoms, edges, glob = new_atoms, new_edges, later
    return tuple(first), blocks


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
