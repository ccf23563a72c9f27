"""Weights both ways between nfp's layers and the engine's names (`polyid.engine.weights.shapes`).

Keras leaves out of a model what no output depends on: the atom update of the last block, and in
`pm_model` its global update too. They are no weights of either side.
"""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import nfp
import numpy as np
from numpy.typing import NDArray

from polyid.engine.weights import Architecture, Weights, shapes
from polyid.errors import PolyIDError
from polyid.models import build_weights


def architecture_of(model: keras.Model) -> Architecture:
    """Read an nfp model's architecture from its layers.

    Raises
    ------
    PolyIDError
        If the model is neither a ``global100`` nor a ``pm_model``.
    """
    edges, glob = _all(model, nfp.EdgeUpdate), _all(model, nfp.GlobalUpdate)
    if not edges or not glob:
        raise PolyIDError(
            f"Model {model.name!r} has {len(edges)} EdgeUpdate and {len(glob)} GlobalUpdate "
            "layers; expected a global100 or a pm_model."
        )
    inputs = {tensor.name for tensor in model.inputs}
    heads = {layer.num_heads for layer in glob}
    if heads != {1}:
        raise PolyIDError(f"Model {model.name!r} has {heads} attention heads; expected 1.")
    atom, bond = _embedding(model, "atom_embedding"), _embedding(model, "bond_embedding")
    dropouts = {float(layer.rate) for layer in _all(model, keras.layers.Dropout)}
    if len(dropouts) > 1:
        raise PolyIDError(f"Model {model.name!r} has several dropout rates: {sorted(dropouts)}.")
    return Architecture(
        name="pm" if "pm" in inputs else "global100",
        atom_classes=int(atom.input_dim),
        bond_classes=int(bond.input_dim),
        features=int(atom.output_dim),
        mol_features=int(glob[0].units),
        num_messages=len(edges),
        outputs=len(_readouts(model)),
        dropout=dropouts.pop() if dropouts else 0.0,
    )


def from_nfp(model: keras.Model, architecture: Architecture | None = None) -> Weights:
    """Copy an nfp model's weights under the engine's names.

    Parameters
    ----------
    model
        Built by `polyid.models` or loaded from a file of the published package.
    architecture
        What is expected; read from the model if None.

    Raises
    ------
    PolyIDError
        If the model has other layers or shapes.
    """
    architecture = architecture or architecture_of(model)
    return {
        name: np.concatenate([keras.ops.convert_to_numpy(v) for v in parts], axis=-1)
        for name, parts in variables(model, architecture).items()
    }


def to_nfp(weights: Mapping[str, NDArray], model: keras.Model, architecture: Architecture) -> None:
    """Write engine weights into an nfp model.

    Raises
    ------
    PolyIDError
        If a weight is missing, unknown, or of another shape. Nothing is written then.
    """
    places = variables(model, architecture)
    expected = shapes(architecture)
    extra = sorted(set(weights) - set(expected))
    if extra:
        raise PolyIDError(f"Weights {', '.join(extra)} belong to no layer of the model.")
    for name, shape in expected.items():
        if name not in weights:
            raise PolyIDError(f"Weight {name!r} of shape {shape} is missing.")
        if tuple(weights[name].shape) != shape:
            raise PolyIDError(
                f"Weight {name!r} has shape {tuple(weights[name].shape)}; expected {shape}."
            )
    for name, parts in places.items():
        value = np.asarray(weights[name])
        if len(parts) == 1:
            parts[0].assign(value)
        else:
            for i, part in enumerate(parts):
                part.assign(value[..., i : i + 1])


def load_nfp(path: Path) -> keras.Model:
    """Load a ``.keras`` file of either network, ours or the published package's, with weights.

    ``keras.models.load_model`` cannot: nfp makes the dense layers inside `EdgeUpdate` and
    `NodeUpdate` on the first call only, so they have no place for weights before it.

    Raises
    ------
    PolyIDError
        If the file is damaged or holds another kind of model.
    """
    layers = {
        "GlobalUpdate": nfp.GlobalUpdate,
        "EdgeUpdate": nfp.EdgeUpdate,
        "NodeUpdate": nfp.NodeUpdate,
    }
    try:
        with zipfile.ZipFile(path) as file, tempfile.TemporaryDirectory() as folder:
            config = json.loads(file.read("config.json"))
            config.pop("compile_config", None)
            model = keras.saving.deserialize_keras_object(config, custom_objects=layers)
            build_weights(model)
            weights = Path(file.extract("model.weights.h5", folder))
            model.load_weights(weights)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise PolyIDError(f"{path} is no .keras file of a PolyID network: {error}") from error
    architecture_of(model)
    return model


