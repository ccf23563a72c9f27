"""The repeat unit of a polymer that was given by its monomers or as a whole chain, for drawing."""

from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.rdChemReactions import ChemicalReaction, ReactionFromSmarts

from polyid.smiles import parse

#: How an end of a monomer becomes the open end of a repeat unit; one reaction each.
_OPEN = {
    "acid": "[#6:1][C:2](=[O:3])[OH1,O-,F,Cl,Br,I]>>[#6:1][C:2](=[O:3])*",
    "alcohol": "[C,c;!$(C=O):1][OH1:2]>>[*:1][O:2]*",
    "carbonate": "[C,c;!$(C=O):1][OH1:2]>>[*:1][O:2]C(=O)*",
    "amine": "[#6;!$(C=O):1][NH2:2]>>[*:1][NH:2]*",
    "isocyanate": "[#6:1][N:2]=[C:3]=[O:4]>>[*:1][NH:2][C:3](=[O:4])*",
    "anhydride": "[C:1](=[O:2])O[C:3](=[O:4])>>[C:1](=[O:2])N(*)[C:3](=[O:4])",
    "imide": "[#6;!$(C=O):1][NH2]>>[*:1]*",
}
_OPENED = {end: ReactionFromSmarts(text) for end, text in _OPEN.items()}
_DOUBLE = Chem.MolFromSmarts("[CX3;!$(C=[O,N,S])]=[CX3;!$(C=[O,N,S])]")
#: Mechanism → the two ends that react with one another.
_ENDS = {
    "ester": ("acid", "alcohol"),
    "amide": ("acid", "amine"),
    "carbonate": ("carbonate", "alcohol"),
    "imide": ("anhydride", "imide"),
    "urethane": ("isocyanate", "alcohol"),
}
#: Radius of the surroundings by which atoms of a chain are told apart.
_RADIUS = 4


def unit_of_monomers(monomers: Sequence[Chem.Mol], mechanism: str | None) -> Chem.Mol | None:
    """Join one of each monomer, with two ends left open; None for a copolymer."""
    if mechanism == "vinyl":
        return _opened_double_bond(monomers[0]) if len(monomers) == 1 else None
    if mechanism == "carbonate":
        diols = [mol for mol in monomers if len(_ends(mol, "alcohol")) == 2]
        return _both(diols[0], "carbonate", "alcohol") if len(diols) == 1 else None
    if mechanism not in _ENDS:
        return None
    first, second = _ENDS[mechanism]
    if len(monomers) == 1:
        return _both(monomers[0], first, second)
    if len(monomers) != 2:
        return None
    for one, other in (monomers, monomers[::-1]):
        if len(_ends(one, first)) == 2 and len(_ends(other, second)) == 2:
            opened = _both(one, first, first), _both(other, second, second)
            if opened[0] is not None and opened[1] is not None:
                return _join(opened[0], opened[1])
    return None


