"""Loss and gradient of one member's step on a CPU: nothing is padded, and all is one call.

The forward pass is `polyid.engine.arithmetic`, what takes it back `polyid.engine.backward`.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.adam import layer_of, learn
from polyid.engine.arithmetic import attention, dense, edge_update, node_update
from polyid.engine.backward import attention_back, edge_back, node_back
from polyid.engine.batch import atoms_of, edges_of, step_of
from polyid.engine.draws import dropped_mean, dropped_mean_back
from polyid.engine.jit import inner, kernel
from polyid.engine.weights import Architecture, layers


class Plan(NamedTuple):
    """A network, as compiled code reads it."""

    pm: bool
    """Whether it is the ``pm`` network."""
    huber: bool
    """Whether the loss is ``huber``, and not ``mae``; `polyid.engine.ensemble.masked_loss`."""
    features: int
    mol_features: int
    blocks: int
    outputs: int
    ends: NDArray[np.int64]
    """Where weights begin and end, ``(5, blocks + 1, 2)``: global, edge and node layers of each
    block, embeddings of atoms and bonds (at 0 and 1), readout and that of ``pm``."""


class Attended(NamedTuple):
    """What an attention left."""

    atom_share: NDArray
    edge_share: NDArray
    mean: NDArray


class NodeLeft(NamedTuple):
    """What an atom update left."""

    hidden: NDArray
    summed: NDArray
    message: NDArray
    update: NDArray


class _Block(NamedTuple):
    """What one message block saw and left; see `polyid.engine.arithmetic`."""

    atoms: NDArray
    edges: NDArray
    glob: NDArray
    attention: Attended
    """That before the block in ``global100``, after it in ``pm``."""
    hidden: NDArray
    new_edges: NDArray
    new_atoms: NDArray
    node: NodeLeft


@cache
def plan(a: Architecture, loss: str) -> Plan:
    """Write a network down for `loss_and_gradient`.

    Parameters
    ----------
    a
        The network.
    loss
        ``mae`` or ``huber``.
    """
    at = layers(a)
    ends = np.zeros((5, max(a.num_messages, 1) + 1, 2), np.int64)
    places = {"atom_embedding": (3, 0), "bond_embedding": (3, 1), "readout": (4, 0), "pm": (4, 1)}
    kinds = {"global": 0, "edge": 1, "node": 2}
    for name, where in at.items():
        kind, _, block = name.partition("/")
        place = (kinds[kind], int(block)) if block else places[name]
        ends[place] = where.start, where.stop
    sizes = a.features, a.mol_features, a.num_messages, a.outputs
    return Plan(a.name == "pm", loss == "huber", *sizes, ends)


@kernel
def loss_and_gradient(plan: Any, learner: Any, batch: Any, y: Any, pm: Any, left: Any) -> Any:
    """Loss of one member's batch; what becomes of its gradient, ``learner`` says.

    A layer learns when nothing reads its weights any more.

    Parameters
    ----------
    plan
        The network, a `Plan`.
    learner
        A `polyid.engine.adam.Learner`; the precision of its weights is that of the result.
    batch
        Polymers, a `polyid.engine.batch.Flat`.
    y
        Scaled labels, ``(polymers, outputs)``, NaN where there is none.
    pm
        Fraction of meso dyads, ``(polymers, 1)``; anything of that kind for ``global100``.
    left
        What dropout left of the last edges, see `polyid.engine.draws`.
    """
    ends, w = plan.ends, learner.weights
    first, blocks = _forward(plan, w, batch, pm)
    last, sizes = blocks[-1], edges_of(batch, plan.blocks)
    mean = dropped_mean(last.new_edges, sizes, left)
    loss, d_mean = _readout(plan, layer_of(learner, ends[4, 0]), mean, y)
    d_edges = dropped_mean_back(d_mean, sizes, left)
    d_atoms = np.zeros(last.new_atoms.shape, w.dtype)
    d_glob = np.zeros(last.glob.shape, w.dtype)
    for r in range(plan.blocks, 0, -1):
        step, b = step_of(batch, r), blocks[r - 1]
        attention = layer_of(learner, ends[0, r])
        if plan.pm and r < plan.blocks:
            seen = b.new_atoms, b.new_edges, atoms_of(batch, r), edges_of(batch, r)
            attention_back(attention, seen, b.attention, d_glob, d_atoms, d_edges)
        if r < plan.blocks:
            node, states = layer_of(learner, ends[2, r]), (b.atoms, b.new_edges, b.glob)
            d_atoms = node_back(node, step, states, b.node, d_atoms, d_edges, d_glob)
        else:
            d_atoms = np.zeros(b.atoms.shape, w.dtype)
        edge, states = layer_of(learner, ends[1, r]), (b.atoms, b.edges, b.glob)
        d_edges = edge_back(edge, step, states, b.hidden, d_edges, d_atoms, d_glob)
        if not plan.pm:
            seen = b.atoms, b.edges, atoms_of(batch, r - 1), edges_of(batch, r - 1)
            attention_back(attention, seen, b.attention, d_glob, d_atoms, d_edges)
    if plan.pm:
        _pm_back(layer_of(learner, ends[4, 1]), pm, d_glob)
    b = blocks[0]
    seen = b.atoms, b.edges, atoms_of(batch, 0), edges_of(batch, 0)
    attention_back(layer_of(learner, ends[0, 0]), seen, first, d_glob, d_atoms, d_edges)
    tokens = step_of(batch, 0)
    _embedding_back(layer_of(learner, ends[3, 0]), tokens.atom_parent, d_atoms)
    _embedding_back(layer_of(learner, ends[3, 1]), tokens.parent, d_edges)
    return loss


@inner
def _forward(plan: Any, w: Any, batch: Any, pm: Any) -> Any:
    """Give what the first attention left, and every block."""
    ends, tokens = plan.ends, step_of(batch, 0)
    atoms = _embedded(_layer(w, ends[3, 0]), tokens.atom_parent, plan.features)
    edges = _embedded(_layer(w, ends[3, 1]), tokens.parent, plan.features)
    sizes = atoms_of(batch, 0), edges_of(batch, 0)
    glob = np.zeros((len(sizes[0].first) - 1, plan.mol_features), w.dtype)
    glob, first = _attended(_layer(w, ends[0, 0]), atoms, edges, sizes, glob)
    if plan.pm:
        _add_pm(_layer(w, ends[4, 1]), pm, glob)
    empty = np.zeros((0, 0), w.dtype)
    blocks = []
    for r in range(1, plan.blocks + 1):
        step, left = step_of(batch, r), first
        if not plan.pm:
            sizes = atoms_of(batch, r - 1), edges_of(batch, r - 1)
            glob, left = _attended(_layer(w, ends[0, r]), atoms, edges, sizes, glob)
        new_edges, hidden = edge_update(_layer(w, ends[1, r]), step, atoms, edges, glob)
        new_atoms, later, node = atoms, glob, NodeLeft(empty, empty, empty, empty)
        if r < plan.blocks:  # the readout sees edges only
            found = node_update(_layer(w, ends[2, r]), step, atoms, new_edges, glob)
            new_atoms, node = found[0], NodeLeft(found[1], found[2], found[3], found[4])
            if plan.pm:
                sizes = atoms_of(batch, r), edges_of(batch, r)
                later, left = _attended(_layer(w, ends[0, r]), new_atoms, new_edges, sizes, glob)
        blocks.append(_Block(atoms, edges, glob, left, hidden, new_edges, new_atoms, node))
        atoms, edges, glob = new_atoms, new_edges, later
    return first, blocks


@inner
def _layer(w: Any, where: Any) -> Any:
    return w[where[0] : where[1]]


@inner
def _attended(w: Any, atoms: Any, edges: Any, sizes: Any, glob: Any) -> Any:
    found, atom_share, edge_share, mean = attention(w, atoms, edges, sizes[0], sizes[1], glob)
    return found, Attended(atom_share, edge_share, mean)


@inner
def _embedded(w: Any, token: Any, features: int) -> Any:
    """Give each class's row of an embedding."""
    found = np.empty((len(token), features), w.dtype)
    for i in range(len(token)):
        for c in range(features):
            found[i, c] = w[token[i] * features + c]
    return found


