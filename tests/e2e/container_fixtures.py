"""Fixtures of the tests that run containers: each image is built once in a whole test run."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import container_kit as kit
import pytest
from container_kit import Podman


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """Return podman; a test is skipped only if it is missing or can run nothing here."""
    try:
        return kit.find_podman(tmp_path_factory.mktemp("podman"))
    except kit.NoContainersError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def base_image(podman: Podman) -> str:
    """Return the name of the base image."""
    return kit.base_image(podman)


@pytest.fixture(scope="session")
def engine_url(podman: Podman) -> Iterator[str]:
    """Return the address of an engine that speaks Docker's API."""
    with kit.service(podman) as url:
        yield url


class Sources(NamedTuple):
    """A checkout that images are built from."""

    folder: Path
    commit: str


@pytest.fixture(scope="session")
def sources(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Return a checkout of this code with secrets lying about."""
    folder = tmp_path_factory.mktemp("sources")
    return Sources(folder, kit.checkout(folder, base_image))


@pytest.fixture(scope="session")
def train_image(podman: Podman, base_image: str, sources: Sources) -> str:
    """Return the name of the training image, for CPUs."""
    return kit.build(podman, base_image, sources.folder, "train", sources.commit[:12])


@pytest.fixture(scope="session")
def serve_image(podman: Podman, base_image: str, sources: Sources) -> str:
    """Return the name of the serving image."""
    return kit.build(podman, base_image, sources.folder, "serve", sources.commit[:12])
