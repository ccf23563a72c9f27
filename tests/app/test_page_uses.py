"""The page in a browser: side by side, links, tables, the model's card, tacticity."""

import csv
import io
import re

import pytest
from browser_kit import NEEDS_CHROMIUM
from page_kit import Visit
from playwright.sync_api import expect
from serve_kit import release, serving, write_model

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]


def test_several_side_by_side(visit):
    visit.predict("Nylon 6,6 from monomers")
    visit.card().titled("O=C(O)CCCCC(=O)O + NCCCCCCN")
    visit.choose("Repeat unit")
    visit.write("Repeat unit as SMILES", "*CC(*)C")
    visit.predict("Add beside")
    second = visit.card(2).titled("*CC(*)C")
    table = visit.page.get_by_role("region", name="Comparison")
    expect(table.locator("thead th")).to_have_text(
        ["Property", "O=C(O)CCCCC(=O)O + NCCCCCCN", "*CC(*)C"]
    )
    value, _ = second.value("Density")
    row = table.locator("tr", has_text="Density")
    expect(row.locator("td").nth(1)).to_contain_text(f"{value:.2f}")
    # a click, for `uncheck` would look at the box again, which goes with the answer
    visit.page.get_by_role("checkbox", name="1. O=C(O)").click()
    expect(visit.page.locator("article.polymer")).to_have_count(1)
    visit.card().titled("*CC(*)C")
    expect(table).to_have_count(0)


def test_which_atoms_carry_the_prediction(visit):
    visit.predict("PET by its repeat unit")
    card = visit.card().titled("*OCCOC(=O)c1ccc(C(*)=O)cc1")
    first = card.place.get_by_role("img", name="coloured by Glass transition")
    expect(first.locator("svg")).to_be_visible()
    expect(first).to_have_attribute("aria-label", lowers_or_raises("°C"))
    card.place.get_by_text("Density", exact=True).last.click()
    second = card.place.get_by_role("img", name="coloured by Density")
    expect(second.locator("svg")).to_be_visible()
    expect(first).to_be_hidden()


def lowers_or_raises(unit):
    return re.compile(rf"Strongest atoms: [A-Z][a-z]? (raises|lowers) by \d.* {unit}")


def test_a_link_brings_the_same_numbers(visit, browser, server):
    visit.choose("Monomers")
    visit.write("Monomers as SMILES", "CC(O)C(=O)O")
    visit.predict()
    visit.card().titled("CC(O)C(=O)O")
    visit.write("Monomers as SMILES", "C=C%")
    visit.predict("Add beside")
    visit.card(2).titled("C=C%")
    expect(visit.page).to_have_url(
        re.compile(r"polymer=CC\(O\)C\(=O\)O;as=monomers&.*revision=v1\.0\.0$")
    )
    link = visit.page.locator("#link").get_by_role("textbox").input_value()
    assert link == visit.page.url
    other = Visit(browser, server)
    other.open(link.removeprefix(server.url + "/"))
    assert other.card().titled("CC(O)C(=O)O").value("Density") == visit.card().value("Density")
    other.card(2).titled("C=C%")
    expect(other.page.locator("article [role=alert]")).to_have_text(
        visit.page.locator("article [role=alert]").inner_text().replace("\n\n", "")
    )
    expect(other.page.get_by_role("radio", name="Monomers")).to_be_checked()
    expect(other.page.get_by_text("another model")).to_have_count(0)
    other.close()


def test_a_link_of_another_model_says_so(browser, server):
    visit = Visit(browser, server).open("?polymer=Nylon%206;as=name&revision=v0.9.0")
    visit.card().titled("Nylon 6 (PA6)")
    box = visit.page.get_by_role("alert").filter(has_text="made with another model")
    expect(box).to_contain_text("It names v0.9.0; served here is v1.0.0.")
    visit.close()


def test_a_table_goes_in_and_comes_out(visit, server, tmp_path):
    text = "id,smiles,mechanism\n1,C=CC,\n2,CC(O)C(=O)O,ester\n3,oops,\n"
    table = tmp_path / "polymers.csv"
    table.write_text(text)
    visit.give_table(table)
    visit.predict("Predict the table")
    result = visit.page.locator("#table-result")
    expect(result).to_contain_text("2 of 3 rows predicted")
    expect(result).to_contain_text("Row 3: 'oops'")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Download the table").click()
    assert waiting.value.suggested_filename == "polymers-predicted.csv"
    got = waiting.value.path().read_text(encoding="utf-8")
    files = {"file": ("polymers.csv", text.encode(), "text/csv")}
    assert got == server.post("/predict/batch", files=files).text
    rows = list(csv.DictReader(io.StringIO(got)))
    assert [row["id"] for row in rows] == ["1", "2", "3"]


def test_a_long_table_shows_how_far_it_is(visit, tmp_path):
    table = tmp_path / "long.csv"
    table.write_text("smiles\n" + "".join(f"*{'C' * n}O*\n" for n in range(5, 43)))
    visit.give_table(table)
    # every state of the bar is kept: a fast machine may show it for a moment only; the upload's
    # own bar may still be there
    visit.page.evaluate(
        """() => { window.bars = []; new MutationObserver(() => {
             const bar = document.querySelector('#table-result progress');
             if (bar) window.bars.push(bar.max);
           }).observe(document.body, {childList: true, subtree: true}); }"""
    )
    visit.predict("Predict the table")
    expect(visit.page.locator("#table-result h2")).to_have_text("38 of 38 rows predicted")
    expect(visit.page.locator("#table-result")).to_contain_text("The first 20 rows")
    assert set(visit.page.evaluate("window.bars")) == {38}


def test_about_this_model(visit):
    visit.tab("About this model")
    about = visit.page.locator("#about")
    for title in ("How good it is", "Intended use and limits", "Data", "Where it comes from"):
        expect(about.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(about.get_by_role("row", name="Glass transition °C 15")).to_be_visible()
    plot = about.get_by_role("img", name="Predicted against measured values of Density")
    expect(plot).to_be_visible()
    assert plot.evaluate("image => image.naturalWidth") > 100
    expect(about).not_to_contain_text("model-index")


def test_a_model_that_takes_tacticity(browser, tmp_path):
    model = write_model(tmp_path / "pm", 4, pm=True)
    release(tmp_path / "registry", "v2.0.0", model)
    with serving(tmp_path / "registry", tmp_path / "cache") as running:
        assert running.settled()["status"] == "ready"
        visit = Visit(browser, running).open()
        expect(visit.page.locator("#pm")).to_contain_text("Fraction of meso dyads")
        visit.page.locator("#pm input[type=number]").fill("0.9")
        visit.page.keyboard.press("Tab")
        visit.write("Name of the polymer", "PLA")
        visit.page.keyboard.press("Enter")
        visit.predict()
        card = visit.card().titled("Poly(lactic acid) (PLA)")
        expect(card.place).to_contain_text("Meso dyads: 0.9.")
        asked = {"monomers": ["CC(O)C(=O)O"], "mechanism": "ester", "pm": 0.9}
        answer = running.post("/predict", json=asked).json()
        assert card.value("Density")[0] == round(answer["properties"]["Density"]["value"], 2)
        expect(visit.page).to_have_url(re.compile("pm=0.9"))
        visit.tab("About this model")
        expect(visit.page.locator("#about")).to_contain_text("This model has no card.")
        visit.close()
