"""Reading SMILES: what is refused, and what the message says."""

import pytest
from rdkit import Chem

from polyid.errors import SmilesError
from polyid.polymers import monomer_set, parse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "NoneType"),
        (float("nan"), "nan"),
        ("CC((", "position 4"),
        ("CXC", "position 2"),
        ("C1CC", "unclosed ring"),
        ("c1cccc1", "aromatic ring"),
        ("CC(C)(C)(C)C", "position 2"),
        ("CN1C(=O)C=CCn1=O", "no possible molecule"),  # a fault that rdkit finds but cannot name
        ("[C]", "lacks hydrogens"),
        ("[H][H]", "no atom heavier"),
        ("CC CC", "blank at position 3"),
        ("C\x00C", "position 2"),
        ("C–C", "position 2"),
        ("C->C", "coordinate"),
        ("C~C", "unspecified bonds"),
        ("polystyrene", "'polystyrene' is not SMILES"),
        ("C" * 20_001, "20001 characters"),
        ("C" * 5_001, "5001 heavy atoms"),
        ("C(" * 2_000, "branches"),
    ],
)
def test_bad_text_is_one_clear_error(text, said, capfd):
    with pytest.raises(SmilesError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400
    assert capfd.readouterr() == ("", "")  # rdkit's own log stays silent


def test_cages_are_refused_quickly():
    # a dense grid of atoms: ring perception would take many seconds
    cage = Chem.RWMol()
    side = 14
    for _ in range(side**2 * 2):
        cage.AddAtom(Chem.Atom(16))
    for z in range(2):
        for y in range(side):
            for x in range(side):
                here = z * side**2 + y * side + x
                if x + 1 < side:
                    cage.AddBond(here, here + 1, Chem.BondType.SINGLE)
                if y + 1 < side:
                    cage.AddBond(here, here + side, Chem.BondType.SINGLE)
                if z == 0:
                    cage.AddBond(here, here + side**2, Chem.BondType.SINGLE)
    text = Chem.MolToSmiles(cage)
    with pytest.raises(SmilesError, match="fused"):
        parse(text)


def test_many_separate_rings_are_read():
    assert parse("c1ccccc1" * 400).GetNumHeavyAtoms() == 2_400


@pytest.mark.parametrize(
    "text", ["C[C@@H](O)C(=O)O", "C/C=C\\C", "[2H]C([H])C", "*CC(*)c1ccccc1", "CN(=O)=O", " CC "]
)
def test_reads_as_rdkit_does(text):
    assert Chem.MolToSmiles(parse(text)) == Chem.CanonSmiles(text)


def test_labels_of_stars_and_atoms_are_dropped():
    assert Chem.MolToSmiles(parse("[1*]C[CH2:3][*:2]")) == Chem.MolToSmiles(parse("*CC*"))


def test_monomer_set_ignores_order_stereo_and_repeats():
    key = monomer_set("OCCO.C[C@@H](O)C(=O)O.C[C@H](O)C(=O)O")
    assert key == monomer_set("CC(O)C(O)=O.C(O)CO") == "CC(O)C(=O)O.OCCO"
    assert monomer_set("F/C=C/F") == monomer_set("F/C=C\\F")
    assert monomer_set("C[C@@H](O)C(=O)O..OCCO") == key
    assert monomer_set("CC(O)C(=O)O") != key


def test_monomer_set_refuses_what_is_no_smiles():
    with pytest.raises(SmilesError):
        monomer_set("lactic acid")


def test_a_molecule_that_is_changed_is_not_given_to_the_next_reader():
    first = parse("CCO")
    first.GetAtomWithIdx(0).SetAtomicNum(7)
    assert Chem.MolToSmiles(parse("CCO")) == "CCO"
