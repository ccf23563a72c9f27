"""The training page for tests: as the application of a Space, and in a real browser."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy_kit import make_space
from road_kit import ROOT, Road, wait_for

PASSWORD = "the password of the page"  # noqa: S105 - a test's own
#: Milliseconds and seconds for what a loaded machine may take its time for.
PATIENCE_MS, PATIENCE = 480_000, 480.0


def page_command(road: Road, registry: str, *more: str) -> list[str]:
    """Command line that serves the page on ``$PORT``, as a Space starts it."""
    places = ["--data", road.data, "--params", road.params, "--gates", road.gates]
    words = [sys.executable, "-m", "trainer.cli", "ui", *map(str, places)]
    words += ["--registry", registry, "--work", str(road.work), *more]
    line = " ".join(f"'{word}'" for word in words)
    return ["sh", "-c", f"exec {line} --port $PORT"]


class SpaceUnderTest:
    """A Space on the test Hub whose application is the page."""

    def __init__(self, hub: Any, name: str) -> None:
        self.hub, self.name = hub, name

    @property
    def stage(self) -> str:
        return str(self.hub.api().get_space_runtime(self.name).stage)

    @property
    def hardware(self) -> str:
        return str(self.hub.api().get_space_runtime(self.name).requested_hardware)

    @property
    def url(self) -> str:
        domains = self.hub.api().get_space_runtime(self.name).raw["domains"]
        return f"http://{domains[0]['domain']}/"

    @property
    def log(self) -> str:
        folder = Path(self.hub.space(self.name)["folder"])
        return "\n".join(p.read_text() for p in sorted(folder.glob("*/log.txt")))

    def until(self, stage: str) -> None:
        """Wait for a stage."""
        assert wait_for(lambda: self.stage in (stage, "RUNTIME_ERROR"), PATIENCE, 0.3)
        assert self.stage == stage, self.log


@contextmanager
def training_space(
    hub: Any, command: list[str], *, hardware: str = "t4-small", token: str | None = None
) -> Iterator[SpaceUnderTest]:
    """Make a private Space on paid hardware whose application is the page."""
    secrets = {"HF_TOKEN": token or hub.owner_token, "UI_PASSWORD": PASSWORD}
    name = make_space(hub, command, {}, secrets, private=True, cwd=ROOT)
    hub.api().request_space_hardware(name, hardware)
    space = SpaceUnderTest(hub, name)
    try:
        space.until("RUNNING")
        yield space
    finally:
        hub.api().delete_repo(name, repo_type="space")


class Visitor:
    """One person at the page, with cookies of their own."""

    def __init__(self, browser: Any, url: str, *, width: int = 1000) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.url = url
        self.foreign: set[str] = set()
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.foreign.add(request.url)

    def open(self, name: str | None = None) -> "Visitor":
        """Open the page, signing in if ``name`` is given."""
        wait_for(self._there, 60, 0.5)
        if name:
            self.page.get_by_label("Your name").fill(name)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in").click()
        self.page.locator("#run p, #run .state").first.wait_for()
        return self

    def _there(self) -> bool:
        """Go to the page; a Space that restarts is not there, and a page it left reloads itself."""
        from playwright.sync_api import Error

        try:
            self.page.goto(self.url)
        except Error as error:
            print(f"{self.url}: {error.message}")
            return False
        return True

    def see(self, selector: str, text: str = "") -> str:
        """Wait until something shows (with a text), and return all its text."""
        from playwright.sync_api import TimeoutError as LateError

        found = self.page.locator(selector).filter(has_text=text).first
        try:
            found.wait_for()
        except LateError:
            shown = self.page.locator("body").inner_text()
            raise AssertionError(f"{selector} {text!r} did not show; the page:\n{shown}") from None
        return str(found.text_content())

    def shows(self, selector: str) -> bool:
        return bool(self.page.locator(selector).is_visible())

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose_epochs(self, epochs: int) -> None:
        """Fill the number in, and wait until the run that it makes is shown."""
        field = self.page.locator("#epochs input")
        field.fill(str(epochs))
        field.press("Tab")
        self.see("#plan", f"× {epochs} epochs")

    def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def shot(self, name: str) -> None:
        """Keep a picture of the whole page where UI_SHOTS names a folder."""
        if folder := os.environ.get("UI_SHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
