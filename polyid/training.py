"""Training a `MultiModel` in this process; the pipeline's runs do the same in worker processes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyid.engine.order import steps_per_bucket
from polyid.engine.packing import Bucket, buckets
from polyid.engine.weights import unflatten
from polyid.errors import PolyIDError
from polyid.folds import Folds
from polyid.modelfiles import ModelParameters
from polyid.scaling import Scaler
from polyid.structures import Structures, build

if TYPE_CHECKING:
    from polyid.engine.fit import Member
    from polyid.multimodel import MultiModel


#: What `train` asks of PolyID's parameters.
_NEEDED = (
    "atom_features",
    "mol_features",
    "num_messages",
    "dropout",
    "epochs",
    "batch_size",
    "learning_rate",
    "decay",
)


class Ready(NamedTuple):
    """Everything that training needs, made from data, folds and settings alone."""

    structures: Structures
    buckets: list[Bucket]
    steps: list[int]
    """Steps per epoch and bucket."""
    members: list["Member"]
    scalers: list[Scaler]
    pm: NDArray[np.float32] | None


def prepare(
    frame: pd.DataFrame,
    folds: Folds,
    structures: Structures,
    properties: tuple[str, ...],
    *,
    batch_size: int,
    shares: tuple[float, ...],
    holdout: float,
    seed: int,
    with_pm: bool,
) -> Ready:
    """Lay out pools, scaled labels and steps of all members.

    Parameters
    ----------
    frame
        The dataset frame.
    folds
        Member ``i`` never sees fold ``i``.
    structures
        Of the frame's rows.
    properties
        To learn.
    batch_size, shares, holdout, seed
        Of the recipe; ``holdout`` is the share of a member's training groups it is watched on.
        With 0 it is watched on its fold, which then must choose nothing.
    with_pm
        Whether the model takes ``pm``.
    """
    from polyid.engine.fit import Member, pools

    packed = buckets(structures.quotients, shares)
    fold, labels = folds.of(frame), frame[list(properties)].to_numpy(dtype=float)
    members, scalers = [], []
    for i in range(folds.count):
        train, validate = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        if holdout > 0:
            groups = np.array(sorted(set(frame[folds.key].iloc[train])))
            rng = np.random.default_rng([seed, 2, i])
            aside = set(rng.permutation(groups)[: max(1, round(holdout * len(groups)))])
            is_aside = frame[folds.key].isin(aside).to_numpy()
            validate = train[is_aside[train]]
            train = train[~is_aside[train]]
        where = f" in the training part of fold {i}"
        scaler = Scaler.fit(labels[train], properties, where)
        members.append(Member(i, train, validate, scaler.transform(labels).astype(np.float32)))
        scalers.append(scaler)
    steps = steps_per_bucket([pools(m.train, packed) for m in members], batch_size)
    pm = frame["pm"].to_numpy(dtype=np.float32) if with_pm else None
    return Ready(structures, packed, steps, members, scalers, pm)


def train(
    mm: "MultiModel",
    name: str,
    settings: Mapping[str, Any],
    on_epoch: Callable[[Any], None] | None,
) -> ModelParameters:
    """Train the members of ``mm`` one after the other; see `MultiModel.train_models`."""
    from polyid.engine.fit import Fitter, Recipe

    frame, folds = mm._data(), mm.folds
    assert folds is not None
    assert mm.vocabulary is not None
    settings = {"atom_features": settings.get("num_features"), **settings}
    missing = [key for key in _NEEDED if settings.get(key) is None]
    if missing:
        raise PolyIDError(
            f"model_params lacks {', '.join(missing)}; it holds {sorted(settings)}. "
            "polyid.Parameters().to_dict() holds everything."
        )
    parameters = ModelParameters(
        model=name,
        prediction_columns=tuple(mm.prediction_columns),
        members=len(mm.models),
        features=int(settings.get("num_features", settings["atom_features"])),
        mol_features=int(settings["mol_features"]),
        num_messages=int(settings["num_messages"]),
        dropout=float(settings["dropout"]) if name == "global100" else 0.0,
        dp=int(settings.get("dp", 18)),
    )
    recipe = Recipe(
        epochs=int(settings["epochs"]),
        batch_size=int(settings["batch_size"]),
        learning_rate=float(settings["learning_rate"]),
        decay=float(settings["decay"]),
        schedule=str(settings.get("schedule", "constant")),
        seed=int(settings.get("seed", 0)),
    )
    made = build(list(frame["smiles_polymer"]), parameters.num_messages, mm.vocabulary)
    ready = prepare(
        frame,
        folds,
        made,
        parameters.prediction_columns,
        batch_size=recipe.batch_size,
        shares=(1.0,),
        holdout=0.0,
        seed=recipe.seed,
        with_pm=name == "pm",
    )
    architecture = parameters.architecture(mm.vocabulary)
    fitter = Fitter(architecture, recipe, ready.buckets, 1, ready.steps, ready.pm)
    for model, member, scaler in zip(mm.models, ready.members, ready.scalers, strict=True):
        result = fitter.fit([member], on_epoch=on_epoch)
        model.weights = unflatten(architecture, result["weights"][0])
        model.data_scaler = scaler
        columns = ["epoch", "learning_rate", "seconds", "loss", "val_loss"]
        model.df_loss_log = pd.DataFrame(result["history"], columns=columns)
    return parameters
