"""Polymerisation mechanisms: which groups they need, which fit a set of monomers, and advice."""

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rdkit import Chem

from polyid.errors import PolymerisationError
from polyid.smiles import canonical, shorten


class _Pair(NamedTuple):
    """Two groups that react with one another in a step growth, and how people call them."""

    first: str
    second: str
    words: str
    self_reacting: bool = True
    """Whether one monomer may carry both groups, as a hydroxy acid does."""
    smallest_first: int = 2
    """Matches of ``first`` that make a monomer with two ends (phosgene is one match)."""


#: Functional groups as m2p's reactions see them; ``acid_halide`` and ``phenol`` serve advice only.
_GROUPS = {
    name: Chem.MolFromSmarts(pattern)
    for name, pattern in {
        "double_bond": "[CX3;!$(C=[O,N,S])]=[CX3;!$(C=[O,N,S])]",
        "open_double_bond": "[$([CH2]=C),$([CX3]([F,Cl,H])([F,Cl])=C)]",
        "acid_or_halide": "[#6][#6](=[#8])[F,Cl,Br,I,$([#8H]),$([O-])]",
        "acid": "[#6][#6](=[#8])[$([#8H]),$([O-])]",
        "acid_halide": "[#6][#6](=[#8])[F,Cl,Br,I]",
        "alcohol": "[C;!$(C=O);!$([a])][OH]",
        "hydroxyl": "[C,c;!$(C=O)][OH]",
        "phenol": "c[OH]",
        "amine": "[#6;!$(C=O)][NH2;!$([NH2+])]",
        "anhydride": "[#8]([#6](=[#8]))[#6](=[#8])",
        "isocyanate": "[#6][#7;!$([#7+])]=[#6]=[#8]",
        "carbonyl_source": "[$([C](=O)([F,Cl,Br,I])[F,Cl,Br,I,O]),$([C;!R](=O)([O][C,c])[O][C,c])]",
        "cyclic_carbonate": "O=C1O[C][C]O1",
        "silanol": "[Si][OH]",
    }.items()
}

_STEP_GROWTH = {
    "ester": _Pair("acid_or_halide", "alcohol", "a diacid with a diol, or a hydroxy acid"),
    "amide": _Pair("acid", "amine", "a diacid with a diamine, or an amino acid"),
    "carbonate": _Pair(
        "carbonyl_source", "hydroxyl", "phosgene O=C(Cl)Cl with a diol or bisphenol", False, 1
    ),
    "imide": _Pair("anhydride", "amine", "a dianhydride with a diamine", False),
    "NIPU": _Pair("cyclic_carbonate", "amine", "a bis(cyclic carbonate) with a diamine", False),
    "urethane": _Pair("isocyanate", "hydroxyl", "a diisocyanate with a diol", False),
}

#: What each mechanism needs, in words; the keys are the names that data files use.
MECHANISMS: dict[str, str] = {
    "vinyl": "monomers with a C=C bond",
    **{name: pair.words for name, pair in _STEP_GROWTH.items()},
}

#: Other spellings: m2p's own names and a common one.
_ALIASES = {
    "acrylate": "vinyl",
    "vinyl_stereo": "vinyl",
    "acrylate_stereo": "vinyl",
    "ester_stereo": "ester",
}

_RING_OPENERS = [
    # ring esters, amides and carbonates, but not anhydrides or imides; ethers; siloxanes
    Chem.MolFromSmarts("[CX3;R](=[OX1;!R])-;@[O,NX3;R;!$([O,N](C=O)C=O)]"),
    Chem.MolFromSmarts("[CX4;r3,r4]-;@[O,NX3;r3,r4]"),
    Chem.MolFromSmarts("[Si;R]-;@[O;R]"),
]


def mechanism_name(text: str) -> str:
    """Return the mechanism that ``text`` names, in the spelling of the data files.

    Raises
    ------
    PolymerisationError
        If there is no such mechanism; the message lists them and suggests the nearest.
    """
    known = {name.lower(): name for name in MECHANISMS} | _ALIASES
    wanted = text.strip().lower().replace("-", "_")
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted, known, n=1)
    hint = f" Did you mean {known[close[0]]!r}?" if close else ""
    raise PolymerisationError(
        f"Unknown mechanism {shorten(text)}; expected one of {', '.join(MECHANISMS)}.{hint}"
    )


def fitting_mechanisms(monomers: Sequence[Chem.Mol]) -> list[str]:
    """List the mechanisms whose groups the monomers carry, in the order of `MECHANISMS`."""
    counts = [_groups(monomer) for monomer in monomers]
    found = []
    if all(c["double_bond"] for c in counts) and any(c["open_double_bond"] for c in counts):
        found.append("vinyl")
    found += [name for name, pair in _STEP_GROWTH.items() if _fits(pair, counts)]
    return found


