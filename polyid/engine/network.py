"""The two networks of PolyID on a batch of packed quotient graphs."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyid.engine import layers
from polyid.engine.dropout import kept
from polyid.engine.packing import Layout, fields
from polyid.engine.weights import Architecture, views
from polyid.quotient import Block


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
    return network(a, flat, fields(rows, layout), pm, dropout_key, largest_class)


def network(
    a: Architecture,
    flat: Any,
    x: dict[str, Any],
    pm: Any | None = None,
    dropout_key: Any | None = None,
    largest_class: NDArray[np.integer] | None = None,
) -> Any:
    """Do the same as `forward` for rows taken apart, ``(F or 1, B, …)``, see `fields`."""
    w = views(a, flat)
    dtype = flat.dtype if isinstance(flat.dtype, str) else flat.dtype.name
    atoms = _embed(w["atom_embedding"], x["atom_token"])
    edges = _embed(w["bond_embedding"], x["edge_token"])
    glob = layers.attention(
        atoms,
        edges,
        layers.log_count(x["atom_count/0"], dtype),
        layers.log_count(x["edge_count/0"], dtype),
        _under("global/0/", w),
    )
    if a.name == "pm":
        value = ops.cast(pm, dtype)[:, :, None]
        glob = glob + ops.matmul(value, w["pm/kernel"]) + w["pm/bias"][:, None, :]
    for r in range(1, a.num_messages + 1):
        there = {name: x[f"{name}/{r}"] for name in Block._fields}
        there |= {f"old_{name}": x[f"{name}/{r - 1}"] for name in ("atom_count", "edge_count")}
        last = r == a.num_messages
        atoms, edges, glob = block(a.name, last, atoms, edges, glob, there, _of_block(w, r))
    count = x[f"edge_count/{a.num_messages}"]
    keep = None
    if dropout_key is not None and largest_class is not None and a.dropout > 0:
        keep = kept(count, a.outputs, a.features, a.dropout, largest_class, dropout_key, dtype)
    return layers.readout(edges, count, w, keep)


def block(
    name: str, last: bool, atoms: Any, edges: Any, glob: Any, x: dict[str, Any], w: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Atom, edge and global states after one message block; in the ``last`` one, edges only.

    ``x`` holds the fields of `polyid.quotient.Block` and the ``old_`` counts before it, ``w`` the
    block's weights without its number.
    """
    dtype = edges.dtype if isinstance(edges.dtype, str) else edges.dtype.name

    def attention(head: str) -> Any:
        log_atoms = layers.log_count(x[f"{head}atom_count"], dtype)
        log_edges = layers.log_count(x[f"{head}edge_count"], dtype)
        return layers.attention(atoms, edges, log_atoms, log_edges, _under("global/", w))

    if name == "global100":
        glob = glob + attention("old_")
    edges = layers.edge_update(atoms, edges, glob, x, w)
    if not last:  # the readout sees edges only
        atoms = layers.node_update(atoms, edges, glob, x, w)
        if name == "pm":
            glob = glob + attention("")
    return atoms, edges, glob


def _under(head: str, w: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(head): v for k, v in w.items() if k.startswith(head)}


def _of_block(w: dict[str, Any], r: int) -> dict[str, Any]:
    """Weights of block ``r``, without its number."""
    parts = {name: name.split("/") for name in w}
    return {
        "/".join([part[0], *part[2:]]): w[name]
        for name, part in parts.items()
        if len(part) > 2 and part[1] == str(r)
    }


def _embed(table: Any, token: Any) -> Any:
    """Rows of each member's table ``(F, classes, d)`` at ``token`` ``(F or 1, B, n)``."""
    members, classes, width = table.shape
    offset = ops.reshape(ops.arange(members, dtype="int32") * classes, (members, 1, 1))
    return ops.take(ops.reshape(table, (members * classes, width)), token + offset, axis=0)
