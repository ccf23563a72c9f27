"""Our features and graphs are nfp's, string by string and edge by edge."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nfp.preprocessing.features import atom_features_v1, bond_features_v2
from nfp.preprocessing.mol_preprocessor import SmilesPreprocessor
from rdkit import Chem, rdBase

from polyid.errors import SmilesError
from polyid.graphs import features
from polyid.vocabulary import UNKNOWN, Vocabulary

ODD = {
    "explicit hydrogens": "[H]OC([H])([H])CO[H]",
    "isotope": "[2H]C([2H])([2H])[13CH2]O",
    "ammonium and carboxylate": "C[N+](C)(C)CC(=O)[O-]",
    "nitro group": "CC[N+](=O)[O-]",
    "aromatic nitrogen and sulphur": "c1ccsc1-c1cc[nH]c1-c1ccncc1",
    "silicon": "C[Si](C)(C)O[Si](C)(C)O[SiH2]C",
    "ring of 11": "C1CCCCCCCCCC1",
    "ring of 12": "C1CCCCCCCCCCC1",
    "ring of 20": "C1CCCCCCCCCCCCCCCCCCC1",
    "fused and spiro rings": "C1CC2CCC1CC2C1(CC1)C",
    "double-bond stereo": r"C/C=C/C(=O)O/C=C\C",
    "tetrahedral stereo": "C[C@@H](O)C(=O)O[C@H](C)C",
    "triple bond": "CC#CC#N",
    "sulphone and phosphate": "CS(=O)(=O)c1ccccc1OP(=O)(O)OC",
    "halogens": "FC(Cl)(Br)CI",
    "two molecules": "CCO.CC(=O)O",
    "no bond": "[He]",
    "bonds to hydrogen only": "[SH2]",
}


def hold_equal(smiles: str) -> None:
    """Compare ours with nfp's own preprocessor."""
    reference = SmilesPreprocessor(
        atom_features=atom_features_v1, bond_features=bond_features_v2
    ).create_nx_graph(smiles)
    ours = features(smiles)
    with rdBase.BlockLogs():
        assert ours.atom == [atom_features_v1(d["atom"]) for _, d in reference.nodes(data=True)]

    vocabulary = Vocabulary.learn([ours])
    graph = vocabulary.encode(ours)
    named = {token: text for text, token in vocabulary.bond.items()}
    found = {
        (int(i), int(j)): named[int(t)]
        for i, j, t in zip(graph.source, graph.target, graph.bond, strict=True)
    }
    expected = {(i, j): bond_features_v2(d["bond"]) for i, j, d in reference.edges(data=True)}
    assert len(graph.bond) == len(expected)
    assert found == expected


@pytest.mark.parametrize("smiles", ODD.values(), ids=ODD.keys())
def test_odd_molecules(smiles: str) -> None:
    assert Chem.MolFromSmiles(smiles) is not None
    hold_equal(smiles)


def test_polymers_of_every_mechanism(property_table: Path) -> None:
    table = pd.read_csv(property_table)
    some = table.groupby("mechanism", sort=False).head(3)
    assert table["mechanism"].nunique() == some["mechanism"].nunique()
    copolymers = table[table["distribution"].notna()].head(2)
    for smiles in [*some["smiles_polymer"], *copolymers["smiles_polymer"]]:
        hold_equal(smiles)


def test_stereo_polymers(stereo_table: Path) -> None:
    for smiles in pd.read_csv(stereo_table)["smiles_polymer"].iloc[::12]:
        hold_equal(smiles)


@pytest.mark.slow
def test_every_polymer(property_table: Path, stereo_table: Path) -> None:
    for path in (property_table, stereo_table):
        for smiles in pd.read_csv(path)["smiles_polymer"].unique():
            hold_equal(smiles)


def test_what_training_never_saw_is_named() -> None:
    vocabulary = Vocabulary.learn([features("CCO")])
    stranger = features("CC[Si](C)(C)Cl")
    assert vocabulary.unknown_elements(stranger) == ["Cl", "Si"]
    assert "('Si', 4, 0, 0, False)" in vocabulary.unknown(stranger)
    graph = vocabulary.encode(stranger)
    assert UNKNOWN in graph.atom
    assert UNKNOWN in graph.bond
    assert np.array_equal(vocabulary.encode(features("OCC")).bond > UNKNOWN, np.ones(16, bool))


def test_text_that_is_no_smiles_is_refused() -> None:
    with pytest.raises(SmilesError):
        features("C(C")
