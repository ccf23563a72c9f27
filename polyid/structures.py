"""Polymers ready for the engine: features, vocabulary and quotient graphs, cached by content."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from rdkit import rdBase

from polyid.graphs import features
from polyid.quotient import Block, Graph, Quotient, quotient
from polyid.vocabulary import Vocabulary

#: Part of every cache key: raise it when features or refinement change.
VERSION = 1


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
    described = []
    for i, text in enumerate(known):
        described.append(features(text))
        if progress is not None:
            progress(i + 1, len(known))
    vocabulary = vocabulary or Vocabulary.learn(described)
    refined = [quotient(vocabulary.encode(one), depth) for one in described]
    made = Structures(vocabulary, [refined[i] for i in index])
    if path is not None:
        _save(path, made, refined, index)
    return made


def graph(smiles: str, vocabulary: Vocabulary) -> Graph:
    """Graph of one polymer, unrefined."""
    return vocabulary.encode(features(smiles))


_BLOCK = Block._fields
_WANTED = {"index", "atom_vocabulary", "bond_vocabulary"}
_TOP = ("atom_token", "atom_count", "edge_token", "edge_count", "atom_class", "edge_class")


def _save(path: Path, made: Structures, refined: list[Quotient], index: list[int]) -> None:
    """Write all arrays of one kind as one long array with its cuts."""
    arrays: dict[str, np.ndarray] = {"index": np.array(index)}
    depth = len(refined[0].blocks) if refined else 0

    def put(name: str, parts: list[np.ndarray]) -> None:
        arrays[f"{name}.shape"] = np.array([p.shape for p in parts])
        arrays[name] = np.concatenate([p.ravel() for p in parts])

    for name in _TOP:
        put(name, [getattr(q, name) for q in refined])
    for r in range(depth):
        for name in _BLOCK:
            put(f"{r}.{name}", [getattr(q.blocks[r], name) for q in refined])
    arrays["atom_vocabulary"] = np.array(list(made.vocabulary.atom), dtype=str)
    arrays["bond_vocabulary"] = np.array(list(made.vocabulary.bond), dtype=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp.npz")
    try:
        np.savez(fresh, allow_pickle=False, **arrays)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _load(path: Path, depth: int) -> Structures | None:
    """Read what `_save` wrote; None if the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        if not set(arrays) >= _WANTED:
            return None
    except (OSError, ValueError, EOFError, BadZipFile):
        return None

    def get(name: str) -> list[np.ndarray]:
        shapes, flat = arrays[f"{name}.shape"], arrays[name]
        cuts = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(flat, cuts), shapes, strict=True)]

    top = {name: get(name) for name in _TOP}
    blocks = [{name: get(f"{r}.{name}") for name in _BLOCK} for r in range(depth)]
    refined = [
        Quotient(
            **{name: top[name][i] for name in _TOP},
            blocks=tuple(Block(**{name: b[name][i] for name in _BLOCK}) for b in blocks),
        )
        for i in range(len(top["atom_token"]))
    ]
    vocabulary = Vocabulary(
        {str(t): i + 2 for i, t in enumerate(arrays["atom_vocabulary"])},
        {str(t): i + 2 for i, t in enumerate(arrays["bond_vocabulary"])},
    )
    return Structures(vocabulary, [refined[i] for i in arrays["index"]])
