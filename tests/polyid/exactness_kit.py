"""The same network twice: on whole graphs with nfp's layers, on quotient graphs with the engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from polyid import convert
from polyid.engine.network import forward
from polyid.engine.packing import layout_for, pack
from polyid.engine.weights import Architecture, flatten, initial
from polyid.models import global100, pm_model
from polyid.preprocessor import PmPreprocessor
from polyid.quotient import Quotient, quotient
from polyid.structures import graph

COLUMNS = ("Glass_Transition", "Melt_Temp", "Density")


class Pair(NamedTuple):
    """Some polymers with labels, and one network with the same weights on either side."""

    architecture: Architecture
    weights: dict[str, NDArray]
    model: keras.Model
    """nfp's."""
    samples: list[dict[str, NDArray]]
    """nfp's tensors, one polymer each."""
    quotients: list[Quotient]
    pm: NDArray
    labels: NDArray
    """``(n, properties)`` with gaps, far from what is predicted."""

    @property
    def flat(self) -> NDArray:
        """Weights as one vector."""
        return flatten(self.architecture, self.weights)


def some_polymers(property_table: Path, stereo_table: Path) -> pd.DataFrame:
    """Short chains of every mechanism, a copolymer, and stereo-polymers of several ``pm``."""
    table = pd.read_csv(property_table).assign(pm=0.5)
    table["length"] = table["smiles_polymer"].str.len()
    short = table.sort_values("length").groupby("mechanism", sort=True).head(1)
    copolymer = table[table["distribution"].notna()].sort_values("length").head(1)
    stereo = pd.read_csv(stereo_table).drop_duplicates("pm").iloc[:3]
    return pd.concat([short, copolymer, stereo], ignore_index=True)


def make_pair(
    rows: pd.DataFrame, name: str, messages: int, width: int = 8, dropout: float = 0.0
) -> Pair:
    """Build both sides in Keras's present float type, with biases that are not 0."""
    pre = PmPreprocessor()
    for row in rows.itertuples():
        pre(row, train=True)
    settings = {
        "atom_features": width,
        "mol_features": width - 2,
        "num_messages": messages,
        "dropout": dropout,
        "learning_rate": 1e-2,
        "decay": 0.5,
    }
    build = pm_model if name == "pm" else global100
    model = build(pre, prediction_columns=COLUMNS, params=settings)
    architecture = convert.architecture_of(model)
    rng = np.random.default_rng(1)
    weights = {
        key: (rng.normal(0, 0.1, value.shape) if key.endswith("bias") else value).astype(
            keras.config.floatx()
        )
        for key, value in initial(architecture, 3, 0).items()
    }
    weights["atom_embedding"] *= 10
    weights["bond_embedding"] *= 10
    convert.to_nfp(weights, model, architecture)
    labels = 40 * rng.choice([-1.0, 1.0], (len(rows), len(COLUMNS)))
    labels[rng.random(labels.shape) < 0.3] = np.nan
    labels[:, 0] = 40.0
    vocabulary = pre.vocabulary
    return Pair(
        architecture,
        weights,
        model,
        [pre(row, train=False) for row in rows.itertuples()],
        [quotient(graph(s, vocabulary), messages) for s in rows["smiles_polymer"]],
        rows["pm"].to_numpy(keras.config.floatx()),
        labels.astype(keras.config.floatx()),
    )


def batch(pair: Pair, chosen: Sequence[int]) -> list[Any]:
    """nfp's tensors of some polymers, padded with 0."""
    found = []
    for tensor in pair.model.inputs:
        parts = [pair.samples[i][tensor.name] for i in chosen]
        if tensor.name == "pm":
            found.append(pair.pm[list(chosen)][:, None])
            continue
        whole = np.zeros((len(parts), max(len(p) for p in parts), *parts[0].shape[1:]), np.int64)
        for row, part in zip(whole, parts, strict=True):
            row[: len(part)] = part
        found.append(whole)
    return [tf.convert_to_tensor(x) for x in found]


def named_gradients(pair: Pair, gradients: Sequence[Any]) -> dict[str, NDArray]:
    """nfp's gradients under the engine's names."""
    by_variable = {
        id(variable): tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(pair.model.trainable_variables, gradients, strict=True)
    }
    return {
        key: np.concatenate([by_variable[id(v)] for v in parts], axis=-1)
        for key, parts in convert.variables(pair.model, pair.architecture).items()
    }


def engine_forward(pair: Pair, flat: Any, chosen: Sequence[int]) -> Any:
    """Engine on one batch: ``(members, len(chosen), properties)``."""
    some = [pair.quotients[i] for i in chosen]
    layout = layout_for(some, multiple=8)
    members = flat.shape[0]
    rows = np.broadcast_to(pack(some, layout), (members, len(some), layout.width))
    pm = np.broadcast_to(pair.pm[list(chosen)], (members, len(some)))
    return forward(
        pair.architecture, layout, flat, tf.convert_to_tensor(rows), tf.convert_to_tensor(pm)
    )
