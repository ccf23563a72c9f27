"""Training with the engine walks the path that nfp's model walks, and each member its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from exactness_kit import Pair, batch, make_pair, some_polymers
from numpy.typing import NDArray

from polyid import convert
from polyid.engine.ensemble import Ensemble, Steps
from polyid.engine.network import forward
from polyid.engine.order import DataOrder
from polyid.engine.packing import buckets
from polyid.engine.weights import Architecture, flatten, unflatten

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")

ONE = (1.0,)
TWO = (0.5, 1.0)
THREE = (0.4, 0.7, 1.0)


@pytest.fixture(scope="session")
def rows(property_table: Path, stereo_table: Path) -> pd.DataFrame:
    some = some_polymers(property_table, stereo_table)
    return some[some["smiles_polymer"].str.len() < 250].reset_index(drop=True)


def train(
    pair: Pair,
    starts: NDArray,
    names: Sequence[int],
    shares: Sequence[float] = ONE,
    batch_size: int = 1,
    epochs: int = 1,
    dropout: float = 0.0,
    jit: bool = False,
    seed: int = 5,
    written_out: bool = False,
) -> tuple[NDArray, NDArray]:
    """Weights and losses of members that begin at ``starts`` and bear ``names``."""
    parts = buckets(pair.quotients, shares)
    architecture = pair.architecture._replace(dropout=dropout)
    model = Ensemble(
        architecture, len(names), parts, batch_size, pair.pm, seed, written_out=written_out
    )
    model.flat.assign(starts)
    model.restart_dropout(names)
    optimizer = keras.optimizers.Adam(learning_rate=1e-2, weight_decay=0.5)
    optimizer.build([model.flat])
    model.compile(optimizer=optimizer, jit_compile=jit, run_eagerly=written_out)
    pools = [[np.arange(len(part.members)) for part in parts] for _ in names]
    order = DataOrder(pools, batch_size, seed, names)
    labels = np.stack([pair.labels] * len(names)).astype(keras.config.floatx())
    model.fit(
        model.feed(Steps(order, labels, parts, 0, epochs)),
        epochs=epochs,
        steps_per_epoch=order.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    return keras.ops.convert_to_numpy(model.flat), keras.ops.convert_to_numpy(model.loss_sum)


def starts(architecture: Architecture, pair: Pair, members: int) -> NDArray:
    """First weights of several members, all different."""
    rng = np.random.default_rng(8)
    flat = flatten(architecture, pair.weights)
    return np.stack([flat + rng.normal(0, 0.05, flat.shape) for _ in range(members)])


@pytest.mark.parametrize(
    ("name", "size", "written_out"),
    [
        ("global100", 1, True),
        ("pm", 2, True),
        ("global100", 1, False),
        pytest.param("pm", 1, False, marks=pytest.mark.slow),
        pytest.param("global100", 2, False, marks=pytest.mark.slow),
    ],
)
def test_an_epoch_of_adam_walks_the_path_of_nfp(
    rows: pd.DataFrame, float64: None, name: str, size: int, written_out: bool
) -> None:
    pair = make_pair(rows.iloc[[0, 1, 5]].reset_index(drop=True), name, messages=2)
    flat, losses = train(pair, pair.flat[None], [4], batch_size=size, written_out=written_out)
    order = DataOrder([[np.arange(3)]], size, 5, [4])
    total = 0.0
    for step in range(order.steps_per_epoch):
        chosen = order.batch(step).rows[0].tolist()
        total += pair.model.train_on_batch(batch(pair, chosen), pair.labels[chosen])
    np.testing.assert_allclose(losses[0], total, rtol=1e-9)
    found, expected = unflatten(pair.architecture, flat[0]), convert.from_nfp(pair.model)
    for key, value in expected.items():
        assert np.abs(value - pair.weights[key]).max() > 1e-4, key
        # Adam divides by the root of a mean square: the gradient of a query's bias is 0 but for
        # rounding (a softmax does not see it), so rounding alone sets that step's direction
        if not key.endswith("query/bias"):
            np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-9, err_msg=key)


def test_the_steps_reach_fit_in_their_order_and_nothing_outlives_the_last(
    rows: pd.DataFrame,
) -> None:
    pair = make_pair(rows.iloc[[0, 1, 5]].reset_index(drop=True), "global100", messages=2)
    parts = buckets(pair.quotients, TWO)
    order = DataOrder([[np.arange(len(part.members)) for part in parts]], 1, 5, [0])
    steps = Steps(order, pair.labels[None], parts, 1, 4)
    fed = Ensemble(pair.architecture, 1, parts, 1).feed(steps)
    seen = list(fed.as_numpy_iterator())
    assert len(seen) == len(steps) == 3 * order.steps_per_epoch
    for i, (inputs, labels) in enumerate(seen):
        wanted, expected = steps[i]
        np.testing.assert_array_equal(inputs["bucket"], wanted["bucket"])
        np.testing.assert_array_equal(inputs["index"], wanted["index"])
        np.testing.assert_array_equal(labels, expected)
    # a pipeline that tunes itself is waited for when `fit` returns, up to a minute
    assert fed.options().autotune.enabled is False


@pytest.mark.parametrize("written_out", [True, False])
def test_members_walk_as_if_alone(rows: pd.DataFrame, float64: None, written_out: bool) -> None:
    pair = make_pair(rows.iloc[:4], "global100", messages=1)
    first = starts(pair.architecture, pair, 3)
    options: dict[str, Any] = {
        "batch_size": 2, "dropout": 0.05, "epochs": 2, "written_out": written_out,
    }  # fmt: skip
    together, losses = train(pair, first, [2, 7, 0], **options)
    for i, name in ((1, 7), (2, 0)):
        alone, loss = train(pair, first[[i]], [name], **options)
        assert np.abs(alone - first[i]).max() > 1e-2
        np.testing.assert_allclose(losses[i], loss[0], rtol=1e-9)
        far = np.abs(together[i] - alone[0]) > 1e-8
        assert far.sum() <= 2  # the two queries' biases, whose gradient is rounding
    other, _ = train(pair, first[[1]], [3], **options)
    assert np.abs(other - together[1]).max() > 1e-2


def test_buckets_change_padding_only(rows: pd.DataFrame, float64: None) -> None:
    pair = make_pair(rows, "pm", messages=2)
    one = Ensemble(pair.architecture, 1, buckets(pair.quotients, ONE), 1, pair.pm)
    parts = buckets(pair.quotients, THREE)
    assert len(parts) == 3
    several = Ensemble(pair.architecture, 1, parts, 1, pair.pm)
    for model in (one, several):
        model.flat.assign(pair.flat[None])
        model.compile(optimizer=keras.optimizers.SGD(1e-3), jit_compile=False)

    def inputs(bucket: int, row: int) -> dict[str, NDArray]:
        return {"bucket": np.array([bucket], np.int32), "index": np.array([[row]], np.int32)}

    for b, part in enumerate(parts):
        for row, polymer in enumerate(part.members):
            y = pair.labels[None, [polymer]]
            expected = np.asarray(one.predict_on_batch(inputs(0, polymer)))
            found = np.asarray(several.predict_on_batch(inputs(b, row)))
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            for model, where in ((one, inputs(0, polymer)), (several, inputs(b, row))):
                model.train_on_batch(where, y)
            np.testing.assert_allclose(several.flat, one.flat, rtol=0, atol=1e-11)


def test_the_same_seed_gives_the_same_bits_compiled(rows: pd.DataFrame) -> None:
    pair = make_pair(rows.iloc[:2], "global100", messages=1)
    first = starts(pair.architecture, pair, 2).astype(np.float32)
    options: dict[str, Any] = {"batch_size": 1, "dropout": 0.02, "epochs": 3}
    one, _ = train(pair, first, [0, 1], jit=True, **options)
    two, _ = train(pair, first, [0, 1], jit=True, **options)
    assert one.tobytes() == two.tobytes()
    plain, _ = train(pair, first, [0, 1], jit=False, **options)
    assert (np.abs(plain - one) > 1e-3).mean() < 0.02
    other, _ = train(pair, first, [0, 1], jit=False, seed=6, **options)
    assert (np.abs(other - plain) > 1e-3).mean() > 0.2


def test_the_same_seed_gives_the_same_bits_written_out_and_compiled_the_same_path(
    rows: pd.DataFrame,
) -> None:
    pair = make_pair(rows.iloc[:4], "pm", messages=2)
    first = starts(pair.architecture, pair, 2).astype(np.float32)
    options: dict[str, Any] = {"shares": TWO, "batch_size": 2, "dropout": 0.02, "epochs": 3}
    one, _ = train(pair, first, [0, 1], written_out=True, **options)
    two, _ = train(pair, first, [0, 1], written_out=True, **options)
    assert one.tobytes() == two.tobytes()
    compiled, _ = train(pair, first, [0, 1], jit=True, **options)
    assert (np.abs(compiled - one) > 1e-3).mean() < 0.02
    other, _ = train(pair, first, [0, 1], written_out=True, seed=6, **options)
    assert (np.abs(other - one) > 1e-3).mean() > 0.2


def predicted(pair: Pair, flat: NDArray) -> NDArray:
    """Scaled predictions of the first bucket's first polymer, ``(members, 1, properties)``."""
    part = buckets(pair.quotients, TWO)[0]
    rows = np.broadcast_to(part.table[:1], (len(flat), 1, part.layout.width))
    pm = np.broadcast_to(pair.pm[part.members[:1]], (len(flat), 1))
    args = (keras.ops.convert_to_tensor(x) for x in (flat, rows, pm))
    return np.asarray(forward(pair.architecture, part.layout, *args))


def test_jax_walks_the_same_path(rows: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    pair = make_pair(rows.iloc[:4], "pm", messages=2)
    first = starts(pair.architecture, pair, 2).astype(np.float32)
    expected, losses = train(pair, first, [3, 1], TWO, dropout=0.02)
    parts = buckets(pair.quotients, TWO)
    arrays = {f"table_{i}": part.table for i, part in enumerate(parts)}
    arrays |= {f"members_{i}": part.members for i, part in enumerate(parts)}
    np.savez(tmp_path / "in.npz", starts=first, pm=pair.pm, labels=pair.labels, **arrays)
    settings = {
        "architecture": pair.architecture._replace(dropout=0.02)._asdict(),
        "layouts": [part.layout._asdict() for part in parts],
        "names": [3, 1],
    }
    (tmp_path / "in.json").write_text(json.dumps(settings))
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("walk_alone.py")), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    found = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(found["predicted"], predicted(pair, first), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-4)
    assert (np.abs(found["flat"] - expected) > 1e-3).mean() < 0.02
