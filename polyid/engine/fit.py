"""Training members with Keras ``fit``: schedule, validation, best epoch, snapshots, resuming."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyid.engine.ensemble import Ensemble, Steps
from polyid.engine.network import forward
from polyid.engine.order import DataOrder
from polyid.engine.packing import Bucket
from polyid.engine.weights import Architecture, flatten, initial

Arrays = dict[str, NDArray]

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


@dataclass
class Epoch:
    """One finished epoch, told to ``on_epoch``."""

    members: list[int]
    epoch: int
    """Epochs finished, from 1."""
    epochs: int
    loss: list[float]
    val_loss: list[float]
    """NaN in epochs without validation."""
    learning_rate: float
    seconds: float
    snapshot: Callable[[], Arrays] = field(repr=False, default=dict)
    """Everything needed to go on from here."""


def pools(train: NDArray[np.intp], buckets: Sequence[Bucket]) -> list[NDArray[np.intp]]:
    """Rows of each bucket's table that hold polymers of ``train``."""
    return [np.flatnonzero(np.isin(bucket.members, train)) for bucket in buckets]


class Fitter:
    """Trains groups of members, one group after the other, in one compiled program.

    ``steps`` (per bucket and epoch) must be the same for every group of an ensemble, so that a
    member's path does not depend on who trains beside it.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        buckets: Sequence[Bucket],
        members: int,
        steps: Sequence[int],
        pm: NDArray[np.float32] | None = None,
        jit_compile: bool = True,
    ) -> None:
        self.architecture, self.recipe = architecture, recipe
        self.buckets, self.steps, self.pm = buckets, list(steps), pm
        self.model = Ensemble(
            architecture,
            members,
            buckets,
            recipe.batch_size,
            pm,
            recipe.seed,
            recipe.loss,
        )
        total = recipe.epochs * sum(steps)
        self.optimizer = keras.optimizers.Adam(
            learning_rate=_schedule(recipe, total), weight_decay=recipe.decay or None
        )
        self.optimizer.build([self.model.flat])
        self.model.compile(optimizer=self.optimizer, jit_compile=jit_compile)

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
        watch = _Watch(self, members, on_epoch, should_stop)
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
                Steps(order, labels, self.buckets, watch.epoch, self.recipe.epochs),
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


def _copy(variable: Any) -> NDArray:
    """Values of a variable that stay as they are."""
    return np.array(ops.convert_to_numpy(variable))


class _Watch(keras.callbacks.Callback):
    """Follows one group through ``fit``."""

    def __init__(
        self,
        fitter: Fitter,
        members: Sequence[Member],
        on_epoch: Callable[[Epoch], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        super().__init__()
        self.fitter, self.members = fitter, members
        self.on_epoch, self.should_stop = on_epoch, should_stop
        count = len(members)
        self.epoch = 0
        self.history: list[list[float]] = []
        self.best = _copy(fitter.model.flat)
        self.best_loss = np.full(count, np.inf)
        self.best_epoch = np.zeros(count, dtype=np.int64)
        self.began = time.monotonic()
        self._kept: Arrays = {}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.began = time.monotonic()
        self.fitter.model.loss_sum.assign(np.zeros(len(self.members), dtype=np.float32))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.should_stop is not None and self.should_stop():
            self.fitter.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.should_stop is not None and self.should_stop():
            return  # an epoch cut short is walked again
        fitter, recipe = self.fitter, self.fitter.recipe
        self.epoch = epoch + 1
        loss = _copy(fitter.model.loss_sum) / sum(fitter.steps)
        last = self.epoch == recipe.epochs
        validate = last or self.epoch % recipe.validate_every == 0
        val_loss = self._validate() if validate else np.full(len(self.members), np.nan)
        rate = float(_copy(fitter.optimizer.learning_rate))
        seconds = time.monotonic() - self.began
        self.history.append([self.epoch, rate, seconds, *loss.tolist(), *val_loss.tolist()])
        flat = _copy(fitter.model.flat)
        better = val_loss < self.best_loss if recipe.select == "best" else np.ones(len(loss), bool)
        self.best[better] = flat[better]
        self.best_epoch[better] = self.epoch
        self.best_loss[better] = val_loss[better]
        self.keep()
        if self.on_epoch is not None:
            names = [m.name for m in self.members]
            self.on_epoch(
                Epoch(
                    names,
                    self.epoch,
                    recipe.epochs,
                    loss.tolist(),
                    val_loss.tolist(),
                    rate,
                    seconds,
                    self.snapshot,
                )
            )
        if self.exhausted():
            fitter.model.stop_training = True

    def exhausted(self) -> bool:
        """Say whether no member got better for ``patience`` epochs."""
        recipe = self.fitter.recipe
        if recipe.select != "best" or recipe.patience is None or self.epoch == 0:
            return False
        return bool((self.epoch - self.best_epoch >= recipe.patience).all())

    def _validate(self) -> NDArray[np.float64]:
        flat = _copy(self.fitter.model.flat)
        every = np.unique(np.concatenate([m.validate for m in self.members]))
        if len(every) == 0:
            return np.full(len(self.members), np.nan)
        predicted = self.fitter.predict(flat, every)
        found = []
        for i, member in enumerate(self.members):
            at = np.searchsorted(every, member.validate)
            error = np.abs(predicted[i, at] - member.labels[member.validate])
            found.append(float(np.nanmean(error)) if np.isfinite(error).any() else np.nan)
        return np.array(found)

    def keep(self) -> None:
        """Remember the state after a whole epoch: a stop in the middle of the next falls back."""
        if self.should_stop is not None:
            self._kept = self.snapshot()

    def snapshot(self) -> Arrays:
        """Everything needed to go on after this epoch."""
        found = {
            "epoch": np.array(self.epoch),
            "members": np.array([m.name for m in self.members]),
            "flat": _copy(self.fitter.model.flat),
            "best": self.best.copy(),
            "best_loss": self.best_loss.copy(),
            "best_epoch": self.best_epoch.copy(),
            "dropout": np.array(self.fitter.model.dropout_state),
            "history": np.array(self.history, dtype=np.float64),
        }
        for i, variable in enumerate(self.fitter.optimizer.variables):
            found[f"optimizer_{i}"] = _copy(variable)
        return found

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Go on from a snapshot."""
        model, optimizer = self.fitter.model, self.fitter.optimizer
        model.flat.assign(state["flat"])
        model.dropout_state.assign(state["dropout"])
        for i, variable in enumerate(optimizer.variables):
            variable.assign(state[f"optimizer_{i}"])
        self.epoch = int(state["epoch"])
        self.best, self.best_loss = state["best"].copy(), state["best_loss"].copy()
        self.best_epoch = state["best_epoch"].copy()
        self.history = state["history"].tolist()

    def result(self) -> Arrays:
        """Give what `Fitter.fit` returns."""
        done = self.epoch == self.fitter.recipe.epochs or self.exhausted()
        state = self._kept if self._kept and not done else self.snapshot()
        return state | {"weights": self.best.copy(), "done": np.array(int(done))}
