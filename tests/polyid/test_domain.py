"""Domain of validity: similarity, unseen features, neighbours, and its file."""

import json

import numpy as np
import pandas as pd
import pytest

from polyid.domain import Domain, DoV, _word, similarity_matrix
from polyid.errors import DomainError, SmilesError
from polyid.fingerprints import bulk_counts, morgan_counts
from polyid.polymers import to_polymer

UNITS = {
    "CC(O)C(=O)O": "*OC(C)C(*)=O",
    "NCCCCCC(=O)O": "*NCCCCCC(*)=O",
    "C=C(C)C(=O)OC": "*CC(*)(C)C(=O)OC",
    "C=Cc1ccccc1": "*CC(*)c1ccccc1",
    "C=CC": "*CC(*)C",
}


def chain(unit: str, dp: int = 18) -> str:
    return to_polymer(unit, dp=dp).smiles_polymer


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(len(UNITS))],
            "smiles_monomer": list(UNITS),
            "smiles_polymer": [chain(unit) for unit in UNITS.values()],
            "Glass_Transition": [60.0, 50.0, 105.123456789, 100.0, np.nan],
            "Density": [1.25, np.nan, 1.18, 1.05, 0.9],
        }
    )


@pytest.fixture
def domain(frame: pd.DataFrame) -> Domain:
    return Domain.fit(frame, 2, ["Glass_Transition", "Density"])


def test_same_polymer_is_at_home(domain):
    found = domain.assess([chain("*OC(C)C(*)=O")])[0]
    assert found.similarity == 1
    assert (found.word, found.unseen_features, found.unknown_elements) == ("well inside", 0, [])
    assert len(found.nearest) == 3
    assert found.nearest[0]["smiles_monomer"] == "CC(O)C(=O)O"
    assert found.nearest[0]["measured"] == {"Glass_Transition": 60.0, "Density": 1.25}
    assert domain.assess([chain("*CC(*)C")])[0].nearest[0]["measured"] == {"Density": 0.9}


def test_spelling_and_length_hardly_matter(domain):
    short = domain.assess([chain("*OC(C)C(*)=O", dp=10)])[0]
    assert short.similarity > 0.94
    assert short.nearest[0]["smiles_monomer"] == "CC(O)C(=O)O"
    shifted = domain.assess([chain("*C(=O)C(C)O*")])[0]
    assert shifted.similarity > 0.99


@pytest.mark.parametrize(
    ("unit", "monomers", "least"),
    [
        ("*OC(C)C(*)=O", "CC(O)C(=O)O", 0.999),
        ("*NCCCCCCNC(=O)CCCCC(*)=O", "NCCCCCCN.O=C(O)CCCCC(=O)O", 0.999),
        ("*c1ccc(C(C)(C)c2ccc(OC(=O)O*)cc2)cc1", "O=C(Cl)Cl.CC(C)(c1ccc(O)cc1)c1ccc(O)cc1", 0.97),
        ("*OCCCCOC(=O)NCCCCCCNC(*)=O", "OCCCCO.O=C=NCCCCCCN=C=O", 0.97),
    ],
)
def test_repeat_unit_and_monomers_look_alike(unit, monomers, least):
    chains = [to_polymer(text).smiles_polymer for text in (unit, monomers)]
    assert similarity_matrix(chains[:1], chains[1:])[0, 0] > least


def test_unseen_element_is_flagged(domain):
    found = domain.assess([chain("*[Si](C)(C)O*")])[0]
    assert found.unknown_elements == ["Si"]
    assert found.word == "outside"
    assert found.unseen_features > 0
    # an element alone is enough, however alike the rest is
    brominated = chain("*OC(C)C(*)=O", dp=40)[:-1] + "OCBr"
    found = domain.assess([brominated])[0]
    assert found.similarity > 0.9
    assert found.word == "outside"


def test_words_follow_distance(domain):
    words = [
        domain.assess([chain(unit)])[0].word
        for unit in ("*NCCCCCC(*)=O", "*NCCCCCCC(*)=O", "*c1ccc(*)s1")
    ]
    assert words[0] == "well inside"
    assert words[1] in ("well inside", "inside")
    assert words[2] == "outside"


