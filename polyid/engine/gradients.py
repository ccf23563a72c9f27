"""Losses and gradients of all members' steps on a CPU: nothing is padded.

The forward pass is `polyid.engine.arithmetic`, what takes it back `polyid.engine.backward`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.arithmetic import attention, edge_update, node_update
from polyid.engine.backward import attention_back, edge_back, node_back
from polyid.engine.batch import Batch, join
from polyid.engine.draws import Dropout, dropped_mean, dropped_mean_back
from polyid.engine.packing import Bucket, unpack
from polyid.engine.weights import Architecture, count, one_of, places


class Gradients:
    """What a step asks for; the polymers are laid out once.

    Parameters
    ----------
    architecture, buckets, members, pm, seed, loss
        As for `polyid.engine.ensemble.Ensemble`.
    largest_class
        Size of the largest edge class at each place of each bucket's rows.
    dtype
        Precision of weights and gradients.
    """

    def __init__(
        self,
        architecture: Architecture,
        buckets: Sequence[Bucket],
        members: int,
        pm: NDArray | None,
        seed: int,
        loss: str,
        largest_class: Sequence[NDArray[np.integer]],
        dtype: Any = np.float32,
    ) -> None:
        a = self.architecture = architecture
        self.loss = loss
        self.polymers = [[unpack(row, b.layout) for row in b.table] for b in buckets]
        self.pm = None if pm is None else [np.asarray(pm, dtype)[b.members] for b in buckets]
        self.dropout = [
            Dropout(largest, a.outputs, a.features, a.dropout, seed, dtype)
            for largest in largest_class
            if a.dropout > 0
        ]
        self.gradient = np.zeros((members, count(a)), dtype)
        self._alone = lru_cache(maxsize=None)(self._join)  # one batch per polymer

    def __call__(
        self,
        flat: NDArray,
        bucket: int,
        index: NDArray[np.integer],
        y: NDArray,
        state: NDArray[np.integer],
    ) -> tuple[NDArray, NDArray]:
        """Losses ``(members,)``, and gradients like ``flat``, which the next call overwrites.

        Parameters
        ----------
        flat
            Weights, ``(members, count)``.
        bucket, index
            The step's bucket and each member's rows of its table, ``(members, batch)``.
        y
            Scaled labels, ``(members, batch, outputs)``.
        state
            Number and step of each member, ``(members, 2)``, which dropout is drawn by.
        """
        losses = np.empty(len(flat), flat.dtype)
        for m, rows in enumerate(index.tolist()):
            batch = self.batch(bucket, rows)
            pm = None if self.pm is None else self.pm[bucket][rows][:, None]
            left = None
            if self.dropout:
                left = self.dropout[bucket].left(batch.edges[-1], state[m])
            losses[m] = loss_and_gradient(
                self.architecture, flat[m], batch, y[m], self.loss, self.gradient[m], pm, left
            )
        return losses, self.gradient

    def batch(self, bucket: int, rows: Sequence[int]) -> Batch:
        """Lay out some polymers of a bucket; one alone is kept for its next time."""
        return (self._alone if len(rows) == 1 else self._join)(bucket, tuple(rows))

    def _join(self, bucket: int, rows: tuple[int, ...]) -> Batch:
        return join([self.polymers[bucket][row] for row in rows], self.gradient.dtype)


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
    gradient: NDArray,
    pm: NDArray | None = None,
    left: NDArray | None = None,
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
    left
        What dropout left of the last edges, see `polyid.engine.draws`.
    """
    at = places(a)
    first, blocks = _forward(a, flat, batch, pm)
    last = blocks[-1].new_edges
    if left is None:  # all edges, and one mean for all outputs
        left = np.repeat(np.exp(batch.edges[-1].log)[None, :, None], a.features, axis=2)
    mean = dropped_mean(last, batch.edges[-1], left)
    kernel = one_of(a, flat, "readout/kernel")
    every = np.broadcast_to(mean, (a.outputs, *mean.shape[1:]))
    predicted = np.einsum("obf,fo->bo", every, kernel) + one_of(a, flat, "readout/bias")
    value, d_predicted = _loss(y, predicted, loss)
    one_of(a, gradient, "readout/bias")[:] = d_predicted.sum(axis=0)
    one_of(a, gradient, "readout/kernel")[:] = np.einsum("obf,bo->fo", every, d_predicted)
    d_mean = np.einsum("bo,fo->obf", d_predicted, kernel)
    if len(mean) == 1:
        d_mean = d_mean.sum(axis=0, keepdims=True)
    d_edges = dropped_mean_back(np.ascontiguousarray(d_mean), batch.edges[-1], left)

    def attended(r: int, place: int, atoms: NDArray, edges: NDArray, seen: Any) -> None:
        attention_back(
            flat, gradient, at[f"global/{r}/query/kernel"], atoms, edges, batch.atoms[place],
            batch.edges[place], *seen, d_glob, d_atoms, d_edges,
        )  # fmt: skip

    d_atoms, d_glob = np.zeros_like(blocks[-1].new_atoms), np.zeros_like(blocks[-1].glob)
    for r in range(a.num_messages, 0, -1):
        step, b = batch.steps[r - 1], blocks[r - 1]
        seen = step, b.atoms
        if b.after is not None:
            attended(r, r, b.new_atoms, b.new_edges, b.after)
        if b.node is None:
            d_atoms = np.zeros_like(b.atoms)
        else:
            d_atoms = node_back(
                flat, gradient, at[f"node/{r}/message1/kernel"], *seen, b.new_edges, b.glob,
                *b.node, d_atoms, d_edges, d_glob,
            )  # fmt: skip
        d_edges = edge_back(
            flat, gradient, at[f"edge/{r}/dense1/kernel"], *seen, b.edges, b.glob, b.hidden,
            d_edges, d_atoms, d_glob,
        )  # fmt: skip
        if b.before is not None:
            attended(r, r - 1, b.atoms, b.edges, b.before)
    if pm is not None and a.name == "pm":
        one_of(a, gradient, "pm/kernel")[:] = pm.T @ d_glob
        one_of(a, gradient, "pm/bias")[:] = d_glob.sum(axis=0)
    attended(0, 0, blocks[0].atoms, blocks[0].edges, first)
    for name, token, d_states in (
        ("atom_embedding", batch.atom_token, d_atoms),
        ("bond_embedding", batch.edge_token, d_edges),
    ):
        embedding = one_of(a, gradient, name)
        embedding[:] = 0
        np.add.at(embedding, token, d_states)
    return value


