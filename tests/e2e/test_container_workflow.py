"""The jobs of ci.yml that build, push and attest images, run by act with a real engine."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from act_kit import Workshop
from container_kit import Podman, reaching
from oci_kit import Oci, serving_images

pytestmark = pytest.mark.slow

#: What lint and test do is another test's matter; `images` is the real one.
_MAKEFILE = """\
lint test:
\t@scripts/setup.sh dev
images:
\t@scripts/setup.sh dev
\t@PATH="$$PWD/.venv/bin:$$PATH" scripts/images.sh
"""


@pytest.fixture
def registry():
    with serving_images() as found:
        yield found


@pytest.fixture
def shop(
    podman: Podman, registry: Oci, tiny_table: pd.DataFrame, tmp_path: Path, monkeypatch
) -> Workshop:
    """Return a repository whose images are of one file each."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").symlink_to(shutil.which("podman") or "")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    settings = {k: v for k, v in podman.env.items() if k == "CONTAINERS_CONF"}
    made = Workshop.made(
        tmp_path, tiny_table,
        variables={"IMAGE_REGISTRY": registry.host},
        secrets={"GITHUB_TOKEN": registry.password},
        env=settings | reaching(registry.host, tmp_path),
    )  # fmt: skip
    made.write("Makefile", _MAKEFILE)
    made.write("tests/e2e/test_workflows_static.py", "def test_nothing(): pass\n")
    for which in ("serve", "train"):
        made.write(f"Dockerfile.{which}", f"FROM scratch\nCOPY Dockerfile.{which} /\n")
    made.commit("Images")
    return made


def attested(shop: Workshop) -> list[str]:
    path = shop.folder / "artifacts" / "attested" / "list.txt"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_main_publishes_both_images_with_what_they_are_made_of(
    shop: Workshop, registry: Oci, podman: Podman
) -> None:
    shop.variables["PUBLISH_IMAGES"] = "true"
    before = shop.git("rev-parse", "HEAD~1")
    ran = shop.run("push", "ci.yml", shop.push(before))
    assert ran.code == 0, ran.output
    head = shop.git("rev-parse", "HEAD")
    wanted = []
    for which in ("serve", "train"):
        name = f"acme/code-{which}"
        digest = next(d for n, d in registry.manifests if n == name and d.startswith("sha256:"))
        assert registry.manifests[name, head] == registry.manifests[name, digest]
        image = f"{registry.host}/{name}@{digest}"
        wanted += [f"{image} dist/sbom-{which}.json", f"{image} provenance"]
        bill = shop.folder / "artifacts" / f"sbom-{which}" / f"sbom-{which}.json"
        assert json.loads(bill.read_text())["bomFormat"] == "CycloneDX"
        podman("rmi", "-f", f"{registry.host}/{name}:{head}", code=None)
    assert attested(shop) == sorted(wanted)
    assert registry.password not in ran.output


def test_a_pull_request_builds_and_publishes_nothing(shop: Workshop, registry: Oci) -> None:
    shop.variables["PUBLISH_IMAGES"] = "true"
    shop.git("checkout", "-q", "-b", "change")
    shop.write("Dockerfile.serve", "FROM scratch\nCOPY missing /\n")
    shop.commit("Break the serving image")
    ran = shop.run("pull_request", "ci.yml", shop.request(1))
    assert ran.code != 0
    assert ran.jobs["images"] == "failure"
    assert "publish-images" not in ran.jobs
    assert not registry.manifests
    assert attested(shop) == []
