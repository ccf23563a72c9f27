"""What tests of other clouds share: the rows of a tiny road."""

import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "trainer"))

from road_kit import small_table  # noqa: E402


@pytest.fixture(scope="session")
def tiny_table(property_table: Path) -> pd.DataFrame:
    """Return the rows that a tiny run is made of."""
    return small_table(property_table)
