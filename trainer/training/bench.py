"""What a run trains with, made from its plan: data laid out, folds, recipe, network."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.engine.fit import Fitter, Recipe
from polyid.engine.weights import Architecture
from polyid.structures import build
from polyid.training import Ready, prepare
from trainer.plan import Plan


class Bench(NamedTuple):
    """Everything but the training itself."""

    ready: Ready
    fold: NDArray[np.intp]
    """Fold of each row."""
    recipe: Recipe
    architecture: Architecture

    def fitter(self, members: int) -> Fitter:
        """Return what trains so many members side by side."""
        ready = self.ready
        return Fitter(self.architecture, self.recipe, ready.buckets, members, ready.steps, ready.pm)


def set_up(plan: Plan) -> Bench:
    """Read and lay out what a plan names."""
    params, t = plan.params, plan.params.training
    frame = plan.frame()
    folds = plan.folds(frame)
    parameters = plan.model_parameters()
    smiles = list(frame["smiles_polymer"])
    structures = build(smiles, parameters.num_messages, cache=plan.cache)
    ready = prepare(
        frame,
        folds,
        structures,
        parameters.prediction_columns,
        batch_size=t.batch_size,
        shares=tuple(t.buckets),
        holdout=t.holdout,
        seed=t.seed,
        with_pm=params.model.name == "pm",
    )
    recipe = Recipe(
        epochs=t.epochs,
        batch_size=t.batch_size,
        learning_rate=t.learning_rate,
        decay=t.decay,
        schedule=t.schedule,
        warmup=t.warmup,
        loss=t.loss,
        select=t.select,
        patience=t.patience,
        validate_every=t.validate_every,
        seed=t.seed,
    )
    fold: Any = folds.of(frame)
    return Bench(ready, fold, recipe, parameters.architecture(structures.vocabulary))
