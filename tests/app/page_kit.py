"""A headless browser on the page of a running service."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from serve_kit import PATIENCE, Server

DESKTOP, PHONE = (1280, 900), (390, 844)
#: Longest wait of the browser, in milliseconds: the machine may be busy with something else.
_PATIENCE_MS = PATIENCE * 1000
expect.set_options(timeout=_PATIENCE_MS)


class Visit:
    """One visitor: a page with nothing remembered, and what it asked the network for."""

    def __init__(self, browser: Browser, server: Server, size: tuple[int, int] = DESKTOP) -> None:
        self.server = server
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True
        )
        self.context.set_default_timeout(_PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, query: str = "") -> "Visit":
        """Open the page, and wait until it can be used."""
        self.page.goto(f"{self.server.url}/{query}")
        expect(self.page.get_by_role("button", name="Predict", exact=True)).to_be_visible()
        expect(self.page.locator("#head")).not_to_be_empty()
        return self

    def choose(self, way: str) -> None:
        """Choose how the polymer is given."""
        self.page.get_by_role("radio", name=way).check()

    def write(self, label: str, text: str) -> None:
        """Fill a field."""
        self.page.get_by_label(label).first.fill(text)

    def tab(self, name: str) -> None:
        """Turn to another part of the page."""
        self.page.get_by_role("tab", name=name, exact=True).click()

    def give_table(self, table: Path) -> None:
        """Put a file into the tab for tables, and wait until it is there."""
        self.tab("Table")
        self.page.locator("#csv-in input[type=file]").set_input_files(table)
        expect(self.page.locator("#csv-in")).to_contain_text(table.stem)

    def predict(self, button: str = "Predict") -> None:
        """Press a button."""
        self.page.get_by_role("button", name=button, exact=True).click()

    def card(self, number: int = 1) -> "Card":
        """One of the polymers that are shown."""
        return Card(self, number)

    def fits(self) -> bool:
        """Whether nothing is wider than the window."""
        width = self.page.evaluate("document.documentElement.scrollWidth")
        return bool(width <= self.page.viewport_size["width"])

    def picture(self, path: Path) -> Path:
        """Take a picture of the whole page."""
        self.page.screenshot(path=path, full_page=True)
        return path

    def close(self) -> None:
        """Leave."""
        self.context.close()


class Card:
    """One polymer as it is shown."""

    def __init__(self, visit: Visit, number: int) -> None:
        self.place = visit.page.locator("article.polymer").nth(number - 1)

    def titled(self, title: str | re.Pattern[str]) -> "Card":
        """Wait until it is the polymer of this title."""
        expect(self.place.locator("h2")).to_have_text(title)
        return self

    @property
    def text(self) -> str:
        """All of it."""
        return self.place.inner_text()

    def value(self, title: str) -> tuple[float, str]:
        """The predicted value of a property, and its interval."""
        row = self.place.locator("table.properties tr", has_text=title)
        number = row.locator("td.value strong").inner_text().replace("−", "-")
        return float(number), row.locator("td.interval").inner_text().replace("−", "-")
