"""The middle of a chain as SVG, coloured by what each atom adds to a prediction."""

from typing import Any, NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from polyid.errors import PolyIDError
from polyid.explain import Explanation, Middle, explain, middle
from polyid.predict import Predictor, Query
from polyid.properties import PROPERTIES

#: Colours of what lowers and what raises a value; told apart by those who cannot see red or green.
LOWERS, RAISES = (0.13, 0.47, 0.71), (0.90, 0.46, 0.10)


def atom_colours(
    explanation: Explanation, column: int, piece: Middle
) -> dict[int, tuple[float, float, float]]:
    """Colour of each atom of a piece: white where it adds nothing.

    Parameters
    ----------
    explanation
        From `polyid.explain.explain`.
    column
        Which property.
    piece
        From `polyid.explain.middle`, of the same chain.
    """
    there = piece.atoms >= 0
    added = np.where(there, explanation.atoms[piece.atoms, column], 0.0)
    most = float(np.abs(added).max()) or 1.0
    colours = {}
    for atom in np.flatnonzero(there).tolist():
        strength = abs(added[atom]) / most
        full = RAISES if added[atom] > 0 else LOWERS
        colours[atom] = (
            1 - strength * (1 - full[0]),
            1 - strength * (1 - full[1]),
            1 - strength * (1 - full[2]),
        )
    return colours


def drawing(smiles_polymer: str, explanation: Explanation, name: str) -> str:
    """SVG of the middle of the chain for the property ``name``, which must be the model's."""
    piece = middle(smiles_polymer)
    colours = atom_colours(explanation, explanation.properties.index(name), piece)
    drawer = rdMolDraw2D.MolDraw2DSVG(-1, -1)
    options = drawer.drawOptions()
    options.fixedBondLength = 32
    options.useBWAtomPalette()
    options.fillHighlights = True
    mol = Chem.Mol(piece.mol)
    rdMolDraw2D.PrepareAndDrawMolecule(
        drawer, mol, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[]
    )
    drawer.FinishDrawing()
    text: str = drawer.GetDrawingText()
    return text


class Answer(NamedTuple):
    """What `polyid explain` says."""

    data: dict[str, Any]
    """For JSON."""
    text: str
    """For a terminal."""
    svg: str


def answer(predictor: Predictor, query: Query, name: str | None = None) -> Answer:
    """Explain one property of one polymer, by the middle of its chain.

    Parameters
    ----------
    predictor
        The model.
    query
        The polymer.
    name
        Which property; the model's first if None.

    Raises
    ------
    PolyIDError
        If the model cannot read the polymer, or has no such property.
    """
    if name is not None and name not in predictor.properties:
        raise PolyIDError(
            f"This model has no property {name!r}; expected one of "
            f"{', '.join(predictor.properties)}."
        )
    polymer, pm = predictor.understand(query)
    found = explain(predictor.multimodel, polymer.smiles_polymer, pm)
    chosen = name or found.properties[0]
    column, piece = found.properties.index(chosen), middle(polymer.smiles_polymer)
    unit, value = PROPERTIES[chosen].unit, float(found.prediction[column])
    atoms: list[dict[str, Any]] = [
        {
            "atom": here,
            "symbol": piece.mol.GetAtomWithIdx(here).GetSymbol(),
            "adds": float(found.atoms[there, column]),
        }
        for here, there in enumerate(piece.atoms.tolist())
        if there >= 0
    ]
    # the numbers of the atoms are those of this SMILES
    marked = Chem.Mol(piece.mol)
    for atom in marked.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() if atom.GetAtomicNum() else 0)
    data = {
        "smiles_polymer": polymer.smiles_polymer,
        "property": chosen,
        "unit": unit,
        "prediction": value,
        "middle": Chem.MolToSmiles(piece.mol),
        "middle_numbered": Chem.MolToSmiles(marked),
        "atoms": atoms,
    }
    lines = [
        f"{PROPERTIES[chosen].title}: {value:.4g} {unit}, the mean over all bonds.",
        f"Middle of the chain: {data['middle']}",
        "Atoms by how far their bonds lie from that mean:",
    ]
    for each in sorted(atoms, key=lambda a: -abs(a["adds"])):
        word = "raises" if each["adds"] > 0 else "lowers"
        lines.append(f"  {each['symbol']:2} {each['atom']:3}  {each['adds']:+9.4g} {unit}  {word}")
    lines.append(f"Numbered: {data['middle_numbered']}")
    return Answer(data, "\n".join(lines), drawing(polymer.smiles_polymer, found, chosen))
