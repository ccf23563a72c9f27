"""From a model back to what made it: data, code, image, parameters, verdict, earlier releases.

A prediction names its model (``polyid predict --json``: registry, revision, fingerprint). From
there every link says what is known, what is not, and which command fetches it.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from trainer.record import CodeRecord, Record
from trainer.registry import Event, Registry, Release
from trainer.revisions import Model, look_up

#: Links that only the record can tell of.
_RECORDED = ("data", "code", "image", "parameters", "folds")


class Link(NamedTuple):
    """One thing that a model was made from."""

    what: str
    """``model``, ``data``, ``code``, ``image``, ``parameters``, ``folds`` or ``gate``."""
    value: str | None
    """What identifies it; None if that is not known."""
    about: str
    """More that is known of it."""
    unknown: str
    """What is not known of it, as a sentence; empty if nothing is missing."""
    fetch: str | None
    """Command that brings it; None if there is none."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from."""

    registry: str
    asked: str | None
    revision: str
    state: str
    fingerprint: str
    address: str
    hub_commit: str | None
    """Commit of the release on the Hub; None for a folder or a candidate."""
    links: list[Link]
    releases: list[Release]
    """This release and those before it, newest first; empty if it is not released."""
    events: list[Event]
    """When this release became current and when another followed, oldest first."""
    recorded: dict[str, Any] | None
    """Data, code, hashes, folds, seeds and packages as the record has them; None without one."""

    @property
    def unknown(self) -> list[str]:
        """Everything that is not known, as sentences."""
        return [link.unknown for link in self.links if link.unknown]

    def as_json(self) -> dict[str, Any]:
        """Return plain data for ``--json``; links by what they are."""
        return asdict(self) | {
            "links": {link.what: link._asdict() for link in self.links},
            "unknown": self.unknown,
        }


def lineage(registry: Registry, revision: str | None = None) -> Lineage:
    """Follow a model back to what made it.

    Parameters
    ----------
    registry : Registry
        Where the model is.
    revision : str, optional
        As a prediction names it, see `trainer.revisions.look_up`; the current release if None.

    Raises
    ------
    UnknownModelError
        If there is no such revision.
    """
    model = look_up(registry, revision)
    tag = model.released_as
    return Lineage(
        registry=str(registry),
        asked=revision,
        revision=model.revision,
        state=model.state,
        fingerprint=model.fingerprint,
        address=model.address,
        hub_commit=model.release.commit if model.release else None,
        links=_links(registry, model),
        releases=_back_from(registry, tag),
        recorded=_recorded(model.record),
        events=[e for e in registry.history() if tag and tag in (e.tag, e.previous)],
    )


def _recorded(record: Record | None) -> dict[str, Any] | None:
    sections = {"data", "code", "params_hash", "folds", "seeds", "packages"}
    return None if record is None else record.model_dump(mode="json", include=sections)


def _back_from(registry: Registry, tag: str | None) -> list[Release]:
    """Return a release and those before it, newest first."""
    known = {release.tag: release for release in registry.releases()}
    chain: list[Release] = []
    while tag in known:
        chain.append(known.pop(tag))  # taken out, so a ring cannot hold us
        tag = chain[-1].previous
    return chain


def _links(registry: Registry, model: Model) -> list[Link]:
    use = f'polyid predict --model {registry}@{model.revision} "CC(O)C(=O)O"'
    first = Link("model", model.fingerprint, f"{model.revision}, {model.address}", "", use)
    shown = f"trainer show {model.revision} --registry {registry} --json"
    record = model.record
    if record is None:
        lost = f"there is no record.yaml in {model.address}."
        missing = [Link(what, None, "", f"The {what}: {lost}", None) for what in _RECORDED]
        return [first, *missing, _gate(model, shown)]
    return [
        first,
        _data(record),
        _code(record.code),
        _image(record),
        Link(
            "parameters",
            record.params_hash,
            f"recipe {record.params.get('recipe', 'unnamed')}, in full in record.yaml",
            "",
            shown,
        ),
        _folds(registry, model, record),
        _gate(model, shown),
    ]


def _data(record: Record) -> Link:
    data, code = record.data, record.code
    about = f"{data.name}, {data.rows} rows, licence: {data.licence}"
    if data.md5:
        about += f"; DVC keeps it as md5 {data.md5}"
    if code.commit is None:
        unknown = (
            f"Where the data file is: no git commit points to it. A file is the right one if "
            f"`sha256sum` gives {data.hash}."
        )
        return Link("data", data.hash, about, unknown, None)
    unknown = ""
    if code.dirty:
        unknown = (
            "Whether the commit points to this data file: files differed from the commit. Compare "
            f"`sha256sum` with {data.hash}."
        )
    return Link("data", data.hash, about, unknown, f"git checkout {code.commit} && dvc pull")


def _code(code: CodeRecord) -> Link:
    about = f"hash of the code that decides a result: {code.hash}"
    if code.commit is None:
        unknown = (
            "Which git commit: the run was not in a git checkout. A checkout is the same code if "
            "its runs get the same fingerprint."
        )
        return Link("code", None, about, unknown, None)
    unknown = ""
    if code.dirty:
        unknown = f"What was changed beside git commit {code.commit}: it was not committed."
    elif code.dirty is None:
        unknown = f"Whether files differed from git commit {code.commit}: git did not say."
    return Link("code", code.commit, about, unknown, f"git checkout {code.commit}")


def _image(record: Record) -> Link:
    image = record.code.image
    packages = ", ".join(f"{k} {v}" for k, v in record.packages.items() if v)
    if image is None:
        unknown = "Which container image: none, the run was not in a container."
        return Link("image", None, f"packages: {packages}", unknown, None)
    if "@" in image:
        return Link("image", image, f"packages: {packages}", "", f"docker pull {image}")
    unknown = "The container image's name: only its digest was recorded; put the name for IMAGE."
    return Link("image", image, f"packages: {packages}", unknown, f"docker pull IMAGE@{image}")


def _folds(registry: Registry, model: Model, record: Record) -> Link:
    folds = record.folds
    about = f"{folds.count} {folds.split} folds, seed {folds.seed}, in folds.json"
    place = str(registry)
    fetch = f"cat {model.address}/folds.json"
    if place.startswith("hf://"):
        repo = place.removeprefix("hf://")
        fetch = f"hf download {repo} folds.json --revision {model.revision}"
    return Link("folds", folds.hash, about, "", fetch)


def _gate(model: Model, shown: str) -> Link:
    gate = model.gate
    if gate is None:
        unknown = "Whether it is good enough: no gate has judged it."
        return Link("gate", None, "", unknown, None)
    champion = gate.get("champion") or {}
    rival = champion.get("revision")
    about = f"against {rival}" if rival else "no release to compare with"
    if rival and not champion.get("comparable", True):
        about += f", which could not be compared: {champion.get('why', '')}"
    if not gate.get("enforced", True):
        about += ", in a dry run"
    reasons = "; ".join(gate.get("reasons") or [])
    return Link("gate", model.verdict, f"{about}. {reasons}".strip(), "", shown)
