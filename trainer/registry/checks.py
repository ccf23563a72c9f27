"""Checks that stand before a registry's writes: is it this run, whole, and the same as before."""

import hashlib
import json
from pathlib import Path

from polyid.checksums import CHECKSUMS, TamperedError, file_hash, read_checksums, scan, verify
from polyid.registry import read_json
from trainer.record import RECORD, read_record
from trainer.registry.base import GATE, METRICS, NotPublishable, RegistryError, Release
from trainer.registry.promotion import judged_against, parse_tag

#: Files that a later verdict may replace; all others are the model itself.
REVIEW_FILES = (GATE, "report.html", "report.md", "README.md", RECORD)


def checked(folder: Path, fingerprint: str) -> list[str]:
    """Names of the files a run made, if they may enter a registry."""
    names, refused = scan(folder)
    if refused:
        raise TamperedError(folder, refused=refused)
    if not names:
        raise RegistryError(f"There is nothing to store in {folder}: run `trainer run` first.")
    if (folder / CHECKSUMS).exists():
        verify(folder)
    require_fingerprint(folder, fingerprint)
    return names


def require_fingerprint(folder: Path, fingerprint: str) -> None:
    """Raise unless the record and the metrics, where there are any, are of this run."""
    found = {}
    if (folder / METRICS).is_file():
        found[METRICS] = read_json(folder / METRICS).get("fingerprint")
    if (folder / RECORD).is_file():
        found[RECORD] = read_record(folder).fingerprint
    for name, value in found.items():
        if value != fingerprint:
            raise RegistryError(
                f"{folder / name} belongs to the run {value!r}, not to {fingerprint}."
            )


def require_same(folder: Path, names: list[str], target: Path) -> None:
    """Raise unless ``target`` is whole and has exactly the files of ``folder``."""
    verify(target)
    require_same_files(folder, names, read_checksums(target), target.name)


def require_same_files(
    folder: Path, names: list[str], stored: dict[str, str], fingerprint: str
) -> None:
    """Raise unless the files ``stored``, by path and SHA-256, are exactly those of ``folder``."""
    new = {name: file_hash(folder / name) for name in names}
    differing = sorted(n for n in {*stored, *new} if stored.get(n) != new.get(n))
    if differing:
        raise RegistryError(
            f"Candidate {fingerprint} exists with other content and is never changed; these files "
            f"differ: {', '.join(differing)}. Use the stored one, or change what decides the run."
        )


def review_names(folder: Path) -> list[str]:
    """Names of the files of a new verdict in ``folder``; ``gate.json`` must be one."""
    names = [name for name in REVIEW_FILES if (folder / name).is_file()]
    if GATE not in names:
        raise RegistryError(f"{folder} has no {GATE}: run `trainer gate` first.")
    return names


def require_judged_today(folder: Path, fingerprint: str, current: str | None) -> None:
    """Raise unless the verdict in ``folder`` was given against the release that is current."""
    judged = judged_against(read_json(folder / GATE))
    if judged != current:
        raise NotPublishable(
            f"This verdict on {fingerprint} was given against {judged or 'no champion'}; the "
            f"current release is {current or 'none'}. Judge it against that one."
        )


def is_in(folder: Path, names: list[str], stored: Path) -> bool:
    """Whether the files ``names`` of ``folder`` are in ``stored`` as they are."""
    known = read_checksums(stored)
    return all(known.get(name) == file_hash(folder / name) for name in names)


def again(release: Release, version: str | None) -> Release:
    """Answer a second publication of one candidate."""
    if version is not None and parse_tag(f"v{version.removeprefix('v')}") != parse_tag(release.tag):
        raise NotPublishable(
            f"Candidate {release.fingerprint} is released as {release.tag} already; it cannot be "
            f"{version} too."
        )
    return release


def content_hash(files: dict[str, str]) -> str:
    """Hash of a model's files, without the verdict on it."""
    model = {name: digest for name, digest in sorted(files.items()) if name not in REVIEW_FILES}
    return hashlib.sha256(json.dumps(model).encode("utf-8")).hexdigest()
