"""The two networks of PolyID on a batch of packed quotient graphs."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyid.engine import layers
from polyid.engine.dropout import kept
from polyid.engine.packing import Layout, fields
from polyid.engine.weights import Architecture, views


def forward(
    a: Architecture,
    layout: Layout,
    flat: Any,
    rows: Any,
    pm: Any | None = None,
    dropout_key: Any | None = None,
    largest_class: NDArray[np.integer] | None = None,
) -> Any:
    """Predict scaled properties, ``(F, B, outputs)``.

    Parameters
    ----------
    a, layout
        What the shapes are.
    flat
        Weights of all members, ``(F, count)``.
    rows
        Packed polymers, ``(F, B, layout.width)`` integers.
    pm
        Fraction of meso dyads, ``(F, B)``; the ``pm`` network needs it.
    dropout_key
        From `polyid.engine.dropout.keys` while training, else None.
    largest_class
        With ``dropout_key``: the data's largest edge class at each place, ``(n,)``.
    """
    w, x = views(a, flat), fields(rows, layout)
    dtype = flat.dtype if isinstance(flat.dtype, str) else flat.dtype.name
    atoms = _embed(w["atom_embedding"], x["atom_token"])
    edges = _embed(w["bond_embedding"], x["edge_token"])
    log_atoms = [layers.log_count(x[f"atom_count/{r}"], dtype) for r in range(layout.depth + 1)]
    log_edges = [layers.log_count(x[f"edge_count/{r}"], dtype) for r in range(layout.depth + 1)]

    glob = layers.attention(atoms, edges, log_atoms[0], log_edges[0], w, "global/0")
    if a.name == "pm":
        value = ops.cast(pm, dtype)[:, :, None]
        glob = glob + ops.matmul(value, w["pm/kernel"]) + w["pm/bias"][:, None, :]
    for r in range(1, a.num_messages + 1):
        if a.name == "global100":
            glob = glob + layers.attention(
                atoms, edges, log_atoms[r - 1], log_edges[r - 1], w, f"global/{r}"
            )
        edges = layers.edge_update(atoms, edges, glob, x, r, w)
        if r == a.num_messages:
            break  # the readout sees edges only
        atoms = layers.node_update(atoms, edges, glob, x, r, w)
        if a.name == "pm":
            glob = glob + layers.attention(
                atoms, edges, log_atoms[r], log_edges[r], w, f"global/{r}"
            )
    count = x[f"edge_count/{a.num_messages}"]
    keep = None
    if dropout_key is not None and largest_class is not None and a.dropout > 0:
        keep = kept(count, a.outputs, a.features, a.dropout, largest_class, dropout_key, dtype)
    return layers.readout(edges, count, w, keep)


def _embed(table: Any, token: Any) -> Any:
    """Rows of each member's table ``(F, classes, d)`` at ``token`` ``(F, B, n)``."""
    members, classes, width = table.shape
    offset = ops.reshape(ops.arange(members, dtype="int32") * classes, (members, 1, 1))
    return ops.take(ops.reshape(table, (members * classes, width)), token + offset, axis=0)
