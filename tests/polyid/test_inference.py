"""Predictions in batches are those of each polymer alone, by each member alone."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from polyid.engine import inference
from polyid.engine.inference import predict
from polyid.engine.network import forward
from polyid.engine.packing import layout_for, pack
from polyid.engine.weights import Architecture, flatten, initial
from polyid.structures import Structures, build

#: Two that differ in a stereo mark alone, a ring, a longer chain, and one without a bond.
SMILES = [
    "C[C@@H](O)C(=O)O[C@H](C)C",
    "C[C@H](O)C(=O)O[C@H](C)C",
    "C1CCCCC1OC",
    "CCCCCCCCCCOCCCCCCCCCCOC",
    "[He]",
]
PM = np.array([0.1, 0.9, 0.4, 0.5, 0.5], dtype=np.float32)


@pytest.fixture(scope="module")
def made() -> Structures:
    return build(SMILES, 3)


def network(made: Structures, name: str) -> tuple[Architecture, NDArray[np.float32]]:
    """Two members."""
    vocabulary = made.vocabulary
    a = Architecture(name, vocabulary.atom_classes, vocabulary.bond_classes, 8, 4, 3, 2)
    weights = [initial(a, 0, i) for i in range(2)]
    for each in weights:
        each["bond_embedding"] *= 20  # else the outputs hardly differ
    return a, np.stack([flatten(a, each) for each in weights])


def alone(made: Structures, a: Architecture, flat: NDArray, i: int) -> NDArray:
    """One polymer by the plain network, ``(members, outputs)``."""
    layout = layout_for([made.quotients[i]])
    rows = np.broadcast_to(pack([made.quotients[i]], layout), (len(flat), 1, layout.width))
    pm = tf.fill((len(flat), 1), PM[i])
    return forward(a, layout, tf.constant(flat), tf.constant(rows), pm).numpy()[:, 0]


@pytest.mark.parametrize("name", ["global100", "pm"])
@pytest.mark.parametrize("batch", [1, 8])
def test_a_batch_is_its_polymers(
    made: Structures, name: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "BATCH", batch)
    a, flat = network(made, name)
    expected = np.stack([alone(made, a, flat, i) for i in range(len(SMILES))], axis=1)
    assert np.abs(expected[:, 2] - expected[:, 3]).max() > 1e-3
    order = [3, 1, 0, 4, 2, 3]
    found = predict(a, flat, [made.quotients[i] for i in order], PM[order])
    np.testing.assert_allclose(found, expected[:, order], rtol=1e-4, atol=1e-5)


def test_what_the_network_cannot_tell_apart_is_computed_once(made: Structures) -> None:
    first, which = inference._distinct(made.quotients, None)
    assert (first, which) == ([0, 2, 3, 4], [0, 0, 1, 2, 3])
    assert inference._distinct(made.quotients, PM)[1] == [0, 1, 2, 3, 4]
    told: list[tuple[int, int]] = []
    a, flat = network(made, "global100")
    predict(a, flat, made.quotients, progress=lambda i, n: told.append((i, n)))
    assert told[-1] == (5, 5)


def test_batches_are_powers_of_two_within_the_budget(
    made: Structures, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [made.quotients[i] for i in (0, 2, 3, 4, 2)]
    batches = list(inference._batches(many, 2))
    assert [len(rows) for rows in batches] == [8]
    assert sorted(set(batches[0])) == [0, 1, 2, 3, 4]
    monkeypatch.setattr(inference, "BUDGET", 1)
    assert [len(rows) for rows in inference._batches(many, 2)] == [1] * 5


def test_pm_is_asked_for(made: Structures) -> None:
    with pytest.raises(ValueError, match="pm network needs pm"):
        predict(*network(made, "pm"), made.quotients)
