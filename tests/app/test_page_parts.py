"""What the page is made of, without a browser: names, repeat units, links, its own addresses."""

import re

import pytest
from rdkit import Chem
from serve_kit import ROOT
from starlette.routing import Match

from app.page.about import about, without_front_matter
from app.page.entries import MOST, Entry, from_query, to_query
from app.page.mount import PageMount
from app.page.names import NAMES, UnknownNameError, find
from app.page.parts import barrer
from app.page.table_view import Tally, summary
from app.problems import Problem
from app.service import Served
from app.units import unit_of_chain, unit_of_monomers
from polyid.oligomers import build_oligomer
from polyid.polymers import to_polymer
from polyid.smiles import parse


def written(mol):
    return Chem.MolToSmiles(mol) if mol is not None else None


@pytest.mark.parametrize("named", NAMES, ids=[named.name for named in NAMES])
def test_a_named_polymers_monomers_make_its_repeat_unit(named):
    unit = parse(named.unit)
    assert sum(atom.GetAtomicNum() == 0 for atom in unit.GetAtoms()) == 2
    ask = named.ask()
    if not named.monomers:
        assert (ask.smiles, ask.kind) == (named.unit, "repeat_unit")
        return
    made = unit_of_monomers([parse(text) for text in named.monomers], named.mechanism)
    assert written(made) == written(unit)
    chain = to_polymer(".".join(ask.monomers), mechanism=ask.mechanism, dp=6, kind="monomers")
    assert chain.kind == "monomers"


def test_every_name_names_one_polymer():
    seen = {}
    for named in NAMES:
        for name in (named.label, named.name, *named.also):
            assert find(f" {name.upper()} ") is named
            assert seen.setdefault(re.sub(r"\W", "", name.lower()), named) is named


@pytest.mark.parametrize(
    ("text", "hint"), [("nylon 66", None), ("nylon 7", "Did you mean Nylon"), ("zzzz", "not among")]
)
def test_a_name_that_is_not_known_is_told(text, hint):
    if hint is None:
        assert find(text).name == "Nylon 6,6"
        return
    with pytest.raises(UnknownNameError, match=hint):
        find(text)


@pytest.mark.parametrize(
    ("monomers", "mechanism"),
    [(["C=C", "C=CC"], "vinyl"), (["C=CC=C"], "vinyl"), (["OCCO", "OCCCO"], "ester")],
)
def test_no_unit_is_drawn_that_is_not_certain(monomers, mechanism):
    assert unit_of_monomers([parse(text) for text in monomers], mechanism) is None


def test_a_regular_chain_shows_its_unit_and_an_irregular_one_does_not():
    pla = parse(build_oligomer(["CC(O)C(=O)O"], "ester", 12))
    assert written(unit_of_chain(pla)) == "*OC(C)C(*)=O"
    pet = parse(build_oligomer(["O=C(O)c1ccc(C(=O)O)cc1", "OCCO"], "ester", 18))
    unit = unit_of_chain(pet)
    assert written(unit) == "*OCCOC(=O)c1ccc(C(*)=O)cc1"
    # head and tail of styrene join at random
    assert unit_of_chain(parse(build_oligomer(["C=Cc1ccccc1"], "vinyl", 18))) is None
    assert unit_of_chain(parse("CC")) is None


ENTRIES = [
    Entry("name", "Nylon 6,6 (PA66)"),
    Entry("monomers", "O=C(O)CCCCC(=O)O NCCCCCCN", "amide"),
    Entry("unit", "*CC(*)C[N+](C)(C)C"),
    Entry("chain", r"C/C=C\C%10;&#=?+x", None, 0.25),
]


def test_a_link_brings_back_what_it_was_made_from():
    query = to_query(ENTRIES, "v1.0.0")
    assert re.fullmatch(r"[!-~]+", query)
    assert from_query("?" + query) == (ENTRIES, "v1.0.0")


def test_a_link_that_somebody_wrote_by_hand():
    assert from_query("?polymer=*CC*") == ([Entry("unit", "*CC*")], None)
    assert from_query("polymer=PET;as=joke;pm=much") == ([Entry("name", "PET")], None)
    assert from_query("") == ([], None)
    assert len(from_query("&".join(["polymer=PE"] * 40))[0]) == MOST


def test_a_field_out_of_its_range_is_a_problem():
    with pytest.raises(Problem, match="pm"):
        Entry("unit", "*CC*", None, 2.0).ask()


@pytest.mark.parametrize(
    ("method", "path", "own"),
    [
        *[("GET", path, True) for path in ("/", "/config", "/theme.css", "/assets/a.js")],
        *[("POST", path, True) for path in ("/gradio_api/queue/join", "/gradio_api/upload")],
        *[("GET", path, False) for path in ("/predict", "/model", "/openapi.json", "/login")],
        *[("GET", path, False) for path in ("/monitoring", "/nothing", "/docs", "/configs")],
        *[("POST", path, False) for path in ("/", "/predict", "/logout")],
    ],
)
def test_the_page_takes_its_own_addresses_only(method, path, own):
    route = PageMount("/", app=lambda *_: None)
    match, _ = route.matches({"type": "http", "method": method, "path": path, "root_path": ""})
    assert (match is Match.FULL) is own


def test_the_rest_is_as_it_was_beside_the_page(server):
    assert server.get("/").headers["content-type"].startswith("text/html")
    for method, path, status in (
        ("GET", "/login", 404),
        ("POST", "/", 404),
        ("GET", "/monitoring", 404),
        ("GET", "/predict", 405),
    ):
        answer = server.client.request(method, server.url + path)
        assert (answer.status_code, path) == (status, path)
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_pages_own_calls_are_not_offered_to_programs(server):
    found = server.get("/gradio_api/info").json()
    assert found == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_a_card_without_its_plots_tells_them_in_words(tmp_path):
    served = Served({}, {}, 0.9, tmp_path)
    assert "has no card" in about(served)
    text = "---\na: 1\n---\n\n# Model\n\n![MAE 3](plots/parity-Density.png)\n![x](../secret.png)\n"
    (tmp_path / "README.md").write_text(text)
    assert about(served) == "## Model\n\nMAE 3\n![x](../secret.png)\n"
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "parity-Density.png").write_bytes(b"\x89PNG")
    assert "![MAE 3](data:image/png;base64,iVBORw==)" in about(served)
    assert without_front_matter("--- no matter") == "--- no matter"


def test_columns_of_the_table_may_have_the_names_of_new_ones():
    tally = Tally(1, 2, ["Density"])
    tally.add(b"smiles,Density,predicted_Density,Density_low,Density_high,Density_unit,v,n,e\n")
    tally.add("*CC*,9,0.951,0.91,0.99,g/cm³,inside,,\n".encode())
    text = summary(tally)
    assert "<strong>0.95</strong>" in text
    assert "Inside the training data" in text
    assert tally.content.count(b"\n") == 2


def test_a_permeability_is_told_in_barrer():
    assert barrer(0.0) == "1"
    assert barrer(1.398) == "25"
    assert barrer(-4.0) == "1.0 × 10<sup>−4</sup>"


def test_the_page_needs_no_font_or_script_from_elsewhere():
    text = (ROOT / "app" / "page" / "page.css").read_text()
    assert "http" not in text
    assert "@import" not in text
