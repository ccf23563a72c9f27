"""From what a person writes to a polymer: an oligomer, a repeat unit or monomers."""

from typing import Literal, NamedTuple

from rdkit import Chem
from rdkit.Chem import rdqueries

from polyid.errors import PolyIDError, PolymerisationError, RepeatUnitError
from polyid.mechanisms import (
    advice,
    fitting_mechanisms,
    infer_mechanism,
    is_ring_opener,
    mechanism_name,
    names,
)
from polyid.oligomers import build_oligomer
from polyid.repeat_units import repeat_oligomer
from polyid.smiles import canonical, fragments, monomer_set, parse, shorten

__all__ = ["Polymer", "monomer_set", "parse", "to_polymer"]

Kind = Literal["auto", "oligomer", "repeat_unit", "monomers"]
_KINDS = ("auto", "oligomer", "repeat_unit", "monomers")

#: A single molecule without ``*`` and with at most this many heavy atoms may be a monomer; the
#: shortest chain of the published data has 51.
MONOMER_ATOMS = 25


_STAR = rdqueries.AtomNumEqualsQueryAtom(0)
_UNWRITTEN_PM = "pm is not written into the chain; its own stereo marks stay as given."


class Polymer(NamedTuple):
    """A polymer as the models read it, and how it was understood."""

    input: str
    """What the user wrote."""
    kind: str
    """``oligomer``, ``repeat_unit`` or ``monomers``."""
    smiles_polymer: str
    """Canonical SMILES of the whole chain."""
    monomers: tuple[str, ...] | None = None
    """Canonical SMILES of the monomers, if the chain was built from them."""
    mechanism: str | None = None
    """The mechanism that joined the monomers."""
    note: str = ""
    """What was assumed, for the reader; empty if nothing was."""


def to_polymer(
    text: str,
    *,
    mechanism: str | None = None,
    dp: int = 18,
    kind: Kind | str = "auto",
    pm: float | None = None,
    seed: int = 0,
) -> Polymer:
    """Understand ``text`` as a polymer and write its chain.

    With ``kind="auto"``: two ``*`` make a repeat unit, joined head to tail; several molecules
    joined by ``.`` are monomers, built with m2p; one molecule is taken as the whole chain, unless
    it is small and its groups allow exactly one mechanism (lactic acid, styrene): then it is a
    monomer, and ``note`` says so.

    Parameters
    ----------
    text
        SMILES of an oligomer, a repeat unit, or monomers.
    mechanism
        How monomers join (see `polyid.mechanisms.MECHANISMS`); found from their groups without it.
    dp
        Number of monomers in a chain that is built.
    kind
        ``auto``, ``oligomer``, ``repeat_unit`` or ``monomers``.
    pm
        Probability of meso dyads, written into a chain that is built from monomers (see
        `polyid.oligomers.build_oligomer`); oligomers and repeat units keep their own stereo marks.
    seed
        Seed of the random draws of m2p.

    Raises
    ------
    SmilesError
        If the text is not SMILES, or a repeat unit that cannot be joined.
    PolymerisationError
        If monomers cannot be joined, or in several ways.
    """
    if kind not in _KINDS:
        raise PolyIDError(f"Unknown kind {kind!r}; expected one of {', '.join(_KINDS)}.")
    written = text.strip() if isinstance(text, str) else text
    # m2p parts enantiomers by '.' and monomers by '..'
    mol = parse(written.replace("..", ".") if isinstance(written, str) else written)
    stars = len(mol.GetAtomsMatchingQuery(_STAR))
    if stars or kind == "repeat_unit":
        return _from_repeat_unit(mol, written, kind, dp, pm)
    parts = fragments(mol)
    if kind == "oligomer" or (kind == "auto" and len(parts) == 1 and _is_chain(mol, mechanism)):
        return _from_oligomer(parts, written, pm)
    return _from_monomers(parts, written, kind, mechanism, dp, pm, seed)


def _from_repeat_unit(mol: Chem.Mol, text: str, kind: str, dp: int, pm: float | None) -> Polymer:
    if kind in ("oligomer", "monomers"):
        raise RepeatUnitError(
            f"{shorten(text)} has *, the open ends of a repeat unit, but kind={kind!r} was asked "
            "for; leave kind out, or close the ends."
        )
    note = _UNWRITTEN_PM if pm is not None else ""
    return Polymer(text, "repeat_unit", repeat_oligomer(mol, dp, text), note=note)


def _from_oligomer(parts: list[Chem.Mol], text: str, pm: float | None) -> Polymer:
    if len(parts) > 1:
        raise PolyIDError(
            f"{shorten(text)} holds {len(parts)} molecules; an oligomer is one. "
            "Leave kind out to build a chain from monomers."
        )
    note = _UNWRITTEN_PM if pm is not None else ""
    heavy = parts[0].GetNumHeavyAtoms()
    if heavy <= MONOMER_ATOMS:
        note = (
            f"Taken as a whole chain of {heavy} heavy atoms, which is short for a polymer. For a "
            "long chain give a repeat unit with two *, or all monomers joined by '.'."
        )
    return Polymer(text, "oligomer", canonical(parts[0]), note=note)


def _from_monomers(
    parts: list[Chem.Mol],
    text: str,
    kind: str,
    mechanism: str | None,
    dp: int,
    pm: float | None,
    seed: int,
) -> Polymer:
    distinct = tuple(dict.fromkeys(canonical(part) for part in parts))
    name = mechanism_name(mechanism) if mechanism else infer_mechanism(parts)
    chain = build_oligomer(distinct, name, dp, seed, pm)
    note = ""
    if kind == "auto" and len(parts) == 1:
        note = (
            f"Taken as a monomer and built into a chain of {dp} ({name}); "
            "ask for kind='oligomer' if it is the whole chain."
        )
    elif not mechanism:
        note = f"Mechanism found from the monomers' groups: {name}."
    return Polymer(text, "monomers", chain, distinct, name, note)


def _is_chain(mol: Chem.Mol, mechanism: str | None) -> bool:
    """Whether one molecule without ``*`` is a chain, not a monomer."""
    if mol.GetNumHeavyAtoms() > MONOMER_ATOMS:
        return True
    if mechanism is not None:
        return False
    if fitting_mechanisms([mol]):
        return False
    if is_ring_opener(mol):
        raise PolymerisationError(
            f"{names([mol])} is too small for a polymer and cannot be built into one. "
            f"{advice([mol])} If it is the whole chain, ask for kind='oligomer'."
        )
    return True
