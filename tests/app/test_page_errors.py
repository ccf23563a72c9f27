"""The page in a browser: what is said when there is no prediction."""

import pytest
from browser_kit import NEEDS_CHROMIUM
from page_kit import Visit
from playwright.sync_api import expect
from serve_kit import serving

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]


def told(visit, *parts):
    """Whether the only polymer that is shown has an error with these words."""
    box = visit.page.locator("article.polymer [role=alert]")
    for part in parts:
        expect(box).to_contain_text(part)
    expect(visit.page.locator("table.properties")).to_have_count(0)


def test_what_is_not_smiles(visit):
    visit.choose("Repeat unit")
    visit.write("Repeat unit as SMILES", "*CC((")
    visit.predict()
    told(visit, "This polymer cannot be predicted", "is not SMILES", "position 5")


def test_an_unknown_name_suggests_another(visit):
    visit.write("Name of the polymer", "polystyrol")
    visit.page.keyboard.press("Tab")
    visit.predict()
    told(visit, "“polystyrol” is not among the", "Did you mean Polystyrene (PS)?")


def test_an_empty_field(visit):
    visit.predict()
    told(visit, "Choose a polymer from the list, or type its name.")
    visit.choose("Whole chain")
    visit.predict()
    told(visit, "Write the SMILES of a whole chain")


def test_monomers_that_do_not_join(visit):
    visit.choose("Monomers")
    visit.write("Monomers as SMILES", "CCO")
    visit.predict()
    told(visit, "No mechanism joins 'CCO'", "A repeat unit with two * works")


def test_what_a_visitor_writes_is_never_markup(visit):
    visit.choose("Repeat unit")
    visit.write("Repeat unit as SMILES", "<img src=x onerror=document.title='broken'>")
    visit.predict()
    told(visit, "give one SMILES per input")
    expect(visit.page.locator("article.polymer img")).to_have_count(0)
    expect(visit.page).to_have_title("PolyID")


def test_too_many_rows(visit, tmp_path):
    table = tmp_path / "many.csv"
    table.write_text("smiles\n" + "*CC*\n" * 41)
    visit.give_table(table)
    visit.predict("Predict the table")
    box = visit.page.locator("#table-result [role=alert]")
    expect(box).to_contain_text("Too many polymers at once")
    expect(box).to_contain_text("has 41 rows; at most 40")


def test_no_table(visit):
    visit.tab("Table")
    visit.predict("Predict the table")
    expect(visit.page.locator("#table-result [role=alert]")).to_contain_text("Choose a CSV file")


def test_a_table_without_structures(visit, tmp_path):
    table = tmp_path / "wrong.csv"
    table.write_text("a,b\n1,2\n")
    visit.give_table(table)
    visit.predict("Predict the table")
    box = visit.page.locator("#table-result [role=alert]")
    expect(box).to_contain_text("wrong.csv has no column of structures; its columns are a, b.")


def test_no_model(browser, tmp_path):
    with serving(tmp_path / "nothing", tmp_path / "cache") as running:
        assert running.settled()["status"] == "not ready"
        visit = Visit(browser, running).open()
        head = visit.page.locator("#head")
        expect(head).to_contain_text("No model is served")
        expect(head).to_contain_text("nothing")
        visit.choose("Repeat unit")
        visit.write("Repeat unit as SMILES", "*CC*")
        visit.predict()
        told(visit, "No model is being served yet")
        visit.tab("About this model")
        expect(visit.page.locator("#about")).to_contain_text("No model is served yet.")
        visit.close()
