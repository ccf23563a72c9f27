"""A real headless browser for all tests that look at a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(
    _CHROMIUM is None, reason="needs chromium; scripts/setup.sh dev installs it where it can"
)
_QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
]
#: Longest wait for its start, in milliseconds: the machine may be busy with something else.
_START_MS = 300_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser that asks nobody for anything by itself."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=_QUIET, timeout=_START_MS
        )
        try:
            yield started
        finally:
            started.close()
