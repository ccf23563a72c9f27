"""Where candidates and releases are kept: a folder, or a repository on the Hugging Face Hub."""

from trainer.registry.base import (
    Candidate,
    Event,
    NotPublishable,
    Registry,
    RegistryError,
    Release,
)
from trainer.registry.local import LocalRegistry

__all__ = [
    "Candidate",
    "Event",
    "LocalRegistry",
    "NotPublishable",
    "Registry",
    "RegistryError",
    "Release",
    "open_registry",
]


def open_registry(address: str, *, public: bool = False) -> Registry:
    """Return the registry at ``address``: ``hf://namespace/name``, or a folder.

    Nothing is read or made yet. A repository that the first candidate creates on the Hub is
    private unless ``public``.

    Raises
    ------
    RegistryError
        If an ``hf://`` address does not name a repository.
    """
    if address.startswith("hf://"):
        from trainer.registry.hub import HubRegistry

        return HubRegistry(address, public=public)
    return LocalRegistry(address)
