"""Build oligomers from monomers with m2p, reproducibly and with errors that are errors."""

import random
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers
from rdkit.Chem.rdMolDescriptors import CalcExactMolWt

from polyid.errors import PolyIDError, PolymerisationError
from polyid.mechanisms import advice, mechanism_name, names
from polyid.smiles import canonical, monomer_set, parse

#: Most heavy atoms of a chain that is built from monomers; the property table's largest has 1 306.
MAX_BUILT_ATOMS = 2_500
#: Longest chain that is built from monomers: m2p's time grows with the square of the length.
MAX_DP = 100
#: m2p draws ends and order at random and now and then draws itself into a corner.
_ATTEMPTS = 5
#: m2p's random state is the process's: one build at a time.
_LOCK = threading.Lock()


def build_oligomer(
    monomers: Sequence[str],
    mechanism: str,
    dp: int = 18,
    seed: int = 0,
    pm: float | None = None,
    distribution: Sequence[float] | None = None,
) -> str:
    """Join monomers into one chain with m2p.

    The same arguments give the same chain, in whatever order the monomers stand; Python's and
    numpy's global random states are as before afterwards.

    Parameters
    ----------
    monomers
        SMILES of the monomers.
    mechanism
        One of `polyid.mechanisms.MECHANISMS`, or m2p's own name for it.
    dp
        Number of monomers in the chain (a diacid and a diol are two).
    seed
        Seed of the random draws: order of monomers, head or tail, end groups, tacticity.
    pm
        Probability of meso dyads, 0 (syndiotactic) to 1 (isotactic); esters of one hydroxy acid
        and vinyl monomers only. Without it, no tacticity is written.
    distribution
        Relative amounts of the monomers in the order of ``monomers``; equal without it.

    Returns
    -------
    str
        Canonical SMILES of the chain.

    Raises
    ------
    SmilesError
        If a monomer is not SMILES.
    PolymerisationError
        If the monomers cannot be joined this way; the message says what would work.
    """
    name = mechanism_name(mechanism)
    mols = [parse(text) for text in monomers]
    _check_request(mols, name, dp, pm, distribution)
    amounts = tuple(distribution or [1.0] * len(mols))
    # m2p's draws depend on the order of its input: bring every spelling into one order
    ordered = sorted(
        (CalcExactMolWt(mol), canonical(mol), float(amount))
        for mol, amount in zip(mols, amounts, strict=True)
    )
    return _build(
        tuple(smiles for _, smiles, _ in ordered),
        name,
        int(dp),
        int(seed),
        None if pm is None else float(pm),
        tuple(amount for *_, amount in ordered) if distribution else (),
    )


@lru_cache(maxsize=4_096)
def _build(
    monomers: tuple[str, ...],
    mechanism: str,
    dp: int,
    seed: int,
    pm: float | None,
    distribution: tuple[float, ...],
) -> str:
    answer = ""
    with _LOCK, _quiet_rdkit():
        for attempt in range(_ATTEMPTS):
            with _seeded(seed + attempt * 1_000_003):
                if pm is None:
                    answer = _plain(monomers, mechanism, dp, distribution)
                else:
                    answer = _tactic(monomers, mechanism, dp, pm)
            if answer and not answer.startswith("ERROR"):
                break
    mols = [Chem.MolFromSmiles(smiles) for smiles in monomers]
    if not answer or answer.startswith("ERROR"):
        raise PolymerisationError(
            f"{names(mols)} did not join by the mechanism {mechanism!r} "
            f"(m2p: {answer or 'no answer'}). {advice(mols, mechanism)}"
        )
    return _checked_chain(answer, mols, mechanism)


def _plain(
    monomers: tuple[str, ...], mechanism: str, dp: int, distribution: tuple[float, ...]
) -> str:
    frame = maker().thermoplastic(
        monomers, DP=dp, mechanism=mechanism, distribution=list(distribution), verbose=False
    )
    return str(frame["smiles_polymer"].iloc[0])


def _tactic(monomers: tuple[str, ...], mechanism: str, dp: int, pm: float) -> str:
    if mechanism == "ester":
        reactants = _enantiomers(monomers)
    else:
        reactants = tuple(dict.fromkeys(monomer_set(".".join(monomers)).split(".")))
    request = pd.DataFrame(
        {"monomers": [str(reactants)], "mechanism": [f"{mechanism}_stereo"], "pm": [pm]}
    )
    frame = maker().thermoplastic_stereo(request, DP=dp, verbose=False)
    return "" if frame.empty else str(frame["smiles_polymer"].iloc[0])


def _enantiomers(monomers: tuple[str, ...]) -> tuple[str, ...]:
    """Return both mirror images of one chiral monomer, given with one, both or no stereo marks."""
    if len(monomers) == 2:
        return monomers
    isomers = {canonical(m) for m in EnumerateStereoisomers(Chem.MolFromSmiles(monomers[0]))}
    if len(isomers) == 1 and "@" in monomers[0]:
        mirrored = Chem.MolFromSmiles(monomers[0])
        for atom in mirrored.GetAtoms():
            atom.InvertChirality()
        isomers.add(canonical(mirrored))
    if len(isomers) != 2:
        raise PolymerisationError(
            f"pm needs a monomer with exactly two mirror images; {monomers[0]!r} has "
            f"{len(isomers)} stereoisomers. Mark its stereocentres with @ and @@, or leave pm out."
        )
    return tuple(sorted(isomers))


