"""``domain.json``: what it holds, how it is written, and what is refused when it is read."""

import json
import math
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from polyid.errors import DomainError

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Entry(BaseModel):
    """One training polymer."""

    model_config = _STRICT
    smiles_polymer: str
    smiles_monomer: str
    measured: dict[str, float]
    """Labels in product units; a property without a label is left out."""
    features: list[int]
    """Positions in the file's ``vocabulary``."""
    counts: list[int]
    """Copies of each of ``features`` in the chain."""


class StoredDomain(BaseModel):
    """The whole file."""

    model_config = _STRICT
    format: Literal[1]
    radius: int
    properties: list[str]
    elements: list[str]
    vocabulary: list[int]
    """Morgan feature identifiers of all polymers."""
    polymers: list[Entry]


def write_domain(stored: StoredDomain, path: Path) -> None:
    """Write ``stored`` to ``path`` in one step: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(stored.model_dump(), separators=(",", ":"), allow_nan=False)
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_domain(path: Path) -> StoredDomain:
    """Read and check a file.

    Raises
    ------
    DomainError
        If the file is missing, is no JSON, or does not hold a whole domain.
    """
    try:
        stored = StoredDomain.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DomainError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise _refused(path, f"{where}: {first['msg']}") from error
    fault = _fault(stored)
    if fault:
        raise _refused(path, fault)
    return stored


def _refused(path: Path, fault: str) -> DomainError:
    return DomainError(
        f"{path} is no domain of validity: {fault}. Fetch the model again, or release it anew."
    )


def _fault(stored: StoredDomain) -> str:
    """Name the first thing that has the right type but cannot have been saved."""
    if not stored.polymers:
        return "it holds no polymers"
    if not 0 <= stored.radius <= 6:
        return f"radius is {stored.radius}, expected 0 to 6"
    if len(set(stored.vocabulary)) != len(stored.vocabulary):
        return "vocabulary holds a feature twice"
    for number, entry in enumerate(stored.polymers):
        if len(entry.features) != len(entry.counts) or not entry.features:
            return (
                f"polymer {number} has {len(entry.features)} features and "
                f"{len(entry.counts)} counts"
            )
        if min(entry.features) < 0 or max(entry.features) >= len(stored.vocabulary):
            return f"polymer {number} names a feature that vocabulary lacks"
        if min(entry.counts) < 1:
            return f"polymer {number} has a count below one"
        if not all(math.isfinite(value) for value in entry.measured.values()):
            return f"polymer {number} has a label that is not a finite number"
        if not set(entry.measured) <= set(stored.properties):
            return f"polymer {number} has a label of a property that is not listed"
    return ""
