"""Kits of the other packages' tests, for tests that walk the whole way."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("app", "trainer")]

from container_fixtures import (  # noqa: E402, F401
    base_image,
    engine_url,
    podman,
    serve_image,
    sources,
    train_image,
)
