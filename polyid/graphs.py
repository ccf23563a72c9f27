"""From SMILES to the graph that nfp's features describe, without building a networkx graph.

The features are nfp's ``atom_features_v1`` and ``bond_features_v2`` on the molecule with explicit
hydrogens (PolyID's defaults); a test holds them equal, string by string. What makes it quick: RDKit
is asked about heavy atoms only, one list per question; a hydrogen that RDKit would add is written
down from its parent; and a feature string is made once per distinct feature, not per atom.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyid.smiles import parse


class Features(NamedTuple):
    """A polymer's features before tokenisation."""

    atom_kinds: list[str]
    """Distinct nfp atom features, in the order in which they come."""
    atom_kind: NDArray[np.intp]
    """Which of them each atom has, hydrogens included, ``(n_atoms,)``."""
    bond_kinds: list[str]
    """Distinct nfp bond features, in the order in which they come."""
    bond_kind: NDArray[np.intp]
    """Which of them each undirected bond has, ``(n_bonds,)``."""
    ends: NDArray[np.int32]
    """Atom indices of each bond, shape ``(n_bonds, 2)``."""

    @property
    def atom(self) -> list[str]:
        """Nfp's atom features, one string per atom."""
        return [self.atom_kinds[i] for i in self.atom_kind]

    @property
    def bond(self) -> list[str]:
        """Nfp's bond features, one string per undirected bond."""
        return [self.bond_kinds[i] for i in self.bond_kind]


#: Rings from this size on are all "max", as in nfp.
_LARGE = 12
_HYDROGEN = 1


@cache
def _atom_text(key: int) -> str:
    """Feature of a packed (element, degree, aromatic)."""
    element, degree, aromatic = key >> 9, key >> 1 & 0xFF, bool(key & 1)
    # with every hydrogen explicit, total hydrogens and implicit valence are 0
    return str((_symbol(element), degree, 0, 0, aromatic))


@cache
def _bond_text(key: int) -> str:
    """Feature of a packed (elements, ring, stereo, type, conjugated); see `_bond_keys`."""
    ends = sorted([_symbol(key >> 24 & 0xFF), _symbol(key >> 16 & 0xFF)])
    size = key >> 12 & 0xF
    ring = "max" if size == _LARGE else size
    stereo = Chem.BondStereo.values[key >> 8 & 0xF]
    kind = Chem.BondType.values[key >> 1 & 0x7F]
    return str((kind, bool(key & 1), stereo, ring, ends))


def _symbol(element: int) -> str:
    return Chem.GetPeriodicTable().GetElementSymbol(element)


@lru_cache(maxsize=64)
def features(smiles: str) -> Features:
    """Features of the molecule with explicit hydrogens; not to be changed, the next call gets them.

    Raises
    ------
    polyid.errors.SmilesError
        If ``smiles`` does not parse.
    """
    mol = parse(smiles)
    heavy = mol.GetNumAtoms()
    atoms = [mol.GetAtomWithIdx(i) for i in range(heavy)]
    element = _ask(Chem.Atom.GetAtomicNum, atoms)
    degree = _ask(Chem.Atom.GetTotalDegree, atoms)
    aromatic = _ask(Chem.Atom.GetIsAromatic, atoms)
    # RDKit's AddHs appends the hydrogens of one atom after the other, each with its bond
    parents = np.repeat(np.arange(heavy), _ask(Chem.Atom.GetTotalNumHs, atoms))
    hydrogens = np.arange(heavy, heavy + len(parents))

    ends, bonds = _bond_keys(mol, element)
    single = int(Chem.BondType.SINGLE) << 1
    added = _pair(element[parents], _HYDROGEN) | single
    atom_keys = np.concatenate(
        [
            element << 9 | degree << 1 | aromatic,
            np.full(len(parents), _HYDROGEN << 9 | 1 << 1),
        ]
    )
    atom_kinds, atom_kind = _kinds(atom_keys)
    bond_kinds, bond_kind = _kinds(np.concatenate([bonds, added]))
    return Features(
        [_atom_text(key) for key in atom_kinds],
        atom_kind,
        [_bond_text(key) for key in bond_kinds],
        bond_kind,
        np.concatenate([ends, np.stack([parents, hydrogens], axis=1)]).astype(np.int32),
    )


def _ask(question: Callable[[Any], int], things: list[Any]) -> NDArray[np.int64]:
    return np.fromiter(map(question, things), np.int64, len(things))


def _pair(one: NDArray[np.int64], other: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Pack two elements in either order."""
    return np.minimum(one, other) << 24 | np.maximum(one, other) << 16


def _bond_keys(
    mol: Chem.Mol, element: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give ends ``(n, 2)`` of the bonds between heavy atoms, and everything their features say."""
    bonds = [mol.GetBondWithIdx(i) for i in range(mol.GetNumBonds())]
    begin, end = _ask(Chem.Bond.GetBeginAtomIdx, bonds), _ask(Chem.Bond.GetEndAtomIdx, bonds)
    kind = _ask(Chem.Bond.GetBondType, bonds)
    stereo = np.zeros(len(bonds), dtype=np.int64)
    for i in np.flatnonzero(kind == int(Chem.BondType.DOUBLE)).tolist():
        stereo[i] = bonds[i].GetStereo()
    keys = (
        _pair(element[begin], element[end])
        | _ring_sizes(mol) << 12
        | stereo << 8
        | kind << 1
        | _ask(Chem.Bond.GetIsConjugated, bonds)
    )
    return np.stack([begin, end], axis=1), keys


def _ring_sizes(mol: Chem.Mol) -> NDArray[np.int64]:
    """Size of the smallest ring through each bond: 0 outside rings, at most `_LARGE`."""
    smallest = np.full(mol.GetNumBonds(), _LARGE + 1)
    rings = mol.GetRingInfo().BondRings()
    if rings:
        lengths = np.fromiter(map(len, rings), np.int64, len(rings))
        through = np.concatenate(rings)
        np.minimum.at(smallest, through, np.repeat(np.minimum(lengths, _LARGE), lengths))
    return np.where(smallest > _LARGE, 0, smallest)


def _kinds(keys: NDArray[np.int64]) -> tuple[list[int], NDArray[np.intp]]:
    """Distinct keys in the order in which they come, and which of them stands where."""
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return distinct[order].tolist(), rank[which]
