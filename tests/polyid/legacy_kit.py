"""Model folders as the published package writes them, made without it.

Pickles name classes by module; for writing only, small classes stand under the published names.
"""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import nfp.preprocessing.features as nfp_features
import numpy as np
import pytest
from nfp.preprocessing.tokenizer import Tokenizer
from sklearn.preprocessing import RobustScaler

from polyid import convert, models
from polyid.engine.weights import initial
from polyid.preprocessor import PmPreprocessor, PolymerPreprocessor
from polyid.structures import build
from polyid.vocabulary import Vocabulary

COLUMNS = ["Glass_Transition", "Density"]
LABELS = np.array([[20.0, 1.1], [120.0, np.nan], [70.0, 1.3], [-5.0, 0.9]])
PARAMS = {"atom_features": 6, "mol_features": 4, "num_messages": 2, "dropout": 0.1}
#: What each member learnt its tokens from, and what is predicted: each knows some of it.
LEARNT = (["CCCCCC", "CC(=O)OCCOC(C)=O"], ["OCCCO", "CCc1ccccc1", "CCCC"])
ASKED = ["CC(=O)OCCOC(C)=O", "CCc1ccccc1CC", "OCCN"]
PM = [0.2, 0.9, 0.5]


class Row(NamedTuple):
    """A row as the reference's preprocessors take it."""

    smiles_polymer: str
    pm: float


@contextmanager
def published_names(package: str = "polyid") -> Iterator[dict[str, type]]:
    """Classes under the published package's names, while pickles are written."""
    where = f"{package}.preprocessors.preprocessors"
    names = [package, f"{package}.preprocessors", where, f"{package}.parameters"]
    kept = {name: sys.modules.get(name) for name in names}
    made = {}
    for name in names:
        if kept[name] is None:
            sys.modules[name] = ModuleType(name)
    for module, name in (
        (where, "PolymerPreprocessor"),
        (where, "PmPreprocessor"),
        (where, "PmBinPreprocessor"),
        (f"{package}.parameters", "Parameters"),
    ):
        made[name] = type(name, (), {"__module__": module})
        sys.modules[module] = ModuleType(module)
    for kind in made.values():
        for other in made.values():
            setattr(sys.modules[other.__module__], kind.__name__, kind)
    try:
        yield made
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def tokenizer(table: dict[str, int]) -> Tokenizer:
    """nfp's tokenizer with known tokens."""
    made = Tokenizer()
    made._data = {"unk": 1, **table}
    made.num_classes, made.train, made.unknown = len(made._data), False, ["seen", "later"]
    return made


def preprocessor_state(vocabulary: Vocabulary) -> dict[str, Any]:
    """Attributes of a published preprocessor."""
    return {
        "output_dtype": "int32",
        "atom_tokenizer": tokenizer(vocabulary.atom),
        "bond_tokenizer": tokenizer(vocabulary.bond),
        "explicit_hs": True,
        "atom_features": nfp_features.atom_features_v1,
        "bond_features": nfp_features.bond_features_v2,
    }


def member_data(
    vocabulary: Vocabulary, kind: type, labels: Any = LABELS, **changes: Any
) -> dict[str, Any]:
    """Content of ``model_i_data.pk``; ``changes`` go into the preprocessor."""
    preprocessor = kind()
    preprocessor.__dict__.update(preprocessor_state(vocabulary) | changes)
    scaler = None if labels is None else RobustScaler().fit(labels)
    return {
        "prediction_columns": COLUMNS,
        "data_scaler": scaler,
        "preprocessor": preprocessor,
        "model_id": "0",
        "parameters": dict(PARAMS),
        "atom_features": nfp_features.atom_features_v1,
        "bond_features": nfp_features.bond_features_v1,  # as published: not what was used
    }


def network(vocabulary: Vocabulary, name: str, seed: int, **changes: Any) -> keras.Model:
    """An nfp network of Keras's own layers, as published, with weights that matter everywhere."""
    builder = models.pm_model if name == "pm" else models.global100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "DenseEmbedding", keras.layers.Embedding)
        patch.setattr(models, "Residual", keras.layers.Add)
        model = builder(vocabulary, prediction_columns=COLUMNS, params=PARAMS | changes)
    architecture = convert.architecture_of(model)
    rng = np.random.default_rng(seed)
    weights = {
        key: value + rng.normal(0, 0.1, value.shape).astype(np.float32)
        for key, value in initial(architecture, seed, 0).items()
    }
    convert.to_nfp(weights, model, architecture)
    return model


class Published(NamedTuple):
    """A folder, and what it must predict: ``(members, polymers, properties)``."""

    folder: Path
    vocabularies: list[Vocabulary]
    expected: np.ndarray


def published_folder(folder: Path, name: str = "global100", suffix: str = ".keras") -> Published:
    """Write an ensemble of two members whose vocabularies differ, and predict by nfp's layers."""
    vocabularies, expected = [], []
    with published_names() as names:
        kind = names["PmPreprocessor" if name == "pm" else "PolymerPreprocessor"]
        for i, learnt in enumerate(LEARNT):
            vocabulary = build(learnt, 1).vocabulary
            model = network(vocabulary, name, i)
            where = folder / f"model_{i}"
            where.mkdir(parents=True)
            model.save(where / f"model_{i}{suffix}")
            data = member_data(vocabulary, kind, LABELS + i)
            write(where / f"model_{i}_data.pk", data)
            vocabularies.append(vocabulary)
            expected.append(data["data_scaler"].inverse_transform(reference(model, vocabulary)))
        write(folder / "parameters.pk", {"prediction_columns": COLUMNS, "parameters": PARAMS})
    return Published(folder, vocabularies, np.stack(expected))


def reference(model: keras.Model, vocabulary: Vocabulary) -> np.ndarray:
    """Scaled predictions of `ASKED` by nfp's layers, one polymer at a time."""
    pm = "pm" in {tensor.name for tensor in model.inputs}
    preprocessor = (PmPreprocessor if pm else PolymerPreprocessor).from_vocabulary(vocabulary)
    found = []
    for smiles, value in zip(ASKED, PM, strict=True):
        tensors = preprocessor(Row(smiles, value), train=False)
        found.append(np.asarray(model([tensors[t.name][None] for t in model.inputs]))[0])
    return np.stack(found)


def write(path: Path, content: Any, protocol: int = 4) -> None:
    """Write a pickle."""
    path.write_bytes(pickle.dumps(content, protocol=protocol))
