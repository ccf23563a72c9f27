"""Quotient graphs as rows of one integer table, so that a compiled step sees fixed shapes.

A `Layout` fixes how many classes each block may have; `pack` writes every polymer of a bucket
into one row; `fields` takes a batch of rows apart again inside the compiled program.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.quotient import Block, Quotient


class Layout(NamedTuple):
    """Room for classes, per block."""

    atoms: tuple[int, ...]
    """Atom classes before the first block and after each, ``(depth + 1,)``."""
    edges: tuple[int, ...]
    """Edge classes before the first block and after each, ``(depth + 1,)``."""
    degree: int
    """Distinct edge classes that may leave one atom."""

    @property
    def depth(self) -> int:
        """Number of message blocks."""
        return len(self.atoms) - 1

    def shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the fields of a row, in order."""
        found: list[tuple[str, tuple[int, ...]]] = [
            ("atom_token", (self.atoms[0],)),
            ("atom_count/0", (self.atoms[0],)),
            ("edge_token", (self.edges[0],)),
            ("edge_count/0", (self.edges[0],)),
        ]
        for r in range(1, self.depth + 1):
            edges, atoms = (self.edges[r],), (self.atoms[r],)
            found += [(f"{name}/{r}", edges) for name in _EDGE_FIELDS]
            found += [(f"{name}/{r}", atoms) for name in _ATOM_FIELDS]
            found += [(f"{name}/{r}", (self.atoms[r], self.degree)) for name in _OUT_FIELDS]
        return found

    @property
    def width(self) -> int:
        """Integers per row."""
        return sum(int(np.prod(shape)) for _, shape in self.shapes())


_EDGE_FIELDS = ("edge_parent", "edge_source", "edge_target", "edge_count")
_ATOM_FIELDS = ("atom_parent", "atom_count")
_OUT_FIELDS = ("out_edge", "out_count")


def sizes(q: Quotient) -> NDArray[np.int64]:
    """Class counts of one polymer: ``(2, depth + 1)``, atoms then edges."""
    return np.array(
        [
            [len(q.atom_count), *(len(b.atom_count) for b in q.blocks)],
            [len(q.edge_count), *(len(b.edge_count) for b in q.blocks)],
        ]
    )


def layout_for(quotients: Sequence[Quotient], multiple: int = 1) -> Layout:
    """Give the smallest layout that holds all ``quotients``, rounded up to ``multiple``."""
    caps = np.max([sizes(q) for q in quotients], axis=0)
    caps = np.maximum(-(-caps // multiple) * multiple, 1)
    degree = max(b.out_edge.shape[1] for q in quotients for b in q.blocks)
    return Layout(tuple(caps[0].tolist()), tuple(caps[1].tolist()), max(degree, 4))


def fits(q: Quotient, layout: Layout) -> bool:
    """Say whether a polymer has room in ``layout``."""
    caps = np.array([layout.atoms, layout.edges])
    degree = max(b.out_edge.shape[1] for b in q.blocks)
    return bool((sizes(q) <= caps).all()) and degree <= layout.degree


def _by_size(block: Block) -> Block:
    """Put the edge classes of the last block in the order of falling size, for dropout."""
    order = np.argsort(-block.edge_count, kind="stable")
    if len(order) == 0:
        return block
    rank = np.argsort(order)
    return block._replace(
        **{name: getattr(block, name)[order] for name in _EDGE_FIELDS},
        out_edge=np.where(block.out_count > 0, rank[block.out_edge], 0),
    )


def pack(quotients: Sequence[Quotient], layout: Layout) -> NDArray[np.int32]:
    """Write polymers as rows, ``(n, layout.width)``; counts of 0 mark the padding.

    The edge classes of the last block stand in the order of falling size.
    """
    table = np.zeros((len(quotients), layout.width), dtype=np.int32)
    places: dict[str, tuple[int, tuple[int, ...]]] = {}
    start = 0
    for name, shape in layout.shapes():
        places[name] = (start, shape)
        start += int(np.prod(shape))

    def put(row: NDArray[np.int32], name: str, values: NDArray) -> None:
        start, shape = places[name]
        if values.ndim == 1:
            row[start : start + len(values)] = values
        else:
            block = row[start : start + int(np.prod(shape))].reshape(shape)
            block[: values.shape[0], : values.shape[1]] = values

    for row, q in zip(table, quotients, strict=True):
        put(row, "atom_token", q.atom_token)
        put(row, "atom_count/0", q.atom_count)
        put(row, "edge_token", q.edge_token)
        put(row, "edge_count/0", q.edge_count)
        for r, block in enumerate((*q.blocks[:-1], _by_size(q.blocks[-1])), 1):
            for name in (*_EDGE_FIELDS, *_ATOM_FIELDS, *_OUT_FIELDS):
                put(row, f"{name}/{r}", getattr(block, name))
    return table


def unpack(row: NDArray[np.int32], layout: Layout) -> Quotient:
    """Read one row: the opposite of `pack`, without the final classes of atoms and edges."""
    found, start = {}, 0
    for name, shape in layout.shapes():
        size = int(np.prod(shape))
        found[name] = row[start : start + size].reshape(shape)
        start += size

    def there(name: str, counts: str) -> NDArray[np.int32]:
        return found[name][: np.count_nonzero(found[counts])]

    blocks = [
        Block(
            **{name: there(f"{name}/{r}", f"edge_count/{r}") for name in _EDGE_FIELDS},
            **{
                name: there(f"{name}/{r}", f"atom_count/{r}")
                for name in (*_ATOM_FIELDS, *_OUT_FIELDS)
            },
        )
        for r in range(1, layout.depth + 1)
    ]
    nothing = np.zeros(0, dtype=np.int32)
    return Quotient(
        there("atom_token", "atom_count/0"),
        there("atom_count/0", "atom_count/0"),
        there("edge_token", "edge_count/0"),
        there("edge_count/0", "edge_count/0"),
        tuple(blocks),
        nothing,
        nothing,
    )


def fields(rows: Any, layout: Layout) -> dict[str, Any]:
    """Take rows ``(members, batch, width)`` apart into named fields ``(members, batch, …)``."""
    from keras import ops

    found, start = {}, 0
    for name, shape in layout.shapes():
        size = int(np.prod(shape))
        part = rows[:, :, start : start + size]
        found[name] = part if len(shape) == 1 else ops.reshape(part, (*part.shape[:2], *shape))
        start += size
    return found


class Bucket(NamedTuple):
    """Polymers of like size, packed."""

    layout: Layout
    members: NDArray[np.intp]
    """Which polymers of the list, ``(n,)``."""
    table: NDArray[np.int32]
    """Their rows, ``(n, layout.width)``."""


def buckets(
    quotients: Sequence[Quotient], shares: Sequence[float] = (0.6, 0.92, 1.0), multiple: int = 1
) -> list[Bucket]:
    """Sort polymers by size into buckets that hold ``shares`` of them, the last all the rest.

    A batch comes from one bucket: few compiled shapes, little padding.
    """
    total = np.array([sizes(q).sum() for q in quotients])
    order = np.argsort(total, kind="stable")
    cuts = sorted({max(1, round(share * len(order))) for share in shares} | {len(order)})
    found, start = [], 0
    for cut in cuts:
        if cut > start:
            chosen = np.sort(order[start:cut])
            some = [quotients[i] for i in chosen]
            layout = layout_for(some, multiple)
            found.append(Bucket(layout, chosen, pack(some, layout)))
            start = cut
    return found
