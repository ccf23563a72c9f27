"""One member of a published ensemble: its two files as tokens, scaler and named weights."""

import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from polyid.engine.weights import Architecture, Weights
from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES, to_product_unit
from polyid.scaling import Scaler
from polyid.unpickling import Held, name_of, numbers, read_pickle
from polyid.vocabulary import UNKNOWN, Vocabulary

#: What the engine computes; another featuriser would give other tokens.
_FEATURES = {"atom_features": "atom_features_v1", "bond_features": "bond_features_v2"}

#: What a network's file may be made of: Keras makes an object of every class that it names.
_LAYERS = {
    *("Functional", "Model", "InputLayer", "Embedding", "Reshape", "Dense", "Dropout", "Add"),
    *("GlobalUpdate", "EdgeUpdate", "NodeUpdate", "GlobalAveragePooling1D", "Concatenate"),
    *("NotEqual", "LogicalOr", "LogicalAnd", "Any", "DTypePolicy", "Policy", "__keras_tensor__"),
    *("GlorotUniform", "RandomUniform", "Zeros"),
}


#: What a damaged network's file makes its readers raise.
_DAMAGED = (
    OSError,
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)


_NFP = ("GlobalUpdate", "EdgeUpdate", "NodeUpdate")


class Column(NamedTuple):
    """What a column of the published model is here."""

    name: str
    """Of `polyid.properties.PROPERTIES`."""
    unit: str
    """In which the model was trained."""


class LegacyMember(NamedTuple):
    """A member in our terms, but for its own vocabulary."""

    architecture: Architecture
    weights: Weights
    vocabulary: Vocabulary
    scaler: Scaler


def read_member(folder: Path, number: int, columns: Mapping[str, Column]) -> LegacyMember:
    """Read one member's two files.

    Raises
    ------
    PolyIDError
        If one is missing, damaged, refused, or not of the engine's networks.
    """
    path = folder / f"model_{number}_data.pk"
    content = read_pickle(path)
    if not isinstance(content, dict) or not {"prediction_columns", "preprocessor"} <= set(content):
        raise PolyIDError(f"{path} is no member's data; expected preprocessor and data_scaler.")
    if content["prediction_columns"] != list(columns):
        raise PolyIDError(
            f"{path} is for {content['prediction_columns']}; parameters.pk says {list(columns)}."
        )
    try:
        vocabulary = _vocabulary(content["preprocessor"])
        scaler = _scaler(content.get("data_scaler"), columns)
    except (ValueError, LookupError, TypeError) as error:
        raise PolyIDError(f"{path} cannot be used: {error}") from error
    model = next(
        (p for p in (folder / f"model_{number}{end}" for end in (".keras", ".h5")) if p.is_file()),
        None,
    )
    if model is None:
        raise PolyIDError(f"{folder} has no network; expected model_{number}.keras (or .h5).")
    architecture, weights = _network(model, list(columns))
    counts = (vocabulary.atom_classes, vocabulary.bond_classes, len(columns))
    found = (architecture.atom_classes, architecture.bond_classes, architecture.outputs)
    if counts != found:
        raise PolyIDError(
            f"{model} has {found} atom tokens, bond tokens and outputs; {path.name} says {counts}."
        )
    needs = "PmPreprocessor" if architecture.name == "pm" else "PolymerPreprocessor"
    if name_of(content["preprocessor"]) != needs:
        raise PolyIDError(
            f"{path} has a {name_of(content['preprocessor'])}; the {architecture.name} network of "
            f"{model.name} needs a {needs}."
        )
    return LegacyMember(architecture, weights, vocabulary, scaler)


def _vocabulary(preprocessor: Any) -> Vocabulary:
    """Tokens of a published preprocessor, whose features must be the engine's."""
    state = preprocessor.state if isinstance(preprocessor, Held) else None
    if not isinstance(state, dict):
        raise TypeError(f"its preprocessor is a {name_of(preprocessor)} without content.")
    for key, expected in _FEATURES.items():
        if (found := name_of(state[key])) != expected:
            raise ValueError(f"its {key} are {found}; the engine computes {expected} only.")
    if state["explicit_hs"] is not True:
        raise ValueError("its graphs have no explicit hydrogens; the engine's always have.")
    tables = []
    for key in ("atom_tokenizer", "bond_tokenizer"):
        data = state[key].state["_data"] if isinstance(state[key], Held) else None
        if not isinstance(data, dict) or data.get("unk") != UNKNOWN:
            raise ValueError(f"its {key} is damaged; expected a table of tokens with 'unk'.")
        table = {text: token for text, token in data.items() if text != "unk"}
        if list(table.values()) != list(range(UNKNOWN + 1, UNKNOWN + 1 + len(table))):
            raise ValueError(f"the tokens of its {key} do not count up from {UNKNOWN + 1}.")
        tables.append(table)
    return Vocabulary(*tables)


