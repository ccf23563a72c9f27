"""Models, registries and running services that the tests of `app` share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import chromium
from page_kit import Visit
from playwright.sync_api import Browser
from serve_kit import Server, release, serving, write_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with reference predictions and a card."""
    return write_model(tmp_path_factory.mktemp("served") / "model", 1, card=True)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same properties, with the same files."""
    return write_model(tmp_path_factory.mktemp("served") / "other", 2, card=True)


@pytest.fixture(scope="session")
def served_registry(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose current release is v1.0.0."""
    root = tmp_path_factory.mktemp("served") / "registry"
    release(root, "v1.0.0", model_folder)
    return root


@pytest.fixture(scope="session")
def server(served_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with two workers, ready."""
    cache = tmp_path_factory.mktemp("served") / "cache"
    options = ("--workers", "2", "--rows", "40")
    with serving(served_registry, cache, *options) as running:
        running.until(lambda: running.get("/health/ready").status_code, lambda code: code == 200)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """A visitor who has opened the page."""
    made = Visit(browser, server)
    yield made.open()
    made.close()
