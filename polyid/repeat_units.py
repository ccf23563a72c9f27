"""Repeat units with two ``*`` ends: joined head to tail into an oligomer of known length."""

from typing import Any, NamedTuple

from rdkit import Chem, rdBase

from polyid.errors import RepeatUnitError
from polyid.smiles import MAX_HEAVY_ATOMS, canonical, shorten

_CARBONYL = Chem.MolFromSmarts("[#6X3]=[O,S]")


class _Ends(NamedTuple):
    """Where a repeat unit is open: two ``*`` atoms and the atoms they stand on."""

    stars: tuple[int, int]
    anchors: tuple[int, int]


def repeat_oligomer(unit: Chem.Mol, dp: int, text: str) -> str:
    """Join a repeat unit head to tail into one chain.

    Deterministic: the same unit gives the same chain. The chain holds ``dp`` monomers, counted as
    the published chains count them (see `monomers_per_unit`), rounded to whole repeat units, at
    least two. An open carbonyl end is closed with OH, any other end with hydrogen.

    Parameters
    ----------
    unit
        Parsed repeat unit with exactly two ``*``.
    dp
        Degree of polymerisation: number of monomers in the chain.
    text
        What the user wrote, for messages.

    Returns
    -------
    str
        Canonical SMILES of the chain, stereo marks kept.

    Raises
    ------
    RepeatUnitError
        If the ends cannot be joined, or the chain would grow too large.
    """
    if dp < 2:
        raise RepeatUnitError(f"dp={dp}: a chain has at least two monomers; the default is 18.")
    ends = _ends(unit, text)
    repeats = max(2, round(dp / _monomers(unit, ends) + 1e-9))
    heavy = unit.GetNumHeavyAtoms() * repeats
    if heavy > MAX_HEAVY_ATOMS:
        raise RepeatUnitError(
            f"{shorten(text)}: {repeats} repeat units would have about {heavy} heavy atoms; "
            f"at most {MAX_HEAVY_ATOMS} are handled. Give a smaller dp."
        )
    with rdBase.BlockLogs():
        chain = _close(_join(unit, ends, repeats))
    # read once more: what is written for one molecule in memory is not always a fixed point
    return canonical(Chem.MolFromSmiles(canonical(chain)))


def monomers_per_unit(unit: Chem.Mol, text: str = "repeat unit") -> int:
    """Count the monomers that one repeat unit stands for.

    The unit is thought of as closed into a ring, and the condensation linkages on its shortest way
    round are counted: each ester, amide, imide, urethane or urea joins two monomers, a carbonate
    group counts twice (diol and phosgene are two monomers). So nylon 6 has one, nylon 6,6 two.
    Where kinds are mixed, as in a polyamide-imide, one kind was already inside a monomer, and the
    unit counts as a pair. Without any linkage (vinyl, ether, siloxane) the unit is one monomer.
    """
    return _monomers(unit, _ends(unit, text))


def _ends(unit: Chem.Mol, text: str) -> _Ends:
    stars = [atom for atom in unit.GetAtoms() if atom.GetAtomicNum() == 0]
    shown = shorten(text)
    if len(stars) != 2:
        ladder = " Ladder polymers (four *) are not supported." if len(stars) == 4 else ""
        raise RepeatUnitError(
            f"{shown} has {len(stars)} *; a repeat unit has two, one at each open end, "
            f"as in *CC(*)c1ccccc1.{ladder}"
        )
    if len(Chem.GetMolFrags(unit)) > 1:
        raise RepeatUnitError(
            f"{shown} has * and '.' together; give one repeat unit, or monomers without *."
        )
    for star in stars:
        if star.GetDegree() != 1 or star.GetTotalNumHs() or star.GetFormalCharge():
            raise RepeatUnitError(
                f"{shown}: a * must stand at an end, with one bond and without hydrogen or charge."
            )
    anchors = tuple(star.GetNeighbors()[0] for star in stars)
    if any(anchor.GetAtomicNum() == 0 for anchor in anchors):
        raise RepeatUnitError(f"{shown}: the two * are bonded to one another; nothing repeats.")
    kinds = {star.GetBonds()[0].GetBondType() for star in stars}
    if len(kinds) > 1 or not kinds <= {Chem.BondType.SINGLE, Chem.BondType.DOUBLE}:
        raise RepeatUnitError(
            f"{shown}: both * must have the same kind of bond, single or double, to be joined."
        )
    return _Ends((stars[0].GetIdx(), stars[1].GetIdx()), (anchors[0].GetIdx(), anchors[1].GetIdx()))