def _scaler(held: Any, columns: Mapping[str, Column]) -> Scaler:
    """Medians and interquartile ranges in the product's units."""
    names = tuple(c.name for c in columns.values())
    center, scale = np.zeros(len(names)), np.ones(len(names))
    if held is not None:  # without a scaler the published package learns plain values
        if name_of(held) != "RobustScaler" or not isinstance(held.state, dict):
            raise ValueError(f"its data_scaler is a {name_of(held)}; expected a RobustScaler.")
        if (value := held.state.get("center_")) is not None:
            center = numbers(value)
        if (value := held.state.get("scale_")) is not None:
            scale = numbers(value)
    if center.shape != (len(names),) or scale.shape != (len(names),):
        raise ValueError(f"its data_scaler has {center.shape} medians for {len(names)} columns.")
    if not (np.isfinite(center) & np.isfinite(scale) & (scale != 0)).all():
        raise ValueError(
            f"its data_scaler holds medians {center} and ranges {scale}; a property without a "
            "label was never learnt."
        )
    for i, column in enumerate(columns.values()):
        ends = to_product_unit(column.name, [0.0, 1.0, 2.0], column.unit)
        slope = ends[1] - ends[0]
        if not np.isfinite(ends).all() or not np.isclose(ends[2] - ends[1], slope):
            raise ValueError(
                f"{column.name} was learnt in {column.unit}, which is not proportional to "
                f"{PROPERTIES[column.name].unit}; such a model cannot be taken over."
            )
        center[i], scale[i] = ends[0] + slope * center[i], slope * scale[i]
        known = PROPERTIES[column.name]
        if held is not None and not known.low <= center[i] <= known.high:
            raise ValueError(
                f"the median of {column.name} is {center[i]:g} {known.unit}, outside {known.low:g} "
                f"to {known.high:g}. Say in which unit the model was trained, such as "
                f"--property YoungMod=YoungMod:MPa."
            )
    return Scaler(names, center, scale)


def _network(path: Path, columns: Sequence[str]) -> tuple[Architecture, Weights]:
    """Shape and weights of a published network."""
    from polyid.convert import architecture_of, from_nfp, load_nfp

    _check_layers(path)
    with warnings.catch_warnings():
        # one polymer at a time has no padding, so a mask that is lost loses nothing
        warnings.filterwarnings("ignore", message=".*does not support masking")
        model = load_nfp(path) if path.suffix == ".keras" else _load_h5(path, columns)
    weights = from_nfp(model)
    bad = sorted(name for name, value in weights.items() if not np.isfinite(value).all())
    if bad:
        raise PolyIDError(f"{path} holds weights that are no numbers, {bad[0]} first.")
    return architecture_of(model), weights


def _check_layers(path: Path) -> None:
    """Refuse a network whose file names other classes than PolyID's networks have."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as file:
                config = json.loads(file.read("config.json"))
            config.pop("compile_config", None)  # never looked at again
        else:
            with h5py.File(path, "r") as h5:
                config = json.loads(h5.attrs["model_config"])
    except _DAMAGED as error:
        raise PolyIDError(f"{path} is damaged or no Keras model: {error}") from error

    def walk(node: Any) -> None:
        if isinstance(node, dict) and "class_name" in node:
            module, name = str(node.get("module") or "keras"), node["class_name"]
            if name not in _LAYERS or module.split(".")[0] not in ("keras", "nfp"):
                raise PolyIDError(
                    f"{path} names {module}.{name}, which is no part of PolyID's networks; "
                    "nothing of it was loaded."
                )
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, (dict, list)):
                walk(child)

    walk(config)


def _load_h5(path: Path, columns: Sequence[str]) -> Any:
    """Build the network that an older file describes, and fill it layer by layer.

    Keras itself cannot read one: nfp's inner layers are not made before the first call, and the
    operations between layers have other names in each release.
    """
    from types import SimpleNamespace

    from polyid import models

    try:
        with h5py.File(path, "r") as h5:
            layers = json.loads(h5.attrs["model_config"])["config"]["layers"]
            stored = {
                name: [np.asarray(group[w]) for w in group.attrs["weight_names"]]
                for name, group in h5["model_weights"].items()
            }
        settings = {layer["name"]: layer["config"] for layer in layers}
        kinds = {k: [s for s in layers if s["class_name"] == k] for k in (*_NFP, "Dropout")}
        builder = models.pm_model if "pm" in settings else models.global100
        atom, bond = settings["atom_embedding"], settings["bond_embedding"]
        classes = SimpleNamespace(atom_classes=atom["input_dim"], bond_classes=bond["input_dim"])
        attention = kinds["GlobalUpdate"][0]["config"]
        if attention["num_heads"] != 1:
            raise ValueError(f"{attention['num_heads']} attention heads; expected 1.")
        params = {
            "atom_features": atom["output_dim"],
            "mol_features": attention["units"],
            "num_messages": len(kinds["EdgeUpdate"]),
            "dropout": kinds["Dropout"][0]["config"]["rate"] if kinds["Dropout"] else 0.0,
        }
        model = builder(classes, prediction_columns=columns, params=params)
        names = {layer.name: layer.name for layer in model.layers}
        for kind in _NFP:
            mine = [layer.name for layer in model.layers if type(layer).__name__ == kind]
            # what no output depends on is left out of a model, by some releases
            theirs = [layer["name"] for layer in kinds[kind]][: len(mine)]
            names |= dict(zip(mine, theirs, strict=True))
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(stored[names[layer.name]])
    except (*_DAMAGED, IndexError) as error:
        text = str(error)[:300]
        raise PolyIDError(f"{path} is damaged or no network of PolyID: {text!r}") from error
    return model
