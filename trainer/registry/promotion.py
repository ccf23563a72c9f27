"""Which candidate may become a release, and under which version. Rules only; nothing is written.

A registry of any kind (a folder, the Hub) asks here, so the answer is the same everywhere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from polyid.errors import PolyIDError
from polyid.registry import TAG, read_json
from trainer.record import Verdict, read_record
from trainer.registry.base import METRICS, Candidate, Change, NotPublishable, Release

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Facts:
    """What a candidate's version number depends on."""

    fingerprint: str
    outputs: dict[str, str]
    """Unit of every predicted property."""
    data: str
    """Hash of the data file; likewise the next two."""
    params: str
    code: str


def read_facts(folder: Path) -> Facts:
    """Read the facts of a candidate or a release.

    Raises
    ------
    NotPublishable
        If its record or its metrics are missing, or they disagree about which run they describe.
    """
    for name in (METRICS, "record.yaml"):
        if not (folder / name).is_file():
            raise NotPublishable(f"{folder} has no {name}, so nothing shows what it is.")
    record, metrics = read_record(folder), read_json(folder / METRICS)
    if metrics.get("fingerprint") != record.fingerprint:
        raise NotPublishable(
            f"{folder}: metrics.json belongs to the run {metrics.get('fingerprint')!r}, "
            f"record.yaml to {record.fingerprint!r}."
        )
    properties = metrics.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise NotPublishable(f"{folder}: metrics.json has no scores of any property.")
    _require_finite(properties, f"{folder}: metrics.json")
    return Facts(
        record.fingerprint,
        {name: str(scores.get("unit")) for name, scores in properties.items()},
        record.data.hash,
        record.params_hash,
        record.code.hash,
    )


def _require_finite(properties: Mapping[str, Any], where: str) -> None:
    for name, scores in properties.items():
        model = scores.get("model") if isinstance(scores, dict) else None
        mae = model.get("mae") if isinstance(model, dict) else None
        if isinstance(mae, bool) or not isinstance(mae, int | float) or not math.isfinite(mae):
            raise NotPublishable(
                f"{where}: {name}: expected a finite MAE at model.mae, received {mae!r}."
            )


def judged_against(gate: Mapping[str, Any]) -> str | None:
    """Tag of the champion that a verdict compared with, None if there was none."""
    champion = gate.get("champion")
    return champion.get("revision") if isinstance(champion, dict) else None


def require_publishable(
    fingerprint: str, gate: Mapping[str, Any] | None, current: str | None, registry: object
) -> None:
    """Check that the gate let this candidate through, against the release that is current now.

    Parameters
    ----------
    fingerprint : str
        The candidate.
    gate : mapping or None
        Its newest ``gate.json``.
    current : str or None
        Tag of today's champion.
    registry : object
        The registry's address, for the command in the message.

    Raises
    ------
    NotPublishable
        Unless the verdict is ``pass``, given against ``current``.
    """
    again = f"trainer gate --registry {registry} --candidate {fingerprint}"
    if gate is None:
        raise NotPublishable(f"Candidate {fingerprint} was never judged. Judge it: `{again}`")
    verdict = gate.get("verdict")
    if verdict not in get_args(Verdict):
        raise NotPublishable(
            f"Candidate {fingerprint}: its gate.json has verdict {verdict!r}; expected one of "
            f"{', '.join(get_args(Verdict))}. Judge it again: `{again}`"
        )
    if verdict != "pass":
        reasons = "\n".join(f"  - {reason}" for reason in gate.get("reasons") or ["none given"])
        raise NotPublishable(
            f"Candidate {fingerprint} is not publishable: its verdict is {verdict}.\n{reasons}\n"
            "Change the data, params.yaml or gates.yaml, and run `trainer run` again."
        )
    judged = judged_against(gate)
    if judged != current:
        raise NotPublishable(
            f"Candidate {fingerprint} passed against {judged or 'no champion'}, but the current "
            f"release is {current or 'none'}. Judge it again: `{again}`"
        )