def _forward(
    a: Architecture, flat: NDArray, batch: Batch, pm: NDArray | None
) -> tuple[tuple[NDArray, ...], list[_Block]]:
    """Give what the first attention left, and every block."""
    at = places(a)
    atoms = one_of(a, flat, "atom_embedding")[batch.atom_token]
    edges = one_of(a, flat, "bond_embedding")[batch.edge_token]

    def attended(r: int, place: int, atoms: NDArray, edges: NDArray, glob: NDArray) -> Any:
        sizes = batch.atoms[place], batch.edges[place]
        return attention(flat, at[f"global/{r}/query/kernel"], atoms, edges, *sizes, glob)

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
        place = at[f"edge/{r}/dense1/kernel"]
        new_edges, hidden = edge_update(flat, place, step, atoms, edges, glob)
        new_atoms, later = atoms, glob
        if r < a.num_messages:  # the readout sees edges only
            place = at[f"node/{r}/message1/kernel"]
            new_atoms, *node = node_update(flat, place, step, atoms, new_edges, glob)
            if a.name == "pm":
                later, *after = attended(r, r, new_atoms, new_edges, glob)
        blocks.append(_Block(atoms, edges, glob, before, hidden, new_edges, new_atoms, node, after))
        atoms, edges, glob = new_atoms, new_edges, later
    return first, blocks


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
