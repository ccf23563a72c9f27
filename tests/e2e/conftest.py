"""Kits of the other packages' tests, for tests that walk the whole way."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "trainer"))
