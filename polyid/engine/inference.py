"""Predictions by all members, in NumPy alone: nothing to compile, so the first is as quick as any.

Polymers of a batch lie one after the other, as one graph of several parts: no padding, any shape.
Members go one by one, so that a member's states stay in the processor's cache; on several cores
several members go side by side. The arithmetic is that of `polyid.engine.network`, and tests hold
the two together; what is gathered and summed is one sparse matrix product.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from polyid.engine.batch import Batch, Sizes, Step, join
from polyid.engine.weights import Architecture, Weights
from polyid.quotient import TOP, Block, Quotient

#: Edge classes of the last block in one pass: the states of one member stay in the cache.
ROOM = 2_048
#: Polymers in one pass; each class is weighed for each of them.
MOST = 16


def predict(
    architecture: Architecture,
    members: Sequence[Weights],
    quotients: Sequence[Quotient],
    pm: NDArray[np.floating] | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> NDArray[np.floating]:
    """Scaled predictions, ``(members, n, outputs)``.

    Parameters
    ----------
    architecture, members
        The network and each member's weights.
    quotients
        Polymers, refined for ``architecture.num_messages`` blocks. Those that the network cannot
        tell apart (chains that differ in their tetrahedral stereo marks, say) are computed once.
    pm
        Fraction of meso dyads, ``(n,)``, for the ``pm`` network.
    progress
        Told (done, of how many).
    threads
        Members that go side by side; as many as there are cores without it. The numbers are the
        same.
    """
    takes_pm = architecture.name == "pm"
    if takes_pm and pm is None:
        raise ValueError("the pm network needs pm, the fraction of meso dyads")
    n = len(quotients)
    first, which = _distinct(quotients, pm if takes_pm else None)
    some = [quotients[i] for i in first]
    dtype = members[0]["readout/kernel"].dtype
    found = np.empty((len(members), len(some), architecture.outputs), dtype=dtype)
    done = 0
    # the matrices are too small to be shared by cores, so each core takes a member
    one_core_each = _libraries().limit(limits=1, user_api="blas")
    with one_core_each, ThreadPoolExecutor(min(len(members), threads or cores())) as pool:
        for rows in _batches(some):
            batch = join([some[i] for i in rows], dtype)
            values = None
            if takes_pm and pm is not None:
                values = np.asarray(pm, dtype=dtype)[[first[i] for i in rows], None]

            def member(w: Weights, batch: Batch = batch, pm: Any = values) -> NDArray:
                return forward(architecture, w, batch, pm)

            found[:, rows] = list(pool.map(member, members))
            done += len(rows)
            if progress is not None:
                progress(done * n // len(some), n)
    return found[:, which]


def bondwise(
    architecture: Architecture, members: Sequence[Weights], quotient: Quotient, pm: float = 0.5
) -> NDArray[np.floating]:
    """Each directed edge's own value, ``(members, n_edges, outputs)``.

    A prediction is the mean of these scaled values over the edges of the chain: what a bond adds
    to it is its value's distance from that mean. Edges stand as in `polyid.quotient.Graph`.
    """
    dtype = members[0]["readout/kernel"].dtype
    batch = join([quotient], dtype)
    fraction = np.array([[pm]], dtype)
    by_class = [forward(architecture, w, batch, fraction, bondwise=True) for w in members]
    return np.stack(by_class)[:, quotient.edge_class]


def cores() -> int:
    """Count the processor's cores that this process may use."""
    # macOS does not say which cores a process may use
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _libraries() -> ThreadpoolController:
    """Find NumPy's BLAS: once, as it takes milliseconds."""
    return ThreadpoolController()


def forward(
    a: Architecture,
    w: Weights,
    batch: Batch,
    pm: NDArray[np.floating] | None = None,
    bondwise: bool = False,
) -> NDArray[np.floating]:
    """Scaled predictions of one member, ``(polymers, outputs)``.

    Parameters
    ----------
    a, w
        The network and the member's weights.
    batch
        Polymers.
    pm
        Fraction of meso dyads, ``(polymers, 1)``, for the ``pm`` network.
    bondwise
        Give the values whose mean is the prediction instead, ``(edge classes, outputs)``.
    """
    atoms = w["atom_embedding"][batch.atom_token]
    edges = w["bond_embedding"][batch.edge_token]

    def attention(r: int, place: int) -> NDArray:
        return _attention(w, f"global/{r}", atoms, edges, batch.atoms[place], batch.edges[place])

    glob = attention(0, 0)
    if a.name == "pm":
        assert pm is not None
        glob = glob + pm @ w["pm/kernel"] + w["pm/bias"]
    for r, step in enumerate(batch.steps, 1):
        last = r == a.num_messages
        if a.name == "global100":
            glob = glob + attention(r, r - 1)
        edges = _edge_update(w, r, step, atoms, edges, glob)
        if not last:  # the readout sees edges only
            atoms = _node_update(w, r, step, atoms, edges, glob)
            if a.name == "pm":
                glob = glob + attention(r, r)
    kernel, bias = w["readout/kernel"], w["readout/bias"]
    if bondwise:
        return edges @ kernel + bias
    return _mean(batch.edges[-1]) @ edges @ kernel + bias


