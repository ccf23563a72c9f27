"""The engine computes what nfp's layers compute, with the same weights: values and gradients."""

from pathlib import Path
from typing import NamedTuple

import nfp
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from exactness_kit import Pair, batch, engine_forward, make_pair, named_gradients, some_polymers
from numpy.typing import NDArray

from polyid.engine.ensemble import masked_loss
from polyid.engine.weights import unflatten

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")


@pytest.fixture(scope="session")
def rows(property_table: Path, stereo_table: Path) -> pd.DataFrame:
    return some_polymers(property_table, stereo_table)


class Learnt(NamedTuple):
    """What one side computes for a batch."""

    outputs: NDArray
    loss: float
    gradients: dict[str, NDArray]

    def errors(self, other: "Learnt") -> dict[str, float]:
        """Largest difference of everything, in units of the largest value or gradient."""
        largest = max(float(np.abs(g).max()) for g in other.gradients.values())
        assert set(self.gradients) == set(other.gradients)
        found = {k: np.abs(self.gradients[k] - g).max() for k, g in other.gradients.items()}
        return {k: float(v / largest) for k, v in found.items()} | {
            "outputs": float(np.abs(self.outputs - other.outputs).max())
            / float(np.abs(other.outputs).max()),
            "loss": abs(self.loss - other.loss) / other.loss,
        }


def of_reference(pair: Pair, chosen: list[int]) -> Learnt:
    with tf.GradientTape() as tape:
        out = pair.model(batch(pair, chosen), training=True)
        loss = nfp.masked_mean_absolute_error(pair.labels[chosen], out)
    gradients = tape.gradient(loss, pair.model.trainable_variables)
    return Learnt(out.numpy(), float(loss), named_gradients(pair, gradients))


def of_engine(pair: Pair, chosen: list[int], dtype: str | None = None) -> Learnt:
    flat = tf.constant(pair.flat[None], dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(flat)
        out = engine_forward(pair, flat, chosen)
        loss = masked_loss(tf.constant(pair.labels[None, chosen], dtype=flat.dtype), out, "mae")
        total = tf.reduce_sum(loss)
    gradient = tape.gradient(total, flat).numpy()[0]
    return Learnt(out.numpy()[0], float(loss[0]), unflatten(pair.architecture, gradient))


@pytest.mark.parametrize("name", ["global100", "pm"])
def test_float64(rows: pd.DataFrame, name: str, float64: None) -> None:
    pair = make_pair(rows, name, messages=4)
    for chosen in ([0], [5], [6], [8], list(range(len(rows)))):
        theirs = of_reference(pair, chosen)
        assert all(np.abs(g).max() > 0 for g in theirs.gradients.values())
        assert max(of_engine(pair, chosen).errors(theirs).values()) < 1e-11


@pytest.mark.parametrize("name", ["global100", "pm"])
def test_twelve_blocks_in_float32(rows: pd.DataFrame, name: str) -> None:
    """The engine is as near to the engine in float64 as nfp's layers are."""
    pair = make_pair(rows, name, messages=12)
    for chosen in ([0], [1, 4, 8]):
        truth = of_engine(pair, chosen, "float64")
        theirs = of_reference(pair, chosen).errors(truth)
        ours = of_engine(pair, chosen).errors(truth)
        assert max(theirs.values()) < 1e-4
        assert max(ours.values()) < 4 * max(theirs.values())
        assert np.mean(list(ours.values())) < 2 * np.mean(list(theirs.values()))


def test_padding_changes_nothing_in_the_reference(rows: pd.DataFrame) -> None:
    pair = make_pair(rows, "global100", messages=3)
    together = pair.model(batch(pair, [0, 6])).numpy()
    alone = [pair.model(batch(pair, [i])).numpy()[0] for i in (0, 6)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_a_wrong_edge_would_be_noticed(rows: pd.DataFrame) -> None:
    pair = make_pair(rows.iloc[:1], "global100", messages=3)
    block = pair.quotients[0].blocks[1]
    swapped = block._replace(edge_source=block.edge_target, edge_target=block.edge_source)
    blocks = (pair.quotients[0].blocks[0], swapped, pair.quotients[0].blocks[2])
    wrong = pair._replace(quotients=[pair.quotients[0]._replace(blocks=blocks)])
    theirs = of_reference(pair, [0])
    assert max(of_engine(pair, [0]).errors(theirs).values()) < 1e-4
    assert max(of_engine(wrong, [0]).errors(theirs).values()) > 1e-3


def test_outputs_follow_the_order_of_atoms_in_no_way(rows: pd.DataFrame) -> None:
    from rdkit import Chem

    some = rows.iloc[[0, 2]].copy()
    mols = [Chem.MolFromSmiles(s) for s in some["smiles_polymer"]]
    shuffled = some.assign(
        smiles_polymer=[Chem.MolToSmiles(m, doRandom=True, canonical=False) for m in mols]
    )
    assert (shuffled["smiles_polymer"] != some["smiles_polymer"]).all()
    both = make_pair(pd.concat([some, shuffled], ignore_index=True), "global100", messages=12)
    found = engine_forward(both, tf.convert_to_tensor(both.flat[None]), [0, 1, 2, 3]).numpy()[0]
    np.testing.assert_array_equal(found[:2], found[2:])


def test_a_molecule_without_bonds_gives_the_bias(rows: pd.DataFrame) -> None:
    odd = pd.concat([rows.iloc[:1], rows.iloc[:1].assign(smiles_polymer="[He]")])
    pair = make_pair(odd.reset_index(drop=True), "global100", messages=3)
    found = engine_forward(pair, tf.convert_to_tensor(pair.flat[None]), [0, 1]).numpy()[0]
    np.testing.assert_allclose(found[1], pair.weights["readout/bias"], rtol=1e-6)
    alone = engine_forward(pair, tf.convert_to_tensor(pair.flat[None]), [0]).numpy()[0]
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-5)
