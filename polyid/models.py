"""PolyID's two networks from nfp's layers: the reference that the engine is proved against.

`global100` and `pm_model` take a batch of whole graphs, as the published package does (Wilson et
al., Macromolecules 56, 8547, 2023). The engine (`polyid.engine`) computes the same functions on
quotient graphs; `polyid.convert` carries weights between the two. Two layers keep Keras 3 from
training something else than the formulas say: `DenseEmbedding` and `Residual`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import nfp
import numpy as np

from polyid.errors import PolyIDError

#: What a setting is when ``params`` lacks it: PolyID's own defaults.
DEFAULTS: Mapping[str, float] = {"learning_rate": 5e-4, "decay": 1e-5, "dropout": 0.05}


class Classes(Protocol):
    """What a network asks of a preprocessor: how many tokens there are, padding included."""

    @property
    def atom_classes(self) -> int:
        """Rows of the atom embedding."""
        ...

    @property
    def bond_classes(self) -> int:
        """Rows of the bond embedding."""
        ...


@keras.saving.register_keras_serializable(package="polyid")
class DenseEmbedding(keras.layers.Embedding):
    """Embedding whose gradient is one dense array.

    TensorFlow gives a plain embedding's gradient as one slice per atom, and Keras's Adam squares
    each slice by itself: a token that stands n times has the sum of squares where Adam's second
    moment wants the square of the sum, and steps that are up to √n times too long.
    """

    def call(self, inputs: Any) -> Any:
        """Rows of the table at ``inputs``."""
        return keras.ops.take(self.embeddings * 1.0, keras.ops.cast(inputs, "int32"), axis=0)


@keras.saving.register_keras_serializable(package="polyid")
class Residual(keras.layers.Layer):
    """State plus change, with the mask of the state.

    nfp's `EdgeUpdate` concatenates edges with gathered atoms, which carry no mask, and Keras 3
    takes such a concatenation for unmasked. With ``keras.layers.Add`` the padding of a batch
    would be masked no more after the first block (batches of one polymer have no padding).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Sequence[Any]) -> Any:
        """Add ``[state, change]``."""
        return inputs[0] + inputs[1]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Mask of the state."""
        return None if previous_mask is None else previous_mask[0]


def global100(
    preprocessor: Classes,
    model_summary: bool = False,
    prediction_columns: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build PolyID's main network: each block updates global, then edge, then atom states.

    Parameters
    ----------
    preprocessor
        Knows how many atom and bond tokens there are.
    model_summary
        Print Keras's summary.
    prediction_columns
        Properties, one output column each.
    params
        ``atom_features`` (width of atom and edge states), ``mol_features`` (width of the global
        state), ``num_messages``, and optionally ``dropout``, ``learning_rate``, ``decay``.

    Returns
    -------
    keras.Model
        Compiled. Inputs ``atom`` ``(B, n_atoms)``, ``bond`` ``(B, n_edges)`` and ``connectivity``
        ``(B, n_edges, 2)``; token 0 pads. Output ``(B, properties)``.

    Raises
    ------
    PolyIDError
        If a setting or the properties are missing.
    """
    columns, params = _settings(prediction_columns, params, "atom_features")
    inputs = _graph_inputs()
    connectivity = inputs["connectivity"]
    atom, bond = _embed(inputs, preprocessor, params["atom_features"])
    attention = {"units": params["mol_features"], "num_heads": 1}

    glob = nfp.GlobalUpdate(**attention)([atom, bond, connectivity])
    for _ in range(params["num_messages"]):
        change = nfp.GlobalUpdate(**attention)([atom, bond, connectivity, glob])
        glob = keras.layers.Add()([glob, change])
        atom, bond = _edges_then_atoms(atom, bond, connectivity, glob)

    means = []
    for i, name in enumerate(columns):
        kept = keras.layers.Dropout(params["dropout"])(bond)
        value = keras.layers.Dense(1, name=f"bondwise_values_{i}")(kept)
        means.append(keras.layers.GlobalAveragePooling1D(name=name)(value))
    return _finish(inputs, means, params, model_summary)


