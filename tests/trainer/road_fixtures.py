"""One finished road for all tests that need a run, a registry or a release: it takes a while."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from road_kit import Road, small_table


@pytest.fixture(scope="session")
def tiny_table(property_table: Path) -> pd.DataFrame:
    """Return the rows that the tiny road is walked on."""
    return small_table(property_table)


@pytest.fixture(scope="session")
def finished(tiny_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Road:
    """Return a road that ended with the release v1.0.0. Copy it before changing anything."""
    road = Road.laid(tmp_path_factory.mktemp("road"), tiny_table)
    done = road.call("run", "--publish")
    assert done.returncode == 0, done.stdout + done.stderr
    (road.folder / "output.txt").write_text(done.stdout)
    return road


@pytest.fixture
def fresh(finished: Road, tiny_table: pd.DataFrame, tmp_path: Path) -> Road:
    """Return a road of the same inputs on which nothing was done; compiled programs are kept."""
    road = Road.laid(tmp_path / "road", tiny_table)
    shutil.copytree(finished.work / "cache", road.work / "cache")
    return road


@pytest.fixture
def walked(finished: Road, tmp_path: Path) -> Road:
    """Return a copy of the finished road."""
    shutil.copytree(finished.folder, tmp_path / "road", symlinks=True)
    return Road(tmp_path / "road")
