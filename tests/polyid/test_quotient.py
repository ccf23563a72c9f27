"""Classes hold exactly what the elements of the whole graph hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyid import refinement as module
from polyid.graphs import features
from polyid.quotient import Graph, Quotient, quotient
from polyid.structures import graph as graph_of
from polyid.vocabulary import Vocabulary


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random graphs with few tokens: many equal elements, no promise of being connected."""
    atoms = draw(st.lists(st.integers(1, 3), min_size=1, max_size=14))
    n = len(atoms)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    bonds = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    return with_bonds(atoms, bonds, [draw(st.integers(1, 2)) for _ in bonds])


def with_bonds(atoms: list[int], bonds: list[tuple[int, int]], tokens: list[int]) -> Graph:
    """Both directions of every bond."""
    ends = np.array(bonds, dtype=np.int32).reshape(-1, 2)
    token = np.array(tokens * 2, dtype=np.int32)
    source, target = np.concatenate([ends, ends[:, ::-1]]).T
    return Graph(np.array(atoms, dtype=np.int32), token, source, target)


def chain(repeats: int, unit: tuple[int, ...] = (1, 2, 3), ends: tuple[int, int] = (4, 5)) -> Graph:
    """Repeat units of different atoms in a row between two end groups."""
    atoms = [ends[0], *unit * repeats, ends[1]]
    bonds = [(i, i + 1) for i in range(len(atoms) - 1)]
    return with_bonds(atoms, bonds, [1] * len(bonds))


def states_of_whole(g: Graph, depth: int, salt: int) -> tuple[list, list]:
    """Colour of each atom and edge before the first block and after each: no two ever collide."""
    atom = [(salt, int(t)) for t in g.atom]
    edge = [(salt, int(t)) for t in g.bond]
    atoms, edges = [atom], [edge]
    names: dict[tuple, int] = {}
    for _ in range(depth):
        edge = [
            names.setdefault(("edge", edge[e], atom[s], atom[t]), len(names))
            for e, (s, t) in enumerate(zip(g.source, g.target, strict=True))
        ]
        leaving: list[list] = [[] for _ in atom]
        for e, (s, t) in enumerate(zip(g.source, g.target, strict=True)):
            leaving[s].append((atom[t], edge[e]))
        atom = [
            names.setdefault(("atom", atom[i], tuple(sorted(leaving[i], key=repr))), len(names))
            for i in range(len(atom))
        ]
        atoms.append(atom)
        edges.append(edge)
    return atoms, edges


def numbers(g: Graph, depth: int, seed: int) -> tuple[list, list]:
    """Random smooth message passing on the whole graph, as a network does it."""
    rng = np.random.default_rng(seed)
    atom = rng.normal(size=9)[g.atom]
    edge = rng.normal(size=9)[g.bond]
    atoms, edges = [atom], [edge]
    for _ in range(depth):
        edge = np.tanh(edge + 0.7 * atom[g.source] - 0.3 * atom[g.target] ** 2)
        total = np.zeros(len(atom))
        np.add.at(total, g.source, np.sin(atom[g.target] + 2 * edge))
        atom = atom + np.tanh(total)
        atoms.append(atom)
        edges.append(edge)
    return atoms, edges


def numbers_of_classes(q: Quotient, seed: int) -> tuple[list, list]:
    """The same message passing on classes."""
    rng = np.random.default_rng(seed)
    atom = rng.normal(size=9)[q.atom_token]
    edge = rng.normal(size=9)[q.edge_token]
    atoms, edges = [atom], [edge]
    for b in q.blocks:
        source, target = atom[b.edge_source], atom[b.edge_target]
        edge = np.tanh(edge[b.edge_parent] + 0.7 * source - 0.3 * target**2)
        total = np.zeros(len(b.atom_count))
        if len(edge):
            total = (np.sin(target + 2 * edge)[b.out_edge] * b.out_count).sum(axis=1)
        atom = atom[b.atom_parent] + np.tanh(total)
        atoms.append(atom)
        edges.append(edge)
    return atoms, edges


def counts(q: Quotient) -> tuple[list, list]:
    return (
        [q.atom_count, *(b.atom_count for b in q.blocks)],
        [q.edge_count, *(b.edge_count for b in q.blocks)],
    )