def _monomers(unit: Chem.Mol, ends: _Ends) -> int:
    path = [
        index
        for index in Chem.GetShortestPath(unit, *ends.stars)
        if unit.GetAtomWithIdx(index).GetAtomicNum() != 0
    ]
    carbonyl = {match[0] for match in unit.GetSubstructMatches(_CARBONYL, maxMatches=10_000)}
    linkages: dict[str, set[int]] = {}
    for place, index in enumerate(path):
        if index not in carbonyl:
            continue
        around = [path[place - 1], path[(place + 1) % len(path)]]
        numbers = [unit.GetAtomWithIdx(other).GetAtomicNum() for other in around]
        oxygen = [other for other, number in zip(around, numbers, strict=True) if number in (8, 16)]
        nitrogen = [other for other, number in zip(around, numbers, strict=True) if number == 7]
        if len(nitrogen) == 2 or (nitrogen and oxygen):
            linkages.setdefault("urethane", set()).add(index)
        elif nitrogen:
            kind = "imide" if unit.GetAtomWithIdx(index).IsInRing() else "amide"
            linkages.setdefault(kind, set()).add(nitrogen[0])
        elif oxygen:
            linkages.setdefault("carbonate" if len(oxygen) == 2 else "ester", set()).update(oxygen)
    if len(linkages) > 1:
        return 2
    return max(1, sum(len(found) for found in linkages.values()))


def _join(unit: Chem.Mol, ends: _Ends, repeats: int) -> Chem.Mol:
    """Zip copies of the unit at their ``*``; the two outermost ``*`` stay."""
    parts: Chem.Mol | None = None
    for copy in range(repeats):
        piece = Chem.Mol(unit)
        # equal map numbers on two * mean: join here (`Chem.molzip` keeps stereo marks)
        if copy > 0:
            piece.GetAtomWithIdx(ends.stars[0]).SetAtomMapNum(copy)
        if copy < repeats - 1:
            piece.GetAtomWithIdx(ends.stars[1]).SetAtomMapNum(copy + 1)
        parts = piece if parts is None else Chem.CombineMols(parts, piece)
    return Chem.molzip(parts)


def _close(chain: Chem.Mol) -> Chem.Mol:
    """Turn the two open ends into OH (on a carbonyl carbon) or hydrogen (elsewhere)."""
    carbonyl = {match[0] for match in chain.GetSubstructMatches(_CARBONYL, maxMatches=10_000)}
    closed = Chem.RWMol(chain)
    doubled: list[int] = []
    for star in [atom for atom in closed.GetAtoms() if atom.GetAtomicNum() == 0]:
        bond = star.GetBonds()[0]
        if bond.GetBondType() == Chem.BondType.DOUBLE:
            doubled.append(star.GetIdx())
            continue
        star.SetAtomicNum(8 if bond.GetOtherAtomIdx(star.GetIdx()) in carbonyl else 1)
        star.SetNoImplicit(False)
    for index in sorted(doubled, reverse=True):
        # =* becomes two hydrogens, which the neighbour then carries implicitly
        closed.RemoveAtom(index)
    mol = closed.GetMol()
    Chem.SanitizeMol(mol)
    settings: Any = Chem.RemoveHsParameters()
    settings.removeDefiningBondStereo = True  # an end group has no cis or trans
    return Chem.RemoveHs(mol, settings)
