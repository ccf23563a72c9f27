"""Comment and summary in a real browser, as wide as a desk's and a phone's: read, not cut."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser_kit import NEEDS_CHROMIUM, chromium
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Page
from review_kit import a_change, stored

from trainer.registry import LocalRegistry, open_registry
from trainer.review.facts import facts
from trainer.review.failure import Broken, failure_page
from trainer.review.page import page as review_page

CSS = (Path(__file__).parent / "github_look.css").read_text()
WIDTHS = {"desk": 1012, "phone": 390}
pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def html(markdown: str) -> str:
    body = MarkdownIt("gfm-like", {"html": True}).render(markdown)
    return f"<!doctype html><meta charset=utf-8><style>{CSS}</style><main>{body}</main>"


def looks(browser: Browser, markdown: str, shot: Path) -> Iterator[Page]:
    """Show it as wide as a desk's and a phone's window, all unfolded, with a picture of each."""
    page = browser.new_page()
    try:
        for name, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 800})
            page.set_content(html(markdown), wait_until="load")
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.screenshot(path=shot.with_name(f"{shot.name}-{name}.png"), full_page=True)
            yield page
    finally:
        page.close()


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def seen_at_once(page: Page, text: str) -> bool:
    """Whether a text stands in the window before anybody scrolls."""
    box = page.get_by_text(text).first.bounding_box()
    return box is not None and box["y"] + box["height"] < 800 and box["x"] >= 0


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shots")


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_a_review_from_the_hub_is_readable(hub, hub_home, browser, tmp_path, shots, verdict):
    registry = open_registry(f"hf://{hub.name()}", public=True)
    made = stored(registry, tmp_path / "run", verdict)
    found = replace(facts(registry, made.fingerprint), change=a_change(made.table))
    for page in looks(browser, review_page(found), shots / verdict):
        assert overflow(page) <= 0
        assert seen_at_once(page, f"Model gate: {verdict}")
        assert seen_at_once(page, "What to do next")
        images = page.locator("img")
        assert images.count() == 4
        for image in images.all():
            assert image.evaluate("i => i.complete && i.naturalWidth > 300")
            assert image.evaluate("i => i.getBoundingClientRect().right <= window.innerWidth")
        assert page.locator("img[alt*='Predicted against measured']").count() == 2


def test_a_review_from_a_folder_is_readable(browser, tmp_path, shots):
    registry = LocalRegistry(tmp_path / "registry")
    made = stored(registry, tmp_path / "run", "pass", first=True)
    text = review_page(facts(registry, made.fingerprint))
    for page in looks(browser, text, shots / "folder"):
        assert overflow(page) <= 0
        assert page.locator("img").count() == 0
        assert seen_at_once(page, "Model gate: pass")


def test_a_failure_is_readable(browser, shots):
    url = "https://github.com/acme/polymers/actions/runs/12"
    broken = [Broken("train", "hold data and recipe to the contract", "failure", f"{url}/job/3")]
    title = "Model gate: no verdict, the run failed"
    text = failure_page("failure", title, broken, {"DATA": "data/polymers.csv"}, url, "12")
    for page in looks(browser, text, shots / "failure"):
        assert overflow(page) <= 0
        assert seen_at_once(page, "no verdict")
        assert seen_at_once(page, "hold data and recipe")
        link = page.get_by_role("link", name="log").first
        assert link.get_attribute("href") == f"{url}/job/3"


def test_what_would_be_cut_is_found(browser, tmp_path):
    text = f"<pre>{'x' * 300}</pre>\n\n" + "line\n\n" * 60 + "verdict"
    for page in looks(browser, text, tmp_path / "wide"):
        assert overflow(page) > 0
        assert not seen_at_once(page, "verdict")
