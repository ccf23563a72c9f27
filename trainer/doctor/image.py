"""Can an image be pulled by a machine without an account? Its registry is asked over HTTP."""

import re
from typing import NamedTuple

from polyid.errors import PolyIDError
from trainer import oci


class Reference(NamedTuple):
    """An image by registry, name and tag or digest."""

    registry: str
    name: str
    version: str

    @property
    def host(self) -> str:
        """Where the registry answers."""
        return "registry-1.docker.io" if self.registry == "docker.io" else self.registry


def parse(image: str) -> Reference:
    """Split an image's name as container engines do; without a registry it is Docker Hub's."""
    rest, at, digest = image.partition("@")
    first, slash, tail = rest.partition("/")
    registry = "docker.io"
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, rest = first, tail
    name, _, tag = rest.partition(":")
    if registry == "docker.io" and "/" not in name:
        name = f"library/{name}"
    if not name or not re.fullmatch(r"[a-z0-9._/-]+", name):
        raise PolyIDError(
            f"--image: received {image!r}; expected registry/owner/name@sha256:… or …:tag, in "
            "lower case."
        )
    return Reference(registry, name, digest if at else tag or "latest")


def require_pullable(image: str) -> str:
    """Ask the registry for an image's manifest, as an engine without credentials would.

    Raises
    ------
    PolyIDError
        If it is not there, not public, or the registry cannot be reached.
    """
    it = parse(image)
    try:
        answer = oci.look(it.host, it.name, it.version)
    except oci.OciError as error:
        raise PolyIDError(
            f"{image}: the registry {it.registry} {error}. Check its name and this machine's "
            "network."
        ) from None
    if answer.status in (401, 403, 404):
        raise PolyIDError(
            f"{image}: the registry {it.registry} does not serve it to everybody (HTTP "
            f"{answer.status}). Push it (`make images`, then push), check its tag or digest, "
            "and make the package public: a rented machine has no account there."
        )
    if answer.status != 200:
        raise PolyIDError(
            f"{image}: the registry {it.registry} answers HTTP {answer.status}. Ask again in "
            "some minutes."
        )
    digest = answer.digest
    if "@" in image and digest and digest != it.version:
        raise PolyIDError(f"{image}: the registry serves {digest} under that digest.")
    pinned = "" if "@" in image else f"; name it by digest: @{digest}" if digest else ""
    return f"{image} can be pulled{pinned}"