@pytest.mark.parametrize(
    ("similarity", "unseen", "elements", "word"),
    [
        (0.9, 0, [], "well inside"),
        (0.8, 5, [], "well inside"),
        (0.79, 0, [], "inside"),
        (0.59, 0, [], "edge"),
        (0.39, 0, [], "outside"),
        (0.9, 6, [], "edge"),
        (0.3, 6, [], "outside"),
        (0.9, 10, [], "outside"),
        (1.0, 0, ["Si"], "outside"),
    ],
)
def test_word_of_a_distance(similarity, unseen, elements, word):
    assert _word(similarity, unseen, elements) == word


def test_new_chemistry_has_unseen_features(domain):
    # bisphenol ether: no new element, but hardly a known feature
    found = domain.assess([chain("*Oc1ccc(C(C)(C)c2ccc(*)cc2)cc1")])[0]
    assert found.unknown_elements == []
    assert found.unseen_features >= 6


def test_neighbours_are_distinct_monomer_sets(frame):
    doubled = pd.concat([frame, frame.assign(sample=frame["sample"] + "b")], ignore_index=True)
    domain = Domain.fit(doubled, 2, ["Density"])
    assert len(domain) == 2 * len(UNITS)
    nearest = domain.assess([chain("*CC(*)C")], k=4)[0].nearest
    assert len({n["smiles_monomer"] for n in nearest}) == 4


def test_replicates_of_a_sample_are_one_polymer(frame):
    doubled = pd.concat([frame, frame], ignore_index=True)
    assert len(Domain.fit(doubled, 2, ["Density"])) == len(UNITS)


def test_round_trip(domain, tmp_path):
    path = tmp_path / "deep" / "domain.json"
    domain.save(path)
    assert [p.name for p in path.parent.iterdir()] == ["domain.json"]
    again = Domain.load(path)
    queries = [chain("*CC(*)c1ccccc1"), chain("*CCO*")]
    assert again.assess(queries) == domain.assess(queries)
    assert (again.radius, again.properties) == (2, ("Glass_Transition", "Density"))
    assert again.assess(queries[:1])[0].nearest[0]["measured"]["Glass_Transition"] == 100.0
    json.dumps(again.assess(queries)[0].as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.clear(), "required"),
        (lambda d: d.update(format=2), "format"),
        (lambda d: d.update(polymers=[]), "no polymers"),
        (lambda d: d.update(radius=99), "radius"),
        (lambda d: d.update(extra=1), "extra"),
        (lambda d: d["vocabulary"].append(d["vocabulary"][0]), "twice"),
        (lambda d: d["vocabulary"].pop(), "vocabulary lacks"),
        (lambda d: d["polymers"][1]["counts"].pop(), "counts"),
        (lambda d: d["polymers"][1]["counts"].__setitem__(0, 0), "below one"),
        (lambda d: d["polymers"][1]["counts"].__setitem__(0, "many"), "polymers.1.counts.0"),
        (lambda d: d["polymers"][0]["measured"].update(Density="high"), "measured"),
        (lambda d: d["polymers"][0]["measured"].update(Density=float("nan")), "finite"),
        (lambda d: d["polymers"][0]["measured"].update(Colour=1.0), "not listed"),
    ],
)
def test_tampered_file_is_refused(domain, tmp_path, edit, said):
    path = tmp_path / "domain.json"
    domain.save(path)
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with pytest.raises(DomainError, match=said) as caught:
        Domain.load(path)
    assert "domain.json" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}'])
def test_broken_file_is_refused(tmp_path, content):
    path = tmp_path / "domain.json"
    path.write_bytes(content)
    with pytest.raises(DomainError, match=r"domain\.json"):
        Domain.load(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DomainError, match=r"none\.json"):
        Domain.load(tmp_path / "none.json")


