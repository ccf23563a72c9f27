"""The arithmetic of PolyID's networks on a CPU, one member at a time.

It is that of `polyid.engine.layers`, on polymers that lie one after the other as one graph of
several parts (`polyid.engine.batch`): no padding, any shape. ``w`` are the weights of one layer,
one after the other as `polyid.engine.weights.shapes` orders them. What the functions give beside
the states is what a gradient needs; see `polyid.engine.backward`.
"""

from typing import Any

import numpy as np

from polyid.engine.jit import inner, kernel
from polyid.engine.product import product, product_onto


@inner
def dense(w: Any, at: int, rows: int, columns: int) -> Any:
    """Kernel and bias of a dense layer, and where the next one begins."""
    end = at + rows * columns
    return w[at:end].reshape(rows, columns), w[end : end + columns], end + columns


@kernel
def attention(w: Any, atoms: Any, edges: Any, atom_sizes: Any, edge_sizes: Any, glob: Any) -> Any:
    """Nfp's ``GlobalUpdate`` with one head, added to the global states ``(polymers, g)``.

    Returns
    -------
    tuple
        The new global states; each atom class's weight in its polymer ``(atoms,)``, and the edge
        classes', which together add to 1; the weighted means of the states
        ``(polymers, features)``.
    """
    features, width = atoms.shape[1], glob.shape[1]
    query, bias = w[:features], w[features]
    value, value_bias, _ = dense(w, features + 1, features, width)
    atom_share = _logits(atoms, query, bias, atom_sizes.log)
    edge_share = _logits(edges, query, bias, edge_sizes.log)
    mean = np.zeros((len(glob), features), atoms.dtype)
    found = glob.copy()
    for p in range(len(glob)):
        i, j = atom_sizes.first[p], atom_sizes.first[p + 1]
        m, n = edge_sizes.first[p], edge_sizes.first[p + 1]
        top = atom_share[i]
        for k in range(i, j):
            top = max(top, atom_share[k])
        for k in range(m, n):
            top = max(top, edge_share[k])
        total = _exponentials(atom_share[i:j], top) + _exponentials(edge_share[m:n], top)
        _weigh(atoms[i:j], atom_share[i:j], total, mean[p])
        _weigh(edges[m:n], edge_share[m:n], total, mean[p])
        for c in range(width):
            found[p, c] += value_bias[c]
    product_onto(mean, value, found)
    return found, atom_share, edge_share, mean


@inner
def _logits(states: Any, query: Any, bias: Any, log: Any) -> Any:
    found = np.empty(len(states), states.dtype)
    for i in range(len(states)):
        total = states.dtype.type(0)
        for c in range(states.shape[1]):
            total += states[i, c] * query[c]
        found[i] = total + bias + log[i]
    return found


@inner
def _exponentials(share: Any, top: Any) -> Any:
    total = share.dtype.type(0)
    for i in range(len(share)):
        share[i] = np.exp(share[i] - top)
        total += share[i]
    return total


@inner
def _weigh(states: Any, share: Any, total: Any, mean: Any) -> None:
    for i in range(len(states)):
        share[i] /= total
        for c in range(states.shape[1]):
            mean[c] += share[i] * states[i, c]


@kernel
def edge_update(w: Any, step: Any, atoms: Any, edges: Any, glob: Any) -> Any:
    """Nfp's ``EdgeUpdate`` and the residual, and its hidden layer ``(edges, 2 features)``."""
    hidden, at = _edge_hidden(w, step, atoms, edges, glob)
    kernel, bias, _ = dense(w, at, hidden.shape[1], edges.shape[1])
    found = _rows_of(edges, step.parent, bias)
    product_onto(hidden, kernel, found)
    return found, hidden


@kernel
def mean_edge(w: Any, step: Any, atoms: Any, edges: Any, glob: Any, sizes: Any) -> Any:
    """Mean of the states that `edge_update` gives, ``(polymers, features)``, by way of less.

    The update ends in a linear layer: the hidden layer can be averaged instead of its result.
    """
    hidden, at = _edge_hidden(w, step, atoms, edges, glob)
    kernel, bias, _ = dense(w, at, hidden.shape[1], edges.shape[1])
    share = share_of_edges(sizes)
    through = np.zeros((len(glob), hidden.shape[1]), hidden.dtype)
    found = np.zeros((len(glob), edges.shape[1]), hidden.dtype)
    for i in range(len(hidden)):
        p = sizes.of[i]
        for c in range(hidden.shape[1]):
            through[p, c] += share[i] * hidden[i, c]
        for c in range(edges.shape[1]):
            found[p, c] += share[i] * (edges[step.parent[i], c] + bias[c])
    product_onto(through, kernel, found)
    return found


