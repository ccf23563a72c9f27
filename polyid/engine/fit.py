"""Training members with Keras ``fit``: schedule, validation, best epoch, snapshots, resuming."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyid.engine.ensemble import Ensemble, Steps
from polyid.engine.network import forward
from polyid.engine.order import DataOrder
from polyid.engine.packing import Bucket
from polyid.engine.watch import Arrays, Epoch, Watch
from polyid.engine.weights import Architecture, flatten, initial

#: Polymers per pass when members are watched.
_CHUNK = 32


@dataclass(frozen=True)
class Recipe:
    """How members are trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float = 0.0
    """Adam's decoupled weight decay, per step and learning rate (PolyID's ``decay``)."""
    schedule: str = "constant"
    """``constant``, or ``cosine``: down to 0 over the run, after ``warmup``."""
    warmup: float = 0.0
    """Share of the run in which the learning rate rises from 0."""
    loss: str = "mae"
    select: str = "last"
    """``last`` epoch, or the ``best`` one on each member's validation polymers."""
    patience: int | None = None
    """Epochs without a better validation loss before a member stops; with ``select: best``."""
    validate_every: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Member:
    """What one member learns from."""

    name: int
    """Its number in the ensemble, which seeds its weights, order and dropout."""
    train: NDArray[np.intp]
    """Polymers to train on."""
    validate: NDArray[np.intp]
    """Polymers to watch; may be empty."""
    labels: NDArray[np.float32]
    """Scaled labels of all polymers, ``(n, outputs)``, NaN where there is none."""


def pools(train: NDArray[np.intp], buckets: Sequence[Bucket]) -> list[NDArray[np.intp]]:
    """Rows of each bucket's table that hold polymers of ``train``."""
    return [np.flatnonzero(np.isin(bucket.members, train)) for bucket in buckets]


class Fitter:
    """Trains groups of members, one group after the other.

    ``steps`` (per bucket and epoch) must be the same for every group of an ensemble, so that a
    member's path does not depend on who trains beside it. ``written_out``: how gradients are
    taken, see `Ensemble`; by default so on a CPU with TensorFlow, compiled on a GPU or with JAX.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        buckets: Sequence[Bucket],
        members: int,
        steps: Sequence[int],
        pm: NDArray[np.float32] | None = None,
        written_out: bool | None = None,
    ) -> None:
        self.architecture, self.recipe = architecture, recipe
        self.buckets, self.steps, self.pm = buckets, list(steps), pm
        if written_out is None:
            written_out = _on_cpu()
        self.model = Ensemble(
            architecture,
            members,
            buckets,
            recipe.batch_size,
            pm,
            recipe.seed,
            recipe.loss,
            written_out,
        )
        total = recipe.epochs * sum(steps)
        self.optimizer = keras.optimizers.Adam(
            learning_rate=_schedule(recipe, total), weight_decay=recipe.decay or None
        )
        #: Learning rate of each step, by its number from 0 on.
        self.rate = self.model.rate = partial(_rate, recipe, total)
        self.optimizer.build([self.model.flat])
        self.model.compile(
            optimizer=self.optimizer, jit_compile=not written_out, run_eagerly=written_out
        )

    def fit(
        self,
        members: Sequence[Member],
        state: Mapping[str, NDArray] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Arrays:
        """Train one group.

        Parameters
        ----------
        members
            As many as the fitter was made for.
        state
            A snapshot to go on from.
        on_epoch
            Called after every epoch.
        should_stop
            Asked after every step; True ends the run after it.

        Returns
        -------
        dict
            ``weights`` ``(members, count)``, ``best_epoch`` ``(members,)``, ``history``
            ``(epochs, 3 + 2 * members)`` (epoch, learning rate, seconds, losses, validation
            losses), and what else `Epoch.snapshot` holds; ``done`` is 0 if stopped early.
        """
        self._reset(members)
        watch = Watch(self, members, on_epoch, should_stop)
        if state is not None:
            watch.restore(state)
        watch.keep()
        if watch.epoch < self.recipe.epochs and not watch.exhausted():
            order = DataOrder(
                [pools(m.train, self.buckets) for m in members],
                self.recipe.batch_size,
                self.recipe.seed,
                [m.name for m in members],
                self.steps,
            )
            labels = np.stack([m.labels for m in members])
            self.model.fit(
                self.model.feed(
                    Steps(order, labels, self.buckets, watch.epoch, self.recipe.epochs)
                ),
                initial_epoch=watch.epoch,
                epochs=self.recipe.epochs,
                steps_per_epoch=order.steps_per_epoch,
                callbacks=[watch],
                shuffle=False,  # the order is ours: Keras would shuffle the steps of all epochs
                verbose=0,
            )
        return watch.result()

    def predict(self, flat: NDArray[np.float32], polymers: NDArray[np.intp]) -> NDArray[np.float32]:
        """Scaled predictions of ``polymers`` by members with weights ``flat``.

        Shape ``(members, len(polymers), outputs)``. Nothing is compiled: watching a few hundred
        polymers takes less time than compiling a second program.
        """
        if self.model.descent is None:
            return self._predict_eagerly(flat, polymers)
        from polyid.engine.inference import predict

        quotients = {
            int(p): q
            for bucket, some in zip(self.buckets, self.model.descent.polymers, strict=True)
            for p, q in zip(bucket.members, some, strict=True)
        }
        pm = None if self.pm is None else self.pm[polymers]
        return predict(self.architecture, list(flat), [quotients[int(p)] for p in polymers], pm)

    def _predict_eagerly(
        self, flat: NDArray[np.float32], polymers: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Predict on the device that trains."""
        members = len(flat)
        found = np.full((members, len(polymers), self.architecture.outputs), np.nan, np.float32)
        weights = ops.convert_to_tensor(flat)
        place = {int(p): i for i, p in enumerate(polymers)}
        for bucket in self.buckets:
            rows = np.flatnonzero(np.isin(bucket.members, polymers))
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                shape = (members, len(some))
                table = np.broadcast_to(bucket.table[some], (*shape, bucket.layout.width))
                here = bucket.members[some]
                pm = None if self.pm is None else np.broadcast_to(self.pm[here], shape)
                out = forward(self.architecture, bucket.layout, weights, table, pm)
                found[:, [place[int(p)] for p in here]] = ops.convert_to_numpy(out)
        return found

    def _reset(self, members: Sequence[Member]) -> None:
        if len(members) != self.model.members:
            raise ValueError(f"{len(members)} members; expected {self.model.members}.")
        seed = self.recipe.seed
        start = [
            flatten(self.architecture, initial(self.architecture, seed, m.name)) for m in members
        ]
        self.model.flat.assign(np.stack(start))
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
        self.model.restart_dropout(m.name for m in members)
        self.model.stop_training = False


def _on_cpu() -> bool:
    """Whether TensorFlow computes here, without a GPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def _schedule(recipe: Recipe, total: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule != "cosine":
        raise ValueError(f"schedule {recipe.schedule!r}; expected 'constant' or 'cosine'.")
    warm = round(recipe.warmup * total)
    if warm == 0:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, max(total, 1))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(total - warm, 1), warmup_target=recipe.learning_rate, warmup_steps=warm
    )


def _rate(recipe: Recipe, total: int, step: int) -> float:
    """Learning rate of a step, as `_schedule` has it."""
    warm = round(recipe.warmup * total)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if step < warm:
        return recipe.learning_rate * step / warm
    done = min((step - warm) / max(total - warm, 1), 1.0)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
