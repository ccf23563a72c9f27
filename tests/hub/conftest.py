"""Fixtures of the Hub's own tests; the server's are in ``hub_fixtures.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_kit import Hub

HfCommand = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def repo(hub: Hub) -> str:
    """A new private model repository of ``acme``."""
    name = hub.name("model")
    hub.api().create_repo(name, private=True)
    return name


@pytest.fixture
def hf(hub: Hub, tmp_path: Path) -> HfCommand:
    """The real ``hf`` command: ``hf("repos", "create", name)``, checked unless ``check=False``."""

    def run(*args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "hf"), *args]
        surroundings = hub.env(tmp_path / "hf-command") | env
        done = subprocess.run(command, capture_output=True, text=True, env=surroundings)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
