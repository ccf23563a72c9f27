"""Predictions in batches are those of each polymer alone, by each member alone."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from polyid.engine import inference
from polyid.engine.inference import bondwise, predict
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


def network(made: Structures, name: str) -> tuple[Architecture, list[NDArray]]:
    """Two members."""
    vocabulary = made.vocabulary
    a = Architecture(name, vocabulary.atom_classes, vocabulary.bond_classes, 8, 4, 3, 2)
    weights = [initial(a, 0, i) for i in range(2)]
    for each in weights:
        each["bond_embedding"] *= 20  # else the outputs hardly differ
    return a, [flatten(a, each) for each in weights]


def alone(made: Structures, a: Architecture, members: list[NDArray], i: int) -> NDArray:
    """One polymer by the plain network, ``(members, outputs)``."""
    flat = np.stack(members)
    layout = layout_for([made.quotients[i]])
    rows = np.broadcast_to(pack([made.quotients[i]], layout), (len(flat), 1, layout.width))
    pm = tf.fill((len(flat), 1), PM[i])
    return forward(a, layout, tf.constant(flat), tf.constant(rows), pm).numpy()[:, 0]


@pytest.mark.parametrize("name", ["global100", "pm"])
@pytest.mark.parametrize("room", [1, 1_000])
def test_a_batch_is_its_polymers(
    made: Structures, name: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "ROOM", room)
    a, members = network(made, name)
    expected = np.stack([alone(made, a, members, i) for i in range(len(SMILES))], axis=1)
    assert np.abs(expected[:, 2] - expected[:, 3]).max() > 1e-3
    order = [3, 1, 0, 4, 2, 3]
    found = predict(a, members, [made.quotients[i] for i in order], PM[order])
    np.testing.assert_allclose(found, expected[:, order], rtol=1e-4, atol=1e-5)


def test_how_many_members_go_side_by_side_changes_no_bit(made: Structures) -> None:
    a, members = network(made, "global100")
    one, two = (predict(a, members, made.quotients, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["global100", "pm"])
def test_what_is_predicted_beside_it_changes_no_bit(made: Structures, name: str) -> None:
    a, members = network(made, name)
    whole = predict(a, members, made.quotients, PM)
    for i, quotient in enumerate(made.quotients):
        one = predict(a, members, [quotient], PM[[i]])
        np.testing.assert_array_equal(one[:, 0], whole[:, i])


def test_what_the_network_cannot_tell_apart_is_computed_once(made: Structures) -> None:
    first, which = inference._distinct(made.quotients, None)
    assert (first, which) == ([0, 2, 3, 4], [0, 0, 1, 2, 3])
    assert inference._distinct(made.quotients, PM)[1] == [0, 1, 2, 3, 4]
    told: list[tuple[int, int]] = []
    a, members = network(made, "global100")
    predict(a, members, made.quotients, progress=lambda i, n: told.append((i, n)))
    assert told[-1] == (5, 5)


def test_batches_hold_as_many_as_there_is_room_for(
    made: Structures, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [made.quotients[i] for i in (0, 2, 3, 4, 2)]
    assert list(inference._batches(many)) == [[0, 1, 2, 3, 4]]
    monkeypatch.setattr(inference, "ROOM", 1)
    assert list(inference._batches(many)) == [[0], [1], [2], [3], [4]]
    monkeypatch.setattr(inference, "ROOM", 1_000)
    monkeypatch.setattr(inference, "MOST", 2)
    assert list(inference._batches(many)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("name", ["global100", "pm"])
def test_bond_wise_values_have_the_prediction_as_their_mean(made: Structures, name: str) -> None:
    a, members = network(made, name)
    whole = predict(a, members, made.quotients, PM)
    for i, quotient in enumerate(made.quotients[:-1]):
        values = bondwise(a, members, quotient, float(PM[i]))
        assert values.shape == (2, len(quotient.edge_class), 2)
        assert values.std(axis=1).min() > 1e-4
        np.testing.assert_allclose(values.mean(axis=1), whole[:, i], rtol=1e-4, atol=1e-6)


def test_pm_is_asked_for(made: Structures) -> None:
    with pytest.raises(ValueError, match="pm network needs pm"):
        predict(*network(made, "pm"), made.quotients)
