"""Quotient graphs: one copy of every state that message passing cannot tell apart.

An oligomer repeats itself. Before block ``r`` two atoms (or two directed edges) that had the same
colour after ``r - 1`` rounds of colour refinement hold exactly the same vector, because a block is
one deterministic function of an element's own state and of the multiset of its neighbours' states.
So each block needs one row per colour, and the number of elements of that colour
(Weisfeiler and Leman 1968; Bollen et al., arXiv 2304.14793, for graph-level learning).

Colours are 64-bit hashes. Two different colours of one polymer collide with a probability of
about n²/2⁶⁵ per round: below 1e-12 for the largest chains (n ≈ 3000 directed edges).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]
Hashes = NDArray[np.uint64]

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SOURCE = np.uint64(0x9E3779B97F4A7C15)
_TARGET = np.uint64(0xD1B54A32D192ED03)
_SELF = np.uint64(0x8CB92BA72F3D8DD7)
_EDGE_SALT = np.uint64(0x2545F4914F6CDD1D)


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


class _Classes(NamedTuple):
    first: NDArray[np.intp]
    of: NDArray[np.intp]
    size: NDArray[np.intp]


def _mix(h: Hashes) -> Hashes:
    """Scramble 64-bit words (the finaliser of Steele et al.'s SplitMix, OOPSLA 2014)."""
    h = (h ^ (h >> np.uint64(30))) * _MIX_1
    h = (h ^ (h >> np.uint64(27))) * _MIX_2
    return h ^ (h >> np.uint64(31))


def _classes(h: Hashes) -> _Classes:
    _, first, of, count = np.unique(h, return_index=True, return_inverse=True, return_counts=True)
    return _Classes(first, of, count)


def _int(a: NDArray) -> IntArray:
    return a.astype(np.int32, copy=False)


def _out_edges(
    graph: Graph, edges: _Classes, atoms: _Classes, starts: NDArray[np.intp]
) -> tuple[IntArray, IntArray]:
    """Edge classes that leave one representative of each atom class, with their numbers."""
    degree = np.diff(starts)[atoms.first]
    width = max(int(degree.max(initial=0)), 1)
    slot = np.arange(width)
    position = np.minimum(starts[atoms.first][:, None] + slot, max(len(graph.source) - 1, 0))
    there = slot < degree[:, None]
    nobody = len(edges.first)
    classes = np.where(there, edges.of[position] if len(edges.of) else nobody, nobody)
    classes.sort(axis=1)
    # equal neighbours in the sorted row are merged into their first slot
    fresh = np.ones_like(there)
    fresh[:, 1:] = classes[:, 1:] != classes[:, :-1]
    same = (classes[:, :, None] == classes[:, None, :]).sum(axis=2)
    count = np.where(fresh & (classes < nobody), same, 0)
    return _int(np.where(count > 0, classes, 0)), _int(count)


def quotient(graph: Graph, depth: int) -> Quotient:
    """Refine ``graph`` for ``depth`` message blocks.

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
    order = np.argsort(graph.source, kind="stable")
    graph = Graph(graph.atom, graph.bond[order], graph.source[order], graph.target[order])
    n_atoms = len(graph.atom)
    starts = np.searchsorted(graph.source, np.arange(n_atoms + 1))
    bonded = np.flatnonzero(np.diff(starts))

    atom_hash = _mix(graph.atom.astype(np.uint64))
    edge_hash = _mix(graph.bond.astype(np.uint64) + _EDGE_SALT)
    atoms, edges = _classes(atom_hash), _classes(edge_hash)
    first = Quotient(
        _int(graph.atom[atoms.first]),
        _int(atoms.size),
        _int(graph.bond[edges.first]),
        _int(edges.size),
        (),
        _int(atoms.of),
        _int(edges.of),
    )
    blocks: list[Block] = []
    stable = False
    for _ in range(depth):
        if stable:
            # nothing splits any more: the same classes again, each its own parent
            last = blocks[-1]
            blocks.append(
                last._replace(
                    edge_parent=np.arange(len(last.edge_count), dtype=np.int32),
                    edge_source=_int(atoms.of[graph.source[edges.first]]),
                    edge_target=_int(atoms.of[graph.target[edges.first]]),
                    atom_parent=np.arange(len(last.atom_count), dtype=np.int32),
                )
            )
            continue
        old_atoms, old_edges = atoms, edges
        edge_hash = _mix(
            edge_hash * _SELF
            + _mix(atom_hash[graph.source] * _SOURCE)
            + _mix(atom_hash[graph.target] * _TARGET)
        )
        edges = _classes(edge_hash)
        leaving = np.zeros(n_atoms, dtype=np.uint64)
        if len(bonded):
            leaving[bonded] = np.add.reduceat(_mix(edge_hash * _TARGET), starts[bonded])
        atom_hash = _mix(atom_hash * _SELF + leaving)
        atoms = _classes(atom_hash)
        out_edge, out_count = _out_edges(graph, edges, atoms, starts)
        blocks.append(
            Block(
                _int(old_edges.of[edges.first]),
                _int(old_atoms.of[graph.source[edges.first]]),
                _int(old_atoms.of[graph.target[edges.first]]),
                _int(edges.size),
                _int(old_atoms.of[atoms.first]),
                _int(atoms.size),
                out_edge,
                out_count,
            )
        )
        stable = len(atoms.first) == len(old_atoms.first) and len(edges.first) == len(
            old_edges.first
        )
    edge_class = np.empty(len(order), dtype=np.int32)
    edge_class[order] = edges.of
    return first._replace(blocks=tuple(blocks), atom_class=_int(atoms.of), edge_class=edge_class)
