"""Where a model is: a folder, or a registry's release or candidate, verified before use.

A registry is a folder (the pipeline writes it)::

    candidates/<fingerprint>/   what one run made; never changed
    releases/<tag>/             a candidate that was published, with release.json
    reviews/<fingerprint>/<n>/  a later verdict on a candidate, beside it
    current.json                which release is current

Readers take no lock: every one of these appears in one step and is never changed afterwards.
"""

import difflib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polyid.checksums import (
    CHECKSUMS,
    TamperedError,
    file_hash,
    read_checksums,
    verify,
    write_checksums,
)
from polyid.errors import PolyIDError

__all__ = [
    "ResolvedModel",
    "TamperedError",
    "UnknownModelError",
    "candidate_fingerprints",
    "current_tag",
    "file_hash",
    "read_checksums",
    "release_tags",
    "resolve",
    "verdict",
    "verify",
    "write_checksums",
]

CANDIDATES, RELEASES, REVIEWS, CURRENT = "candidates", "releases", "reviews", "current.json"

TAG = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")

_SHORTEST_PREFIX = 4


class UnknownModelError(PolyIDError):
    """A model was asked for that is not there."""


@dataclass(frozen=True)
class ResolvedModel:
    """A verified model folder and where it came from."""

    folder: Path
    """The folder to load."""
    registry: str | None
    """Address of the registry it stands in; None for a folder of its own."""
    revision: str | None
    """Release tag, ``candidate/<fingerprint>``, or None for a folder that is not released."""
    fingerprint: str | None
    """The run's fingerprint, None where the folder has no record."""
    commit: str | None = None
    """Commit on the Hub that was loaded; None for a local folder."""


def resolve(model: str) -> ResolvedModel:
    """Find a model and verify its checksums.

    Parameters
    ----------
    model : str
        ``FOLDER``, ``REGISTRY`` (its current release), ``REGISTRY@v1.2.0`` or
        ``REGISTRY@candidate/<fingerprint>`` (which may be shortened while it stays unique). A
        registry is a folder or ``hf://namespace/name``, which takes a commit as a revision too.

    Raises
    ------
    UnknownModelError
        If there is no such folder, registry, release or candidate; the message says what is there.
    TamperedError
        If the folder is not what its checksums say.
    """
    try:
        return _resolve_on_hub(model) if model.startswith("hf://") else _resolve(model)
    except OSError as error:
        raise PolyIDError(f"{model} cannot be read: {error.strerror}: {error.filename}.") from error


def _resolve(model: str) -> ResolvedModel:
    path, revision = _split(model)
    if _is_model(path):
        if revision is not None:
            raise UnknownModelError(
                f"{path} is one model, not a registry: it has no revision {revision!r}. "
                f"Give the folder alone: --model {path}"
            )
        verify(path)
        return ResolvedModel(path, None, _released_as(path), _fingerprint(path))
    if not _is_registry(path):
        raise UnknownModelError(_not_a_model(path))
    if revision is None:
        revision = current_tag(path)
        if revision is None:
            raise UnknownModelError(_no_release(path))
    folder = locate(path, revision)
    verify(folder)
    if revision.startswith("candidate/"):
        revision = f"candidate/{folder.name}"
    return ResolvedModel(folder, str(path), revision, _fingerprint(folder))


def _resolve_on_hub(model: str) -> ResolvedModel:
    from polyid import hub  # which needs this module

    repo, revision = hub.repository(model)
    pinned = hub.pin(repo, revision)
    folder = hub.fetch(pinned)
    name = _released_as(folder) if revision == pinned.commit else None
    shown = name or pinned.revision
    return ResolvedModel(folder, f"hf://{repo}", shown, _fingerprint(folder), pinned.commit)


def locate(registry: Path, revision: str) -> Path:
    """Find the folder of a tag or of ``candidate/<fingerprint>``; it is not verified here.

    Raises
    ------
    UnknownModelError
        If there is no such revision; the message says what is there.
    """
    if revision.startswith("candidate/"):
        found = find_candidate(registry, revision.removeprefix("candidate/"))
        return registry / CANDIDATES / found
    return _release(registry, revision)


def release_tags(registry: Path) -> list[str]:
    """Tags of all releases, oldest version first."""
    tags = _names(registry / RELEASES, TAG)
    return sorted(tags, key=lambda tag: tuple(int(part) for part in tag[1:].split(".")))


def candidate_fingerprints(registry: Path) -> list[str]:
    """Fingerprints of all candidates, sorted."""
    return sorted(_names(registry / CANDIDATES, FINGERPRINT))


def current_tag(registry: Path) -> str | None:
    """Tag of the current release, None before the first."""
    path = registry / CURRENT
    if not path.exists():
        return None
    content = read_json(path)
    tag = content.get("tag")
    if not isinstance(tag, str) or not TAG.fullmatch(tag):
        raise PolyIDError(f'{path}: expected {{"tag": "v1.2.3", …}}, received tag {tag!r}.')
    return tag