def infer_mechanism(monomers: Sequence[Chem.Mol]) -> str:
    """Return the only mechanism that fits the monomers.

    Raises
    ------
    PolymerisationError
        If none fits, or several do; the message says what would help.
    """
    found = fitting_mechanisms(monomers)
    if len(found) == 1:
        return found[0]
    shown = names(monomers)
    if found:
        raise PolymerisationError(
            f"{shown} can be joined in more than one way: {', '.join(found)}. "
            f"Name one, as in mechanism={found[0]!r} (command line: --mechanism {found[0]})."
        )
    raise PolymerisationError(
        f"No mechanism joins {shown}; known are {', '.join(MECHANISMS)}. {advice(monomers)}"
    )


def names(monomers: Sequence[Chem.Mol]) -> str:
    """Write monomers for a message."""
    return " and ".join(shorten(canonical(m)) for m in monomers)


def advice(monomers: Sequence[Chem.Mol], mechanism: str | None = None) -> str:
    """Say what would work for monomers that cannot be joined."""
    counts: Counter[str] = sum((_groups(m) for m in monomers), Counter())
    tips = []
    for monomer in monomers:
        opened = _opened_ring(monomer)
        if opened:
            tips.append(
                f"{shorten(canonical(monomer))} polymerises by ring opening, which is not built "
                f"from the ring: give the open hydroxy or amino acid, or the repeat unit {opened}."
            )
    if counts["acid_halide"] and counts["amine"]:
        tips.append("For an amide write the acid, C(=O)O, instead of the acid halide.")
    if counts["phenol"] and counts["acid_or_halide"]:
        tips.append("Esters of phenols are not built from monomers.")
    if counts["anhydride"] and not counts["amine"]:
        tips.append("For an ester write the diacid instead of its anhydride.")
    if counts["silanol"]:
        tips.append("Siloxanes are not built from monomers; PDMS is *[Si](C)(C)O*.")
    elif counts["hydroxyl"] and not counts["acid_or_halide"] and not counts["isocyanate"]:
        tips.append("Polyethers are not built from monomers; poly(ethylene glycol) is *CCO*.")
    if mechanism is not None:
        tips.append(f"{mechanism!r} needs {MECHANISMS[mechanism]}.")
        others = [name for name in fitting_mechanisms(monomers) if name != mechanism]
        if others:
            tips.append(f"The groups would fit {' or '.join(others)}.")
    elif not tips:
        tips += [f"{name!r} needs {words}." for name, words in _wanted(counts)]
    tips.append("A repeat unit with two * works for every kind of polymer, as in *CC(*)c1ccccc1.")
    return " ".join(tips)


def is_ring_opener(monomer: Chem.Mol) -> bool:
    """Whether a molecule is a ring that people polymerise by opening it, such as lactide."""
    return _opened_ring(monomer) is not None


def _wanted(counts: Counter[str]) -> list[tuple[str, str]]:
    """Mechanisms of which the monomers bring at least one of the two groups."""
    return [
        (name, pair.words)
        for name, pair in _STEP_GROWTH.items()
        if counts[pair.first] or counts[pair.second]
    ]


def _groups(monomer: Chem.Mol) -> Counter[str]:
    return Counter(
        {name: len(monomer.GetSubstructMatches(pattern)) for name, pattern in _GROUPS.items()}
    )


def _fits(pair: _Pair, counts: Sequence[Counter[str]]) -> bool:
    if not all(c[pair.first] or c[pair.second] for c in counts):
        return False
    if pair.self_reacting and any(c[pair.first] and c[pair.second] for c in counts):
        return True
    first = {i for i, c in enumerate(counts) if c[pair.first] >= pair.smallest_first}
    second = {i for i, c in enumerate(counts) if c[pair.second] >= 2}
    return any(i != j for i in first for j in second)


def _opened_ring(monomer: Chem.Mol) -> str | None:
    """Repeat unit of the polymer that opening the first strained or polar ring would give."""
    for pattern in _RING_OPENERS:
        matches = monomer.GetSubstructMatches(pattern)
        if not matches:
            continue
        begin, end = matches[0][0], matches[0][-1]
        bond = monomer.GetBondBetweenAtoms(begin, end)
        if bond.GetIsAromatic():
            continue
        pieces = Chem.FragmentOnBonds(monomer, [bond.GetIdx()], dummyLabels=[(0, 0)])
        return canonical(pieces, stereo=False)
    return None
