"""What a review says of a candidate: read from its registry, nothing computed anew."""

from dataclasses import dataclass
from typing import NamedTuple

from huggingface_hub import HfApi

from polyid import hub
from polyid.checksums import read_checksums
from polyid.hub_errors import explained
from polyid.registry import UnknownModelError
from trainer.plot_files import FOLDER, captions
from trainer.registry import Registry
from trainer.review.data import Change
from trainer.revisions import Model, look_up

_REPORT = "report.md"


class Image(NamedTuple):
    """A plot that a browser can load."""

    alt: str
    url: str
    small: bool
    """Whether two of them fit side by side."""


@dataclass(frozen=True)
class Place:
    """Where a reader finds the candidate."""

    name: str
    """Its revision and registry in words."""
    candidate: str = ""
    """Address of its page; none for a folder, which only that machine has."""
    report: str = ""
    images: tuple[Image, ...] = ()
    note: str = ""
    """Why no images are shown."""

    @property
    def lasting(self) -> bool:
        """Whether it is still there when the machine that trained is gone."""
        return bool(self.candidate)


@dataclass(frozen=True)
class Facts:
    """Everything a review is made of."""

    model: Model
    registry: str
    place: Place
    change: Change | None = None
    """What this commit changes; None where there is nothing to compare with."""
    change_note: str = ""
    """Why there is nothing to compare with."""


def facts(registry: Registry, fingerprint: str) -> Facts:
    """Read a candidate with its newest verdict.

    Raises
    ------
    polyid.registry.UnknownModelError
        If there is none.
    """
    model = look_up(registry, f"candidate/{fingerprint}")
    address = str(registry)
    place = _on_hub(address, model) if address.startswith(hub.SCHEME) else _in_folder(model)
    return Facts(model, address, place)


def _in_folder(model: Model) -> Place:
    return Place(
        model.revision,
        note="The plots are with the candidate, in its folder `plots`: GitHub cannot show what "
        "lies in a folder of the machine that trained.",
    )


def _on_hub(address: str, model: Model) -> Place:
    """Find the addresses: by commit, so that they show the same for ever."""
    repo, _ = hub.repository(address)
    made = hub.pin(repo, model.revision).commit
    try:
        judged = hub.pin(repo, f"review/{model.fingerprint}").commit
    except UnknownModelError:
        judged = made  # its first verdict is still the newest
    api = HfApi()
    with explained(repo, "asking whether it is private"):
        private = bool(api.repo_info(repo).private)
    files = read_checksums(model.folder)
    images = tuple(
        Image(
            one.alt,
            f"{api.endpoint}/{repo}/resolve/{made}/{FOLDER}/{one.file}",
            one.kind == "parity",
        )
        for one in captions(model.metrics or {})
        if f"{FOLDER}/{one.file}" in files
    )
    return Place(
        f"{model.revision} of {address}",
        candidate=f"{api.endpoint}/{repo}/tree/{made}",
        report=f"{api.endpoint}/{repo}/blob/{judged}/{_REPORT}",
        images=() if private else images,
        note="The plots are in the report: the registry is private, so GitHub cannot load them."
        if private
        else "",
    )
