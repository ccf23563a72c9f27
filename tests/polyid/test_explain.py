"""What bonds and atoms add to a prediction adds up to it, and is drawn where it belongs."""

import json

import numpy as np
import pytest
from rdkit import Chem
from typer.testing import CliRunner, Result

from polyid.cli import app
from polyid.engine.weights import initial
from polyid.errors import PolyIDError
from polyid.explain import explain, middle
from polyid.explain_view import LOWERS, RAISES, atom_colours, drawing
from polyid.modelfiles import ModelParameters
from polyid.multimodel import MultiModel
from polyid.polymers import parse, to_polymer
from polyid.predict import Predictor, Query
from polyid.scaling import Scaler
from polyid.singlemodel import SingleModel
from polyid.store import resolve
from polyid.structures import build

NYLON = to_polymer("*NCCCCCCNC(=O)CCCCC(=O)*").smiles_polymer
STYRENE = to_polymer("*CC(*)c1ccccc1").smiles_polymer
COLUMNS = ("Glass_Transition", "Density")


def ensemble(model: str = "global100") -> MultiModel:
    """Two members with first weights, made large enough to differ from bond to bond."""
    mm = MultiModel()
    mm.vocabulary = build([NYLON, STYRENE], 1).vocabulary
    mm.prediction_columns = list(COLUMNS)
    mm.parameters = ModelParameters(model, COLUMNS, 2, 8, 4, 3, 0.0, 18)
    for i in range(2):
        member = SingleModel(list(COLUMNS), model_id=str(i))
        member.weights = initial(mm.parameters.architecture(mm.vocabulary), 0, i)
        member.weights["bond_embedding"] *= 20
        member.data_scaler = Scaler(COLUMNS, np.array([100.0 + i, 1.0]), np.array([50.0, 0.1]))
        mm.models.append(member)
    return mm


@pytest.mark.parametrize("chain", [NYLON, STYRENE])
def test_parts_add_up_to_the_prediction(chain):
    mm = ensemble()
    found = explain(mm, chain)
    expected = mm.predict_members([chain]).mean(axis=0)[0]
    np.testing.assert_allclose(found.prediction, expected, rtol=1e-5)
    assert found.properties == COLUMNS
    assert len(found.bonds) == len(found.ends)
    assert len(found.atoms) == parse(chain).GetNumAtoms()
    assert found.bonds.std(axis=0).min() > 0
    scale = np.abs(found.bonds).sum(axis=0)
    assert (np.abs(found.bonds.sum(axis=0)) < 1e-6 * scale).all()
    np.testing.assert_allclose(found.atoms.sum(axis=0), found.bonds.sum(axis=0), atol=1e-6)


def test_the_tacticity_is_read_where_the_model_takes_it():
    mm = ensemble("pm")
    with pytest.raises(PolyIDError, match="give pm"):
        explain(mm, STYRENE)
    low, high = explain(mm, STYRENE, 0.0), explain(mm, STYRENE, 1.0)
    assert np.abs(low.prediction - high.prediction).max() > 0
    np.testing.assert_allclose(
        high.prediction, mm.predict_members([STYRENE], [1.0]).mean(axis=0)[0], rtol=1e-5
    )


def test_a_model_and_a_bond_are_needed():
    with pytest.raises(PolyIDError, match="no model yet"):
        explain(MultiModel(), STYRENE)
    with pytest.raises(PolyIDError, match="no bond"):
        explain(ensemble(), "[He]")


def test_the_middle_is_a_piece_with_whole_rings():
    piece = middle(STYRENE)
    rings = piece.mol.GetRingInfo().AtomRings()
    assert rings
    assert all(len(ring) == 6 for ring in rings)
    stars = [a.GetIdx() for a in piece.mol.GetAtoms() if a.GetAtomicNum() == 0]
    assert len(stars) == 2
    assert [i for i, atom in enumerate(piece.atoms) if atom < 0] == stars
    chain = parse(STYRENE)
    for here, there in enumerate(piece.atoms.tolist()):
        if there >= 0:
            symbol = chain.GetAtomWithIdx(there).GetSymbol()
            assert piece.mol.GetAtomWithIdx(here).GetSymbol() == symbol


def test_a_short_molecule_is_its_own_middle():
    piece = middle("CCO")
    assert piece.atoms.tolist() == [0, 1, 2]


def test_what_raises_and_what_lowers_have_their_own_colours():
    found, piece = explain(ensemble(), NYLON), middle(NYLON)
    colours = atom_colours(found, 0, piece)
    added = {i: found.atoms[a, 0] for i, a in enumerate(piece.atoms.tolist()) if a >= 0}
    assert set(colours) == set(added)
    strongest = max(added, key=lambda i: abs(added[i]))
    assert colours[strongest] == pytest.approx(RAISES if added[strongest] > 0 else LOWERS)
    svg = drawing(NYLON, found, "Density")
    assert "<svg" in svg
    assert svg.count("<ellipse") >= 10


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_the_command_says_and_draws(registry, tmp_path):
    svg, chosen = tmp_path / "tg.svg", ("--property", "Density")
    told = call("--model", registry, *chosen, "--svg", svg, "*CC(*)c1ccccc1")
    assert told.exit_code == 0, told.output
    assert "Density: " in told.output
    assert "raises" in told.output
    assert "lowers" in told.output
    assert "<svg" in svg.read_text()
    data = json.loads(call("--model", registry, *chosen, "--json", "*CC(*)c1ccccc1").stdout)
    predicted = Predictor(resolve(str(registry))).predict([Query("*CC(*)c1ccccc1")])[0]
    assert predicted.properties is not None
    assert data["prediction"] == pytest.approx(predicted.properties["Density"].value)
    numbered = {a.GetAtomMapNum() for a in Chem.MolFromSmiles(data["middle_numbered"]).GetAtoms()}
    assert {each["atom"] for each in data["atoms"]} <= numbered


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--property", "Colour", "*CC*"], "has no property 'Colour'; expected one of"),
        (["no-polymer"], "is not SMILES"),
    ],
)
def test_the_command_says_what_is_wrong(registry, arguments, said):
    told = call("--model", registry, *arguments)
    assert told.exit_code == 2
    assert said in told.stderr
