"""Quotient graphs: one copy of every state that message passing cannot tell apart.

An oligomer repeats itself. Before block ``r`` two atoms (or two directed edges) that had the same
colour after ``r - 1`` rounds of colour refinement hold exactly the same vector, because a block is
one deterministic function of an element's own state and of the multiset of its neighbours' states.
So each block needs one row per colour, and the number of elements of that colour
(Weisfeiler and Leman 1968; Bollen et al., arXiv 2304.14793, for graph-level learning).
`polyid.refinement` finds the colours.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]


class Graph(NamedTuple):
    """A polymer's graph with explicit hydrogens; every bond stands as two directed edges."""

    atom: IntArray
    """Atom tokens, shape ``(n_atoms,)``."""
    bond: IntArray
    """Bond tokens, shape ``(n_edges,)``."""
    source: IntArray
    """Where each directed edge leaves, shape ``(n_edges,)``: nfp's ``connectivity[:, 0]``."""
    target: IntArray
    """Where each directed edge arrives, shape ``(n_edges,)``: nfp's ``connectivity[:, 1]``."""


class Block(NamedTuple):
    """The classes after one message block, and how they hang on the classes before it."""

    edge_parent: IntArray
    """Class of each edge class before the block, shape ``(n_edge_classes,)``."""
    edge_source: IntArray
    """Class, before the block, of the atom that each edge class leaves, same shape."""
    edge_target: IntArray
    """Class, before the block, of the atom at which each edge class arrives, same shape."""
    edge_count: IntArray
    """Number of edges in each class, same shape."""
    atom_parent: IntArray
    """Class of each atom class before the block, shape ``(n_atom_classes,)``."""
    atom_count: IntArray
    """Number of atoms in each class, same shape."""
    out_edge: IntArray
    """Edge classes that leave a representative, shape ``(n_atom_classes, max_degree)``; 0 pads."""
    out_count: IntArray
    """How many edges of that class leave it, same shape; 0 pads."""


class Quotient(NamedTuple):
    """A polymer as classes: the tokens before the first block, then one `Block` per block."""

    atom_token: IntArray
    """Shape ``(n_atom_classes_0,)``."""
    atom_count: IntArray
    """Shape ``(n_atom_classes_0,)``."""
    edge_token: IntArray
    """Shape ``(n_edge_classes_0,)``."""
    edge_count: IntArray
    """Shape ``(n_edge_classes_0,)``."""
    blocks: tuple[Block, ...]
    atom_class: IntArray
    """Final class of each atom, shape ``(n_atoms,)``: to draw what a class says on the chain."""
    edge_class: IntArray
    """Final class of each directed edge, shape ``(n_edges,)``."""


#: Fields of one quotient that stand beside its blocks, and which elements or classes they count.
TOP = {
    "atom_token": "atoms/0",
    "atom_count": "atoms/0",
    "edge_token": "edges/0",
    "edge_count": "edges/0",
    "atom_class": "atoms",
    "edge_class": "edges",
}


def rows(field: str) -> str:
    """Name of the list of lengths that cuts a field of `Flat`."""
    if field in TOP:
        return TOP[field]
    block, name = field.split(".")
    return f"{'atoms' if name.startswith(('atom', 'out')) else 'edges'}/{block}"


class Flat(NamedTuple):
    """Many quotients as one long array per field, as a file holds them."""

    fields: Mapping[str, NDArray]
    """`TOP`, and ``"r.name"`` for each field of block r, polymer after polymer."""
    lengths: Mapping[str, NDArray]
    """Rows of each polymer, ``(polymers,)``, by the names that `rows` gives."""
    degree: NDArray
    """Width of each polymer's ``out_edge``, ``(polymers,)``."""


