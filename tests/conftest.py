"""What tests of every package share: the data files, pulled if they are not there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("github", "hub", "runpod", "trainer")]

from github_fixtures import github, github_server  # noqa: E402, F401 - fixtures of all packages
from hub_fixtures import hub, hub_home, hub_server  # noqa: E402, F401 - fixtures of all packages
from road_fixtures import finished, fresh, tiny_table, walked  # noqa: E402, F401 - the same
from runpod_fixtures import runpod  # noqa: E402, F401 - fixtures of all packages


def _data(name: str) -> Path:
    path = ROOT / "data" / name
    if not path.exists():
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "pull"], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode or not path.exists():
            pytest.fail(f"{path} is missing and `dvc pull` did not bring it: {done.stderr}")
    return path


@pytest.fixture(scope="session")
def property_table() -> Path:
    """Table of seven properties, chains of 18."""
    return _data("polyid_properties.csv")


@pytest.fixture(scope="session")
def stereo_table() -> Path:
    """Table of stereo-polymers with ``pm``, chains of 10."""
    return _data("stereopolymer_input_nopush.csv")
