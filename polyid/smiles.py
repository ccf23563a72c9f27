"""Read SMILES from people: one clear error for anything that is not a usable molecule."""

import re
from functools import lru_cache
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdqueries

from polyid.errors import SmilesError

#: Longest accepted text; the longest chain of the property table has about 2 000 characters.
MAX_CHARACTERS = 20_000
#: Most heavy atoms accepted; the largest chain of the property table has 1 306.
MAX_HEAVY_ATOMS = 5_000
#: Most rings accepted in one fused system (a ladder polymer at DP 18 has about 150): finding
#: rings in larger cages takes many seconds.
MAX_FUSED_RINGS = 300
#: Deepest nesting of branches accepted; rdkit's reader slows down with the square of the depth.
MAX_DEPTH = 1_000

_BONDS = {
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
    Chem.BondType.AROMATIC,
}
_ATOM_TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|[BCNOPSFIbcnops*]")
#: An atom of hydrogen, of any isotope or charge.
_HYDROGEN = re.compile(r"\[\d*H(?![a-z])")
#: Printable, without blanks and '>'.
_PLAIN = re.compile(r"[!-=?-~]*")
_RADICAL = rdqueries.NumRadicalElectronsGreaterQueryAtom(0)
_POSITION = re.compile(r"around position (\d+)")
_TIME_STAMP = re.compile(r"^\[\d\d:\d\d:\d\d\] ", re.MULTILINE)


def shorten(text: str, limit: int = 60) -> str:
    """Quote ``text`` for a message, its middle left out if it is longer than ``limit``."""
    shown = text if len(text) <= limit else f"{text[: limit - 15]} … {text[-12:]}"
    return repr(shown)


def parse(smiles: str) -> Chem.Mol:
    """Read one SMILES string into a sanitised molecule.

    Parameters
    ----------
    smiles
        SMILES; blanks around it are ignored. ``*`` atoms and ``.`` are allowed.

    Returns
    -------
    rdkit.Chem.Mol
        The molecule, with hydrogens implicit, atom map numbers and labels of ``*`` removed.

    Raises
    ------
    SmilesError
        If the text is empty, too long, no SMILES, or a molecule that cannot exist. The message
        names the text and, where it is known, the position (counted from 1) and the reason.
    """
    # one prediction reads its polymer several times: a copy takes a fraction of a reading
    return Chem.Mol(_parsed(_checked_text(smiles)))


@lru_cache(maxsize=16)
def _parsed(text: str) -> Chem.Mol:
    parameters: Any = Chem.SmilesParserParams()
    parameters.sanitize = False
    parameters.removeHs = False
    parameters.allowCXSMILES = False
    parameters.parseName = False
    with rdBase.CaptureErrorLog() as log:
        mol = Chem.MolFromSmiles(text, parameters)
    if mol is None:
        raise SmilesError(_syntax_message(text, log.messages))
    _check_size(text, mol)
    if any(mark in text for mark in "~$<"):
        _check_bonds(text, mol)
    with rdBase.BlockLogs():
        failed = Chem.SanitizeMol(mol, catchErrors=True)
        if failed != Chem.SanitizeFlags.SANITIZE_NONE:
            # the failed attempt may have changed the molecule: look for the fault in a fresh one
            problems = Chem.DetectChemistryProblems(Chem.MolFromSmiles(text, parameters))
            raise SmilesError(_chemistry_message(text, problems[0] if problems else None))
        if any(mark in text for mark in "@/\\"):
            Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
        if _HYDROGEN.search(text):
            mol = Chem.RemoveHs(mol)
    # a loop over atoms is slow: look only where there can be something to find
    for atom in mol.GetAtoms() if ":" in text or "*" in text else ():
        atom.SetAtomMapNum(0)
        if atom.GetAtomicNum() == 0:
            atom.SetIsotope(0)
    for atom in mol.GetAtomsMatchingQuery(_RADICAL) if "[" in text else ():
        if atom.GetAtomicNum() == 6:
            raise SmilesError(
                f"{shorten(text)}: a carbon in square brackets lacks hydrogens; "
                "write C, or [CH2] with the hydrogens it has."
            )
    return mol


def canonical(mol: Chem.Mol, *, stereo: bool = True) -> str:
    """Write canonical SMILES; without ``stereo``, stereo marks and isotopes are left out."""
    return Chem.MolToSmiles(mol, isomericSmiles=stereo)


def fragments(mol: Chem.Mol) -> list[Chem.Mol]:
    """Return the molecules that ``.`` separates, in the order of the text."""
    if len(Chem.GetMolFrags(mol)) == 1:  # copying a large one takes a while
        return [mol]
    return list(Chem.GetMolFrags(mol, asMols=True))


@lru_cache(maxsize=16_384)
def monomer_set(smiles_monomer: str) -> str:
    """Return the key of a set of monomers: equal for the same monomers in any order or tacticity.

    Canonical SMILES without stereo marks of the distinct monomers, sorted, joined by ``.``.
    Polymers that share this key must never stand on both sides of a fold.

    Raises
    ------
    SmilesError
        If the text is not SMILES.
    """
    text = smiles_monomer.replace("..", ".") if isinstance(smiles_monomer, str) else smiles_monomer
    return ".".join(sorted({canonical(m, stereo=False) for m in fragments(parse(text))}))


