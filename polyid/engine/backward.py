"""The gradient of each layer of `polyid.engine.arithmetic`: reverse mode, written out.

Each function takes the gradient of what its layer gave, and what the layer saw and left. It adds to
or gives the gradients of the states; with that of the weights ``layer``, a
`polyid.engine.adam.Learner`, learns, as soon as nothing reads a matrix any more. On a CPU all this
spares compiling `polyid.engine.network` and padding every polymer; tests hold losses and gradients
of the two together.
"""

from typing import Any

import numpy as np

from polyid.engine.adam import learn, learn_product, learn_sum
from polyid.engine.arithmetic import dense
from polyid.engine.jit import inner
from polyid.engine.product import product, product_onto, turn


@inner
def edge_back(
    layer: Any, step: Any, seen: Any, hidden: Any, d_found: Any, d_atoms: Any, d_glob: Any
) -> Any:
    """Take back `edge_update`: adds to ``d_atoms`` and ``d_glob``, gives that of the edges."""
    atoms, edges, glob = seen
    f = edges.shape[1]
    rows = 3 * f + glob.shape[1]
    d_hidden = _dense_back(layer, rows * 2 * f + 2 * f, hidden, d_found)
    learn_sum(layer, len(layer.weights) - f, d_found)
    _where(hidden, d_hidden)

    d_part = np.zeros((len(edges), 2 * f), edges.dtype)
    _scatter(d_hidden, step.parent, d_part)
    d_edges = np.zeros((len(edges), f), edges.dtype)
    _scatter(d_found, step.parent, d_edges)
    _dense_back_onto(layer, 0, edges, d_part, d_edges)
    d_part = np.empty((len(atoms), 2 * f), atoms.dtype)
    for which in range(2):
        d_part[:] = 0
        _scatter(d_hidden, step.target if which else step.source, d_part)
        _dense_back_onto(layer, (1 + which) * 2 * f * f, atoms, d_part, d_atoms)
    _shared_back(layer, 3 * f * 2 * f, glob, d_hidden, step.polymer, d_glob)
    return d_edges


@inner
def node_back(
    layer: Any, step: Any, seen: Any, left: Any, d_found: Any, d_edges: Any, d_glob: Any
) -> Any:
    """Take back `node_update`: adds to ``d_edges`` and ``d_glob``, gives that of the atoms."""
    atoms, edges, glob = seen
    hidden, summed, message, update = left
    f = atoms.shape[1]
    second = (2 * f + glob.shape[1]) * 2 * f + 2 * f
    third = second + 2 * f * f + f
    d_update = _dense_back(layer, third + 2 * f * f + 2 * f, update, d_found)
    learn_sum(layer, len(layer.weights) - f, d_found)
    _where(update, d_update)
    d_message = _dense_back(layer, third, message, d_update)
    learn_sum(layer, third + 2 * f * f, d_update)
    d_summed = _dense_back(layer, second, summed, d_message)
    for i in range(len(d_message)):  # this bias counts once for every edge
        for c in range(f):
            d_message[i, c] *= step.degree[i]
    learn_sum(layer, third - f, d_message)

    d_hidden = np.zeros(hidden.shape, hidden.dtype)
    for i in range(len(d_summed)):
        for k in range(step.leaving_first[i], step.leaving_first[i + 1]):
            count, e = step.leaving_count[k], step.leaving[k]
            for c in range(2 * f):
                d_hidden[e, c] += count * d_summed[i, c]
    _where(hidden, d_hidden)

    _dense_back_onto(layer, 2 * f * f, edges, d_hidden, d_edges)
    d_part = np.zeros((len(atoms), 2 * f), atoms.dtype)
    _scatter(d_hidden, step.target, d_part)
    d_atoms = np.zeros((len(atoms), f), atoms.dtype)
    _scatter(d_found, step.atom_parent, d_atoms)
    _dense_back_onto(layer, 0, atoms, d_part, d_atoms)
    _shared_back(layer, 4 * f * f, glob, d_hidden, step.polymer, d_glob)
    return d_atoms


@inner
def attention_back(
    layer: Any, seen: Any, left: Any, d_glob: Any, d_atoms: Any, d_edges: Any
) -> None:
    """Take back `attention`, whose gradient is ``d_glob``: adds to ``d_atoms`` and ``d_edges``.

    A weight p of a softmax with the mean m = Σ p x has dm/dlogit = p (x - m).
    """
    atoms, edges, atom_sizes, edge_sizes = seen
    atom_share, edge_share, mean = left
    f = atoms.shape[1]
    d_mean = _dense_back(layer, f + 1, mean, d_glob)
    learn_sum(layer, len(layer.weights) - d_glob.shape[1], d_glob)
    d = layer.gradient[: f + 1]
    d[:] = 0
    for p in range(len(mean)):
        level = mean.dtype.type(0)
        for c in range(f):
            level += mean[p, c] * d_mean[p, c]
        i, j = atom_sizes.first[p], atom_sizes.first[p + 1]
        _weights_back(layer.weights, d, atoms[i:j], atom_share[i:j], d_mean[p], level, d_atoms[i:j])
        i, j = edge_sizes.first[p], edge_sizes.first[p + 1]
        _weights_back(layer.weights, d, edges[i:j], edge_share[i:j], d_mean[p], level, d_edges[i:j])
    learn(layer, 0, f + 1)


@inner
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


@inner
def _dense_back(layer: Any, at: int, states: Any, d_found: Any) -> Any:
    """Take back ``states @ kernel``, which begins there: gives the gradient of the states."""
    d_states = np.empty((len(d_found), states.shape[1]), states.dtype)
    product(d_found, _turned(layer, at, states, d_found), d_states)
    learn_product(layer, at, states, d_found)
    return d_states


@inner
def _dense_back_onto(layer: Any, at: int, states: Any, d_found: Any, d_states: Any) -> None:
    """Do the same, and add it to ``d_states``."""
    product_onto(d_found, _turned(layer, at, states, d_found), d_states)
    learn_product(layer, at, states, d_found)


@inner
def _turned(layer: Any, at: int, states: Any, d_found: Any) -> Any:
    kernel, _, _ = dense(layer.weights, at, states.shape[1], d_found.shape[1])
    turned = np.empty((d_found.shape[1], states.shape[1]), states.dtype)
    turn(kernel, turned)
    return turned


@inner
def _shared_back(layer: Any, at: int, glob: Any, d_hidden: Any, polymer: Any, d_glob: Any) -> None:
    """Take back what each polymer's global state and the bias add to all its classes."""
    d_part = np.zeros((len(glob), d_hidden.shape[1]), glob.dtype)
    _scatter(d_hidden, polymer, d_part)
    kernel, _, end = dense(layer.weights, at, glob.shape[1], d_hidden.shape[1])
    for p in range(len(glob)):
        for j in range(glob.shape[1]):
            total = glob.dtype.type(0)
            for c in range(d_part.shape[1]):
                total += d_part[p, c] * kernel[j, c]
            d_glob[p, j] += total
    learn_product(layer, at, glob, d_part)
    learn_sum(layer, end - d_part.shape[1], d_part)


@inner
def _where(hidden: Any, d_hidden: Any) -> None:
    """Take back ``max(…, 0)``."""
    zero = hidden.dtype.type(0)
    for i in range(len(hidden)):
        for c in range(hidden.shape[1]):
            d_hidden[i, c] = d_hidden[i, c] if hidden[i, c] > zero else zero


@inner
def _scatter(rows: Any, index: Any, out: Any) -> None:
    for i in range(len(rows)):
        to = index[i]
        for c in range(rows.shape[1]):
            out[to, c] += rows[i, c]
