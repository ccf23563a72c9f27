"""Predictions: how inputs are understood, bad ones, tacticity, validity, and damaged models."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from polyid.checksums import write_checksums
from polyid.domain import Validity
from polyid.errors import PolyIDError
from polyid.predict import Predictor, Query
from polyid.store import resolve
from polyid.trust import describe, judge

PLA, PMMA = "CC(O)C(=O)O", "*CC(*)(C)C(=O)OC"
NYLON = "NCCCCCCN.O=C(O)CCCCC(=O)O"


@pytest.fixture(scope="module")
def predictor(registry):
    return Predictor(resolve(str(registry)))


@pytest.fixture(scope="module")
def pm_predictor(pm_folder):
    return Predictor(resolve(str(pm_folder)))


def one(predictor, *args, **kwargs):
    return predictor.predict([Query(*args, **kwargs)])[0]


def test_every_field_of_an_answer(predictor, registry):
    answer = one(predictor, PLA).as_dict()
    json.dumps(answer, allow_nan=False)
    assert list(answer) == [
        "input",
        "ok",
        "error",
        "smiles_polymer",
        "kind",
        "note",
        "properties",
        "validity",
        "model",
    ]
    assert (answer["input"], answer["ok"], answer["error"]) == (PLA, True, None)
    assert answer["kind"] == "monomers"
    assert answer["smiles_polymer"].count("C(=O)") == 6
    assert "Taken as a monomer" in answer["note"]
    assert list(answer["properties"]) == ["Glass_Transition", "Density"]
    for name, unit in (("Glass_Transition", "°C"), ("Density", "g/cm³")):
        found = answer["properties"][name]
        assert list(found) == ["value", "low", "high", "unit"]
        assert found["low"] < found["value"] < found["high"]
        assert found["unit"] == unit
    assert answer["validity"]["word"] == "well inside"
    assert answer["validity"]["similarity"] == 1
    assert answer["validity"]["nearest"][0] == {
        "smiles_monomer": PLA,
        "smiles_polymer": answer["smiles_polymer"],
        "similarity": 1.0,
        "measured": {
            "Glass_Transition": {"value": 57.0, "unit": "°C"},
            "Density": {"value": 1.25, "unit": "g/cm³"},
        },
    }
    assert answer["model"] == {
        "registry": str(registry),
        "revision": "v1.0.0",
        "fingerprint": "0123456789abcdef",
        "hub_commit": None,
        "commit": "ab" * 20,
        "image": None,
        "data_hash": "cd" * 32,
    }


def test_values_are_the_ensembles_mean(predictor):
    found = one(predictor, NYLON)
    members = predictor.multimodel.predict_members([found.polymer.smiles_polymer])
    assert members.shape == (2, 1, 2)
    values = [estimate.value for estimate in found.properties.values()]
    assert values == pytest.approx(members.mean(axis=0)[0])
    low, high = predictor.intervals.bounds("Density", values[1], found.validity.similarity)
    assert found.properties["Density"][1:3] == (pytest.approx(low), pytest.approx(high))


def test_every_way_in_is_understood(predictor):
    chain = one(predictor, PMMA).polymer.smiles_polymer
    for text, kind, expected in [
        (PMMA, "auto", "repeat_unit"),
        (NYLON, "auto", "monomers"),
        ("C=C(C)C(=O)OC", "monomers", "monomers"),
        (chain, "auto", "oligomer"),
        ("OCC(=O)O", "oligomer", "oligomer"),
    ]:
        found = one(predictor, text, kind=kind)
        assert found.ok, found.error
        assert found.as_dict()["kind"] == expected
    assert one(predictor, chain).properties == one(predictor, PMMA).properties


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (Query("c1ccc"), "'c1ccc'"),
        (Query(""), "empty"),
        (Query("not a polymer"), "blank at position 4"),
        (Query("CCO.CCN"), "No mechanism joins"),
        (Query("*CC"), r"\*"),
        (Query(PLA, mechanism="vinil"), "Did you mean 'vinyl'"),
        (Query(PLA, kind="polymer"), "Unknown kind 'polymer'"),
        (Query(PLA, pm="much"), r"pm is 'much'; expected a number from 0"),
        (Query(PLA, pm=1.5), r"pm is 1\.5"),
        (Query(PLA, pm=math.nan), "pm is nan"),
        (Query("*CC(*)c1ccc(Br)cc1"), "holds Br, which no polymer of the training data has"),
        (Query("*CC(*)([Si](C)(C)C)CCl"), "holds Cl, Si, which"),
    ],
)
def test_a_bad_query_is_one_error_and_the_rest_is_predicted(predictor, query, fault):
    first, bad, last = predictor.predict([Query(PLA), query, Query(NYLON)])
    assert first.ok
    assert last.ok
    assert not bad.ok
    with pytest.raises(PolyIDError, match=fault):
        raise PolyIDError(bad.error)
    answer = bad.as_dict()
    assert answer["properties"] is None
    assert answer["validity"] is None
    assert answer["model"] == first.as_dict()["model"]
    json.dumps(answer)


def test_an_element_error_still_says_how_the_text_was_understood(predictor):
    found = one(predictor, "*CC(*)Br").as_dict()
    assert found["kind"] == "repeat_unit"
    assert found["smiles_polymer"].count("Br") == 6


def test_new_atoms_and_bonds_are_predicted_and_said(predictor):
    known = one(predictor, PMMA).validity
    assert "New to the network" not in known.message
    found = one(predictor, "*CC(*)C#N")
    assert found.ok
    assert found.validity.word in ("edge", "outside")
    assert "C–N triple bond" in found.validity.message
    assert found.validity.unseen_features > 0
    strange = one(predictor, "*c1ccc2cc(*)ccc2c1")
    assert strange.validity.word == "outside"
    assert "guess" in strange.validity.message
    # farther from the data, so wider where errors were seen to grow, never narrower
    estimate, near = strange.properties["Density"], one(predictor, PMMA).properties["Density"]
    assert estimate.high - estimate.value >= near.high - near.value - 1e-9


def test_equal_chains_are_predicted_once(predictor):
    asked = []
    real = predictor.multimodel.predict_members

    def counted(smiles, *rest, **more):
        asked.extend(smiles)
        return real(smiles, *rest, **more)

    predictor.multimodel.predict_members = counted
    try:
        spellings = [PMMA, "COC(=O)C(C)(*)C*", PMMA, " " + PMMA]
        found = predictor.predict([Query(text) for text in spellings])
    finally:
        del predictor.multimodel.predict_members
    assert len(asked) == len({one.polymer.smiles_polymer for one in found}) <= 2
    assert found[0].properties == found[2].properties == found[3].properties
    assert [one.as_dict()["input"] for one in found] == spellings


def test_many_in_chunks_with_progress(predictor):
    """Chunks change nothing, and the order stays."""
    texts = [f"*{'C' * n}C(*)=O" for n in range(1, 81)]
    told = []
    found = predictor.predict([Query(text) for text in texts], lambda *step: told.append(step))
    assert [one.query.text for one in found] == texts
    single = [one(predictor, texts[i]) for i in (0, 63, 64, 79)]
    for i, expected in zip((0, 63, 64, 79), single, strict=True):
        got = [estimate.value for estimate in found[i].properties.values()]
        want = [estimate.value for estimate in expected.properties.values()]
        assert got == pytest.approx(want, rel=1e-4, abs=1e-4)
    assert told[79] == ("Building chains", 80, 80)
    assert told[80:] == [("Predicting", 64, 80), ("Predicting", 80, 80)]
    assert predictor.predict([]) == []


def test_a_model_that_reads_pm(pm_predictor, pm_folder):
    assert pm_predictor.takes_pm
    texts = [Query(PLA, pm=0.1), Query(PLA, pm="0.9"), Query(PLA), Query("*OC(C)C(*)=O", pm=0.5)]
    low, high, lost, unit = pm_predictor.predict(texts)
    assert low.ok
    assert unit.ok
    assert low.properties["Glass_Transition"].value != high.properties["Glass_Transition"].value
    assert "reads the tacticity; give pm" in lost.error
    assert "its own stereo marks stay" in unit.note
    assert low.model["folder"] == str(pm_folder)
    assert low.model["revision"] is None
    assert "registry" not in low.model


def test_a_model_that_does_not_read_pm_says_so(predictor):
    told, plain = predictor.predict([Query(PMMA, pm=0.5), Query(PMMA)])
    assert told.note == "This model does not read pm; it was left out."
    assert told.properties == plain.properties


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


@pytest.mark.parametrize("name", ["intervals.json", "domain.json", "model_fold_1/scaler.json"])
def test_a_folder_without_a_file_is_refused(model_folder, tmp_path, name):
    folder = copy_of(model_folder, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(PolyIDError, match=f"missing: {name}"):
        resolve(str(folder))
    write_checksums(folder)  # someone signs the loss
    with pytest.raises(PolyIDError, match=Path(name).name):
        Predictor(resolve(str(folder)))


def test_an_interval_that_a_property_lacks_is_named(model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path / "model")
    path = folder / "intervals.json"
    content = json.loads(path.read_text())
    del content["properties"]["Density"]
    path.write_text(json.dumps(content))
    write_checksums(folder)
    with pytest.raises(PolyIDError, match="no interval for Density"):
        Predictor(resolve(str(folder)))


def test_a_model_without_record_answers_without_origin(model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path / "model")
    (folder / "record.yaml").unlink()
    write_checksums(folder)
    found = Predictor(resolve(str(folder))).source
    assert found == {
        "folder": str(folder),
        "revision": None,
        "fingerprint": None,
        "hub_commit": None,
        "commit": None,
        "image": None,
        "data_hash": None,
    }


def test_a_member_that_gives_no_number_is_an_error_of_its_rows(model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path / "model")
    path = folder / "model_fold_0" / "scaler.json"
    content = json.loads(path.read_text())
    content["Density"]["center"] = math.nan
    path.write_text(json.dumps(content))
    write_checksums(folder)
    found = one(Predictor(resolve(str(folder))), PLA)
    assert not found.ok
    assert "gave nan for Density" in found.error


def test_no_negative_density(predictor):
    tables = predictor._estimates(np.array([[-50.0, -0.5]]), np.array([0.9]))
    assert tables[0]["Density"].value == 0
    assert tables[0]["Density"].low == 0
    assert tables[0]["Glass_Transition"].value == -50


def test_features_in_words():
    bond = "(rdkit.Chem.rdchem.BondType.{}, {}, rdkit.Chem.rdchem.BondStereo.{}, {}, ['C', 'O'])"
    double = bond.format("DOUBLE", "True", "STEREOE", "0")
    assert describe(double) == "C–O double bond conjugated marked E"
    ring = bond.format("SINGLE", "False", "STEREONONE", "5")
    assert describe(ring) == "C–O single bond in a ring of 5"
    large = bond.format("AROMATIC", "True", "STEREONONE", "'max'")
    assert describe(large) == "C–O aromatic bond in a ring of 12 or more"
    assert describe("('N', 3, 0, 0, False)") == "N with 3 neighbours"
    assert describe("('C', 1, 0, 0, True)") == "aromatic C with 1 neighbour"


def test_an_untrained_feature_lowers_the_word():
    fine = Validity(0, [], 0.95, "well inside", [])
    assert judge(fine, []).word == "well inside"
    told = judge(fine, ["('N', 3, 0, 0, False)"] * 5)
    assert told.word == "edge"
    assert "N with 3 neighbours" in told.message
    assert "and 2 more" in told.message
    assert judge(fine._replace(word="outside"), ["('N', 3, 0, 0, False)"]).word == "outside"