def _checked_text(smiles: object) -> str:
    if not isinstance(smiles, str):
        raise SmilesError(
            f"Expected a SMILES string, got {smiles!r} ({type(smiles).__name__}): "
            "the cell may be empty."
        )
    text = smiles.strip()
    if not text:
        raise SmilesError("Expected a SMILES string, got an empty text.")
    if len(text) > MAX_CHARACTERS:
        raise SmilesError(
            f"{shorten(text)} has {len(text)} characters; at most {MAX_CHARACTERS} are read. "
            "Give a repeat unit with two * or the monomers instead of a long chain."
        )
    if _PLAIN.fullmatch(text) and text.count("(") <= MAX_DEPTH:
        return text  # the search for the fault below is slow
    depth = 0
    for position, character in enumerate(text, start=1):
        depth += (character == "(") - (character == ")")
        if depth > MAX_DEPTH:
            raise SmilesError(
                f"{shorten(text)}: more than {MAX_DEPTH} branches inside one another "
                f"at position {position}."
            )
        if character == " ":
            raise SmilesError(
                f"{shorten(text)}: a blank at position {position}; give one SMILES per input."
            )
        if not "!" <= character <= "~":
            raise SmilesError(
                f"{shorten(text)}: the character {character!a} at position {position} "
                "does not belong to SMILES; retype it in plain letters."
            )
        if character == ">":
            raise SmilesError(
                f"{shorten(text)}: '>' at position {position} belongs to reactions, and coordinate "
                "bonds are not supported; give a molecule, monomers or a repeat unit."
            )
    return text


def _syntax_message(text: str, log: str) -> str:
    """Explain a parse failure from rdkit's own words."""
    words = _TIME_STAMP.sub("", log)
    found = _POSITION.search(words)
    if found:
        position = int(found.group(1))
        near = text[max(0, position - 8) : position + 4]
        return (
            f"{shorten(text)} is not SMILES: stopped at position {position}, "
            f"near {near!r}. Check brackets, ring numbers and element symbols there."
        )
    reason = "it cannot be read"
    for line in words.splitlines():
        if "SMILES Parse Error:" in line:
            reason = line.split("SMILES Parse Error:", 1)[1].split(" for input")[0].strip()
            break
    return f"{shorten(text)} is not SMILES: {reason}."


def _chemistry_message(text: str, problem: Any) -> str:
    """Explain the first fault that rdkit finds in a molecule that was read."""
    if problem is None:
        # rdkit's search for faults skips some steps of its clean-up, where this one then is
        return f"{shorten(text)} is no possible molecule: check its aromatic (small) letters."
    if problem.GetType() == "KekulizeException":
        index = min(problem.GetAtomIndices())
        reason = (
            "an aromatic ring (small letters) has no valid pattern of double bonds; "
            "a nitrogen may need its hydrogen, as in [nH]"
        )
    else:
        index = problem.GetAtomIdx() if hasattr(problem, "GetAtomIdx") else 0
        reason = problem.Message().rstrip(".")
        if problem.GetType() == "AtomValenceException":
            reason = "this atom has more bonds than it can have"
    tokens = list(_ATOM_TOKEN.finditer(text))
    where = ""
    if index < len(tokens):
        token = tokens[index]
        where = f" at position {token.start() + 1} ({token.group()})"
    return f"{shorten(text)} is no possible molecule{where}: {reason}."


def _check_size(text: str, mol: Chem.Mol) -> None:
    heavy = mol.GetNumHeavyAtoms()
    if heavy == 0 and "*" not in text:
        raise SmilesError(f"{shorten(text)} holds no atom heavier than hydrogen.")
    if max(heavy, text.count("*")) > MAX_HEAVY_ATOMS:
        raise SmilesError(
            f"{shorten(text)} has {heavy} heavy atoms; at most {MAX_HEAVY_ATOMS} are read. "
            "Give a repeat unit with two * or the monomers instead of a long chain."
        )
    rings = mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol))
    if rings > MAX_FUSED_RINGS:
        fused = _largest_fused_system(mol)
        if fused > MAX_FUSED_RINGS:
            raise SmilesError(
                f"{shorten(text)} has {fused} rings fused into one system; at most "
                f"{MAX_FUSED_RINGS} are read: networks and cages are not supported."
            )


def _largest_fused_system(mol: Chem.Mol) -> int:
    """Count the independent rings of the largest set of atoms joined by ring bonds."""
    marked = Chem.Mol(mol)
    Chem.FastFindRings(marked)
    joined = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in marked.GetBonds() if b.IsInRing()]
    neighbours: dict[int, list[int]] = {}
    for begin, end in joined:
        neighbours.setdefault(begin, []).append(end)
        neighbours.setdefault(end, []).append(begin)
    largest, seen = 0, set()
    for start in neighbours:
        if start in seen:
            continue
        seen.add(start)
        system, bonds, waiting = 0, 0, [start]
        while waiting:
            atom = waiting.pop()
            system += 1
            bonds += len(neighbours[atom])
            fresh = [other for other in neighbours[atom] if other not in seen]
            seen.update(fresh)
            waiting.extend(dict.fromkeys(fresh))
        largest = max(largest, bonds // 2 - system + 1)
    return largest


def _check_bonds(text: str, mol: Chem.Mol) -> None:
    for bond in mol.GetBonds():
        if bond.GetBondType() not in _BONDS:
            raise SmilesError(
                f"{shorten(text)}: {bond.GetBondType().name.lower()} bonds are not supported; "
                "use single, double, triple or aromatic bonds."
            )
