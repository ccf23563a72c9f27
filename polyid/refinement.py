"""Colour refinement of a graph: the classes before and after each message block.

Colours are 64-bit hashes of what an element has seen, and elements of one colour are one class. Two
of the n colours of a graph collide with a probability of about n²/2⁶⁵ per round: 1e-13 for the
n = 2 000 atoms or directed edges of an oligomer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.engine.jit import kernel

Words = NDArray[np.uint64]

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SOURCE = np.uint64(0x9E3779B97F4A7C15)
_TARGET = np.uint64(0xD1B54A32D192ED03)
_SELF = np.uint64(0x8CB92BA72F3D8DD7)
_EDGE_SALT = np.uint64(0x2545F4914F6CDD1D)


@kernel
def refine(
    atom: Any, bond: Any, source: Any, target: Any, leave: Any, depth: int, width: int
) -> Any:
    """Refine one graph for ``depth`` blocks.

    Parameters
    ----------
    atom, bond
        Tokens, ``(n_atoms,)`` and ``(n_edges,)``.
    source, target
        Ends of the edges, which stand in the order of the atoms that they leave.
    leave
        Where the edges that leave each atom begin, and the end, ``(n_atoms + 1,)``.
    depth
        Message blocks.
    width
        Most edges that leave an atom, at least 1.

    Returns
    -------
    tuple
        Atom and edge classes before the first block and after each, ``(depth + 1, 2)``. For each
        place, and in each row as many entries as classes: the first element of each atom class and
        its size, the same of edge classes; classes before the block of: each atom class, each edge
        class, its source, its target; edge classes that leave a representative of each atom class
        and how many ``(depth + 1, n_atoms, width)``, 0 where there is none. At last the final class
        of each atom and of each edge.
    """
    n, m = len(atom), len(bond)
    counts = np.zeros((depth + 1, 2), np.int64)
    atom_first, atom_size = np.zeros((depth + 1, n), np.int32), np.zeros((depth + 1, n), np.int32)
    edge_first, edge_size = np.zeros((depth + 1, m), np.int32), np.zeros((depth + 1, m), np.int32)
    atom_parent = np.zeros((depth + 1, n), np.int32)
    edge_parent, edge_source, edge_target = (
        np.zeros((depth + 1, m), np.int32),
        np.zeros((depth + 1, m), np.int32),
        np.zeros((depth + 1, m), np.int32),
    )
    out_edge = np.zeros((depth + 1, n, width), np.int32)
    out_count = np.zeros((depth + 1, n, width), np.int32)

    atom_word, edge_word = np.empty(n, np.uint64), np.empty(m, np.uint64)
    for i in range(n):
        atom_word[i] = np.uint64(atom[i])
    for e in range(m):
        edge_word[e] = np.uint64(bond[e]) + _EDGE_SALT
    none, nothing = np.empty(0, np.int32), np.empty(0, np.uint64)
    atoms, atom_colour = _classes(atom_word, none, nothing, atom_first[0], atom_size[0])
    edges, edge_colour = _classes(edge_word, none, nothing, edge_first[0], edge_size[0])
    counts[0, 0], counts[0, 1] = len(atom_colour), len(edge_colour)

    stable = False
    for r in range(1, depth + 1):
        seen_source, seen_target = (
            _scrambled(atom_colour, _SOURCE),
            _scrambled(atom_colour, _TARGET),
        )
        for e in range(m):
            edge_word[e] = (
                edge_colour[edges[e]] * _SELF
                + seen_source[atoms[source[e]]]
                + seen_target[atoms[target[e]]]
            )
        # what splits no more keeps its colours, and so its order
        before, colour = (edges, edge_colour) if stable else (none, nothing)
        new_edges, edge_colour = _classes(edge_word, before, colour, edge_first[r], edge_size[r])
        seen = _scrambled(edge_colour, _TARGET)
        for i in range(n):
            atom_word[i] = atom_colour[atoms[i]] * _SELF
            for e in range(leave[i], leave[i + 1]):
                atom_word[i] += seen[new_edges[e]]
        before, colour = (atoms, atom_colour) if stable else (none, nothing)
        new_atoms, atom_colour = _classes(atom_word, before, colour, atom_first[r], atom_size[r])
        counts[r, 0], counts[r, 1] = len(atom_colour), len(edge_colour)

        for k in range(counts[r, 1]):
            e = edge_first[r, k]
            edge_parent[r, k] = edges[e]
            edge_source[r, k], edge_target[r, k] = atoms[source[e]], atoms[target[e]]
        for k in range(counts[r, 0]):
            i = atom_first[r, k]
            atom_parent[r, k] = atoms[i]
            _count(new_edges[leave[i] : leave[i + 1]], out_edge[r, k], out_count[r, k])
        stable = counts[r, 0] == counts[r - 1, 0] and counts[r, 1] == counts[r - 1, 1]
        atoms, edges = new_atoms, new_edges
    return (
        counts, atom_first, atom_size, edge_first, edge_size, atom_parent, edge_parent,
        edge_source, edge_target, out_edge, out_count, atoms, edges,
    )  # fmt: skip


@kernel
def _mix(h: Any) -> Any:
    """Scramble a 64-bit word (the finaliser of Steele et al.'s SplitMix, OOPSLA 2014)."""
    h = (h ^ (h >> np.uint64(30))) * _MIX_1
    h = (h ^ (h >> np.uint64(27))) * _MIX_2
    return h ^ (h >> np.uint64(31))


@kernel
def _scrambled(colour: Any, salt: Any) -> Any:
    found = np.empty(len(colour), np.uint64)
    for k in range(len(colour)):
        found[k] = _mix(colour[k] * salt)
    return found


@kernel
def _classes(word: Any, old: Any, old_colour: Any, first: Any, size: Any) -> Any:
    """Sort elements into classes of equal words, in the order of their colours.

    Writes the first element and the size of each class; gives the class of each element, and the
    colour of each class: what ``old`` classes had, if they are given.
    """
    n, slots = len(word), 4
    while slots < 2 * n:
        slots *= 2
    table = np.full(slots, -1, np.int32)  # code of the word that hashes to a slot or before it
    code, found = np.empty(n, np.int32), np.empty(n, np.int32)
    many = 0
    for i in range(n):
        at = np.int64(_mix(word[i]) & np.uint64(slots - 1))
        while table[at] >= 0 and word[found[table[at]]] != word[i]:
            at = (at + 1) & (slots - 1)
        if table[at] < 0:
            table[at] = many
            found[many] = i
            many += 1
        code[i] = table[at]
    colour = np.empty(many, np.uint64)
    for k in range(many):
        colour[k] = old_colour[old[found[k]]] if len(old) else _mix(word[found[k]])
    order = _sort(colour)
    rank = np.empty(many, np.int32)
    for k in range(many):
        rank[order[k]] = k
        first[k] = found[order[k]]
    for i in range(n):
        code[i] = rank[code[i]]
        size[code[i]] += 1
    return code, colour


@kernel
def _sort(values: Any) -> Any:
    """Sort values in their place (Shell's way), and give the order in which they had stood."""
    order = np.arange(len(values)).astype(np.int32)
    gap = len(values) // 2
    while gap > 0:
        for i in range(gap, len(values)):
            value, one, at = values[i], order[i], i
            while at >= gap and values[at - gap] > value:
                values[at], order[at] = values[at - gap], order[at - gap]
                at -= gap
            values[at], order[at] = value, one
        gap = gap // 2 if gap == 2 else gap * 5 // 11
    return order


@kernel
def _count(leaving: Any, edge: Any, count: Any) -> None:
    """Write each class of some edges once, with its number, where it would stand in their order."""
    row = leaving.copy()
    _sort(row)
    place = 0
    for i in range(len(row)):
        if i == 0 or row[i] != row[i - 1]:
            place = i
            edge[i] = row[i]
        count[place] += 1