@inner
def _embedding_back(layer: Any, token: Any, d_states: Any) -> None:
    layer.gradient[:] = 0
    features = d_states.shape[1]
    for i in range(len(token)):
        for c in range(features):
            layer.gradient[token[i] * features + c] += d_states[i, c]
    learn(layer, 0, len(layer.weights))


@inner
def _add_pm(w: Any, pm: Any, glob: Any) -> None:
    """Add a dense layer on the fraction of meso dyads."""
    g = glob.shape[1]
    for p in range(len(glob)):
        for c in range(g):
            glob[p, c] += pm[p, 0] * w[c] + w[g + c]


@inner
def _pm_back(layer: Any, pm: Any, d_glob: Any) -> None:
    g = d_glob.shape[1]
    layer.gradient[:] = 0
    for p in range(len(d_glob)):
        for c in range(g):
            layer.gradient[c] += pm[p, 0] * d_glob[p, c]
            layer.gradient[g + c] += d_glob[p, c]
    learn(layer, 0, len(layer.weights))


@inner
def _readout(plan: Any, layer: Any, mean: Any, y: Any) -> Any:
    """Loss of the predictions from mean edge states, and its gradient by these."""
    f, outputs, dtype = mean.shape[2], plan.outputs, mean.dtype
    kernel, bias, _ = dense(layer.weights, 0, f, outputs)
    d_kernel, d_bias, _ = dense(layer.gradient, 0, f, outputs)
    d_mean = np.zeros(mean.shape, dtype)
    labels = 0
    for p in range(len(y)):
        for o in range(outputs):
            labels += np.isfinite(y[p, o])
    part, loss = dtype.type(1) / max(labels, 1), dtype.type(0)
    layer.gradient[:] = 0
    for o in range(outputs):
        one = min(o, len(mean) - 1)  # without dropout there is one mean for all outputs
        for p in range(len(y)):
            if not np.isfinite(y[p, o]):
                continue
            predicted = bias[o]
            for c in range(f):
                predicted += mean[one, p, c] * kernel[c, o]
            difference = predicted - y[p, o]
            size = abs(difference)
            if plan.huber and size < 1:
                loss += size * size / 2
                slope = difference * part
            else:
                loss += size - dtype.type(0.5) if plan.huber else size
                slope = np.sign(difference) * part
            d_bias[o] += slope
            for c in range(f):
                d_mean[one, p, c] += slope * kernel[c, o]
                d_kernel[c, o] += slope * mean[one, p, c]
    learn(layer, 0, len(layer.weights))
    return loss * part, d_mean