def cut(flat: Flat, depth: int) -> list[Quotient]:
    """Take quotients out of long arrays; they are views into them."""
    bounds = {k: [0, *np.cumsum(v).tolist()] for k, v in flat.lengths.items()}
    degree = flat.degree.tolist()

    def parts(field: str) -> list[NDArray]:
        values, at = flat.fields[field], bounds[rows(field)]
        if values.ndim == 2:
            return [values[i:j, :d] for (i, j), d in zip(pairwise(at), degree, strict=True)]
        return [values[i:j] for i, j in pairwise(at)]

    blocks = [
        list(map(Block, *(parts(f"{r}.{name}") for name in Block._fields)))
        for r in range(1, depth + 1)
    ]
    top = [parts(name) for name in TOP]
    return [
        Quotient(
            **{name: each[i] for name, each in zip(TOP, top, strict=True)},
            blocks=tuple(each[i] for each in blocks),
        )
        for i in range(len(degree))
    ]


def join(quotients: Sequence[Quotient]) -> Flat:
    """Write quotients, at least one, one after the other: the opposite of `cut`."""
    degree = np.array([max(b.out_edge.shape[1] for b in q.blocks) for q in quotients])
    fields: dict[str, NDArray] = {}
    lengths: dict[str, NDArray] = {}

    def put(field: str, parts: list[NDArray]) -> None:
        if parts[0].ndim == 2:
            width = int(degree.max())
            parts = [np.pad(p, ((0, 0), (0, width - p.shape[1]))) for p in parts]
        fields[field] = np.concatenate(parts)
        lengths.setdefault(rows(field), np.array([len(p) for p in parts]))

    for name in TOP:
        put(name, [getattr(q, name) for q in quotients])
    for r in range(len(quotients[0].blocks)):
        for name in Block._fields:
            put(f"{r + 1}.{name}", [getattr(q.blocks[r], name) for q in quotients])
    return Flat(fields, lengths, degree)


def quotient(graph: Graph, depth: int) -> Quotient:
    """Refine a graph for ``depth`` message blocks.

    Parameters
    ----------
    graph : Graph
        Edges in any order.
    depth : int
        Number of message blocks of the model, at least 1.

    Returns
    -------
    Quotient
        Exact for every model whose blocks update edges from (edge, source, target, global) and
        then atoms from (atom, sum over leaving edges of a function of target and edge): PolyID's
        ``global100`` and its ``pm`` model alike.
    """
    # not where layers are compiled for a GPU, which may lack what it needs
    from polyid.refinement import refine

    n = max(len(graph.bond), 1)
    # quicker than a stable argsort
    order = np.sort(graph.source.astype(np.int64) * n + np.arange(len(graph.bond))) % n
    source, target = graph.source[order], graph.target[order]
    leave = np.searchsorted(source, np.arange(len(graph.atom) + 1))
    width = max(int(np.diff(leave).max(initial=0)), 1)
    (
        counts, atom_first, atom_size, edge_first, edge_size, atom_parent, edge_parent,
        edge_source, edge_target, out_edge, out_count, atoms, edges,
    ) = refine(graph.atom, graph.bond[order], source, target, leave, depth, width)  # fmt: skip
    edge_class = np.empty(len(order), dtype=np.int32)
    edge_class[order] = edges
    blocks = [
        Block(
            edge_parent[r, :m],
            edge_source[r, :m],
            edge_target[r, :m],
            edge_size[r, :m],
            atom_parent[r, :k],
            atom_size[r, :k],
            out_edge[r, :k],
            out_count[r, :k],
        )
        for r, (k, m) in enumerate(counts.tolist())
    ]
    k, m = counts[0].tolist()
    return Quotient(
        graph.atom[atom_first[0, :k]],
        atom_size[0, :k],
        graph.bond[order][edge_first[0, :m]],
        edge_size[0, :m],
        tuple(blocks[1:]),
        atoms,
        edge_class,
    )


def quotients(graphs: Sequence[Graph], depth: int) -> list[Quotient]:
    """Refine graphs; see `quotient`."""
    return [quotient(graph, depth) for graph in graphs]
