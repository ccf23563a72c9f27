"""The layout of a registry in a folder, read: releases, candidates, verdicts, what is current.

The pipeline writes it::

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
from pathlib import Path
from typing import Any

from polyid.errors import PolyIDError

CANDIDATES, RELEASES, REVIEWS, CURRENT = "candidates", "releases", "reviews", "current.json"

TAG = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")

_SHORTEST_PREFIX = 4


class UnknownModelError(PolyIDError):
    """A model was asked for that is not there."""


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
    known = f"Releases: {', '.join(tags)}." if tags else no_release(registry)
    raise UnknownModelError(f"{registry} has no release {tag!r}.{hint} {known}")


def no_release(registry: Path) -> str:
    """Say that nothing is released yet, what there is instead, and how to release it."""
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
