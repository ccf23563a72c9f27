"""Which bonds and atoms carry a prediction: the values whose mean it is, and where they stand.

PolyID's network ends in one value per directed edge and property, and a prediction is their mean
(Wilson et al., Macromolecules 56, 8547, 2023). How far a bond's value lies from that mean is what
the bond adds: the numbers below add up to the prediction, and nothing is estimated. They say how
the network divides its answer, which is not a proof of what causes the property.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyid.engine.inference import bondwise
from polyid.errors import PolyIDError
from polyid.graphs import features
from polyid.multimodel import MultiModel
from polyid.smiles import parse
from polyid.structures import build

#: Heavy atoms that a picture of the middle of a chain should at least have.
_SHOWN = 18


class Explanation(NamedTuple):
    """How a prediction is made up, in the properties' units; P properties."""

    properties: tuple[str, ...]
    prediction: NDArray[np.float64]
    """Means over bonds and members, ``(P,)``."""
    ends: NDArray[np.int32]
    """Atoms of each bond, hydrogens after the heavy atoms, ``(n_bonds, 2)``."""
    bonds: NDArray[np.float64]
    """Each bond's value minus the prediction, ``(n_bonds, P)``: their mean is 0."""
    atoms: NDArray[np.float64]
    """Each heavy atom's part, ``(n_heavy, P)``: half of each bond to a heavy atom, and all of each
    bond to hydrogen. The sum is 0, as it is over the bonds."""


def explain(mm: MultiModel, smiles_polymer: str, pm: float | None = None) -> Explanation:
    """Divide an ensemble's prediction for a whole chain among its bonds and atoms.

    Parameters
    ----------
    mm
        A trained model.
    smiles_polymer
        SMILES of the whole chain, see `polyid.polymers.to_polymer`.
    pm
        Fraction of meso dyads, for a model that reads it.

    Raises
    ------
    PolyIDError
        If the model is not trained, needs ``pm``, or the chain has no bond.
    SmilesError
        If the chain cannot be read.
    """
    parameters, vocabulary = mm.parameters, mm.vocabulary
    if parameters is None or vocabulary is None:
        raise PolyIDError("there is no model yet: call train_models or load_models first.")
    if parameters.model == "pm" and pm is None:
        raise PolyIDError("this model takes the tacticity: give pm, from 0 to 1.")
    ends = features(smiles_polymer).ends
    if not len(ends):
        raise PolyIDError(f"{smiles_polymer} has no bond, so there is nothing to explain.")
    quotient = build([smiles_polymer], parameters.num_messages, vocabulary).quotients[0]
    architecture = parameters.architecture(vocabulary)
    members = [m.vector(architecture) for m in mm.models if m.weights is not None]
    scaled = bondwise(architecture, members, quotient, pm or 0.0)
    scalers = [m.data_scaler for m in mm.models if m.data_scaler is not None]
    values = np.mean(
        [s.inverse(v.astype(float)) for s, v in zip(scalers, scaled, strict=True)], axis=0
    )
    # an edge and its opposite stand n_bonds apart, see `polyid.vocabulary.Vocabulary.encode`
    both = (values[: len(ends)] + values[len(ends) :]) / 2
    prediction = both.mean(axis=0)
    own = both - prediction
    return Explanation(
        tuple(mm.prediction_columns), prediction, ends, own, _per_atom(smiles_polymer, ends, own)
    )


def _per_atom(smiles: str, ends: NDArray[np.int32], own: NDArray) -> NDArray[np.float64]:
    heavy = parse(smiles).GetNumAtoms()
    inner = (ends < heavy).all(axis=1)
    share = np.where(inner, 0.5, 1.0)[:, None] * own
    found = np.zeros((heavy, own.shape[1]))
    np.add.at(found, ends[:, 0], share)  # a bond to hydrogen begins at its heavy atom
    np.add.at(found, ends[inner, 1], share[inner])
    return found


class Middle(NamedTuple):
    """A piece from the middle of a chain, where its ends are far away."""

    mol: Chem.Mol
    """The piece; ``*`` stands where the chain goes on."""
    atoms: NDArray[np.intp]
    """Atom of the chain that each atom of the piece is, -1 for ``*``."""


def middle(smiles_polymer: str, shown: int = _SHOWN) -> Middle:
    """Cut a piece of about ``shown`` heavy atoms out of the middle of a chain, rings whole.

    Raises
    ------
    SmilesError
        If the chain cannot be read.
    """
    chain = parse(smiles_polymer)
    chosen = _around_centre(chain, shown)
    cut = [
        bond.GetIdx()
        for bond in chain.GetBonds()
        if (bond.GetBeginAtomIdx() in chosen) != (bond.GetEndAtomIdx() in chosen)
    ]
    if not cut:
        return Middle(chain, np.arange(chain.GetNumAtoms()))
    parted = Chem.FragmentOnBonds(chain, cut, dummyLabels=[(0, 0)] * len(cut))
    places: list[tuple[int, ...]] = []
    pieces = Chem.GetMolFrags(parted, asMols=True, fragsMolAtomMapping=places)
    which = next(i for i, atoms in enumerate(places) if any(atom in chosen for atom in atoms))
    atoms = np.array(places[which])
    return Middle(pieces[which], np.where(atoms < chain.GetNumAtoms(), atoms, -1))


def _around_centre(chain: Chem.Mol, shown: int) -> set[int]:
    distance = Chem.GetDistanceMatrix(chain)
    centre = int(np.argmin(distance.max(axis=1)))
    rings = [set(ring) for ring in chain.GetRingInfo().AtomRings()]
    chosen: set[int] = set()
    for radius in range(int(distance[centre].max()) + 1):
        chosen = set(np.flatnonzero(distance[centre] <= radius).tolist())
        if len(chosen) >= shown:
            break
    for _ in rings:  # a ring may touch the next one
        more = set().union(*(ring for ring in rings if ring & chosen)) - chosen
        if not more:
            break
        chosen |= more
    # a side group is shown with its backbone: only what is long goes on as *
    outside = Chem.RWMol(chain)
    for atom in chosen:
        for bond in list(outside.GetAtomWithIdx(atom).GetBonds()):
            outside.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    groups = [g for g in Chem.GetMolFrags(outside, sanitizeFrags=False) if g[0] not in chosen]
    return chosen.union(*(g for g in groups if len(g) <= shown // 2))
