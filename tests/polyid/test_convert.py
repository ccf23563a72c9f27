"""Weights go both ways between nfp's layers and the engine's names, and nothing else does."""

from pathlib import Path

import keras
import nfp
import numpy as np
import pytest

from polyid import convert
from polyid.engine.weights import Architecture, count, initial, shapes
from polyid.errors import PolyIDError
from polyid.models import global100, pm_model
from polyid.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")

VOCABULARY = Vocabulary({"a": 2, "b": 3}, {"c": 2})
PARAMS = {"atom_features": 4, "mol_features": 3, "num_messages": 2, "dropout": 0.1}


@pytest.fixture(scope="module", params=["global100", "pm"])
def model(request: pytest.FixtureRequest) -> keras.Model:
    build = pm_model if request.param == "pm" else global100
    return build(VOCABULARY, prediction_columns=["one", "two"], params=PARAMS)


def test_architecture(model: keras.Model) -> None:
    found = convert.architecture_of(model)
    pm = "pm" in {tensor.name for tensor in model.inputs}
    assert found == Architecture("pm" if pm else "global100", 4, 3, 4, 3, 2, 2, 0.0 if pm else 0.1)
    assert count(found) == sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_round_trip(model: keras.Model) -> None:
    architecture = convert.architecture_of(model)
    weights = initial(architecture, 1, 2)
    convert.to_nfp(weights, model, architecture)
    back = convert.from_nfp(model, architecture)
    assert {k: v.shape for k, v in back.items()} == shapes(architecture)
    for name, value in weights.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_readout_columns_follow_the_outputs(model: keras.Model) -> None:
    architecture = convert.architecture_of(model)
    weights = initial(architecture, 1, 2)
    weights["readout/kernel"][:] = 0.0
    weights["readout/bias"][:] = [3.0, -7.0]
    convert.to_nfp(weights, model, architecture)
    one = np.ones((1, 2), dtype=np.int64)
    tensors = {"atom": one, "bond": one, "connectivity": np.array([[[0, 1], [1, 0]]])}
    tensors["pm"] = np.zeros((1, 1))
    out = np.asarray(model([tensors[tensor.name] for tensor in model.inputs]))
    np.testing.assert_allclose(out, [[3.0, -7.0]], rtol=1e-6)


def test_a_wrong_weight_writes_nothing(model: keras.Model) -> None:
    architecture = convert.architecture_of(model)
    before = convert.from_nfp(model, architecture)
    good = initial(architecture, 4, 4)
    missing = {k: v for k, v in good.items() if k != "edge/2/dense1/bias"}
    bent = good | {"node/1/dense1/kernel": np.zeros((4, 4), np.float32)}
    for bad, message in (
        (missing, "'edge/2/dense1/bias' of shape"),
        (bent, r"'node/1/dense1/kernel' has shape \(4, 4\); expected \(4, 8\)"),
        (good | {"node/2/dense1/kernel": np.zeros((4, 8))}, "node/2/dense1/kernel belong"),
    ):
        with pytest.raises(PolyIDError, match=message):
            convert.to_nfp(bad, model, architecture)
    after = convert.from_nfp(model, architecture)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_another_architecture_is_refused(model: keras.Model) -> None:
    other = convert.architecture_of(model)._replace(features=8)
    with pytest.raises(PolyIDError, match="features is 4; expected 8"):
        convert.from_nfp(model, other)


def test_another_kind_of_model_is_refused() -> None:
    inputs = keras.Input((3,))
    with pytest.raises(PolyIDError, match="0 EdgeUpdate"):
        convert.from_nfp(keras.Model(inputs, keras.layers.Dense(1)(inputs)))


def test_a_model_without_inner_weights_is_refused() -> None:
    atom = keras.Input((None,), dtype="int64", name="atom")
    bond = keras.Input((None,), dtype="int64", name="bond")
    connectivity = keras.Input((None, 2), dtype="int64", name="connectivity")
    a = keras.layers.Embedding(4, 4, mask_zero=True, name="atom_embedding")(atom)
    b = keras.layers.Embedding(3, 4, mask_zero=True, name="bond_embedding")(bond)
    g = nfp.GlobalUpdate(units=3, num_heads=1)([a, b, connectivity])
    b = nfp.EdgeUpdate()([a, b, connectivity, g])
    out = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(1)(b))
    with pytest.raises(PolyIDError, match="build_weights"):
        convert.from_nfp(keras.Model([atom, bond, connectivity], out))


def test_a_saved_model_loads_with_all_its_weights(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    loaded = convert.load_nfp(tmp_path / "model.keras")
    assert convert.architecture_of(loaded) == convert.architecture_of(model)
    expected, found = convert.from_nfp(model), convert.from_nfp(loaded)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"\x89HDF\r\n"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(PolyIDError, match=r"model\.keras"):
        convert.load_nfp(path)


@pytest.mark.parametrize("build", [global100, pm_model])
def test_settings_that_are_missing_are_named(build) -> None:
    with pytest.raises(PolyIDError, match="mol_features, num_messages"):
        build(VOCABULARY, prediction_columns=["one"], params={"atom_features": 4})
    with pytest.raises(PolyIDError, match="prediction_columns"):
        build(VOCABULARY, params=PARAMS)
    with pytest.raises(PolyIDError, match="num_messages is 0"):
        build(VOCABULARY, prediction_columns=["one"], params=PARAMS | {"num_messages": 0})
