"""Compile the engine's loops for this processor, once, and keep what was compiled."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import cfunc, config, njit

#: Sums may be taken in any order and products fused; infinities and NaN stay what they are.
_MATH = {"reassoc", "contract", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": _MATH, "error_model": "numpy"}


def kernel(function: Callable) -> Callable[..., Any]:
    """Compile a function of arrays at its first call; it runs without Python's lock."""
    made: Callable[..., Any] = _kept(njit, **_OPTIONS)(function)
    return made


def inner(function: Callable) -> Callable[..., Any]:
    """Compile a function that only compiled ones call: it is kept within them."""
    alone = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    made: Callable[..., Any] = njit(**_OPTIONS, **alone)(function)
    return made


def callback(signature: Any) -> Callable[[Callable], Any]:
    """Compile a function of a C signature at once; it has an ``address``."""
    return _kept(cfunc, signature)


def is_new() -> bool:
    """Whether everything is still to be compiled."""
    return not folder() or not any(Path(folder()).iterdir())


def _kept(compiler: Callable, *arguments: Any, **options: Any) -> Any:
    """Give a decorator of Numba whose results are kept."""

    def decorate(function: Callable) -> Any:
        before = config.CACHE_DIR
        config.CACHE_DIR = folder() or before  # it is read in here only
        try:
            return compiler(*arguments, cache=folder() != "", **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


def root() -> Path:
    """Folder for compiled code: ``POLYID_KERNELS``, or one in the user's cache."""
    given = os.environ.get("POLYID_KERNELS")
    if given:
        return Path(given)
    cached = os.environ.get("XDG_CACHE_HOME")
    return (Path(cached) if cached else Path("~/.cache").expanduser()) / "polyid"


@cache
def folder() -> str:
    """Where this code's compiled loops are kept; nowhere, ``""``, if nothing can be written.

    It bears the content of all files with such loops: Numba looks at the age of a function's file
    only, which an image may set, and not at the files of the functions that it calls. It begins as
    a copy of what ``POLYID_KERNELS_AHEAD`` holds, since Numba reads only where it could write.
    """
    content = hashlib.sha256()
    engine = Path(__file__).parent
    for path in [*sorted(engine.glob("*.py")), *engine.parent.glob("refinement.py")]:
        content.update(path.read_bytes())
    found = root() / f"kernels-{content.hexdigest()[:16]}"
    ahead = Path(os.environ.get("POLYID_KERNELS_AHEAD", "")) / found.name
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
        if ahead.is_dir() and not found.exists():
            with tempfile.TemporaryDirectory(dir=found.parent) as whole, suppress(OSError):
                # in one step: another process may be about to read it, or have been quicker
                shutil.copytree(ahead, Path(whole) / found.name).rename(found)
        found.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=found):
            return str(found)
    except OSError:
        return ""
