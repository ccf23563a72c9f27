"""Images on their way: built, sent to a registry, named by digest there, and had back."""

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from container_kit import Podman, reaching, service
from oci_kit import Oci, serving_images
from road_kit import ROOT

from trainer.targets import RunSpec, TargetError
from trainer.targets.docker import DockerTarget

pytestmark = pytest.mark.slow

FP = "fedcba9876543210"


@pytest.fixture
def registry():
    with serving_images() as found:
        yield found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a repository with the real script and images of one file."""
    folder = tmp_path / "code"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for which in ("serve", "train"):
        (folder / f"Dockerfile.{which}").write_text(f"FROM scratch\nCOPY Dockerfile.{which} /\n")
    return folder


def images(
    podman: Podman, folder: Path, registry: Oci, **env: str
) -> subprocess.CompletedProcess[str]:
    given = {
        "ENGINE": "podman", "NAME": f"{registry.host}/Acme/PolyID", "IMAGES": "train",
        "TAG": "v1", "SYFT": "", "PUSH": "1", "REGISTRY_USER": "tester",
        "REGISTRY_TOKEN": registry.password, "GITHUB_OUTPUT": str(folder / "output.txt"),
    }  # fmt: skip
    whole = podman.env | reaching(registry.host, folder) | given | env
    return subprocess.run(
        ["sh", "scripts/images.sh"], cwd=folder, capture_output=True, text=True, env=whole
    )


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_what_was_pushed_is_named_by_the_registrys_digest(
    podman: Podman, small: Path, registry: Oci, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").symlink_to(shutil.which("podman") or "")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = images(podman, small, registry, ENGINE=engine, PATH=path)
    assert done.returncode == 0, done.stderr
    name = f"{registry.host}/acme/polyid-train"  # a registry wants small letters
    pushed = (small / "dist/pushed-train.txt").read_text().strip()
    assert re.fullmatch(re.escape(name) + "@sha256:[0-9a-f]{64}", pushed)
    digest = pushed.partition("@")[2]
    held = registry.manifests
    assert held["acme/polyid-train", "v1"] == held["acme/polyid-train", digest]
    assert (small / "output.txt").read_text() == f"name={name}\ndigest={digest}\n"
    assert registry.password not in done.stdout + done.stderr
    podman("rmi", "-f", f"{name}:v1")


def test_what_cannot_be_pushed_is_told(podman: Podman, small: Path, registry: Oci) -> None:
    done = images(podman, small, registry, REGISTRY_TOKEN="wr0ng")  # noqa: S106
    assert done.returncode == 2
    assert "refused REGISTRY_USER 'tester'" in done.stderr
    assert "wr0ng" not in done.stdout + done.stderr
    done = images(podman, small, registry, NAME="polyid")
    assert done.returncode == 2
    assert "expected it to begin with a registry" in done.stderr
    done = images(podman, small, registry, REGISTRY_TOKEN="")
    assert done.returncode == 2
    assert "could not be pushed" in done.stderr
    assert not registry.manifests
    podman("rmi", "-f", f"{registry.host}/acme/polyid-train:v1", code=None)


def test_a_run_fetches_its_image_by_digest(
    podman: Podman, base_image: str, registry: Oci, tmp_path: Path, monkeypatch
) -> None:
    ours = Podman(podman.env | reaching(registry.host, tmp_path))
    name = f"{registry.host}/acme/fetched"
    access = str(tmp_path / "config.json")  # where `docker login` would leave it
    ours("login", "--authfile", access, "--username", "tester", "--password", registry.password,
         registry.host)  # fmt: skip
    # one of its own each time: an engine knows an image by its digest, whatever its name
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image}\nLABEL made={uuid.uuid4()}\n")
    ours("build", "-q", "-t", f"{name}:v1", str(tmp_path))
    ours("push", "-q", "--authfile", access, "--digestfile", str(tmp_path / "digest"), f"{name}:v1")
    ours("rmi", f"{name}:v1")
    image = f"{name}@{(tmp_path / 'digest').read_text()}"
    with service(ours) as url:
        run = RunSpec(FP, ("python3", "-c", "print('fetched')"), image=image, network=False)
        with pytest.raises(TargetError, match=r"cannot be pulled .*docker login"):
            DockerTarget(url).submit(run)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        target = DockerTarget(url)
        handle = target.submit(run)
        try:
            assert list(target.logs(handle)) == ["fetched"]
        finally:
            for left in target.leftovers():
                if left.fingerprint == FP:
                    target.remove(left)
        ours("rmi", image)
