"""Losses and gradients written out in loops are those of the compiled program, dropout and all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exactness_kit import Pair, make_pair, some_polymers
from numpy.typing import NDArray

from polyid.engine.adam import Learner
from polyid.engine.descent import Descent
from polyid.engine.ensemble import Ensemble
from polyid.engine.fit import Fitter, Member, Recipe, pools
from polyid.engine.order import steps_per_bucket
from polyid.engine.packing import Bucket, buckets, layout_for, pack, unpack
from polyid.quotient import Block
from polyid.structures import build

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")

#: Members' numbers, and the step at which their dropout stands.
NAMES, STEP, BATCH = (3, 1), 7, 3


@pytest.fixture(scope="session")
def rows(property_table: Path, stereo_table: Path) -> pd.DataFrame:
    return some_polymers(property_table, stereo_table)


class Sides:
    """A compiled ensemble of two members, and their gradients written out."""

    def __init__(self, pair: Pair, loss: str, dropout: float) -> None:
        self.pair, self.parts = pair, buckets(pair.quotients, (0.5, 1.0))
        a = pair.architecture._replace(dropout=dropout)
        self.model = Ensemble(a, len(NAMES), self.parts, BATCH, pair.pm, 5, loss)
        self.model.dropout_state.assign(np.array([[n, STEP] for n in NAMES], np.int32))
        self.rng = np.random.default_rng(0)
        self.flat = np.stack([pair.flat + self.rng.normal(0, 0.05, len(pair.flat)) for _ in NAMES])
        self.flat = self.flat.astype(pair.flat.dtype)
        self.model.flat.assign(self.flat)
        self.state = np.asarray(self.model.dropout_state)
        self.largest = self.model.largest_class
        self.ours = Descent(a, self.parts, pair.pm, 5, loss, self.largest, self.flat.dtype)

    def step(self, bucket: int, scale: float) -> tuple[NDArray, NDArray]:
        """Draw a step's polymers and labels."""
        part: Bucket = self.parts[bucket]
        index = self.rng.integers(0, len(part.members), (len(NAMES), BATCH)).astype(np.int32)
        return index, (self.pair.labels[part.members[index]] * scale).astype(self.flat.dtype)

    def written_out(self, bucket: int, index: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Give losses and gradients of both members."""
        losses, gradient = np.empty(len(NAMES)), np.full_like(self.flat, np.nan)
        flat, unused = self.flat.copy(), np.empty_like(self.flat)
        for m, rows in enumerate(index.tolist()):
            learner = Learner(flat[m], gradient[m], unused[m], unused[m], unused[m, :0])
            losses[m] = self.ours.member(learner, bucket, rows, y[m], self.state[m])
        np.testing.assert_array_equal(flat, self.flat)
        return losses, gradient

    def errors(self, bucket: int, scale: float) -> tuple[float, float]:
        """Largest difference of losses and of gradients, over the largest of either."""
        index, y = self.step(bucket, scale)
        inputs = {"bucket": np.array([bucket]), "index": index}
        loss, gradient = map(np.asarray, self.model._loss_and_gradient((inputs, y)))
        found, ours = self.written_out(bucket, index, y)
        return (
            float(np.abs(found - loss).max() / np.abs(loss).max()),
            float(np.abs(ours - gradient).max() / np.abs(gradient).max()),
        )


@pytest.mark.parametrize("name", ["global100", "pm"])
@pytest.mark.parametrize(("loss", "scale"), [("mae", 1.0), ("huber", 0.02)])
def test_float64(rows: pd.DataFrame, float64: None, name: str, loss: str, scale: float) -> None:
    sides = Sides(make_pair(rows, name, messages=3), loss, 0.05)
    for bucket in (0, 1):
        assert max(sides.errors(bucket, scale)) < 1e-13


def test_float32(rows: pd.DataFrame) -> None:
    sides = Sides(make_pair(rows, "global100", messages=3), "mae", 0.05)
    assert max(sides.errors(0, 1.0)) < 1e-5
    sides.state = sides.state + np.array([0, 1])  # another step is another draw
    assert max(sides.errors(0, 1.0)) > 1e-3


def test_a_polymer_without_bonds_has_a_gradient(float64: None, rows: pd.DataFrame) -> None:
    odd = pd.concat([rows.iloc[:2], rows.iloc[:1].assign(smiles_polymer="[He]")])
    sides = Sides(make_pair(odd.reset_index(drop=True), "global100", messages=2), "mae", 0.0)
    for bucket in (0, 1):
        assert max(sides.errors(bucket, 1.0)) < 1e-13


def test_rows_are_read_as_they_were_written() -> None:
    made = build(["C1CCCCC1OC", "CCCCCCOCC", "[He]"], 3).quotients
    layout = layout_for(made, multiple=8)
    for quotient, row in zip(made, pack(made, layout), strict=True):
        found = unpack(row, layout)
        np.testing.assert_array_equal(found.atom_token, quotient.atom_token)
        np.testing.assert_array_equal(found.edge_count, quotient.edge_count)
        for ours, theirs in zip(found.blocks[:-1], quotient.blocks, strict=False):
            for name in Block._fields:
                width = getattr(theirs, name).shape[1:]
                here = getattr(ours, name)[..., : width[0]] if width else getattr(ours, name)
                np.testing.assert_array_equal(here, getattr(theirs, name), err_msg=name)
        last = found.blocks[-1].edge_count
        np.testing.assert_array_equal(last, np.sort(quotient.blocks[-1].edge_count)[::-1])


def test_a_fitter_trains_the_same_either_way(rows: pd.DataFrame) -> None:
    pair = make_pair(rows.iloc[:4], "pm", messages=1)
    parts = buckets(pair.quotients, (0.5, 1.0))
    labels = (pair.labels / 40).astype(np.float32)
    group = [
        Member(2, np.array([0, 1, 2]), np.array([3]), labels),
        Member(5, np.array([1, 2, 3]), np.array([0]), labels),
    ]
    recipe = Recipe(epochs=3, batch_size=2, learning_rate=1e-3, select="best", seed=4)
    steps = steps_per_bucket([pools(m.train, parts) for m in group], 2)
    pm = pair.pm.astype(np.float32)
    found = []
    for written_out in (False, True, None):  # on a GPU, on a CPU, and as this machine has it
        fitter = Fitter(pair.architecture, recipe, parts, 2, steps, pm, written_out)
        assert (fitter.model.descent is None) == (written_out is False)
        result = fitter.fit(group)
        some = fitter.predict(result["weights"], np.array([3, 0]))
        found.append((np.delete(result["history"], 2, axis=1), some))
    compiled, ours, default = found
    np.testing.assert_allclose(ours[0], compiled[0], rtol=1e-4)
    np.testing.assert_allclose(ours[1], compiled[1], rtol=1e-3, atol=1e-4)
    for one, other in zip(ours, default, strict=True):
        np.testing.assert_array_equal(one, other)