def variables(model: keras.Model, architecture: Architecture) -> dict[str, list[Any]]:
    """Keras variables behind each of the engine's names; the readout's are one per property.

    Raises
    ------
    PolyIDError
        If the model has other layers or shapes than ``architecture``.
    """
    seen = architecture_of(model)
    for field, expected, found in zip(seen._fields, architecture, seen, strict=True):
        if field != "dropout" and expected != found:
            raise PolyIDError(f"The model's {field} is {found!r}; expected {expected!r}.")
    if not all(hasattr(layer.concat, "dense1") for layer in _all(model, nfp.EdgeUpdate)):
        raise PolyIDError(
            f"Model {model.name!r} has layers without weights: run polyid.models.build_weights on "
            "it, and load its weights after that."
        )
    named: dict[str, list[Any]] = {
        "atom_embedding": [_embedding(model, "atom_embedding").embeddings],
        "bond_embedding": [_embedding(model, "bond_embedding").embeddings],
    }

    def dense(name: str, *layers: Any) -> None:
        named[f"{name}/kernel"] = [layer.kernel for layer in layers]
        named[f"{name}/bias"] = [layer.bias for layer in layers]

    if architecture.name == "pm":
        dense("pm", model.get_layer("global_features_state"))
    for r, layer in enumerate(_all(model, nfp.GlobalUpdate)):
        dense(f"global/{r}/query", layer.query_layer)
        dense(f"global/{r}/value", layer.value_layer)
    for r, layer in enumerate(_all(model, nfp.EdgeUpdate), 1):
        dense(f"edge/{r}/dense1", layer.concat.dense1)
        dense(f"edge/{r}/dense2", layer.concat.dense2)
    for r, layer in enumerate(_all(model, nfp.NodeUpdate), 1):
        dense(f"node/{r}/message1", layer.concat.dense1)
        dense(f"node/{r}/message2", layer.concat.dense2)
        dense(f"node/{r}/dense1", layer.dense1)
        dense(f"node/{r}/dense2", layer.dense2)
    dense("readout", *_readouts(model))

    expected_shapes = shapes(architecture)
    if set(named) != set(expected_shapes):
        raise PolyIDError(
            f"Layers and weights do not match: the model lacks "
            f"{sorted(set(expected_shapes) - set(named))[:4]}, and has beyond them "
            f"{sorted(set(named) - set(expected_shapes))[:4]}."
        )
    for name, shape in expected_shapes.items():
        parts = named[name]
        found_shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        if tuple(found_shape) != shape:
            raise PolyIDError(f"The model's {name!r} has shape {found_shape}; expected {shape}.")
    return {name: named[name] for name in expected_shapes}


def _all(model: keras.Model, kind: type) -> list[Any]:
    """Layers of one kind, in the order in which data flows: they stand one behind the other."""
    return [layer for layer in model.layers if isinstance(layer, kind)]


def _embedding(model: keras.Model, name: str) -> Any:
    try:
        return model.get_layer(name)
    except ValueError as error:
        raise PolyIDError(f"Model {model.name!r} has no layer {name!r}.") from error


def _readouts(model: keras.Model) -> list[Any]:
    """Dense layers of the bond-wise values, in the order of the output's columns.

    They are found by walking back from the output: names and layer order differ between models.
    """
    found: list[Any] = []

    def walk(tensor: Any) -> None:
        operation, node, _ = tensor._keras_history
        if isinstance(operation, keras.layers.Dense):
            found.append(operation)
            return
        for before in operation._inbound_nodes[node].input_tensors:
            walk(before)

    if len(model.outputs) != 1:
        raise PolyIDError(f"Model {model.name!r} has {len(model.outputs)} outputs; expected 1.")
    walk(model.outputs[0])
    return found
