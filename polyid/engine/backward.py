"""The gradient of each layer of `polyid.engine.arithmetic`: reverse mode, written out.

Each function takes the gradient of what its layer gave, and what the layer saw and left. It writes
the gradients of the layer's weights to ``d``, which is laid out like the weights ``w``, and adds to
or gives those of the states. On a CPU it spares compiling `polyid.engine.network` and padding every
polymer; tests hold losses and gradients of the two together.
"""

from typing import Any

import numpy as np

from polyid.engine.arithmetic import dense
from polyid.engine.jit import kernel
from polyid.engine.product import product, product_onto, turn, turned_product


@kernel
def edge_back(
    w: Any, d: Any, step: Any, atoms: Any, edges: Any, glob: Any, hidden: Any,
    d_found: Any, d_atoms: Any, d_glob: Any,
) -> Any:  # fmt: skip
    """Take back `edge_update`: adds to ``d_atoms`` and ``d_glob``, gives that of the edges."""
    f = edges.shape[1]
    rows = 3 * f + glob.shape[1]
    kernel, _, later = dense(w, 0, rows, 2 * f)
    d_kernel, d_bias, _ = dense(d, 0, rows, 2 * f)
    d_hidden = _dense_back(w, d, later, hidden, d_found)
    _where(hidden, d_hidden)

    d_part = np.zeros((len(edges), 2 * f), edges.dtype)
    _scatter(d_hidden, step.parent, d_part)
    turned_product(edges, d_part, d_kernel[:f])
    turned = np.empty((2 * f, f), edges.dtype)
    turn(kernel[:f], turned)
    d_edges = np.zeros((len(edges), f), edges.dtype)
    _scatter(d_found, step.parent, d_edges)
    product_onto(d_part, turned, d_edges)

    d_part = np.empty((len(atoms), 2 * f), atoms.dtype)
    for which in range(2):
        start = f + which * f
        d_part[:] = 0
        _scatter(d_hidden, step.target if which else step.source, d_part)
        turned_product(atoms, d_part, d_kernel[start : start + f])
        turn(kernel[start : start + f], turned)
        product_onto(d_part, turned, d_atoms)

    _shared_back(kernel[3 * f :], d_kernel[3 * f :], d_bias, glob, d_hidden, step.polymer, d_glob)
    return d_edges


@kernel
def node_back(
    w: Any, d: Any, step: Any, atoms: Any, edges: Any, glob: Any, hidden: Any,
    summed: Any, message: Any, update: Any, d_found: Any, d_edges: Any, d_glob: Any,
) -> Any:  # fmt: skip
    """Take back `node_update`: adds to ``d_edges`` and ``d_glob``, gives that of the atoms."""
    f = atoms.shape[1]
    rows = 2 * f + glob.shape[1]
    kernel, _, second = dense(w, 0, rows, 2 * f)
    d_kernel, d_bias, _ = dense(d, 0, rows, 2 * f)
    first_dense = second + 2 * f * f + f
    d_update = _dense_back(w, d, first_dense + 2 * f * f + 2 * f, update, d_found)
    _where(update, d_update)
    d_message = _dense_back(w, d, first_dense, message, d_update)
    d_summed = _dense_back(w, d, second, summed, d_message)
    _, d_second, _ = dense(d, second, 2 * f, f)  # this bias counts once for every edge
    d_second[:] = 0
    for i in range(len(d_message)):
        for c in range(f):
            d_second[c] += step.degree[i] * d_message[i, c]

    d_hidden = np.zeros(hidden.shape, hidden.dtype)
    for i in range(len(d_summed)):
        for k in range(step.leaving_first[i], step.leaving_first[i + 1]):
            count, e = step.leaving_count[k], step.leaving[k]
            for c in range(2 * f):
                d_hidden[e, c] += count * d_summed[i, c]
    _where(hidden, d_hidden)

    turned = np.empty((2 * f, f), atoms.dtype)
    turned_product(edges, d_hidden, d_kernel[f : 2 * f])
    turn(kernel[f : 2 * f], turned)
    product_onto(d_hidden, turned, d_edges)
    d_part = np.zeros((len(atoms), 2 * f), atoms.dtype)
    _scatter(d_hidden, step.target, d_part)
    turned_product(atoms, d_part, d_kernel[:f])
    turn(kernel[:f], turned)
    d_atoms = np.zeros((len(atoms), f), atoms.dtype)
    _scatter(d_found, step.atom_parent, d_atoms)
    product_onto(d_part, turned, d_atoms)
    _shared_back(kernel[2 * f :], d_kernel[2 * f :], d_bias, glob, d_hidden, step.polymer, d_glob)
    return d_atoms


