"""PolyID's message passing on quotient graphs, for all members at once, in ``keras.ops``.

Shapes: F members, B polymers each, n classes, d features. States are ``(F, B, n, d)``, weights
``(F, rows, columns)``. Classes and counts may be ``(1, B, n)`` where members share polymers, and
on TensorFlow n may be unknown while a program is traced. Every function computes what nfp's layer
of the same job computes on the whole graph (tests hold outputs and gradients equal), with less
work:

- a dense layer on a concatenation is a sum of dense layers, so atoms are multiplied before they
  are gathered for each edge;
- nfp's message ends in a linear layer and a sum: sum first, multiply once per atom class;
- attention weights add to 1, so the value layer is applied once, to the weighted mean.
"""

from typing import Any

from keras import ops

from polyid.engine.dropout import Kept

Tensor = Any
Weights = dict[str, Tensor]


def gather(states: Tensor, index: Tensor) -> Tensor:
    """Rows of states ``(F, B, n, d)`` at ``index`` ``(F or 1, B, m)``: ``(F, B, m, d)``."""
    members, batch, _, width = states.shape
    first = ops.arange(members * batch, dtype="int32") * ops.shape(states)[2]
    flat = ops.reshape(states, (-1, width))
    return ops.take(flat, index + ops.reshape(first, (members, batch, 1)), axis=0)


def dense(states: Tensor, kernel: Tensor) -> Tensor:
    """``states @ kernel`` member by member, no bias: ``(F, B, n, rows)`` to ``(…, columns)``."""
    members, batch, _, rows = states.shape
    flat = ops.matmul(ops.reshape(states, (members, -1, rows)), kernel)
    return ops.reshape(flat, (members, batch, -1, kernel.shape[-1]))


def per_class(bias: Tensor) -> Tensor:
    """Bias ``(F, d)`` for states."""
    return bias[:, None, None, :]


def log_count(count: Tensor, dtype: str) -> Tensor:
    """``log n`` of class sizes, and a number that no softmax sees for padding."""
    size = ops.cast(count, dtype)
    return ops.where(size > 0, ops.log(ops.maximum(size, 1.0)), -1e30)


def attention(
    atoms: Tensor, edges: Tensor, log_atoms: Tensor, log_edges: Tensor, w: Weights
) -> Tensor:
    """Nfp's ``GlobalUpdate`` with one head: softmax over all atoms and edges, ``(F, B, g)``.

    A class of n equal elements counts as n: log n is added to its logit.
    """
    query = w["query/kernel"][:, None, None, :, 0]
    bias = w["query/bias"][:, None, :]
    atom_logit = ops.sum(atoms * query, axis=-1) + bias + log_atoms
    edge_logit = ops.sum(edges * query, axis=-1) + bias + log_edges
    top = ops.stop_gradient(
        ops.maximum(
            ops.max(atom_logit, axis=-1, keepdims=True), ops.max(edge_logit, axis=-1, keepdims=True)
        )
    )
    atom_weight, edge_weight = ops.exp(atom_logit - top), ops.exp(edge_logit - top)
    total = ops.sum(atom_weight, axis=-1) + ops.sum(edge_weight, axis=-1)
    mixed = ops.sum(atom_weight[..., None] * atoms, axis=2)
    mixed = mixed + ops.sum(edge_weight[..., None] * edges, axis=2)
    mean = mixed / total[..., None]
    return ops.matmul(mean, w["value/kernel"]) + w["value/bias"][:, None, :]


def edge_update(
    atoms: Tensor, edges: Tensor, glob: Tensor, x: dict[str, Tensor], w: Weights
) -> Tensor:
    """Nfp's ``EdgeUpdate`` and the residual: states of the edge classes after a block."""
    name, f = "edge", edges.shape[-1]
    k = w[f"{name}/dense1/kernel"]
    hidden = (
        gather(dense(edges, k[:, :f]), x["edge_parent"])
        + gather(dense(atoms, k[:, f : 2 * f]), x["edge_source"])
        + gather(dense(atoms, k[:, 2 * f : 3 * f]), x["edge_target"])
    )
    shared = ops.matmul(glob, k[:, 3 * f :]) + w[f"{name}/dense1/bias"][:, None, :]
    hidden = ops.relu(hidden + shared[:, :, None, :])
    update = dense(hidden, w[f"{name}/dense2/kernel"]) + per_class(w[f"{name}/dense2/bias"])
    return gather(edges, x["edge_parent"]) + update


def node_update(
    atoms: Tensor, edges: Tensor, glob: Tensor, x: dict[str, Tensor], w: Weights
) -> Tensor:
    """Nfp's ``NodeUpdate`` and the residual: states of the atom classes after a block.

    ``atoms`` are the states before the block, ``edges`` those after it.
    """
    name, f = "node", atoms.shape[-1]
    k = w[f"{name}/message1/kernel"]
    hidden = gather(dense(atoms, k[:, :f]), x["edge_target"]) + dense(edges, k[:, f : 2 * f])
    shared = ops.matmul(glob, k[:, 2 * f :]) + w[f"{name}/message1/bias"][:, None, :]
    hidden = ops.relu(hidden + shared[:, :, None, :])

    index, count = x["out_edge"], ops.cast(x["out_count"], atoms.dtype)
    shared_by, batch, _, degree = index.shape
    leaving = gather(hidden, ops.reshape(index, (shared_by, batch, -1)))
    leaving = ops.reshape(leaving, (*hidden.shape[:2], -1, degree, hidden.shape[-1]))
    summed = ops.sum(leaving * count[..., None], axis=3)
    messages = dense(summed, w[f"{name}/message2/kernel"])
    messages = messages + ops.sum(count, axis=-1)[..., None] * per_class(w[f"{name}/message2/bias"])

    update = dense(messages, w[f"{name}/dense1/kernel"]) + per_class(w[f"{name}/dense1/bias"])
    update = dense(ops.relu(update), w[f"{name}/dense2/kernel"])
    update = update + per_class(w[f"{name}/dense2/bias"])
    return gather(atoms, x["atom_parent"]) + update


def readout(edges: Tensor, count: Tensor, w: Weights, keep: list[Kept] | None = None) -> Tensor:
    """Mean over edges of nfp's bond-wise values, ``(F, B, outputs)``.

    ``keep``, if given, is what dropout left of each class and feature, instead of ``count``.
    """
    size = ops.cast(count, edges.dtype)
    share = 1.0 / ops.maximum(ops.sum(size, axis=-1, keepdims=True), 1.0)
    kernel, bias = w["readout/kernel"], w["readout/bias"][:, None, :]
    if keep is None:
        return ops.matmul(ops.sum((share * size)[..., None] * edges, axis=2), kernel) + bias
    mean: Tensor = 0.0
    for part in keep:
        some = edges[:, :, part.start : part.stop]
        # a product, not a sum over classes: XLA on a CPU would draw again for every term of a sum
        row = (share * ops.ones_like(size[:, :, part.start : part.stop]))[:, :, None, :]
        mean = mean + ops.stack(
            [ops.matmul(row, left * some)[:, :, 0] for left in part.edges], axis=2
        )
    return ops.einsum("fbpd,fdp->fbp", mean, kernel) + bias
