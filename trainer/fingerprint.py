"""A run's fingerprint: the hash of what decides its result, and of nothing else.

Data, parameters and code. Not in it: where files lie, comments and key order in ``params.yaml``,
line endings, the machine, the time. Two runs with one fingerprint are the same run, so the second
need not be trained.
"""

import hashlib
import importlib.util
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyid.checksums import file_hash
from polyid.errors import PolyIDError

#: Packages whose code decides a result. The rest of `trainer` (gate, report, registry) only judges.
CODE = ("polyid", "trainer.training")

_SHA256 = re.compile(r"[0-9a-f]{64}")


def data_hash(path: Path) -> str:
    """SHA-256 of a data file's bytes, 64 hexadecimal digits; its name and place do not matter.

    Raises
    ------
    PolyIDError
        If there is no such file.
    """
    if not path.is_file():
        raise PolyIDError(
            f"There is no data file at {path}. Fetch it with `dvc pull`, or check --data."
        )
    return file_hash(path)


def params_hash(params: Mapping[str, Any]) -> str:
    """SHA-256 of parameters in canonical JSON, 64 hexadecimal digits.

    Keys are sorted, tuples are lists, and a whole number is the same with and without a point.

    Parameters
    ----------
    params : mapping
        The parsed parameters with every default filled in (``config.model_dump()``), so that
        leaving a key out and writing its default are the same recipe.

    Raises
    ------
    PolyIDError
        If a value is not plain data, or not a finite number.
    """
    text = json.dumps(_plain(params, ""), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def code_hash(folders: Mapping[str, Path] | None = None) -> str:
    """SHA-256 over the Python files that decide a result, 64 hexadecimal digits.

    Parameters
    ----------
    folders : mapping of str to Path, optional
        Package name and folder; by default the packages in `CODE`, where they are installed.
    """
    digest = hashlib.sha256()
    for package, folder in sorted((folders or _installed()).items()):
        for path in sorted(folder.rglob("*.py"), key=lambda p: p.relative_to(folder).as_posix()):
            text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            # the length before each part keeps (name, text) pairs from running into one another
            for part in (name.encode("utf-8"), text):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
    return digest.hexdigest()


def fingerprint(*, data: str, params: str, code: str) -> str:
    """Fingerprint of a run, 16 hexadecimal digits, from its three hashes.

    Raises
    ------
    PolyIDError
        If one of them is not a SHA-256 (an empty one would make different runs look the same).
    """
    hashes = {"code": code, "data": data, "params": params}
    for name, value in hashes.items():
        if not _SHA256.fullmatch(value):
            raise PolyIDError(f"{name}: expected a SHA-256 of 64 hex digits, received {value!r}.")
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]


def _installed() -> dict[str, Path]:
    found = {}
    for package in CODE:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise PolyIDError(f"The package {package} is not installed: run `make run` once.")
        found[package] = Path(next(iter(spec.submodule_search_locations)))
    return found


def _plain(value: Any, where: str) -> Any:
    """Reduce a value to what canonical JSON can hold."""
    match value:
        case Mapping():
            if wrong := [key for key in value if not isinstance(key, str)]:
                raise PolyIDError(f"params: {where or 'top level'}: key {wrong[0]!r} is not text.")
            return {key: _plain(item, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return int(value) if value.is_integer() else value
        case Sequence() if not isinstance(value, bytes):
            return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise PolyIDError(
        f"params: {where}: expected text, a finite number, true, false, null, a list or a mapping, "
        f"received {value!r} ({type(value).__name__})."
    )
