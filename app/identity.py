"""What every answer says of its model, from the release's own files."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from polyid.errors import PolyIDError
from polyid.registry import TAG
from polyid.store import ResolvedModel


class Described(NamedTuple):
    """A model's identity and its papers."""

    identity: dict[str, str | None]
    """As `app.schemas.ModelOut`."""
    record: dict[str, Any]
    """``record.yaml`` as plain data; empty if there is none."""
    release: dict[str, Any]
    """``release.json``; empty for a candidate or a folder."""


def describe(model: ResolvedModel) -> Described:
    """Read a verified model's papers.

    Raises
    ------
    PolyIDError
        If one of them cannot be read.
    """
    record = _read(model.folder / "record.yaml")
    release = _read(model.folder / "release.json")
    revision = model.revision or ""
    tag = revision if TAG.fullmatch(revision) else _text(release, "tag")
    identity = {
        "registry": model.registry,
        "revision": model.revision,
        "tag": tag,
        "hub_commit": model.commit,
        "fingerprint": model.fingerprint,
        "commit": _text(record.get("code"), "commit"),
        "data_hash": _text(record.get("data"), "hash"),
        "image": _text(record.get("code"), "image"),
    }
    return Described(identity, record, release)


def exact(model: ResolvedModel) -> str | None:
    """Address by which the same bytes are found again; None for a folder of its own."""
    pinned = model.commit or model.revision
    return f"{model.registry}@{pinned}" if model.registry and pinned else None


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PolyIDError(f"Cannot read {path}: {error}") from error
    try:
        content: Any = yaml.safe_load(text)  # JSON is YAML too
        # times and the like as text: this goes out as JSON
        plain: Any = json.loads(json.dumps(content, default=str, allow_nan=False))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PolyIDError(f"{path} cannot be read: {error}") from error
    return plain if isinstance(plain, dict) else {}


def _text(section: object, key: str) -> str | None:
    found = section.get(key) if isinstance(section, dict) else None
    return found if isinstance(found, str) else None
