"""Several polymers as one graph of several parts, for `polyid.engine.inference`: no padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from polyid.quotient import Block, Quotient


class Sizes(NamedTuple):
    """Classes of each polymer, and where they begin."""

    of: NDArray[np.intp]
    """Polymer of each class, ``(n,)``."""
    first: NDArray[np.intp]
    """First class of each polymer, ``(polymers,)``."""
    log: NDArray
    """Logarithm of how many elements a class has, ``(polymers, n)``; -inf if none of its own."""


@dataclass
class Step:
    """One message block of a batch: what is gathered and summed, and the same taken back."""

    edge_parent: NDArray[np.intp]
    hidden: csr_array
    """From rows (edges, atoms as sources, atoms as targets, polymers) to edge classes."""
    to_target: csr_array
    """From rows (atoms, polymers) to edge classes."""
    leaving: csr_array
    """From edge classes to the atom classes that they leave."""
    degree: NDArray
    """Edges that leave an atom of each class, ``(n, 1)``."""
    atom_parent: NDArray[np.intp]
    width: tuple[int, int]
    """Edge and atom classes before the block."""

    @cached_property
    def hidden_back(self) -> csc_array:
        """From edge classes to the rows of ``hidden``."""
        return self.hidden.T

    @cached_property
    def target_back(self) -> csc_array:
        """From edge classes to the rows of ``to_target``."""
        return self.to_target.T

    @cached_property
    def leaving_back(self) -> csc_array:
        """From atom classes to the edge classes that leave them."""
        return self.leaving.T

    @cached_property
    def edge_back(self) -> csc_array:
        """From edge classes to their parents."""
        return _picks([self.edge_parent], self.width[0], self.degree.dtype).T

    @cached_property
    def atom_back(self) -> csc_array:
        """From atom classes to their parents."""
        return _picks([self.atom_parent], self.width[1], self.degree.dtype).T


class Batch(NamedTuple):
    """Polymers as one graph."""

    atom_token: NDArray[np.intp]
    edge_token: NDArray[np.intp]
    atoms: list[Sizes]
    """Before the first block and after each."""
    edges: list[Sizes]
    steps: list[Step]


def join(quotients: Sequence[Quotient], dtype: Any = np.float32) -> Batch:
    """Write polymers one after the other, as one graph.

    Parameters
    ----------
    quotients
        Polymers, at least one.
    dtype
        The weights' precision.
    """
    atoms = [_sizes([q.atom_count for q in quotients], dtype)]
    edges = [_sizes([q.edge_count for q in quotients], dtype)]
    steps = []
    for r in range(len(quotients[0].blocks)):
        blocks = [q.blocks[r] for q in quotients]
        old_atoms, old_edges = atoms[-1], edges[-1]
        atoms.append(_sizes([b.atom_count for b in blocks], dtype))
        edges.append(_sizes([b.edge_count for b in blocks], dtype))
        steps.append(_step(blocks, old_atoms, old_edges, atoms[-1], edges[-1], dtype))
    atom_token = np.concatenate([q.atom_token for q in quotients])
    edge_token = np.concatenate([q.edge_token for q in quotients])
    return Batch(atom_token, edge_token, atoms, edges, steps)


def _sizes(counts: Sequence[NDArray], dtype: Any) -> Sizes:
    lengths = np.array([len(each) for each in counts])
    of = np.repeat(np.arange(len(counts)), lengths)
    log = np.full((len(counts), len(of)), -np.inf, dtype=dtype)
    log[of, np.arange(len(of))] = np.log(np.concatenate(counts))
    return Sizes(of, np.cumsum(lengths) - lengths, log)


def _step(
    blocks: Sequence[Block],
    old_atoms: Sizes,
    old_edges: Sizes,
    atoms: Sizes,
    edges: Sizes,
    dtype: Any,
) -> Step:
    def all_of(name: str, into: Sizes) -> NDArray[np.intp]:
        """Classes by their places in the batch."""
        parts = [getattr(b, name) + start for b, start in zip(blocks, into.first, strict=True)]
        return np.concatenate(parts).astype(np.intp)

    parent, source = all_of("edge_parent", old_edges), all_of("edge_source", old_atoms)
    target, n_old, n_atoms = all_of("edge_target", old_atoms), len(old_edges.of), len(old_atoms.of)
    columns = [parent, n_old + source, n_old + n_atoms + target, n_old + 2 * n_atoms + edges.of]
    hidden = _picks(columns, n_old + 2 * n_atoms + len(blocks), dtype)
    to_target = _picks([target, n_atoms + edges.of], n_atoms + len(blocks), dtype)
    degree = np.concatenate([b.out_count.sum(axis=1) for b in blocks]).astype(dtype)[:, None]
    leaving = _leaving(blocks, edges, dtype)
    atom_parent = all_of("atom_parent", old_atoms)
    return Step(parent, hidden, to_target, leaving, degree, atom_parent, (n_old, n_atoms))


def _picks(columns: Sequence[NDArray[np.intp]], width: int, dtype: Any) -> csr_array:
    """Matrix that adds up one row of each of several parts, ``(n, width)``."""
    index = np.stack(columns, axis=1).ravel().astype(np.int32)
    rows = np.arange(0, len(index) + 1, len(columns), dtype=np.int32)
    return csr_array((np.ones(len(index), dtype), index, rows), (len(rows) - 1, width))


def _leaving(blocks: Sequence[Block], edges: Sizes, dtype: Any) -> csr_array:
    """Matrix of how many edges of each class leave an atom of each class."""
    count, index, degree = [], [], [np.zeros(1, dtype=np.int64)]
    for block, start in zip(blocks, edges.first, strict=True):
        there = block.out_count > 0
        count.append(block.out_count[there])
        index.append(block.out_edge[there] + start)
        degree.append(there.sum(axis=1))
    rows = np.cumsum(np.concatenate(degree)).astype(np.int32)
    values = np.concatenate(count).astype(dtype)
    places = np.concatenate(index).astype(np.int32)
    return csr_array((values, places, rows), (len(rows) - 1, len(edges.of)))
