"""Several polymers as one graph of several parts: no padding."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.jit import inner
from polyid.quotient import Block, Quotient

IntArray = NDArray[np.int32]


class Sizes(NamedTuple):
    """Classes of each polymer, and where they begin."""

    of: IntArray
    """Polymer of each class, ``(n,)``."""
    first: IntArray
    """First class of each polymer, and the end, ``(polymers + 1,)``."""
    log: NDArray
    """Logarithm of how many elements a class has, ``(n,)``."""


class Step(NamedTuple):
    """One message block of a batch: how the classes after it hang on those before."""

    parent: IntArray
    """Each edge class before the block, ``(edges,)``."""
    source: IntArray
    """Class, before the block, of the atom that it leaves, same shape."""
    target: IntArray
    """Class, before the block, of the atom at which it arrives, same shape."""
    polymer: IntArray
    """Its polymer, same shape."""
    atom_parent: IntArray
    """Each atom class before the block, ``(atoms,)``."""
    degree: NDArray
    """Edges that leave an atom of each class, ``(atoms,)``."""
    leaving_first: IntArray
    """Where each atom class's part of ``leaving`` begins, and the end, ``(atoms + 1,)``."""
    leaving: IntArray
    """Edge classes that leave an atom of the class."""
    leaving_count: NDArray
    """How many edges of that class leave it, same shape."""


class Batch(NamedTuple):
    """Polymers as one graph."""

    atom_token: IntArray
    edge_token: IntArray
    atoms: list[Sizes]
    """Before the first block and after each."""
    edges: list[Sizes]
    steps: list[Step]


class Flat(NamedTuple):
    """A batch in three arrays: compiled code takes few arguments quicker than many."""

    words: IntArray
    """All whole numbers, one array after the other."""
    reals: NDArray
    """All others."""
    at: NDArray[np.int64]
    """Where each begins, and the end, ``(2, blocks + 1, 12)``: of words, and of reals."""


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
    for blocks in zip(*(q.blocks for q in quotients), strict=True):
        old = atoms[-1], edges[-1]
        atoms.append(_sizes([b.atom_count for b in blocks], dtype))
        edges.append(_sizes([b.edge_count for b in blocks], dtype))
        steps.append(_step(blocks, *old, edges[-1], dtype))
    atom_token = np.concatenate([q.atom_token for q in quotients])
    edge_token = np.concatenate([q.edge_token for q in quotients])
    return Batch(atom_token, edge_token, atoms, edges, steps)


def _sizes(counts: Sequence[NDArray], dtype: Any) -> Sizes:
    lengths = [len(each) for each in counts]
    of = np.repeat(np.arange(len(counts), dtype=np.int32), lengths)
    first = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(lengths, out=first[1:])
    return Sizes(of, first, np.log(np.concatenate(counts), dtype=dtype))


def _step(
    blocks: Sequence[Block], old_atoms: Sizes, old_edges: Sizes, edges: Sizes, dtype: Any
) -> Step:
    def places(get: Callable[[Block], IntArray], into: Sizes) -> IntArray:
        """Classes by their places in the batch."""
        parts = [get(b) + start for b, start in zip(blocks, into.first[:-1], strict=True)]
        return np.concatenate(parts)

    count, leaving, degree, first = [], [], [], [np.zeros(1, dtype=np.int64)]
    for block, start in zip(blocks, edges.first[:-1], strict=True):
        there = block.out_count > 0
        count.append(block.out_count[there])
        leaving.append(block.out_edge[there] + start)
        first.append(there.sum(axis=1))
        degree.append(block.out_count.sum(axis=1))
    return Step(
        places(lambda b: b.edge_parent, old_edges),
        places(lambda b: b.edge_source, old_atoms),
        places(lambda b: b.edge_target, old_atoms),
        edges.of,
        places(lambda b: b.atom_parent, old_atoms),
        np.concatenate(degree).astype(dtype),
        np.cumsum(np.concatenate(first), dtype=np.int32),
        np.concatenate(leaving),
        np.concatenate(count).astype(dtype),
    )


def flat(batch: Batch) -> Flat:
    """Write a batch into three arrays."""
    none, nothing = np.zeros(0, np.int32), np.zeros(0, batch.edges[0].log.dtype)
    start = Step(batch.edge_token, none, none, none, batch.atom_token, nothing, none, none, nothing)
    words, reals = [], []
    for atoms, edges, step in zip(batch.atoms, batch.edges, [start, *batch.steps], strict=True):
        words += [*atoms[:2], *edges[:2], *step[:5], *step[6:8]]
        reals += [atoms.log, edges.log, step.degree, step.leaving_count]
    ends = [np.cumsum([0, *map(len, every)]) for every in (words, reals)]
    at = np.zeros((2, len(batch.atoms), 12), np.int64)
    for kind, count in ((0, 11), (1, 4)):
        for place in range(len(batch.atoms)):
            at[kind, place, : count + 1] = ends[kind][place * count : (place + 1) * count + 1]
    return Flat(np.concatenate(words).astype(np.int32), np.concatenate(reals), at)


@inner
def _part(values: Any, at: Any, which: int) -> Any:
    return values[at[which] : at[which + 1]]


@inner
def atoms_of(flat: Any, place: int) -> Any:
    """Atom classes before the first block, at place 0, or after a block."""
    words, reals = flat.at[0, place], flat.at[1, place]
    return Sizes(
        _part(flat.words, words, 0), _part(flat.words, words, 1), _part(flat.reals, reals, 0)
    )


@inner
def edges_of(flat: Any, place: int) -> Any:
    """Edge classes there."""
    words, reals = flat.at[0, place], flat.at[1, place]
    return Sizes(
        _part(flat.words, words, 2), _part(flat.words, words, 3), _part(flat.reals, reals, 1)
    )


@inner
def step_of(flat: Any, place: int) -> Any:
    """One block; at place 0 the parents are tokens, and all else is empty."""
    words, reals = flat.at[0, place], flat.at[1, place]
    return Step(
        _part(flat.words, words, 4),
        _part(flat.words, words, 5),
        _part(flat.words, words, 6),
        _part(flat.words, words, 7),
        _part(flat.words, words, 8),
        _part(flat.reals, reals, 2),
        _part(flat.words, words, 9),
        _part(flat.words, words, 10),
        _part(flat.reals, reals, 3),
    )
