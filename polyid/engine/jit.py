"""Compile the engine's loops for this processor, once, and keep what was compiled."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import cfunc, config, njit

#: Sums may be taken in any order and products fused; infinities and NaN stay what they are.
_MATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable) -> Callable[..., Any]:
    """Compile a function of arrays at its first call; it runs without Python's lock."""
    made: Callable[..., Any] = _kept(njit, nogil=True, fastmath=_MATH, error_model="numpy")(
        function
    )
    return made


def callback(signature: Any) -> Callable[[Callable], Any]:
    """Compile a function of a C signature at once; it has an ``address``."""
    return _kept(cfunc, signature)


def is_new() -> bool:
    """Whether everything is still to be compiled."""
    return not _folder() or not any(Path(_folder()).iterdir())


def _kept(compiler: Callable, *arguments: Any, **options: Any) -> Any:
    """Give a decorator of Numba whose results are kept."""

    def decorate(function: Callable) -> Any:
        folder, before = _folder(), config.CACHE_DIR
        config.CACHE_DIR = folder or before  # it is read in here only
        try:
            return compiler(*arguments, cache=folder != "", **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


@cache
def _folder() -> str:
    """Where compiled code is kept; nowhere if nothing can be written.

    The folder bears the content of the engine's files: Numba looks at the file of a function only,
    and not at those of the functions that it calls.
    """
    content = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content.update(path.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(root) / "polyid" / f"kernels-{content.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:
        return ""
