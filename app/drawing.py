"""Molecules as SVG, drawn in a worker process, where rdkit may read what a user wrote."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from app.units import unit_of_chain, unit_of_monomers
from polyid.errors import PolyIDError
from polyid.explain import explain, middle
from polyid.explain_view import atom_colours
from polyid.mechanisms import infer_mechanism, mechanism_name
from polyid.smiles import fragments, parse

if TYPE_CHECKING:
    from polyid.multimodel import MultiModel

#: Heavy atoms up to which a molecule is drawn: more of them are a blot.
MOST_ATOMS = 150
#: Length of a bond in pixels, the same in every drawing, so that drawings can be compared.
_BOND = 26

Colour = tuple[float, float, float]


def draw(message: Mapping[str, Any], multimodel: "MultiModel") -> dict[str, Any]:
    """Draw what a prediction was about.

    Parameters
    ----------
    message
        ``kind``, ``text`` and ``mechanism`` of the polymer, its ``chain``, and ``others``: SMILES
        of other molecules that are to be drawn, and ``pm`` for a model that reads it.
    multimodel
        What predicted it.

    Returns
    -------
    dict
        ``unit`` and, with ``text`` and ``svg`` each, lists ``monomers`` and ``others``; None in the
        place of what cannot be drawn. ``carries``: see `carried`.
    """
    monomers: list[Chem.Mol] = []
    with rdBase.BlockLogs():
        if message["kind"] == "monomers":
            parts = fragments(parse(message["text"].replace("..", ".")))
            monomers = list({Chem.MolToSmiles(mol): mol for mol in parts}.values())
            given = message["mechanism"]
            mechanism = mechanism_name(given) if given else infer_mechanism(parts)
            unit = unit_of_monomers(monomers, mechanism)
        elif message["kind"] == "repeat_unit":
            unit = parse(message["text"])
        else:
            unit = unit_of_chain(parse(message["chain"]))
    return {
        "unit": picture(unit),
        "monomers": [picture(mol) for mol in monomers],
        "others": [_of_text(text) for text in message["others"]],
        "carries": carried(multimodel, message["chain"], message["pm"]),
    }


def carried(multimodel: "MultiModel", chain: str, pm: float | None) -> dict[str, Any]:
    """Draw which atoms in the middle of a chain raise or lower each property.

    Returns
    -------
    dict
        Property → ``svg``; ``most``, what the deepest colour stands for in the property's unit;
        ``atoms``, those that are drawn, each with ``symbol`` and ``adds``, the strongest first.
    """
    found, piece = explain(multimodel, chain, pm), middle(chain)
    if piece.mol.GetNumHeavyAtoms() > MOST_ATOMS:
        return {}
    made = {}
    for column, name in enumerate(found.properties):
        atoms = [
            {
                "symbol": piece.mol.GetAtomWithIdx(here).GetSymbol(),
                "adds": float(found.atoms[there, column]),
            }
            for here, there in enumerate(piece.atoms.tolist())
            if there >= 0
        ]
        atoms.sort(key=lambda atom: -abs(atom["adds"]))
        made[name] = {
            "svg": svg(piece.mol, atom_colours(found, column, piece)),
            "most": abs(atoms[0]["adds"]) if atoms else 0.0,
            "atoms": atoms,
        }
    return made


def picture(mol: Chem.Mol | None) -> dict[str, str] | None:
    """Draw a molecule, with its SMILES for who cannot see it; None if it is too large."""
    if mol is None or mol.GetNumHeavyAtoms() > MOST_ATOMS:
        return None
    return {"text": Chem.MolToSmiles(mol), "svg": svg(mol)}


def svg(mol: Chem.Mol, colours: Mapping[int, Colour] | None = None) -> str:
    """Draw a molecule on a transparent ground, atoms on ``colours`` if there are any."""
    flat = Chem.Mol(mol)
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(flat)
    rdDepictor.StraightenDepiction(flat)
    # a canvas of -1 takes the size that the molecule needs
    drawer = rdMolDraw2D.MolDraw2DSVG(-1, -1)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.dummiesAreAttachments = True
    options.fixedBondLength = _BOND
    options.scalingFactor = _BOND
    options.bondLineWidth = 1.5
    options.padding = 0.06
    options.minFontSize = 11
    options.maxFontSize = 13
    options.highlightRadius = 0.38
    if colours is None:
        options.setAtomPalette(_PALETTE)
        drawer.DrawMolecule(flat)
    else:
        options.useBWAtomPalette()  # colour says one thing only
        drawer.DrawMolecule(
            flat,
            highlightAtoms=list(colours),
            highlightAtomColors=dict(colours),
            highlightBonds=[],
        )
    drawer.FinishDrawing()
    text: str = drawer.GetDrawingText()
    return text[text.index("<svg") :].strip()


#: Dark lines and calm colours for the elements that have one; -1 is every other.
_PALETTE: dict[int, Colour] = {
    -1: (0.13, 0.16, 0.2),
    0: (0.45, 0.48, 0.53),
    6: (0.13, 0.16, 0.2),
    7: (0.13, 0.33, 0.68),
    8: (0.74, 0.15, 0.13),
    9: (0.1, 0.45, 0.3),
    16: (0.6, 0.45, 0.0),
    17: (0.1, 0.45, 0.3),
    35: (0.55, 0.27, 0.07),
}


def _of_text(text: str) -> dict[str, str] | None:
    try:
        return picture(parse(text.replace("..", ".")))
    except PolyIDError:
        return None
