"""Predictions by all members on a CPU.

Polymers of a batch lie one after the other, as one graph of several parts: no padding, any shape.
Members go one by one, so that a member's states stay in the processor's cache; on several cores
several members go side by side. A polymer's numbers are the same bits whatever polymers stand
beside it. The arithmetic is that of `polyid.engine.network`, and tests hold the two together.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.cores import cores
from polyid.engine.arithmetic import attention, edge_update, mean_edge, node_update
from polyid.engine.batch import Batch, join
from polyid.engine.product import product
from polyid.engine.weights import Architecture, layers, one_of
from polyid.quotient import TOP, Block, Quotient

#: Edge classes of the last block in one pass: the states of one member stay in the cache.
ROOM = 2_048
#: Polymers in one pass; each class is weighed for each of them.
MOST = 16


def predict(
    architecture: Architecture,
    members: Sequence[NDArray],
    quotients: Sequence[Quotient],
    pm: NDArray[np.floating] | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> NDArray[np.floating]:
    """Scaled predictions, ``(members, n, outputs)``.

    Parameters
    ----------
    architecture, members
        The network and each member's weights, ``(count,)``.
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
    dtype = members[0].dtype
    found = np.empty((len(members), len(some), architecture.outputs), dtype=dtype)
    done = 0
    side_by_side = min(len(members), threads or cores())
    with ThreadPoolExecutor(side_by_side) as pool:
        each = pool.map if side_by_side > 1 else map
        for rows in _batches(some):
            batch = join([some[i] for i in rows], dtype)
            values = None
            if takes_pm and pm is not None:
                values = np.asarray(pm, dtype=dtype)[[first[i] for i in rows], None]

            def member(w: NDArray, batch: Batch = batch, pm: Any = values) -> NDArray:
                return forward(architecture, w, batch, pm)

            found[:, rows] = list(each(member, members))
            done += len(rows)
            if progress is not None:
                progress(done * n // len(some), n)
    return found[:, which]


def bondwise(
    architecture: Architecture, members: Sequence[NDArray], quotient: Quotient, pm: float = 0.5
) -> NDArray[np.floating]:
    """Each directed edge's own value, ``(members, n_edges, outputs)``.

    A prediction is the mean of these scaled values over the edges of the chain: what a bond adds
    to it is its value's distance from that mean. Edges stand as in `polyid.quotient.Graph`.
    """
    dtype = members[0].dtype
    batch = join([quotient], dtype)
    fraction = np.array([[pm]], dtype)
    by_class = [forward(architecture, w, batch, fraction, bondwise=True) for w in members]
    return np.stack(by_class)[:, quotient.edge_class]


def forward(
    a: Architecture,
    flat: NDArray,
    batch: Batch,
    pm: NDArray[np.floating] | None = None,
    bondwise: bool = False,
) -> NDArray[np.floating]:
    """Scaled predictions of one member, ``(polymers, outputs)``.

    Parameters
    ----------
    a, flat
        The network and the member's weights, ``(count,)``.
    batch
        Polymers.
    pm
        Fraction of meso dyads, ``(polymers, 1)``, for the ``pm`` network.
    bondwise
        Give the values whose mean is the prediction instead, ``(edge classes, outputs)``.
    """
    at = layers(a)

    def weight(name: str) -> NDArray:
        return one_of(a, flat, name)

    atoms = weight("atom_embedding")[batch.atom_token]
    edges = weight("bond_embedding")[batch.edge_token]

    def attended(glob: NDArray, r: int, place: int) -> NDArray:
        sizes = batch.atoms[place], batch.edges[place]
        return attention(flat[at[f"global/{r}"]], atoms, edges, *sizes, glob)[0]

    glob = np.zeros((len(batch.edges[0].first) - 1, a.mol_features), flat.dtype)
    glob = attended(glob, 0, 0)
    if a.name == "pm":
        assert pm is not None
        glob = glob + pm @ weight("pm/kernel") + weight("pm/bias")
    for r, step in enumerate(batch.steps, 1):
        last, edge = r == a.num_messages, flat[at[f"edge/{r}"]]
        if a.name == "global100":
            glob = attended(glob, r, r - 1)
        if last and not bondwise:
            edges = mean_edge(edge, step, atoms, edges, glob, batch.edges[-1])
            break
        edges, _ = edge_update(edge, step, atoms, edges, glob)
        if not last:  # the readout sees edges only
            atoms = node_update(flat[at[f"node/{r}"]], step, atoms, edges, glob)[0]
            if a.name == "pm":
                glob = attended(glob, r, r)
    found = np.empty((len(edges), a.outputs), flat.dtype)
    product(edges, weight("readout/kernel"), found)
    return found + weight("readout/bias")


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
