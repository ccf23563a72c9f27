"""Watching members train: losses, validation, best epoch, snapshots to resume from."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

if TYPE_CHECKING:
    from polyid.engine.fit import Fitter, Member

Arrays = dict[str, NDArray]


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


def copied(variable: Any) -> NDArray:
    """Values of a variable that stay as they are."""
    return np.array(ops.convert_to_numpy(variable))


class Watch(keras.callbacks.Callback):
    """Follows one group through ``fit``."""

    def __init__(
        self,
        fitter: "Fitter",
        members: "Sequence[Member]",
        on_epoch: Callable[[Epoch], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        super().__init__()
        self.fitter, self.members = fitter, members
        self.on_epoch, self.should_stop = on_epoch, should_stop
        count = len(members)
        self.epoch = 0
        self.history: list[list[float]] = []
        self.stopped = False
        self.best = copied(fitter.model.flat)
        self.best_loss = np.full(count, np.inf)
        self.best_epoch = np.zeros(count, dtype=np.int64)
        self.began = time.monotonic()
        self._kept: Arrays = {}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin to count losses and seconds."""
        self.began = time.monotonic()
        self.fitter.model.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop after this step if asked to."""
        if self.should_stop is not None and self.should_stop():
            self.stopped = self.fitter.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Validate, remember the best weights, tell, and stop early if nothing gets better."""
        if self.stopped:
            return  # an epoch cut short is walked again
        fitter, recipe = self.fitter, self.fitter.recipe
        self.epoch = epoch + 1
        loss = fitter.model.values(fitter.model.loss_sum) / sum(fitter.steps)
        last = self.epoch == recipe.epochs
        validate = last or self.epoch % recipe.validate_every == 0
        val_loss = self._validate() if validate else np.full(len(self.members), np.nan)
        rate = fitter.rate(int(fitter.model.values(fitter.optimizer.iterations)))
        seconds = time.monotonic() - self.began
        self.history.append([self.epoch, rate, seconds, *loss.tolist(), *val_loss.tolist()])
        better = val_loss < self.best_loss if recipe.select == "best" else np.ones(len(loss), bool)
        if recipe.select == "best":
            self.best[better] = fitter.model.values(fitter.model.flat)[better]
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
        flat = self.fitter.model.values(self.fitter.model.flat)
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
        """Remember the state after a whole epoch: a stop in the middle of the next falls back.

        It overwrites what was remembered before: new memory for it would cost more than the copy.
        """
        if self.should_stop is None:
            return
        for name, value in self._state().items():
            old = self._kept.get(name)
            if old is None or old.shape != value.shape:
                self._kept[name] = value.copy()
            else:
                np.copyto(old, value)

    def snapshot(self) -> Arrays:
        """Everything needed to go on after this epoch."""
        return _with_best({name: value.copy() for name, value in self._state().items()})

    def _state(self) -> Arrays:
        """Give all that a snapshot holds, as it lies; not the best weights if ``flat`` are."""
        model = self.fitter.model
        found = {
            "epoch": np.array(self.epoch),
            "members": np.array([m.name for m in self.members]),
            "flat": model.values(model.flat),
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "dropout": model.values(model.dropout_state),
            "history": np.array(self.history, dtype=np.float64),
        }
        if self.fitter.recipe.select == "best":
            found["best"] = self.best
        for i, variable in enumerate(self.fitter.optimizer.variables):
            found[f"optimizer_{i}"] = model.values(variable)
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
        state = _with_best(self._kept) if self._kept and not done else self.snapshot()
        return state | {"weights": state["best"].copy(), "done": np.array(int(done))}


def _with_best(state: Arrays) -> Arrays:
    """Add the best weights where the last epoch's count as such."""
    return state if "best" in state else state | {"best": state["flat"]}
