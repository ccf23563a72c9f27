"""Preprocessors are called as PolyID's are, and one file serves them and the engine."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from nfp.preprocessing import features as nfp_features
from nfp.preprocessing.mol_preprocessor import SmilesPreprocessor

from polyid.errors import PolyIDError, SmilesError
from polyid.preprocessor import PmPreprocessor, PolymerPreprocessor
from polyid.structures import graph
from polyid.vocabulary import Vocabulary

ROWS = pd.DataFrame({"smiles_polymer": ["CCOC(=O)c1ccccc1", "CC(N)=O"], "pm": [0.25, 0.75]})


def trained(kind: type[PolymerPreprocessor] = PolymerPreprocessor) -> PolymerPreprocessor:
    made = kind()
    for _, row in ROWS.iterrows():
        made(row, train=True)
    return made


def test_tensors_and_defaults_are_those_of_nfp() -> None:
    pre = trained()
    reference = SmilesPreprocessor(
        atom_features=nfp_features.atom_features_v1, bond_features=nfp_features.bond_features_v2
    )
    for smiles in ROWS["smiles_polymer"]:
        reference(smiles, train=True)
    for _, row in ROWS.iterrows():
        ours, theirs = pre(row, train=False), reference(row.smiles_polymer, train=False)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    assert pre.atom_classes == reference.atom_classes == pre.vocabulary.atom_classes
    assert pre.bond_classes == reference.bond_classes == pre.vocabulary.bond_classes


def test_the_engine_reads_the_same_tokens() -> None:
    pre = trained()
    for row in ROWS.itertuples():
        theirs, ours = pre(row, train=False), graph(row.smiles_polymer, pre.vocabulary)
        assert np.array_equal(ours.atom, theirs["atom"])
        expected = sorted(map(tuple, np.c_[theirs["connectivity"], theirs["bond"]].tolist()))
        assert sorted(zip(ours.source, ours.target, ours.bond, strict=True)) == expected


def test_pm_stands_beside_the_graph() -> None:
    pre = trained(PmPreprocessor)
    data = tf.data.Dataset.from_generator(
        lambda: (pre(row, train=False) for _, row in ROWS.iterrows()),
        output_signature=pre.output_signature,
    ).padded_batch(2, padding_values=pre.padding_values)
    (found,) = list(data)
    np.testing.assert_allclose(found["pm"], [[0.25], [0.75]])
    assert found["atom"].shape[0] == 2
    assert (found["atom"][1].numpy()[9:] == 0).all()


@pytest.mark.parametrize("kind", [PolymerPreprocessor, PmPreprocessor])
def test_a_file_brings_everything_back(kind: type[PolymerPreprocessor], tmp_path: Path) -> None:
    pre = trained(kind)
    pre.to_json(tmp_path / "p.json")
    back = kind(bond_features=nfp_features.bond_features_v1)
    back.from_json(tmp_path / "p.json")
    assert back.bond_features is nfp_features.bond_features_v2
    for _, row in ROWS.assign(smiles_polymer="CCCl").iterrows():
        a, b = pre(row, train=False), back(row, train=False)
        assert all(np.array_equal(a[key], b[key]) for key in a)
    assert Vocabulary.load(tmp_path / "p.json") == pre.vocabulary


def test_files_of_the_vocabulary_and_of_nfp_are_read_too(tmp_path: Path) -> None:
    pre = trained()
    pre.vocabulary.save(tmp_path / "v.json")
    SmilesPreprocessor.to_json(pre, str(tmp_path / "nfp.json"))
    for name in ("v.json", "nfp.json"):
        back = PolymerPreprocessor()
        back.from_json(tmp_path / name)
        assert back.vocabulary == pre.vocabulary
    assert PolymerPreprocessor.from_vocabulary(pre.vocabulary).vocabulary == pre.vocabulary


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no preprocessor"),
        ("[]", "is no preprocessor"),
        ('{"atom": {}}', "is no preprocessor"),
        ('{"class": "PmPreprocessor", "atom": {}, "bond": {}}', "holds a PmPreprocessor"),
        ('{"atom": {"x": 2, "y": 4}, "bond": {}}', "without a gap"),
        ('{"atom": {}, "bond": {}, "atom_features": "eval"}', "'eval' is not known"),
    ],
)
def test_a_bad_file_changes_nothing(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    pre = trained()
    before = pre.vocabulary
    with pytest.raises(PolyIDError, match=message):
        pre.from_json(path)
    assert pre.vocabulary == before


def test_own_features_are_neither_saved_nor_given_to_the_engine(tmp_path: Path) -> None:
    pre = PolymerPreprocessor(atom_features=lambda atom: atom.GetSymbol())
    with pytest.raises(PolyIDError, match="cannot be saved"):
        pre.to_json(tmp_path / "p.json")
    with pytest.raises(PolyIDError, match="bond_features_v2"):
        PolymerPreprocessor(bond_features=nfp_features.bond_features_v1).vocabulary  # noqa: B018
    assert not list(tmp_path.iterdir())


def test_rows_that_cannot_be_read_are_named() -> None:
    with pytest.raises(SmilesError, match=r"'C\(C' is not a SMILES"):
        PolymerPreprocessor()(pd.Series({"smiles_polymer": "C(C"}))
    with pytest.raises(SmilesError, match="nan"):
        PolymerPreprocessor()(pd.Series({"smiles_polymer": float("nan")}))
    with pytest.raises(PolyIDError, match="'smiles_polymer'"):
        PolymerPreprocessor()(pd.Series({"smiles": "CC"}))
    with pytest.raises(PolyIDError, match="'pm'"):
        PmPreprocessor()(pd.Series({"smiles_polymer": "CC"}))
