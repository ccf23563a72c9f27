"""Reference predictions: written, read back, and what they notice."""

import json
import shutil

import h5py
import pytest

from polyid.domain import Domain
from polyid.errors import PolyIDError
from polyid.predict import Predictor
from polyid.reference import (
    REFERENCE,
    SHARE,
    check_reference,
    read_reference,
    write_reference,
)
from polyid.scaling import Scaler
from polyid.store import ResolvedModel


def frame_of(folder, pm=None):
    import pandas as pd

    stored = json.loads((folder / "domain.json").read_text())["polymers"]
    frame = pd.DataFrame({"smiles_polymer": [entry["smiles_polymer"] for entry in stored]})
    return frame if pm is None else frame.assign(pm=pm)


def predictor(folder):
    return Predictor(ResolvedModel(folder, None, None, None))


@pytest.fixture(scope="module")
def kept(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "model"
    shutil.copytree(model_folder, folder)
    write_reference(folder, frame_of(folder))
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "model")


def test_a_dozen_training_polymers_of_every_size(kept):
    reference = read_reference(kept)
    lengths = [len(polymer.smiles_polymer) for polymer in reference.polymers]
    assert len(lengths) == 12
    assert lengths == sorted(lengths)
    every = [len(smiles) for smiles in frame_of(kept)["smiles_polymer"]]
    assert (lengths[0], lengths[-1]) == (min(every), max(every))
    assert reference.units == {"Glass_Transition": "°C", "Density": "g/cm³"}
    scale = Scaler.load(kept / "model_fold_0" / "scaler.json").scale
    assert reference.tolerance["Glass_Transition"] == pytest.approx(SHARE * scale[0], rel=0.2)
    assert all(set(polymer.predictions) == set(reference.units) for polymer in reference.polymers)


def test_the_same_table_gives_the_same_file(kept, folder):
    first = (kept / REFERENCE).read_bytes()
    write_reference(folder, frame_of(folder).iloc[::-1])
    assert (folder / REFERENCE).read_bytes() == first


def test_the_model_itself_passes(kept):
    assert check_reference(predictor(kept), read_reference(kept)) == []


def test_a_changed_weight_fails(folder):
    with h5py.File(folder / "model_fold_0" / "model.weights.h5", "r+") as h5:
        h5["readout/bias"][...] += 0.1
    faults = check_reference(predictor(folder), read_reference(folder))
    assert faults
    assert "Reference polymer 1: Glass_Transition is" in faults[0]


def test_a_swapped_scaler_fails(folder):
    path = folder / "model_fold_0" / "scaler.json"
    scaler = Scaler.load(path)
    Scaler(scaler.properties, scaler.center, scaler.scale * 1.5).save(path)
    assert check_reference(predictor(folder), read_reference(folder))


def test_a_difference_within_the_tolerance_passes_and_beyond_it_fails(folder):
    content = json.loads((folder / REFERENCE).read_text())
    first, allowed = content["polymers"][0]["predictions"], content["tolerance"]["Density"]
    for share, passes in ((0.9, True), (1.1, False)):
        moved = json.loads(json.dumps(content))
        moved["polymers"][0]["predictions"]["Density"] = first["Density"] + share * allowed
        (folder / REFERENCE).write_text(json.dumps(moved))
        faults = check_reference(predictor(folder), read_reference(folder))
        assert (faults == []) is passes


def test_other_properties_and_polymers_it_cannot_read_fail(folder):
    content = json.loads((folder / REFERENCE).read_text())
    content["polymers"][0]["predictions"].pop("Density")
    content["polymers"][1]["smiles_polymer"] = "*C[Si](*)(C)C"
    (folder / REFERENCE).write_text(json.dumps(content))
    faults = check_reference(predictor(folder), read_reference(folder))
    assert len(faults) == 2
    assert "the model predicts Density, Glass_Transition" in faults[0]
    assert "polymer 2 is not predicted" in faults[1]


def test_an_older_release_has_none(model_folder):
    assert read_reference(model_folder) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(format=2), "format"),
        (lambda c: c.update(polymers=[]), "polymers"),
        (lambda c: c["polymers"][0].update(predictions={}), "predictions"),
        (lambda c: c.update(more=1), "more"),
        (lambda c: c["tolerance"].update(Density="much"), "tolerance"),
    ],
)
def test_a_damaged_file_is_refused(folder, change, words):
    content = json.loads((folder / REFERENCE).read_text())
    change(content)
    (folder / REFERENCE).write_text(json.dumps(content))
    with pytest.raises(PolyIDError, match=words):
        read_reference(folder)


def test_half_a_file_is_refused(folder):
    text = (folder / REFERENCE).read_text()
    (folder / REFERENCE).write_text(text[: len(text) // 2])
    with pytest.raises(PolyIDError, match="holds no reference predictions"):
        read_reference(folder)


def test_a_model_that_reads_the_tacticity_keeps_it(pm_folder, tmp_path):
    folder = shutil.copytree(pm_folder, tmp_path / "pm")
    frame = frame_of(folder).assign(
        pm=[0.1, 0.5, 0.9] * (len(Domain.load(folder / "domain.json")) // 3)
    )
    write_reference(folder, frame, 5)
    reference = read_reference(folder)
    assert {polymer.pm for polymer in reference.polymers} <= {0.1, 0.5, 0.9}
    assert check_reference(predictor(folder), reference) == []


def test_a_model_that_does_not_predict_its_own_polymers_gets_none(folder):
    frame = frame_of(folder).assign(smiles_polymer="*C[Si](*)(C)C")
    with pytest.raises(PolyIDError, match="does not predict its training polymer"):
        write_reference(folder, frame)