@kernel
def attention_back(
    w: Any, d: Any, atoms: Any, edges: Any, atom_sizes: Any, edge_sizes: Any,
    atom_share: Any, edge_share: Any, mean: Any, d_glob: Any, d_atoms: Any, d_edges: Any,
) -> None:  # fmt: skip
    """Take back `attention`, whose gradient is ``d_glob``: adds to ``d_atoms`` and ``d_edges``.

    A weight p of a softmax with the mean m = Σ p x has dm/dlogit = p (x - m).
    """
    f = atoms.shape[1]
    d_mean = _dense_back(w, d, f + 1, mean, d_glob)
    d[: f + 1] = 0
    for p in range(len(mean)):
        level = mean.dtype.type(0)
        for c in range(f):
            level += mean[p, c] * d_mean[p, c]
        i, j = atom_sizes.first[p], atom_sizes.first[p + 1]
        _weights_back(w, d, atoms[i:j], atom_share[i:j], d_mean[p], level, d_atoms[i:j])
        i, j = edge_sizes.first[p], edge_sizes.first[p + 1]
        _weights_back(w, d, edges[i:j], edge_share[i:j], d_mean[p], level, d_edges[i:j])


@kernel
def _weights_back(
    w: Any, d: Any, states: Any, share: Any, d_mean: Any, level: Any, d_states: Any
) -> None:
    """Take back one polymer's weights of some states."""
    f = states.shape[1]
    query, d_query = w[:f], d[:f]
    for i in range(len(states)):
        slope = -level
        for c in range(f):
            slope += states[i, c] * d_mean[c]
        slope *= share[i]
        for c in range(f):
            d_states[i, c] += share[i] * d_mean[c] + slope * query[c]
        for c in range(f):
            d_query[c] += slope * states[i, c]
        d[f] += slope


@kernel
def _dense_back(w: Any, d: Any, at: int, states: Any, d_found: Any) -> Any:
    """Take back ``states @ kernel + bias``."""
    rows, columns = states.shape[1], d_found.shape[1]
    kernel, _, _ = dense(w, at, rows, columns)
    d_kernel, d_bias, _ = dense(d, at, rows, columns)
    turned_product(states, d_found, d_kernel)
    _sum(d_found, d_bias)
    turned = np.empty((columns, rows), states.dtype)
    turn(kernel, turned)
    d_states = np.empty((len(d_found), rows), states.dtype)
    product(d_found, turned, d_states)
    return d_states


@kernel
def _shared_back(
    kernel: Any, d_kernel: Any, d_bias: Any, glob: Any, d_hidden: Any, polymer: Any, d_glob: Any
) -> None:
    """Take back what each polymer's global state and the bias add to all its classes."""
    d_part = np.zeros((len(glob), d_hidden.shape[1]), glob.dtype)
    _scatter(d_hidden, polymer, d_part)
    turned_product(glob, d_part, d_kernel)
    _sum(d_part, d_bias)
    for p in range(len(glob)):
        for j in range(glob.shape[1]):
            total = glob.dtype.type(0)
            for c in range(len(d_bias)):
                total += d_part[p, c] * kernel[j, c]
            d_glob[p, j] += total


@kernel
def _where(hidden: Any, d_hidden: Any) -> None:
    """Take back ``max(…, 0)``."""
    zero = hidden.dtype.type(0)
    for i in range(len(hidden)):
        for c in range(hidden.shape[1]):
            d_hidden[i, c] = d_hidden[i, c] if hidden[i, c] > zero else zero


@kernel
def _scatter(rows: Any, index: Any, out: Any) -> None:
    for i in range(len(rows)):
        to = index[i]
        for c in range(rows.shape[1]):
            out[to, c] += rows[i, c]


@kernel
def _sum(rows: Any, out: Any) -> None:
    out[:] = 0
    for i in range(len(rows)):
        for c in range(len(out)):
            out[c] += rows[i, c]
