"""The container engine of this machine, Docker or Podman: found, and asked for what it has."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import docker  # type: ignore[import-untyped]
import requests
from docker.errors import (  # type: ignore[import-untyped]
    APIError,
    DockerException,
    ImageNotFound,
    NotFound,
)
from docker.types import DeviceRequest  # type: ignore[import-untyped]

from trainer.targets.base import TargetError

_T = TypeVar("_T")

_START = (
    "Start one (`systemctl start docker`, or `systemctl --user start podman.socket`) or set "
    "DOCKER_HOST to its address, then run the same command again; --target local needs none."
)
#: Where the NVIDIA toolkit tells Podman, and newer Dockers, what GPUs there are.
_CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
_ALL_GPUS = "nvidia.com/gpu=all"


def usual_sockets() -> list[Path]:
    """Return where engines listen, Docker's place first."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return [
        Path("/var/run/docker.sock"),
        Path("/run/podman/podman.sock"),
        own / "docker.sock",
        own / "podman" / "podman.sock",
    ]


def connect(url: str | None = None) -> docker.DockerClient:
    """Return a client of the engine at ``url``, of ``DOCKER_HOST``, or at the first usual socket.

    Raises
    ------
    TargetError
        If none is found, none answers, or this user may not use it.
    """
    place = url or os.environ.get("DOCKER_HOST")
    if not place:
        found = [socket for socket in usual_sockets() if socket.exists()]
        if not found:
            looked = ", ".join(map(str, usual_sockets()))
            raise TargetError(f"No container engine was found at {looked}. {_START}")
        place = f"unix://{found[0]}"
    try:
        if url is None and os.environ.get("DOCKER_HOST"):
            return docker.from_env(version="auto")  # with its certificates
        return docker.DockerClient(base_url=place, version="auto")
    except DockerException as error:
        if "PermissionError" in str(error):
            raise TargetError(
                f"The container engine at {place} does not let user {os.geteuid()} in. Have an "
                "administrator add you to the group that owns the socket (`usermod -aG docker "
                "$USER`, then log in again), or use Podman without root: `systemctl --user start "
                "podman.socket` and DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock."
            ) from None
        raise TargetError(f"No container engine answers at {place} ({error}). {_START}") from None


def asked(what: str, call: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Ask the engine for something, and put a refusal or a lost connection into our words.

    Raises
    ------
    docker.errors.NotFound
        If there is no such thing.
    TargetError
        If it refuses for another reason.
    """
    try:
        return call(*args, **kwargs)
    except NotFound:
        raise
    except APIError as error:
        raise TargetError(f"The container engine refused {what}: {error.explanation}") from None
    except requests.RequestException as error:
        raise TargetError(
            f"The container engine was lost at {what} ({type(error).__name__}). {_START}"
        ) from None


def require_image(client: docker.DockerClient, image: str) -> None:
    """See that an image is here; one that is named with its registry is pulled.

    A name without a registry is never asked for outside: whoever owns that name on a public
    registry is not us.

    Raises
    ------
    TargetError
        If it is not here and cannot be had.
    """
    if not image:
        raise TargetError(
            "--image: received nothing, and --target docker runs a container; expected the "
            "training image (`make images` builds polyid-train:latest from Dockerfile.train)."
        )
    try:
        client.images.get(image)
    except ImageNotFound:
        pass
    else:
        return
    build = "`make images` builds it (ACCELERATOR=cpu where there is no GPU)"
    if not _names_a_registry(image):
        raise TargetError(f"--image: there is no image {image} on this machine. {build}.")
    if said := _pull(client, image):
        raise TargetError(
            f"--image: {image} is not on this machine and cannot be pulled ({said}). Check its "
            f"name, log in to its registry (`docker login`), or build one: {build}."
        )


def _pull(client: docker.DockerClient, image: str) -> str:
    """Pull an image; return what was wrong, or nothing. A refusal may come as a part of a yes."""
    name, _, digest = image.partition("@")
    tag = digest or ("" if _tagged(image) else "latest")
    try:
        for event in client.api.pull(name, tag=tag or None, stream=True, decode=True):
            if "error" in event:
                return str(event["error"])
        client.images.get(image)
    except (APIError, requests.RequestException) as error:
        return str(getattr(error, "explanation", None) or type(error).__name__)
    return ""


def _names_a_registry(image: str) -> bool:
    host, slash, _ = image.partition("/")
    return bool(slash) and host != "localhost" and ("." in host or ":" in host)


def _tagged(image: str) -> bool:
    return ":" in image.rpartition("/")[2]


def gpu_options(info: dict[str, Any], cdi: tuple[Path, ...] = _CDI) -> dict[str, Any]:
    """Return what asks an engine for all GPUs, nothing if it has none.

    Parameters
    ----------
    info : dict
        What the engine says of itself.
    cdi : tuple of Path
        Folders of device descriptions, for an engine without NVIDIA's own runtime.
    """
    if "nvidia" in info.get("Runtimes", {}):
        return {"device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])]}
    if any(list(folder.glob("nvidia*")) for folder in cdi):
        return {"devices": [_ALL_GPUS]}
    return {}