def change_between(old: Facts | None, new: Facts) -> tuple[Change, list[str]]:
    """Say how much a candidate differs from the current release, and in what.

    Other outputs (properties or units) break their readers: major. Other data, parameters or code
    give other numbers: minor. Anything else (the image, the packages) is a patch.
    """
    if old is None:
        return "first", ["the first release"]
    reasons = [f"no longer predicts {name}" for name in sorted(set(old.outputs) - set(new.outputs))]
    reasons += [f"newly predicts {name}" for name in sorted(set(new.outputs) - set(old.outputs))]
    reasons += [
        f"{name} is in {new.outputs[name]}, was in {unit}"
        for name, unit in sorted(old.outputs.items())
        if name in new.outputs and new.outputs[name] != unit
    ]
    if reasons:
        return "major", reasons
    differences = {
        "other data": old.data != new.data,
        "other parameters": old.params != new.params,
        "other code": old.code != new.code,
    }
    reasons = [text for text, differs in differences.items() if differs]
    return ("minor", reasons) if reasons else ("patch", ["same data, parameters and code"])


def next_tag(tags: list[str], change: Change) -> str:
    """Tag that follows the newest of ``tags``."""
    if change == "first" or not tags:
        return "v1.0.0" if not tags else next_tag(tags, "major")
    major, minor, patch = max(parse_tag(tag) for tag in tags)
    match change:
        case "major":
            return f"v{major + 1}.0.0"
        case "minor":
            return f"v{major}.{minor + 1}.0"
        case _:
            return f"v{major}.{minor}.{patch + 1}"


def given_tag(version: str, tags: list[str]) -> str:
    """Check a version that was given by hand and make a tag of it.

    Raises
    ------
    NotPublishable
        If it is not a version, exists already (tags are never moved), or is not the newest.
    """
    tag = version if version.startswith("v") else f"v{version}"
    if not TAG.fullmatch(tag):
        raise NotPublishable(f"Version {version!r} is not one; expected a form such as v1.2.3.")
    if tag in tags:
        raise NotPublishable(f"Release {tag} exists, and a tag never moves. Leave the version out.")
    if tags and parse_tag(tag) < max(parse_tag(known) for known in tags):
        newest = max(tags, key=parse_tag)
        raise NotPublishable(f"Version {tag} is older than the newest release, {newest}.")
    return tag


def parse_tag(tag: str) -> Version:
    """Numbers of a tag such as ``v1.2.3``."""
    match = TAG.fullmatch(tag)
    if match is None:
        raise PolyIDError(f"{tag!r} is not a release tag; expected a form such as v1.2.3.")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def decide(
    candidate: Candidate,
    folder: Path,
    current: Release | None,
    current_folder: Path | None,
    tags: list[str],
    version: str | None,
    registry: object,
) -> tuple[str, Change, tuple[str, ...]]:
    """Decide whether a candidate may be released now, and as what.

    Parameters
    ----------
    candidate : Candidate
        With its newest verdict.
    folder : Path
        Holds its record and its metrics.
    current : Release or None
        The release that is current now, and in ``current_folder`` its record and metrics.
    tags : list of str
        Tags of all releases.
    version : str or None
        The version that was asked for; by default the next one, by what was changed.
    registry : object
        The registry's address, for the commands in messages.

    Returns
    -------
    tuple
        The tag, how much was changed since ``current``, and what.

    Raises
    ------
    NotPublishable
        If it may not be released, or not under this version.
    """
    champion = current.tag if current else None
    require_publishable(candidate.fingerprint, candidate.gate, champion, registry)
    facts = read_facts(folder)
    if facts.fingerprint != candidate.fingerprint:
        raise NotPublishable(
            f"Candidate {candidate.fingerprint} holds the record of run {facts.fingerprint}."
        )
    old = read_facts(current_folder) if current_folder else None
    change, reasons = change_between(old, facts)
    tag = given_tag(version, tags) if version else next_tag(tags, change)
    return tag, change, tuple(reasons)