def _attention(
    w: Weights, name: str, atoms: NDArray, edges: NDArray, atom: Sizes, edge: Sizes
) -> NDArray:
    """Nfp's ``GlobalUpdate`` with one head, ``(polymers, g)``; see `polyid.engine.layers`."""
    query, bias = w[f"{name}/query/kernel"][:, 0], w[f"{name}/query/bias"]
    atom_logit = atom.log + (atoms @ query + bias)
    edge_logit = edge.log + (edges @ query + bias)
    top = np.maximum(atom_logit.max(axis=1), edge_logit.max(axis=1, initial=-np.inf))[:, None]
    atom_weight, edge_weight = np.exp(atom_logit - top), np.exp(edge_logit - top)
    total = atom_weight.sum(axis=1) + edge_weight.sum(axis=1)
    mean = (atom_weight @ atoms + edge_weight @ edges) / total[:, None]
    return mean @ w[f"{name}/value/kernel"] + w[f"{name}/value/bias"]


def _edge_update(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray
) -> NDArray:
    """Nfp's ``EdgeUpdate`` and the residual."""
    f, k = edges.shape[1], w[f"edge/{r}/dense1/kernel"]
    sources, targets, globs = len(edges), len(edges) + len(atoms), len(edges) + 2 * len(atoms)
    parts = np.empty((globs + len(glob), k.shape[1]), dtype=k.dtype)
    np.matmul(edges, k[:f], out=parts[:sources])
    np.matmul(atoms, k[f : 2 * f], out=parts[sources:targets])
    np.matmul(atoms, k[2 * f : 3 * f], out=parts[targets:globs])
    parts[globs:] = glob @ k[3 * f :] + w[f"edge/{r}/dense1/bias"]
    hidden = step.hidden @ parts
    np.maximum(hidden, 0, out=hidden)
    found = hidden @ w[f"edge/{r}/dense2/kernel"]
    found += w[f"edge/{r}/dense2/bias"]
    found += edges.take(step.edge_parent, axis=0)
    return found


def _node_update(
    w: Weights, r: int, step: Step, atoms: NDArray, edges: NDArray, glob: NDArray
) -> NDArray:
    """Nfp's ``NodeUpdate`` and the residual; ``edges`` are the states after the block."""
    f, k = atoms.shape[1], w[f"node/{r}/message1/kernel"]
    parts = np.empty((len(atoms) + len(glob), k.shape[1]), dtype=k.dtype)
    np.matmul(atoms, k[:f], out=parts[: len(atoms)])
    parts[len(atoms) :] = glob @ k[2 * f :] + w[f"node/{r}/message1/bias"]
    hidden = edges @ k[f : 2 * f]
    hidden += step.to_target @ parts
    np.maximum(hidden, 0, out=hidden)
    message = (step.leaving @ hidden) @ w[f"node/{r}/message2/kernel"]
    message += step.degree * w[f"node/{r}/message2/bias"]
    update = message @ w[f"node/{r}/dense1/kernel"]
    update += w[f"node/{r}/dense1/bias"]
    np.maximum(update, 0, out=update)
    found = update @ w[f"node/{r}/dense2/kernel"]
    found += w[f"node/{r}/dense2/bias"]
    found += atoms.take(step.atom_parent, axis=0)
    return found


def _mean(sizes: Sizes) -> NDArray:
    """Share of each class in the elements of its polymer, ``(polymers, n)``."""
    count = np.exp(sizes.log)
    return count / np.maximum(count.sum(axis=1, keepdims=True), 1)


def _batches(quotients: Sequence[Quotient]) -> Iterator[list[int]]:
    """Polymers as they come, as many at a time as there is room for."""
    rows: list[int] = []
    room = ROOM
    for i, quotient in enumerate(quotients):
        size = len(quotient.blocks[-1].edge_count)
        if rows and (size > room or len(rows) == MOST):
            yield rows
            rows, room = [], ROOM
        rows.append(i)
        room -= size
    if rows:
        yield rows


def _distinct(
    quotients: Sequence[Quotient], pm: NDArray[np.floating] | None
) -> tuple[list[int], list[int]]:
    """First of each kind of polymer, and which kind each is."""
    kinds: dict[tuple[bytes, float], int] = {}
    first: list[int] = []
    which = []
    for i, q in enumerate(quotients):
        key = (_digest(q), 0.0 if pm is None else float(pm[i]))
        if key not in kinds:
            kinds[key] = len(first)
            first.append(i)
        which.append(kinds[key])
    return first, which


def _digest(q: Quotient) -> bytes:
    """Content of what the network reads."""
    names = [name for name in TOP if not name.endswith("class")]
    parts = [getattr(q, name) for name in names]
    parts += [getattr(b, name) for b in q.blocks for name in Block._fields]
    digest = hashlib.blake2b(repr([len(part) for part in parts]).encode(), digest_size=16)
    for part in parts:
        digest.update(part.tobytes())
    return digest.digest()