def pm_model(
    preprocessor: Classes,
    model_summary: bool = False,
    prediction_columns: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build PolyID's tacticity-aware network: the global state starts from ``pm`` too.

    Each block updates edge, then atom, then global states; there is no dropout.

    Parameters
    ----------
    preprocessor, model_summary, prediction_columns
        As in `global100`.
    params
        As in `global100`; the width of the states is ``num_features``, or ``atom_features``.

    Returns
    -------
    keras.Model
        Compiled. Inputs as in `global100`, and ``pm`` ``(B, 1)``, the fraction of meso dyads.

    Raises
    ------
    PolyIDError
        If a setting or the properties are missing.
    """
    width = "num_features" if params and "num_features" in params else "atom_features"
    columns, params = _settings(prediction_columns, params, width)
    inputs = _graph_inputs()
    connectivity = inputs["connectivity"]
    inputs["pm"] = keras.layers.Input(shape=(1,), dtype=keras.config.floatx(), name="pm")
    atom, bond = _embed(inputs, preprocessor, params[width])
    attention = {"units": params["mol_features"], "num_heads": 1}

    told = keras.layers.Dense(params["mol_features"], name="global_features_state")(inputs["pm"])
    seen = nfp.GlobalUpdate(**attention)([atom, bond, connectivity, told])
    glob = keras.layers.Add()([seen, told])
    for _ in range(params["num_messages"]):
        atom, bond = _edges_then_atoms(atom, bond, connectivity, glob)
        change = nfp.GlobalUpdate(**attention)([atom, bond, connectivity, glob])
        glob = keras.layers.Add()([glob, change])

    means = []
    for name in columns:
        value = keras.layers.Dense(1, name=f"{name}_dense")(bond)
        means.append(keras.layers.GlobalAveragePooling1D(name=name)(value))
    return _finish(inputs, means, params, model_summary)


def build_weights(model: keras.Model) -> None:
    """Make the weights of nfp's inner layers, which a symbolic call leaves unmade.

    Without this a fresh model has no weights to read or load in `EdgeUpdate` and `NodeUpdate`.
    """
    one = {
        "atom": np.ones((1, 2), dtype=np.int64),
        "bond": np.ones((1, 2), dtype=np.int64),
        "connectivity": np.array([[[0, 1], [1, 0]]]),
        "pm": np.zeros((1, 1)),
    }
    model([one[tensor.name] for tensor in model.inputs])


def _settings(
    columns: Sequence[str] | None, params: Mapping[str, Any] | None, width: str
) -> tuple[list[str], dict[str, Any]]:
    if not columns:
        raise PolyIDError("prediction_columns is empty; name at least one property.")
    found = {**DEFAULTS, **(params or {})}
    missing = [key for key in (width, "mol_features", "num_messages") if key not in found]
    if missing:
        given = ", ".join(sorted(params or {})) or "nothing"
        raise PolyIDError(f"params lacks {', '.join(missing)}; it holds {given}.")
    if found["num_messages"] < 1:
        raise PolyIDError(f"num_messages is {found['num_messages']}; expected 1 or more.")
    return list(columns), found


def _graph_inputs() -> dict[str, Any]:
    return {
        "atom": keras.layers.Input(shape=(None,), dtype="int64", name="atom"),
        "bond": keras.layers.Input(shape=(None,), dtype="int64", name="bond"),
        "connectivity": keras.layers.Input(shape=(None, 2), dtype="int64", name="connectivity"),
    }


def _embed(inputs: dict[str, Any], preprocessor: Classes, width: int) -> tuple[Any, Any]:
    """First states of atoms and bonds; token 0 is masked from here on."""
    atom = DenseEmbedding(preprocessor.atom_classes, width, mask_zero=True, name="atom_embedding")(
        inputs["atom"]
    )
    bond = DenseEmbedding(preprocessor.bond_classes, width, mask_zero=True, name="bond_embedding")(
        inputs["bond"]
    )
    return atom, bond


def _edges_then_atoms(atom: Any, bond: Any, connectivity: Any, glob: Any) -> tuple[Any, Any]:
    """One message block without its global part, with residuals."""
    change = nfp.EdgeUpdate()([atom, bond, connectivity, glob])
    bond = Residual()([bond, change])
    change = nfp.NodeUpdate()([atom, bond, connectivity, glob])
    return Residual()([atom, change]), bond


def _finish(
    inputs: dict[str, Any], means: list[Any], params: Mapping[str, Any], summary: bool
) -> keras.Model:
    output = keras.ops.concatenate(means, axis=-1) if len(means) > 1 else means[0]
    model = keras.Model(list(inputs.values()), output)
    build_weights(model)
    # nfp's layers use shapes that XLA cannot compile
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate=params["learning_rate"], weight_decay=params["decay"]
        ),
        loss=[nfp.masked_mean_absolute_error],
        jit_compile=False,
    )
    if summary:
        model.summary()
    return model