@inner
def _edge_hidden(w: Any, step: Any, atoms: Any, edges: Any, glob: Any) -> Any:
    f = edges.shape[1]
    kernel, bias, at = dense(w, 0, 3 * f + glob.shape[1], 2 * f)
    by_edge = np.empty((len(edges), 2 * f), edges.dtype)
    by_source = np.empty((len(atoms), 2 * f), edges.dtype)
    by_target = np.empty((len(atoms), 2 * f), edges.dtype)
    product(edges, kernel[:f], by_edge)
    product(atoms, kernel[f : 2 * f], by_source)
    product(atoms, kernel[2 * f : 3 * f], by_target)
    by_polymer = _of_polymers(glob, kernel[3 * f :], bias)
    hidden = np.empty((len(step.parent), 2 * f), edges.dtype)
    zero = edges.dtype.type(0)
    for i in range(len(hidden)):
        e, p, s, t = step.parent[i], step.polymer[i], step.source[i], step.target[i]
        for c in range(2 * f):
            total = by_edge[e, c] + by_source[s, c] + by_target[t, c] + by_polymer[p, c]
            hidden[i, c] = max(total, zero)
    return hidden, at


@kernel
def node_update(w: Any, step: Any, atoms: Any, edges: Any, glob: Any) -> Any:
    """Nfp's ``NodeUpdate`` and the residual; ``edges`` are the states after the block.

    Returns
    -------
    tuple
        The new states; the messages' hidden layer ``(edges, 2 features)``; the same summed over
        the edges that leave ``(atoms, 2 features)``; messages ``(atoms, features)``; the update's
        hidden layer ``(atoms, 2 features)``.
    """
    f, new = atoms.shape[1], len(step.atom_parent)
    zero = atoms.dtype.type(0)
    kernel, bias, at = dense(w, 0, 2 * f + glob.shape[1], 2 * f)
    by_target = np.empty((len(atoms), 2 * f), atoms.dtype)
    product(atoms, kernel[:f], by_target)
    by_polymer = _of_polymers(glob, kernel[2 * f :], bias)
    hidden = np.empty((len(edges), 2 * f), atoms.dtype)
    product(edges, kernel[f : 2 * f], hidden)
    for i in range(len(hidden)):
        t, p = step.target[i], step.polymer[i]
        for c in range(2 * f):
            hidden[i, c] = max(hidden[i, c] + by_target[t, c] + by_polymer[p, c], zero)
    summed = np.zeros((new, 2 * f), atoms.dtype)
    for i in range(new):
        for k in range(step.leaving_first[i], step.leaving_first[i + 1]):
            count, e = step.leaving_count[k], step.leaving[k]
            for c in range(2 * f):
                summed[i, c] += count * hidden[e, c]
    kernel, bias, at = dense(w, at, 2 * f, f)
    message = np.empty((new, f), atoms.dtype)
    for i in range(new):
        for c in range(f):
            message[i, c] = step.degree[i] * bias[c]
    product_onto(summed, kernel, message)
    kernel, bias, at = dense(w, at, f, 2 * f)
    update = np.empty((new, 2 * f), atoms.dtype)
    product(message, kernel, update)
    for i in range(new):
        for c in range(2 * f):
            update[i, c] = max(update[i, c] + bias[c], zero)
    kernel, bias, at = dense(w, at, 2 * f, f)
    found = _rows_of(atoms, step.atom_parent, bias)
    product_onto(update, kernel, found)
    return found, hidden, summed, message, update


@inner
def _of_polymers(glob: Any, kernel: Any, bias: Any) -> Any:
    """Give what each polymer's global state and the bias add to all its classes."""
    found = np.empty((len(glob), len(bias)), glob.dtype)
    for p in range(len(glob)):
        for c in range(len(bias)):
            found[p, c] = bias[c]
    product_onto(glob, kernel, found)
    return found


@inner
def _rows_of(states: Any, parent: Any, bias: Any) -> Any:
    """Give the parents' states and the bias, for a residual."""
    found = np.empty((len(parent), states.shape[1]), states.dtype)
    for i in range(len(parent)):
        old = parent[i]
        for c in range(states.shape[1]):
            found[i, c] = states[old, c] + bias[c]
    return found


@inner
def share_of_edges(sizes: Any) -> Any:
    """Share of each class in the edges of its polymer, ``(edges,)``."""
    total = np.zeros(len(sizes.first) - 1, sizes.log.dtype)
    share = np.exp(sizes.log)
    for i in range(len(share)):
        total[sizes.of[i]] += share[i]
    for i in range(len(share)):
        share[i] /= total[sizes.of[i]]
    return share
