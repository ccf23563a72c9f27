"""Written-out steps: Keras's learning rates and Adam, given back to Keras after the last."""

from typing import Any

import keras
import numpy as np
import pytest
from numba import njit

from polyid.engine import fit
from polyid.engine.adam import Learner, learn, numbers
from polyid.engine.fit import Epoch, Fitter, Member, Recipe, pools
from polyid.engine.order import steps_per_bucket
from polyid.engine.packing import buckets
from polyid.engine.weights import Architecture
from polyid.structures import build

TOTAL = 40


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(4, 1, 3e-3),
        Recipe(4, 1, 3e-3, schedule="cosine"),
        Recipe(4, 1, 3e-3, schedule="cosine", warmup=0.2),
    ],
)
def test_learning_rates_are_those_of_keras(recipe: Recipe) -> None:
    schedule = fit._schedule(recipe, TOTAL)
    expected = [
        float(schedule(step)) if callable(schedule) else schedule for step in range(TOTAL + 2)
    ]
    found = [fit._rate(recipe, TOTAL, step) for step in range(TOTAL + 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_adam_is_that_of_keras() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=50).astype(np.float32)
    variable = keras.Variable(start)
    theirs = keras.optimizers.Adam(learning_rate=1e-2, weight_decay=0.1)
    theirs.build([variable])
    ours, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, 4):
        gradient = rng.normal(size=50).astype(np.float32)
        theirs.apply([keras.ops.convert_to_tensor(gradient)])
        given = numbers(theirs, 1e-2, step, np.float32)
        _learn(Learner(ours, gradient, first, second, given))
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(variable), rtol=1e-4, atol=1e-5)
    assert np.median(np.abs(ours - start)) > 5e-3


@njit
def _learn(layer: Any) -> None:
    learn(layer, 0, len(layer.weights))


@pytest.fixture
def group() -> tuple[Fitter, Member]:
    """Give a fitter of four steps an epoch, and its only member."""
    made = build(["CCO", "CCCO", "CC(C)O", "CCCCO"], 2)
    a = Architecture("global100", made.vocabulary.atom_classes, made.vocabulary.bond_classes,
                     8, 4, 2, 1, 0.1)  # fmt: skip
    parts = buckets(made.quotients, (0.5, 1.0))
    member = Member(0, np.arange(4), np.zeros(0, np.intp), np.ones((4, 1), np.float32))
    steps = steps_per_bucket([pools(member.train, parts)], 1)
    return Fitter(a, Recipe(3, 1, 1e-2), parts, 1, steps, written_out=True), member


def test_a_snapshot_has_the_state_after_its_epoch_and_keras_the_last(
    group: tuple[Fitter, Member],
) -> None:
    fitter, member = group
    steps, seen = sum(fitter.steps), []

    def told(epoch: Epoch) -> None:
        state = epoch.snapshot()
        counts = [v for k, v in state.items() if k.startswith("optimizer_") and v.shape == ()]
        assert steps * epoch.epoch in [int(c) for c in counts]
        assert state["dropout"].tolist() == [[0, steps * epoch.epoch]]
        moments = [v for v in state.values() if np.shape(v) == state["flat"].shape][1:]
        assert all(np.abs(v).max() > 0 for v in moments)
        seen.append(state["flat"])

    fitter.fit([member], on_epoch=told)
    assert len(seen) == 3
    assert np.abs(seen[1] - seen[0]).max() > 1e-4
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(fitter.model.flat), seen[-1])


def test_a_stop_is_asked_for_once_a_step_and_falls_back_to_the_epoch_before(
    group: tuple[Fitter, Member],
) -> None:
    fitter, member = group
    seen, asked = [], []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == sum(fitter.steps) + 2

    whole = fitter.fit([member], on_epoch=lambda epoch: seen.append(epoch.snapshot()["flat"]))
    part = fitter.fit([member], should_stop=stop)
    assert len(asked) == sum(fitter.steps) + 2
    assert (int(part["epoch"]), int(part["done"])) == (1, 0)
    np.testing.assert_array_equal(part["flat"], seen[0])
    np.testing.assert_array_equal(part["weights"], seen[0])
    rest = fitter.fit([member], state=part)
    np.testing.assert_array_equal(rest["weights"], whole["weights"])
