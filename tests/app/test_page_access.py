"""The page for everybody: phones, the keyboard alone, screen readers, no network but its own."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_kit import NEEDS_CHROMIUM
from page_kit import DESKTOP, PHONE, Visit
from playwright.sync_api import expect

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]


def faults(visit):
    """Serious and critical faults that axe-core finds, each with its first place."""
    found = Axe().run(visit.page).response["violations"]
    return [
        (
            one["id"],
            [node["target"] for node in one["nodes"]][:3],
            one["nodes"][0]["failureSummary"],
        )
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_view_fits_and_has_no_serious_fault(browser, server, tmp_path, size, theme):
    visit = Visit(browser, server, size).open(f"?__theme={theme}")
    page = visit.page

    def look(name):
        visit.picture(tmp_path / f"{name}.png")
        assert visit.fits(), name
        assert faults(visit) == [], name

    look("empty")
    visit.predict("Nylon 6,6 from monomers")
    visit.card().titled("O=C(O)CCCCC(=O)O + NCCCCCCN")
    look("one")
    visit.choose("Repeat unit")
    visit.write("Repeat unit as SMILES", "*OCCOC(=O)c1ccc(C(*)=O)cc1")
    visit.predict("Add beside")
    visit.card(2).titled("*OCCOC(=O)c1ccc(C(*)=O)cc1")
    visit.write("Repeat unit as SMILES", "*CC((")
    visit.predict("Add beside")
    visit.card(3).titled("*CC((")
    look("several")
    visit.tab("Table")
    visit.predict("Use an example")
    expect(page.locator("#csv-in")).to_contain_text("example")
    visit.predict("Predict the table")
    expect(page.locator("#table-result h2")).to_have_text("2 of 2 rows predicted")
    look("table")
    visit.tab("About this model")
    expect(page.locator("#about img").first).to_be_visible()
    look("about")
    visit.close()


def test_axe_would_find_a_fault(browser, server):
    visit = Visit(browser, server).open()
    visit.page.evaluate(
        """document.querySelector('#results').insertAdjacentHTML('beforeend',
           '<p style="color:#eee;background:#fff">pale</p><img src="data:,">')"""
    )
    assert {name for name, *_ in faults(visit)} >= {"color-contrast", "image-alt"}
    visit.close()


def test_the_keyboard_alone_suffices(browser, server):
    visit = Visit(browser, server).open()
    keys = visit.page.keyboard

    def to(description):
        """Go on with the tab key until something is in focus."""
        for _ in range(40):
            keys.press("Tab")
            if visit.page.evaluate(description):
                return
        raise AssertionError(f"not reached: {description}")

    to("document.activeElement.type === 'radio' && document.activeElement.value === 'unit'")
    keys.press("Space")
    expect(visit.page.get_by_role("radio", name="Repeat unit")).to_be_checked()
    expect(visit.page.get_by_label("Repeat unit as SMILES")).to_be_visible()
    to("document.activeElement.matches('#unit textarea, #unit input')")
    keys.type("*CC(*)CC")
    to("document.activeElement.innerText === 'Predict'")
    keys.press("Enter")
    visit.card().titled("*CC(*)CC")
    to("document.activeElement.matches('.carry input')")
    keys.press("ArrowRight")
    expect(visit.page.get_by_role("img", name="coloured by Density")).to_be_visible()
    to("document.activeElement.matches('summary')")
    keys.press("Enter")
    expect(visit.page.locator("details .chain")).to_be_visible()
    visit.page.get_by_role("tab", name="Predict").focus()
    keys.press("Tab")
    keys.press("Enter")
    expect(visit.page.get_by_role("button", name="Predict the table")).to_be_visible()
    visit.close()


def test_nothing_is_asked_of_anybody_else(browser, server):
    visit = Visit(browser, server).open()
    visit.predict("Polystyrene by name")
    visit.card().titled("Polystyrene (PS)")
    assert visit.asked
    foreign = [
        url for url in visit.asked if not url.startswith((server.url + "/", "data:", "blob:"))
    ]
    assert foreign == []
    visit.close()