def latest_review(registry: Path, fingerprint: str) -> Path | None:
    """Folder of the newest verdict that was given after the candidate was stored, if any."""
    folder = registry / REVIEWS / fingerprint
    names = _names(folder, re.compile(r"\d{4,}"))
    return folder / max(names, key=int) if names else None


def verdict(registry: Path, fingerprint: str) -> str:
    """Newest verdict on a candidate: ``pass``, ``fail``, ``inconclusive``, ``not judged``."""
    folder = latest_review(registry, fingerprint) or registry / CANDIDATES / fingerprint
    gate = folder / "gate.json"
    return str(read_json(gate).get("verdict", "not judged")) if gate.exists() else "not judged"


def find_candidate(registry: Path, prefix: str) -> str:
    """Complete a fingerprint that may be shortened; see `match_fingerprint`."""
    known = candidate_fingerprints(registry)
    return match_fingerprint(
        prefix, known, registry, lambda names: _candidate_list(registry, names)
    )


def match_fingerprint(
    prefix: str,
    known: Sequence[str],
    registry: object,
    listed: Callable[[list[str]], str] | None = None,
) -> str:
    """Complete a fingerprint that may be shortened.

    Parameters
    ----------
    prefix : str
        At least 4 characters of it.
    known : sequence of str
        All fingerprints.
    registry : object
        Address of the registry, for the message.
    listed : callable, optional
        Says for the message what fingerprints there are.

    Raises
    ------
    UnknownModelError
        If no candidate or more than one begins with ``prefix``, or it is under 4 characters.
    """
    matches = [name for name in known if name.startswith(prefix)]
    if len(matches) == 1 and len(prefix) >= _SHORTEST_PREFIX:
        return matches[0]
    if matches and len(prefix) < _SHORTEST_PREFIX:
        problem = f"is too short: give at least {_SHORTEST_PREFIX} characters"
    elif matches:
        problem = "is not unique"
    else:
        problem = "names none"
    shown = matches or list(known)
    there = listed(shown) if listed else f"Candidates: {', '.join(shown) or 'none'}."
    raise UnknownModelError(f"{registry}: candidate {prefix!r} {problem}. {there}")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    PolyIDError
        If the file is cut off or holds anything but an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PolyIDError(f"{path} is not whole JSON ({error}).") from None
    if not isinstance(content, dict):
        raise PolyIDError(f"{path}: expected a JSON object, received {type(content).__name__}.")
    return content


def _split(model: str) -> tuple[Path, str | None]:
    """Divide ``PLACE@REVISION``; a place that exists may itself contain an ``@``."""
    whole = Path(model).expanduser()
    if whole.exists() or "@" not in model:
        return whole, None
    place, _, revision = model.rpartition("@")
    return Path(place).expanduser(), revision


def _is_model(path: Path) -> bool:
    return (path / CHECKSUMS).is_file() or (path / "parameters.json").is_file()


def _is_registry(path: Path) -> bool:
    return any((path / name).exists() for name in (CANDIDATES, RELEASES, CURRENT))


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    if not folder.is_dir():
        return []
    return [p.name for p in folder.iterdir() if pattern.fullmatch(p.name) and p.is_dir()]


def _release(registry: Path, tag: str) -> Path:
    tags = release_tags(registry)
    if tag in tags:
        return registry / RELEASES / tag
    near = difflib.get_close_matches(tag, tags, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    known = f"Releases: {', '.join(tags)}." if tags else _no_release(registry)
    raise UnknownModelError(f"{registry} has no release {tag!r}.{hint} {known}")


def _not_a_model(path: Path) -> str:
    found = "exists but is neither" if path.exists() else "does not exist"
    return (
        f"No model at {path}: it {found}. Expected a model folder (with {CHECKSUMS}) or a "
        f"registry. To make one, run `trainer run --registry {path} --publish`."
    )


def _no_release(registry: Path) -> str:
    known = candidate_fingerprints(registry)
    listed = _candidate_list(registry, known)
    if not known:
        return f"{registry} has no release. {listed}"
    passed = [name for name in known if verdict(registry, name) == "pass"]
    command = f"trainer publish --registry {registry} --candidate {(passed or known)[0]}"
    use = f"--model {registry}@candidate/{known[0]}"
    return (
        f"{registry} has no release. {listed}\nPublish one: `{command}`; or use it as it is: {use}"
    )


def _candidate_list(registry: Path, fingerprints: list[str]) -> str:
    if not fingerprints:
        return f"It has no candidates; make one with `trainer run --registry {registry}`."
    lines = [f"  {name}  {verdict(registry, name)}" for name in fingerprints]
    return "Candidates:\n" + "\n".join(lines)


def _fingerprint(folder: Path) -> str | None:
    path = folder / "record.yaml"
    if not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PolyIDError(f"{path} is not YAML: {error}") from None
    found = content.get("fingerprint") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _released_as(folder: Path) -> str | None:
    path = folder / "release.json"
    return read_json(path).get("tag") if path.is_file() else None
