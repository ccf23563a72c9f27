"""The GitHub for tests as a fixture, seen by all tests through ``tests/conftest.py``.

``github``
    The server (`github_kit.GitHub`) with nothing in it. It is one thread for the whole run and
    serves the repository ``acme/polymers``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from github_kit import GitHub


@pytest.fixture(scope="session")
def github_server() -> Iterator[GitHub]:
    """One server for the whole run."""
    with GitHub.start() as server:
        yield server


@pytest.fixture
def github(github_server: GitHub) -> GitHub:
    """The server with no comments, checks, refs, faults or requests."""
    github_server.forget()
    return github_server
