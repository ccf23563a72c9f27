"""Polymers ready for the engine: features, vocabulary and quotient graphs, cached by content."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rdkit import rdBase

from polyid.crew import describe
from polyid.graphs import features
from polyid.quotient import Flat, Graph, Quotient, cut, join, quotients
from polyid.vocabulary import Vocabulary

#: Part of every cache key: raise it when features or refinement change.
VERSION = 2


class Structures(NamedTuple):
    """Quotient graphs of some polymers under one vocabulary."""

    vocabulary: Vocabulary
    quotients: list[Quotient]


def build(
    smiles: Sequence[str],
    depth: int,
    vocabulary: Vocabulary | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> Structures:
    """Refine polymers for a model with ``depth`` blocks.

    Parameters
    ----------
    smiles
        Full chains.
    depth
        Message blocks.
    vocabulary
        Tokens; learnt from ``smiles`` if None.
    cache
        Folder for results, one file per list of polymers; None keeps nothing.
    progress
        Told (done, of how many).
    processes
        Most processes that work if the polymers are many; as many as there are cores without it.
        The result is the same.
    """
    key = hashlib.sha256(
        repr((VERSION, rdBase.rdkitVersion, depth, vocabulary, list(smiles))).encode()
    ).hexdigest()[:32]
    path = cache / f"structures-{key}.npz" if cache is not None else None
    if path is not None and path.exists():
        found = _load(path, depth)
        if found is not None:
            return found
    known: dict[str, int] = {}
    index = [known.setdefault(s, len(known)) for s in smiles]
    described = describe(list(known), processes, progress)
    vocabulary = vocabulary or Vocabulary.learn(described)
    refined = quotients([vocabulary.encode(one) for one in described], depth)
    made = Structures(vocabulary, [refined[i] for i in index])
    if path is not None:
        _save(path, made, refined, index)
    return made


def graph(smiles: str, vocabulary: Vocabulary) -> Graph:
    """Graph of one polymer, unrefined."""
    return vocabulary.encode(features(smiles))


def _save(path: Path, made: Structures, refined: list[Quotient], index: list[int]) -> None:
    """Write all arrays of one kind as one long array, and the rows of each polymer."""
    flat = join(refined)
    arrays = {
        "index": np.array(index),
        "degree": flat.degree,
        "atom_vocabulary": np.array(list(made.vocabulary.atom), dtype=str),
        "bond_vocabulary": np.array(list(made.vocabulary.bond), dtype=str),
        **{f"field/{name}": _small(values) for name, values in flat.fields.items()},
        **{f"rows/{name}": values for name, values in flat.lengths.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp.npz")
    try:
        np.savez(fresh, allow_pickle=False, **arrays)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _small(values: NDArray) -> NDArray:
    """Half the bytes to write, read and check, where they hold the numbers."""
    return values.astype(np.uint16) if values.max(initial=0) < 2**16 else values


def _load(path: Path, depth: int) -> Structures | None:
    """Read what `_save` wrote; None if the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    if not set(arrays) >= {"index", "degree", "atom_vocabulary", "bond_vocabulary"}:
        return None

    def under(head: str) -> dict[str, NDArray]:
        return {k.removeprefix(head): v for k, v in arrays.items() if k.startswith(head)}

    fields = {name: values.astype(np.int32) for name, values in under("field/").items()}
    refined = cut(Flat(fields, under("rows/"), arrays["degree"]), depth)
    vocabulary = Vocabulary(
        {str(t): i + 2 for i, t in enumerate(arrays["atom_vocabulary"])},
        {str(t): i + 2 for i, t in enumerate(arrays["bond_vocabulary"])},
    )
    return Structures(vocabulary, [refined[i] for i in arrays["index"].tolist()])
