"""Polymer-property models: chemistry, graphs, networks, ensembles. A library usable alone."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyid.domain import DoV
    from polyid.multimodel import MultiModel, SingleModel
    from polyid.parameters import Parameters
    from polyid.preprocessor import PmPreprocessor, PolymerPreprocessor

__all__ = [
    "DoV",
    "MultiModel",
    "Parameters",
    "PmPreprocessor",
    "PolymerPreprocessor",
    "SingleModel",
]

_HOMES = {
    "DoV": "polyid.domain",
    "MultiModel": "polyid.multimodel",
    "Parameters": "polyid.parameters",
    "PmPreprocessor": "polyid.preprocessor",
    "PolymerPreprocessor": "polyid.preprocessor",
    "SingleModel": "polyid.multimodel",
}


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import, so only what is asked for is loaded
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'polyid' has no attribute {name!r}")