def _check_request(
    mols: Sequence[Chem.Mol],
    mechanism: str,
    dp: int,
    pm: float | None,
    distribution: Sequence[float] | None,
) -> None:
    if not mols:
        raise PolymerisationError("No monomers were given; expected at least one SMILES.")
    for mol in mols:
        if len(Chem.GetMolFrags(mol)) > 1 or any(a.GetAtomicNum() == 0 for a in mol.GetAtoms()):
            raise PolymerisationError(
                f"{names([mol])} is not one monomer: expected one molecule without * or '.'."
            )
    if not 2 <= dp <= MAX_DP:
        raise PolymerisationError(
            f"dp={dp}: chains of 2 to {MAX_DP} monomers are built; the default is 18."
        )
    largest = dp * max(mol.GetNumHeavyAtoms() for mol in mols)
    if largest > MAX_BUILT_ATOMS:
        raise PolymerisationError(
            f"{names(mols)} at dp={dp} could have {largest} heavy atoms; at most {MAX_BUILT_ATOMS} "
            "are built from monomers. Give a smaller dp, or the repeat unit with two *."
        )
    if distribution is not None and (
        len(distribution) != len(mols) or any(not amount > 0 for amount in distribution)
    ):
        raise PolymerisationError(
            f"distribution={list(distribution)}: expected {len(mols)} positive amounts, "
            "one for each monomer."
        )
    if pm is None:
        return
    if not 0 <= pm <= 1:
        raise PolymerisationError(f"pm={pm}: the probability of meso dyads lies between 0 and 1.")
    kinds = {canonical(mol, stereo=False) for mol in mols}
    if mechanism not in ("ester", "vinyl") or len(kinds) > 1 or distribution is not None:
        raise PolymerisationError(
            f"pm={pm} applies to one hydroxy acid (ester) or one vinyl monomer, not to "
            f"{names(mols)} by {mechanism!r}; leave pm out."
        )


def _checked_chain(answer: str, monomers: Sequence[Chem.Mol], mechanism: str) -> str:
    """Refuse a chain that is none: m2p marks growing ends with odd elements and may leave them."""
    try:
        chain = parse(answer)
    except PolyIDError as error:
        raise PolymerisationError(
            f"{names(monomers)} by {mechanism!r} gave a chain that cannot exist: {error}"
        ) from error
    expected = {atom.GetAtomicNum() for monomer in monomers for atom in monomer.GetAtoms()}
    odd = {a.GetSymbol() for a in chain.GetAtoms() if a.GetAtomicNum() not in expected}
    if odd or len(Chem.GetMolFrags(chain)) > 1:
        raise PolymerisationError(
            f"{names(monomers)} by {mechanism!r} gave no whole chain"
            f"{' (left over: ' + ', '.join(sorted(odd)) + ')' if odd else ''}. "
            f"{advice(monomers, mechanism)}"
        )
    return canonical(chain)


@cache
def maker() -> Any:  # m2p ships no types
    """Return m2p's `PolyMaker`, mended for pandas 3."""
    with _casadi():
        from m2p import PolyMaker

    class Maker(PolyMaker):
        """m2p 0.1.8.3 takes half a carbonate group away from an integer column.

        pandas 3 refuses that, m2p swallows the error, and no polycarbonate is ever built.
        Counting in floats is all it needs.
        """

        def get_functionality(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
            return super().get_functionality(*args, **kwargs).astype(float)

    return Maker()


@contextmanager
def _casadi() -> Iterator[None]:
    """Let m2p be imported where casadi is not installed.

    m2p needs it for reaction kinetics, which nothing here asks for; it would be a sixth of the
    serving image.
    """
    with suppress(ImportError):
        import_module("casadi")
    if "casadi" in sys.modules:
        yield
        return

    def missing(*_: Any) -> NoReturn:
        raise PolyIDError("m2p's kinetics need casadi, which is not installed here.")

    names = ("casadi", "casadi.casadi")
    for name in names:
        stand_in = ModuleType(name)
        vars(stand_in)["__getattr__"] = lambda _: missing
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed both global random states that m2p draws from, and put them back afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - m2p draws from numpy's global state
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def _quiet_rdkit() -> Iterator[None]:
    """Keep rdkit silent, and its log switches as they were: m2p turns them at will."""
    before = dict(line.split(":") for line in rdBase.LogStatus().splitlines())
    try:
        maker()
        for name in before:
            rdBase.DisableLog(name)
        with rdBase.CaptureErrorLog():
            yield
    finally:
        for name, state in before.items():
            (rdBase.EnableLog if state == "enabled" else rdBase.DisableLog)(name)
