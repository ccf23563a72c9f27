"""From SMILES to the graph that nfp's features describe, without building a networkx graph.

The features are nfp's ``atom_features_v1`` and ``bond_features_v2`` on the molecule with explicit
hydrogens (PolyID's defaults); a test holds them equal, string by string. What makes it quick: a
feature string is made once per distinct tuple of integers, and one bond is asked once for both of
its directions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyid.polymers import parse


class Features(NamedTuple):
    """A polymer's features before tokenisation."""

    atom: list[str]
    """nfp's atom features, one string per atom, hydrogens included."""
    bond: list[str]
    """nfp's bond features, one string per undirected bond."""
    ends: NDArray[np.int32]
    """Atom indices of each bond, shape ``(n_bonds, 2)``."""


_RING_SIZES = range(3, 12)
_atom_text: dict[tuple, str] = {}
_bond_text: dict[tuple, str] = {}


def ring_size(bond: Chem.Bond) -> int | str:
    """Size of the smallest ring through ``bond``: 0 outside rings, "max" from 12 on (as nfp)."""
    if not bond.IsInRing():
        return 0
    return next((i for i in _RING_SIZES if bond.IsInRingSize(i)), "max")


def _atom(key: tuple[str, int, bool]) -> str:
    text = _atom_text.get(key)
    if text is None:
        symbol, degree, aromatic = key
        # with every hydrogen explicit, total hydrogens and implicit valence are 0
        text = _atom_text[key] = str((symbol, degree, 0, 0, aromatic))
    return text


def _bond(key: tuple) -> str:
    text = _bond_text.get(key)
    if text is None:
        kind, conjugated, stereo, ring, begin, end = key
        text = _bond_text[key] = str((kind, conjugated, stereo, ring, sorted([begin, end])))
    return text


def features(smiles: str) -> Features:
    """Features of the molecule with explicit hydrogens.

    Raises
    ------
    polyid.errors.SmilesError
        If ``smiles`` does not parse.
    """
    mol = Chem.AddHs(parse(smiles))
    atoms = list(mol.GetAtoms())
    symbols = [a.GetSymbol() for a in atoms]
    atom = [
        _atom((s, a.GetDegree(), a.GetIsAromatic())) for s, a in zip(symbols, atoms, strict=True)
    ]
    bond: list[str] = []
    ends: list[tuple[int, int]] = []
    for b in mol.GetBonds():
        i, j = b.GetBeginAtomIdx(), b.GetEndAtomIdx()
        ends.append((i, j))
        bond.append(
            _bond(
                (
                    b.GetBondType(),
                    b.GetIsConjugated(),
                    b.GetStereo(),
                    ring_size(b),
                    symbols[i],
                    symbols[j],
                )
            )
        )
    return Features(atom, bond, np.array(ends, dtype=np.int32).reshape(-1, 2))
