"""A model folder is read as it was written, or refused with a reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from polyid.checksums import scan
from polyid.engine.weights import initial
from polyid.errors import PolyIDError
from polyid.modelfiles import MemberFiles, ModelParameters, load_member, member_folder, save_member
from polyid.scaling import Scaler
from polyid.structures import build

PARAMETERS = ModelParameters("global100", ("Glass_Transition", "Density"), 1, 4, 3, 2, 0.1, 6)


def member() -> MemberFiles:
    vocabulary = build(["CC(C)CC(C)C", "OCC(=O)O"], 1).vocabulary
    scaler = Scaler(PARAMETERS.prediction_columns, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    return MemberFiles(initial(PARAMETERS.architecture(vocabulary), 0, 0), vocabulary, scaler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    PARAMETERS.save(tmp_path)
    save_member(tmp_path, 0, member())
    return tmp_path


def test_round_trip(folder: Path) -> None:
    found = ModelParameters.load(folder)
    assert found == PARAMETERS
    assert found.units == {"Glass_Transition": "°C", "Density": "g/cm³"}
    ours, theirs = member(), load_member(folder, 0, found)
    assert theirs.vocabulary == ours.vocabulary
    assert theirs.scaler.properties == ours.scaler.properties
    assert theirs.weights.keys() == ours.weights.keys()
    for name, value in ours.weights.items():
        np.testing.assert_array_equal(theirs.weights[name], value)


@pytest.mark.parametrize("name", ["model.weights.h5", "preprocessor.json", "scaler.json"])
class TestSpoiltMember:
    def test_missing(self, folder: Path, name: str) -> None:
        (member_folder(folder, 0) / name).unlink()
        with pytest.raises(PolyIDError, match=name):
            load_member(folder, 0, PARAMETERS)

    def test_cut_in_half(self, folder: Path, name: str) -> None:
        path = member_folder(folder, 0) / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(PolyIDError, match=name):
            load_member(folder, 0, PARAMETERS)


def test_weights_of_another_shape(folder: Path) -> None:
    path = member_folder(folder, 0) / "model.weights.h5"
    with h5py.File(path, "a") as file:
        del file["readout/bias"]
        file["readout/bias"] = np.zeros(7)
    with pytest.raises(PolyIDError, match=r"readout/bias has shape \(7,\), expected \(2,\)"):
        load_member(folder, 0, PARAMETERS)


def test_a_weight_is_missing(folder: Path) -> None:
    with h5py.File(member_folder(folder, 0) / "model.weights.h5", "a") as file:
        del file["readout/kernel"]
    with pytest.raises(PolyIDError, match="holds no weights of this model"):
        load_member(folder, 0, PARAMETERS)


def test_a_scaler_of_other_properties(folder: Path) -> None:
    other = Scaler(("Density", "Glass_Transition"), np.zeros(2), np.ones(2))
    other.save(member_folder(folder, 0) / "scaler.json")
    with pytest.raises(PolyIDError, match=r"is for \['Density', 'Glass_Transition'\], expected"):
        load_member(folder, 0, PARAMETERS)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("features"),
        lambda c: c.update(surprise=1),
        lambda c: c.update(prediction_columns=None),
    ],
)
def test_parameters_that_are_none(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "parameters.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(PolyIDError, match=r"parameters\.json holds no model parameters"):
        ModelParameters.load(folder)


@pytest.mark.parametrize("change", [{"format": 2}, {"model": "global999"}])
def test_parameters_of_another_time(folder: Path, change: dict) -> None:
    path = folder / "parameters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PolyIDError, match=r"expected format 1 and a model of .*newer release"):
        ModelParameters.load(folder)


def test_no_pickle_anywhere(folder: Path) -> None:
    names, refused = scan(folder)
    assert len(names) == 4
    assert not refused
    # the scan that a registry trusts does see one
    shutil.copy(folder / "parameters.json", folder / "model.pk")
    (folder / "weights.npy").write_bytes(b"\x80\x04\x95")
    assert scan(folder)[1]