def test_fit_refuses_what_it_cannot_use(frame):
    with pytest.raises(DomainError, match="no column Colour"):
        Domain.fit(frame, 2, ["Colour"])
    with pytest.raises(DomainError, match="no polymers"):
        Domain.fit(frame.iloc[:0], 2, [])
    with pytest.raises(SmilesError, match="CXC"):
        Domain.fit(frame.assign(smiles_polymer="CXC"), 2, [])


def test_bad_query_is_named(domain):
    with pytest.raises(SmilesError, match="CXC"):
        domain.assess(["CXC"])
    assert domain.assess([]) == []


def test_similarity_matrix_against_the_definition():
    texts = [chain(unit) for unit in UNITS.values()]

    def shares(text: str) -> dict[int, float]:
        counts = bulk_counts(morgan_counts(text))
        return {f: n / sum(counts.values()) for f, n in counts.items()}

    def ruzicka(p: dict[int, float], q: dict[int, float]) -> float:
        keys = p.keys() | q.keys()
        top = sum(min(p.get(k, 0), q.get(k, 0)) for k in keys)
        return top / sum(max(p.get(k, 0), q.get(k, 0)) for k in keys)

    expected = [[ruzicka(shares(a), shares(b)) for b in texts] for a in texts]
    found = similarity_matrix(texts, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-6)
    assert similarity_matrix([], texts).shape == (0, 5)
    assert similarity_matrix(texts, []).shape == (5, 0)


def test_ends_are_left_out_of_chains_only():
    counts = morgan_counts(chain("*OC(C)C(*)=O"))
    assert len(bulk_counts(counts)) < len(counts)
    small = morgan_counts("CCO")
    assert bulk_counts(small) == small


def test_a_thousand_against_a_thousand_takes_seconds():
    rng = np.random.default_rng(0)
    made = [
        dict(
            zip(rng.integers(0, 3_000, 45).tolist(), rng.integers(3, 40, 45).tolist(), strict=True)
        )
        for _ in range(1_300)
    ]
    assert similarity_matrix(made[:1_000], made).shape == (1_000, 1_300)


def test_dov_counts_features_never_seen():
    dov = DoV()
    assert (dov.fingerprint_col, dov.radius) == ("smiles_polymer", 2)
    train = pd.DataFrame({"smiles_polymer": ["CCO", "CCC"]})
    query = pd.DataFrame({"smiles_polymer": ["CCO", "CCS", "CCC"], "x": [1, 2, 3]}, index=[5, 6, 7])
    seen = set(morgan_counts("CCO")) | set(morgan_counts("CCC"))
    found = dov.get_fps_overlap(query, dov.get_fps(train))
    assert found["fps_notin_train"].tolist() == [0, len(set(morgan_counts("CCS")) - seen), 0]
    assert found["fps_notin_train"].tolist()[1] > 0
    assert found.index.tolist() == [5, 6, 7]
    assert "fps_notin_train" not in query


def test_dov_tables():
    dov = DoV()
    dov.radius, dov.fingerprint_col = 1, "smi"
    table = dov.get_fps(pd.DataFrame({"smi": ["CCO", "CCCC"]}, index=["a", "b"]))
    assert table.index.tolist() == ["a", "b"]
    one = dov.get_fp("CCCC")
    assert table.loc["b", one.index].tolist() == one.tolist()
    assert table.loc["b"].sum() == one.sum()
    # a feature whose column is empty was not seen, and text column names count as numbers
    assert dov.get_fps_overlap(pd.DataFrame({"smi": ["CCCC"]}), table * 0)[
        "fps_notin_train"
    ].item() == len(one)
    renamed = table.rename(columns=str)
    assert (
        dov.get_fps_overlap(pd.DataFrame({"smi": ["CCCC"]}), renamed)["fps_notin_train"].item() == 0
    )


def test_dov_agrees_with_the_retired_rdkit_function():
    from rdkit import Chem, rdBase
    from rdkit.Chem import AllChem

    text = chain("*CC(*)c1ccccc1")
    with rdBase.BlockLogs():
        old = AllChem.GetMorganFingerprint(Chem.MolFromSmiles(text), 2).GetNonzeroElements()
    assert DoV().get_fp(text).to_dict() == old
