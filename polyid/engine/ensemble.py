"""All members of an ensemble as one Keras model, trained by ``fit``.

Every weight has a leading member axis, and every sample its own member. The loss is the sum of
the members' losses; gradients and Adam act element by element, so each member walks the path it
would walk alone, with its own data, order and dropout.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyid.engine.dropout import keys
from polyid.engine.network import forward
from polyid.engine.order import DataOrder
from polyid.engine.packing import Bucket
from polyid.engine.weights import Architecture, count


class Ensemble(keras.Model):
    """Members on one set of packed polymers, which stay on the device.

    Inputs of a step: ``{"bucket": (1,), "index": (members, batch)}``, the bucket and the rows of
    its table. Output: scaled properties ``(members, batch, outputs)``.

    ``written_out``: leave the steps to `polyid.engine.descent`; the data of `fit` are then from
    `feed`. The same numbers but for rounding. Such a model trains only:
    `polyid.engine.fit.Fitter.predict` predicts.
    """

    def __init__(
        self,
        architecture: Architecture,
        members: int,
        buckets: Sequence[Bucket],
        batch_size: int,
        pm: NDArray[np.float32] | None = None,
        seed: int = 0,
        loss: str = "mae",
        written_out: bool = False,
    ) -> None:
        super().__init__(name="ensemble")
        self.architecture = architecture
        self.members = members
        self.batch_size = batch_size
        self.layouts = [bucket.layout for bucket in buckets]
        self.loss_name = loss
        self.largest_class = [_largest_class(bucket) for bucket in buckets]
        self.flat = self.add_weight(
            shape=(members, count(architecture)), initializer="zeros", name="flat"
        )
        self.tables, self.pm, self.descent = [], None, None
        if written_out:
            # not where layers are compiled: a machine for that may lack what this needs
            from polyid.engine.descent import Descent

            self.descent = Descent(
                architecture, buckets, pm, seed, loss, self.largest_class, self.flat.dtype
            )
        else:
            self.tables = [self._constant(b.table, f"table_{i}") for i, b in enumerate(buckets)]
            if pm is not None:
                self.pm = [self._constant(pm[b.members], f"pm_{i}") for i, b in enumerate(buckets)]
        self.loss_sum = self.add_weight(
            shape=(members,), initializer="zeros", trainable=False, name="loss_sum"
        )
        self.seed = seed
        self.rate: Callable[[int], float] | None = None
        self._steps: Iterator[Any] = iter(())
        self.dropout_state = self.add_weight(
            shape=(members, 2),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name="dropout_state",
        )
        self.restart_dropout(range(members))
        self.built = True

    def restart_dropout(self, names: Iterable[int]) -> None:
        """Begin each member's draws anew; they depend on the seed, its name and its step only."""
        self.dropout_state.assign(np.array([[name, 0] for name in names], dtype=np.int32))

    def _constant(self, values: NDArray, name: str) -> Any:
        variable = self.add_weight(
            shape=values.shape,
            dtype=str(values.dtype),
            initializer="zeros",
            trainable=False,
            name=name,
        )
        variable.assign(values)
        return variable

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Predict; see the class for shapes."""
        flat, index = self._operands(inputs)
        return self._switch(inputs, [self._predict(i, training) for i in self._each], flat, index)

    @property
    def _each(self) -> range:
        return range(len(self.layouts))

    def _operands(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        index = ops.reshape(inputs["index"], (self.members, self.batch_size))
        return ops.stop_gradient(self.flat.value), index

    def _switch(self, inputs: dict[str, Any], branches: list[Callable], *operands: Any) -> Any:
        """Run the branch of this step's bucket."""
        if len(branches) == 1:
            return branches[0](*operands)
        return ops.switch(ops.reshape(inputs["bucket"], (1,))[0], branches, *operands)

    def _predict(self, i: int, training: bool) -> Callable:
        """Forward pass of bucket ``i``: ``(flat, index) -> (members, batch, outputs)``."""

        def run(flat: Any, index: Any) -> Any:
            return forward(
                self.architecture,
                self.layouts[i],
                flat,
                ops.take(self.tables[i], index, axis=0),
                None if self.pm is None else ops.take(self.pm[i], index, axis=0),
                keys(self.seed, self.dropout_state.value) if training else None,
                self.largest_class[i],
            )

        return run

    def _learn(self, i: int) -> Callable:
        """Losses and gradient of bucket ``i``: ``(flat, index, y) -> ((members,), like flat)``."""
        predict = self._predict(i, training=True)

        def run(flat: Any, index: Any, y: Any) -> tuple[Any, Any]:
            return value_and_gradient(
                lambda flat: masked_loss(y, predict(flat, index), self.loss_name), flat
            )

        return run

    def train_step(self, *arguments: Any) -> Any:
        """One update; Keras calls it, on JAX with the state, on TensorFlow without.

        The gradient is taken inside the bucket's branch: taken through the switch it would have
        to carry every intermediate of every branch, and compiles seven times slower.
        """
        if len(arguments) == 1:
            loss, gradient = self._loss_and_gradient(arguments[0])
            self.optimizer.apply([gradient], [self.flat])
            self._count(loss)
            return {"loss": ops.mean(loss)}
        state, data = arguments
        trainable, other, optimizer, metrics = state
        pairs = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(self.non_trainable_variables, other, strict=True),
        ]
        with keras.StatelessScope(state_mapping=pairs) as scope:
            loss, gradient = self._loss_and_gradient(data)
            self._count(loss)
        other = [
            value if (new := scope.get_current_value(v)) is None else new
            for v, value in zip(self.non_trainable_variables, other, strict=True)
        ]
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, [gradient], trainable)
        return {"loss": ops.mean(loss)}, (trainable, other, optimizer, metrics)

    def make_train_function(self, force: bool = False) -> Any:
        """Give what Keras calls at every step; it does so in `fit`.

        A written-out step needs no tensor. Those into which Keras wraps what goes into a step and
        what comes out of it cost as much as the gradient of a small network.
        """
        if self.descent is None:
            return super().make_train_function(force)
        step = self.descent.step
        self.train_function = lambda _: {"loss": step(*next(self._steps))}
        return self.train_function

    def feed(self, steps: "Steps") -> Any:
        """Give `fit` the steps, in the form that suits the way in which they are made.

        Keras makes a ``tf.data`` pipeline of a `PyDataset` that tunes itself. On one thread for
        operations, as workers have, leaving ``fit`` then waits for the next tuning: up to a minute.
        """
        if keras.backend.backend() != "tensorflow":
            return steps
        import tensorflow as tf

        options = tf.data.Options()
        options.autotune.enabled = False
        if self.descent is not None:  # `fit` asks for a pipeline and counts by it; nothing is read
            self._steps = map(steps.step, range(len(steps)))
            return tf.data.Dataset.range(len(steps)).with_options(options)
        signature = tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), steps[0])
        made = tf.data.Dataset.from_generator(
            lambda: (steps[i] for i in range(len(steps))), output_signature=signature
        )
        return made.prefetch(2).with_options(options)

    def fit(self, *arguments: Any, **options: Any) -> Any:
        """Train, as Keras does; ``rate`` gives written-out steps their learning rate."""
        if self.descent is None:
            return super().fit(*arguments, **options)
        constant = float(self.optimizer.learning_rate)
        self.descent.begin(self, self.rate or (lambda step: constant))
        try:
            return super().fit(*arguments, **options)
        finally:
            self.descent.settle()

    def values(self, variable: Any) -> NDArray:
        """Values of a variable of this model or its optimiser after the steps so far.

        Not a copy: the next step may change them.
        """
        found = None if self.descent is None else self.descent.values(variable)
        return np.asarray(ops.convert_to_numpy(variable)) if found is None else found

    def begin_epoch(self) -> None:
        """Begin to add up losses."""
        self.loss_sum.assign(np.zeros(self.members, self.loss_sum.dtype))
        if self.descent is not None:
            self.descent.losses[:] = 0

    def _count(self, loss: Any) -> None:
        """Note a step's losses ``(members,)``, and that it was made."""
        self.loss_sum.assign_add(loss)
        self.dropout_state.assign_add(np.array([[0, 1]] * self.members, dtype=np.int32))

    def _loss_and_gradient(self, data: tuple[dict[str, Any], Any]) -> tuple[Any, Any]:
        inputs, y = data[0], data[1]
        flat, index = self._operands(inputs)
        y = ops.reshape(y, (self.members, self.batch_size, self.architecture.outputs))
        y = ops.cast(y, flat.dtype)
        return self._switch(inputs, [self._learn(i) for i in self._each], flat, index, y)