def unit_of_chain(chain: Chem.Mol) -> Chem.Mol | None:
    """Cut one period out of the middle of a regular chain; None if it is not regular."""
    ends = _farthest(chain)
    path = list(Chem.GetShortestPath(chain, *ends)) if ends[0] != ends[1] else []
    if len(path) < 6:
        return None
    kinds = _surroundings(chain)
    keys = [kinds[atom] for atom in path]
    middle = range(len(path) // 4, len(path) - len(path) // 4)
    for period in range(1, len(path) // 3):
        if any(i + period < len(path) and keys[i] != keys[i + period] for i in middle[:-period]):
            continue
        starts = list(middle)[:period]
        pieces = [(_taste(chain, path, i), _cut(chain, path, i, i + period)) for i in starts]
        found = [(taste, Chem.MolToSmiles(unit), unit) for taste, unit in pieces if unit]
        return min(found, key=lambda one: one[:2])[2] if found else None
    return None


def _ends(mol: Chem.Mol, end: str) -> set[tuple[int, ...]]:
    return set(_kekule(mol).GetSubstructMatches(_OPENED[end].GetReactantTemplate(0)))


def _kekule(mol: Chem.Mol) -> Chem.Mol:
    """Write aromatic rings with double bonds: some anhydrides count as aromatic otherwise."""
    copy = Chem.Mol(mol)
    Chem.Kekulize(copy, clearAromaticFlags=True)
    return copy


def _both(mol: Chem.Mol, first: str, second: str) -> Chem.Mol | None:
    """Open one end as ``first`` and then another as ``second``."""
    once = _run(_OPENED[first], mol)
    return _run(_OPENED[second], once) if once is not None else None


def _run(reaction: ChemicalReaction, mol: Chem.Mol) -> Chem.Mol | None:
    for (product,) in reaction.RunReactants((_kekule(mol),)):
        if Chem.SanitizeMol(product, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE:
            return product
    return None


def _join(one: Chem.Mol, other: Chem.Mol) -> Chem.Mol:
    """Join two opened monomers at one ``*`` each."""
    pair = Chem.RWMol(Chem.CombineMols(one, other))
    stars = [atom.GetIdx() for atom in pair.GetAtoms() if atom.GetAtomicNum() == 0]
    border = one.GetNumAtoms()
    left = max(star for star in stars if star < border)
    right = min(star for star in stars if star >= border)
    (a,) = pair.GetAtomWithIdx(left).GetNeighbors()
    (b,) = pair.GetAtomWithIdx(right).GetNeighbors()
    pair.AddBond(a.GetIdx(), b.GetIdx(), Chem.BondType.SINGLE)
    for star in (right, left):
        pair.RemoveAtom(star)
    Chem.SanitizeMol(pair)
    return pair.GetMol()


def _opened_double_bond(monomer: Chem.Mol) -> Chem.Mol | None:
    found = monomer.GetSubstructMatches(_DOUBLE)
    if len(found) != 1:
        return None
    unit = Chem.RWMol(monomer)
    bond = unit.GetBondBetweenAtoms(*found[0])
    bond.SetStereo(Chem.BondStereo.STEREONONE)
    bond.SetBondType(Chem.BondType.SINGLE)
    for atom in found[0]:
        unit.AddBond(atom, unit.AddAtom(Chem.Atom(0)), Chem.BondType.SINGLE)
    Chem.SanitizeMol(unit)
    Chem.AssignStereochemistry(unit, cleanIt=True, force=True)
    return unit.GetMol()


def _farthest(chain: Chem.Mol) -> tuple[int, int]:
    """Two atoms with the longest way between them: the ends of the backbone."""
    distances = Chem.GetDistanceMatrix(chain)
    first, second = divmod(int(distances.argmax()), len(distances))
    return first, second


def _surroundings(chain: Chem.Mol) -> list[int]:
    """Give two atoms the same number if the chain looks the same from both, up to a radius."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=_RADIUS)
    more = rdFingerprintGenerator.AdditionalOutput()
    more.AllocateBitInfoMap()
    generator.GetSparseFingerprint(chain, additionalOutput=more)
    found = [(-1, 0)] * chain.GetNumAtoms()
    for bit, places in more.GetBitInfoMap().items():
        for atom, radius in places:
            found[atom] = max(found[atom], (radius, bit))
    return [bit for _, bit in found]


def _taste(chain: Chem.Mol, path: Sequence[int], place: int) -> int:
    """How little chemists would like to open a chain there: best between a carbonyl and O or N."""
    pair = [chain.GetAtomWithIdx(path[i]) for i in (place - 1, place)]
    hetero = any(atom.GetAtomicNum() in (7, 8, 16) for atom in pair)
    carbonyl = any(
        bond.GetBondType() == Chem.BondType.DOUBLE and bond.GetOtherAtom(atom).GetAtomicNum() == 8
        for atom in pair
        for bond in atom.GetBonds()
    )
    return 2 - hetero - (hetero and carbonyl)


def _cut(chain: Chem.Mol, path: Sequence[int], start: int, stop: int) -> Chem.Mol | None:
    """Cut the backbone before ``start`` and before ``stop``; None if a ring or a bond forbids."""
    if stop >= len(path):
        return None
    bonds = [chain.GetBondBetweenAtoms(path[i - 1], path[i]) for i in (start, stop)]
    if any(b.IsInRing() or b.GetBondType() != Chem.BondType.SINGLE for b in bonds):
        return None
    numbers = [bond.GetIdx() for bond in bonds]
    pieces = Chem.FragmentOnBonds(chain, numbers, dummyLabels=[(0, 0), (0, 0)])
    for piece in Chem.GetMolFrags(pieces, asMols=True):
        if sum(atom.GetAtomicNum() == 0 for atom in piece.GetAtoms()) == 2:
            return parse(Chem.MolToSmiles(piece))
    return None