def hold_exact(g: Graph, depth: int, seed: int = 0) -> Quotient:
    """Classes hold the states of their elements, and as few as possible do."""
    q = quotient(g, depth)
    whole, ours = numbers(g, depth, seed), numbers_of_classes(q, seed)
    colours = states_of_whole(g, depth, seed)
    for kind in (0, 1):
        for r in range(depth + 1):
            count = counts(q)[kind][r]
            assert count.sum() == len(whole[kind][r])
            assert len(count) == len(set(colours[kind][r]))
            repeated = np.sort(np.repeat(ours[kind][r], count))
            np.testing.assert_allclose(repeated, np.sort(whole[kind][r]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours[0][-1][q.atom_class], whole[0][-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours[1][-1][q.edge_class], whole[1][-1], rtol=0, atol=1e-12)
    return q


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 6), st.integers(0, 1000))
def test_classes_hold_the_states_of_the_whole_graph(g: Graph, depth: int, seed: int) -> None:
    hold_exact(g, depth, seed)


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_order_of_atoms_and_edges_changes_nothing(g: Graph, depth: int, random) -> None:
    atoms, edges = list(range(len(g.atom))), list(range(len(g.bond)))
    random.shuffle(atoms)
    random.shuffle(edges)
    place = np.argsort(atoms).astype(np.int32)
    other = Graph(g.atom[atoms], g.bond[edges], place[g.source[edges]], place[g.target[edges]])
    one, two = quotient(g, depth), quotient(other, depth)
    for a, b in zip(one.blocks, two.blocks, strict=True):
        for name, left, right in zip(a._fields, a, b, strict=True):
            assert np.array_equal(left, right), name
    for name in ("atom_token", "atom_count", "edge_token", "edge_count"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert np.array_equal(two.atom_class, one.atom_class[atoms])
    assert np.array_equal(two.edge_class, one.edge_class[edges])


def test_a_graph_without_symmetry_keeps_every_element() -> None:
    g = with_bonds([1, 2, 3, 4, 5], [(0, 1), (1, 2), (2, 3), (3, 4)], [1, 1, 1, 1])
    q = hold_exact(g, 4)
    assert len(q.blocks[-1].atom_count) == 5
    assert len(q.blocks[-1].edge_count) == 8


def test_stopping_once_nothing_splits_equals_going_on() -> None:
    g = chain(3)
    short, long = quotient(g, 20), hold_exact(g, 20)
    sizes = [len(b.atom_count) + len(b.edge_count) for b in short.blocks]
    assert sizes[10:] == [sizes[10]] * 10
    # the round in which nothing splits: blocks after it are copies, each class its own parent
    still = sizes.index(sizes[-1]) + 1
    own = np.arange(len(long.blocks[-1].atom_count))
    assert all(np.array_equal(b.atom_parent, own) for b in long.blocks[still + 1 :])
    # without the stop, refinement finds the same classes under other numbers
    full = states_of_whole(g, 20, 0)
    for r, block in enumerate(short.blocks, 1):
        assert len(block.atom_count) == len(set(full[0][r]))
        assert len(block.edge_count) == len(set(full[1][r]))


def test_a_single_atom() -> None:
    q = hold_exact(with_bonds([7], [], []), 3)
    assert [len(b.edge_count) for b in q.blocks] == [0, 0, 0]
    assert [b.out_count.sum() for b in q.blocks] == [0, 0, 0]


def test_several_molecules_share_classes() -> None:
    ethers = [(0, 1), (1, 2), (3, 4), (4, 5)]
    q = hold_exact(with_bonds([1, 2, 1, 1, 2, 1], ethers, [1] * 4), 3)
    assert q.blocks[-1].atom_count.tolist() in ([4, 2], [2, 4])


def test_equal_neighbours_are_one_entry_with_a_count() -> None:
    methane = with_bonds([1, 2, 2, 2, 2], [(0, i) for i in range(1, 5)], [1] * 4)
    block = quotient(methane, 1).blocks[0]
    carbon = int(np.flatnonzero(block.atom_count == 1)[0])
    assert sorted(block.out_count[carbon].tolist()) == [0, 0, 0, 4]


@pytest.mark.parametrize("repeats", [9, 30, 300])
def test_classes_of_a_chain_depend_on_depth_not_on_length(repeats: int) -> None:
    # after r blocks an atom knows r bonds to either side: r from each end, and the unit's atoms
    depth = 12
    q = quotient(chain(repeats), depth)
    for r, block in enumerate(q.blocks, 1):
        assert len(block.atom_count) == min(2 * r + 3 + 2, 3 * repeats + 2)
    assert int(q.blocks[-1].atom_count.max()) >= repeats - 8


def test_a_polymer_of_1300_heavy_atoms() -> None:
    smiles = "C" + "C(=O)Oc1ccc(cc1)C(C)(C)" * 110 + "C"
    described = features(smiles)
    heavy = sum(not text.startswith("('H'") for text in described.atom)
    assert heavy >= 1300
    g = Vocabulary.learn([described]).encode(described)
    q = quotient(g, 12)
    assert len(g.atom) / len(q.blocks[-1].atom_count) > 20
    whole, ours = numbers(g, 12, 1), numbers_of_classes(q, 1)
    np.testing.assert_allclose(ours[0][-1][q.atom_class], whole[0][-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours[1][-1][q.edge_class], whole[1][-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("fixture", "step", "atoms", "edges"),
    [("stereo_table", 6, 3.5, 3.7), ("property_table", 60, 6.5, 7.0)],
)
def test_polymers_shrink_as_stated(
    request: pytest.FixtureRequest, fixture: str, step: int, atoms: float, edges: float
) -> None:
    path: Path = request.getfixturevalue(fixture)
    described = [features(s) for s in pd.read_csv(path)["smiles_polymer"].iloc[::step]]
    vocabulary = Vocabulary.learn(described)
    all_graphs = [vocabulary.encode(one) for one in described]
    quotients = [quotient(g, 12) for g in all_graphs]
    states = [np.mean([len(b.atom_count) for b in q.blocks]) for q in quotients]
    messages = [np.mean([len(b.edge_count) for b in q.blocks]) for q in quotients]
    assert np.mean([len(g.atom) for g in all_graphs]) / np.mean(states) > atoms
    assert np.mean([len(g.bond) for g in all_graphs]) / np.mean(messages) > edges


def test_classes_that_are_too_large_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refine(atom: np.ndarray, *rest: Any) -> Any:
        return original(np.zeros_like(atom), *rest)

    original = module.refine
    monkeypatch.setattr(module, "refine", refine)
    with pytest.raises(AssertionError):
        hold_exact(chain(4), 3)


def test_graph_of_a_smiles() -> None:
    described = features("CCO")
    vocabulary = Vocabulary.learn([described])
    assert all(
        np.array_equal(a, b)
        for a, b in zip(graph_of("CCO", vocabulary), vocabulary.encode(described), strict=True)
    )