def value_and_gradient(f: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """``f(x)`` and the gradient of its sum, on TensorFlow or JAX."""
    if keras.backend.backend() == "jax":
        import jax

        def total(x: Any) -> tuple[Any, Any]:
            value = f(x)
            return ops.sum(value), value

        gradient, value = jax.grad(total, has_aux=True)(x)
        return value, gradient
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = f(x)
        summed = ops.sum(value)
    return value, tape.gradient(summed, x)


def masked_loss(y: Any, y_pred: Any, name: str) -> Any:
    """Mean error over the labels of a member's batch, ``(members,)``.

    ``mae`` is nfp's ``masked_mean_absolute_error``; ``huber`` is quadratic below one scaled unit.
    A batch without a label has loss 0 (nfp's is NaN).
    """
    there = ops.isfinite(y)
    difference = ops.abs(y_pred - ops.where(there, y, ops.zeros_like(y)))
    if name == "huber":
        difference = ops.where(difference < 1.0, 0.5 * difference**2, difference - 0.5)
    weight = ops.cast(there, y_pred.dtype)
    total = ops.sum(difference * weight, axis=(1, 2))
    return total / ops.maximum(ops.sum(weight, axis=(1, 2)), 1.0)


def _largest_class(bucket: Bucket) -> NDArray[np.int32]:
    """Size of the largest edge class at each place that dropout will meet."""
    start = 0
    for name, shape in bucket.layout.shapes():
        size = int(np.prod(shape))
        if name == f"edge_count/{bucket.layout.depth}":
            return bucket.table[:, start : start + size].max(axis=0)
        start += size
    raise ValueError(f"layout of depth {bucket.layout.depth} has no last block.")


class Steps(keras.utils.PyDataset):
    """The steps of a run from ``first_epoch`` on, for ``fit(steps_per_epoch=…)``."""

    def __init__(
        self,
        order: DataOrder,
        labels: NDArray[np.float32],
        buckets: Sequence[Bucket],
        first_epoch: int,
        epochs: int,
    ) -> None:
        super().__init__()
        self.order = order
        self.labels = [labels[:, bucket.members] for bucket in buckets]
        self.first = first_epoch * order.steps_per_epoch
        self.length = (epochs - first_epoch) * order.steps_per_epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> tuple[dict[str, NDArray], NDArray]:
        bucket, index, rows = self.step(i)
        return {"bucket": np.array([bucket], dtype=np.int32), "index": index}, rows

    def step(self, i: int) -> tuple[int, NDArray[np.integer], NDArray]:
        """Bucket of step ``i``, rows of its table ``(members, batch)``, and their labels."""
        bucket, index = self.order.batch(self.first + i)
        return bucket, index, np.take_along_axis(self.labels[bucket], index[:, :, None], axis=1)
