"""The page in a browser: each way to give a polymer, and what is shown of it."""

import pytest
from browser_kit import NEEDS_CHROMIUM
from playwright.sync_api import expect

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]


def same(card, answer):
    """Whether a card shows the numbers that the API gives."""
    for title, name, digits in (
        ("Glass transition", "Glass_Transition", 0),
        ("Density", "Density", 2),
    ):
        found = answer["properties"][name]
        value, interval = card.value(title)
        assert value == round(found["value"], digits)
        ends = [f"{found[end]:.{digits}f}" for end in ("low", "high")]
        assert interval.startswith(f"{ends[0]} to {ends[1]}")
    return True


def test_by_name(visit, server):
    visit.write("Name of the polymer", "polystyrene")
    visit.page.keyboard.press("Enter")
    visit.predict()
    card = visit.card().titled("Polystyrene (PS)")
    asked = {"monomers": ["C=Cc1ccccc1"], "mechanism": "vinyl"}
    assert same(card, server.post("/predict", json=asked).json())
    assert "inside the training data" in card.text
    unit = card.place.get_by_role("img", name="Repeat unit: *CC(*)c1ccccc1")
    expect(unit.locator("svg")).to_be_visible()
    expect(
        card.place.get_by_role("img", name="Monomer: C=Cc1ccccc1").locator("svg")
    ).to_be_visible()
    near = card.place.locator("li.near")
    expect(near).to_have_count(3)
    expect(near.first).to_contain_text("C=Cc1ccccc1")
    expect(near.first).to_contain_text("Tg 100 °C")


def test_by_monomers(visit, server):
    visit.choose("Monomers")
    visit.write("Monomers as SMILES", "O=C(O)CCCCC(=O)O\nNCCCCCCN")
    visit.predict()
    card = visit.card().titled("O=C(O)CCCCC(=O)O + NCCCCCCN")
    asked = {"monomers": ["O=C(O)CCCCC(=O)O", "NCCCCCCN"]}
    assert same(card, server.post("/predict", json=asked).json())
    assert "Mechanism found from the monomers' groups: amide." in card.text
    unit = card.place.get_by_role("img", name="Repeat unit: *NCCCCCCNC(=O)CCCCC(*)=O")
    expect(unit.locator("svg")).to_be_visible()


def test_by_repeat_unit(visit, server):
    visit.choose("Repeat unit")
    visit.write("Repeat unit as SMILES", "*CC(*)Cc1ccccc1")
    visit.page.keyboard.press("Enter")
    card = visit.card().titled("*CC(*)Cc1ccccc1")
    assert same(card, server.predict("*CC(*)Cc1ccccc1"))
    assert "Chain built from the repeat unit." in card.text


def test_by_whole_chain(visit, server):
    chain = "CC(O)C(=O)" + "OC(C)C(=O)" * 9 + "O"
    visit.choose("Whole chain")
    visit.write("Whole chain as SMILES", chain)
    visit.predict()
    card = visit.card()
    expect(card.place).to_contain_text("Read as a whole chain.")
    assert same(card, server.predict(chain, kind="oligomer"))
    unit = card.place.get_by_role("img", name="Repeat unit: *OC(C)C(*)=O")
    expect(unit.locator("svg")).to_be_visible()
