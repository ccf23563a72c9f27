"""What is in the images and what is not, found in the built images themselves."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from container_fixtures import Sources
from container_kit import PLANTED, Podman, holds
from road_kit import ROOT, Road, assert_alike, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: What no image that is reached from outside needs; printed by what it is given to.
BUILD_TOOLS = """
import importlib.util, os, sys
commands = {"cc", "gcc", "g++", "c++", "ld", "as", "make", "cmake", "git", "uv", "pip", "pip3",
            "strip", "objdump"}
places = {*os.environ["PATH"].split(":"), "/usr/local/bin", "/usr/local/sbin", "/usr/bin",
          "/usr/sbin", "/bin", "/sbin", "/opt/venv/bin", "/opt/tools/bin"}
found = {name for place in places if os.path.isdir(place) for name in os.listdir(place)}
print(*sorted(found & commands))
modules = ("pip", "setuptools", "wheel", "uv", "ensurepip", "trainer", "tensorflow", "dvc")
print(*(name for name in modules if importlib.util.find_spec(name)))
caches = (os.path.expanduser("~root/.cache"), "/cache", "/srv/run/.cache")
print(*(p for p in caches if os.path.isdir(p) and os.listdir(p)))
print(*(p for p in ("/opt/tools", "/locks", "/src") if os.path.exists(p)))
"""
ASK = """
import json, sys, urllib.request
address, body = sys.argv[1], sys.argv[2:]
asked = urllib.request.Request("http://127.0.0.1:7860" + address,
                               body[0].encode() if body else None,
                               {"Content-Type": "application/json"})
print(urllib.request.urlopen(asked, timeout=120).read().decode())
"""


def facts(podman: Podman, image: str) -> dict:
    (found,) = json.loads(podman("image", "inspect", image).stdout)
    return found


def runs(podman: Podman, image: str, code: str) -> list[str]:
    """Run Python code in an image, and return its lines."""
    words = ("--rm", "--network", "none", "--entrypoint", "python3", image, "-c", code)
    return podman("run", *words).stdout.splitlines()


@pytest.mark.parametrize("which", ["train", "serve"])
def test_nothing_secret_got_in(podman: Podman, request, which: str) -> None:
    image = request.getfixturevalue(f"{which}_image")
    assert not holds(podman, image, PLANTED)
    assert PLANTED not in json.dumps(facts(podman, image))


@pytest.mark.parametrize(
    "step", ["COPY .env /x\nRUN rm /x", "ENV HF_TOKEN={}", "LABEL token={}", "RUN : {}"]
)
def test_a_secret_that_gets_in_is_found(
    podman: Podman, base_image: str, tmp_path: Path, step: str
) -> None:
    (tmp_path / ".env").write_text(PLANTED)
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image}\n{step.format(PLANTED)}\n")
    podman("build", "--network", "none", "-t", "localhost/polyid-test-leak", str(tmp_path))
    assert holds(podman, "localhost/polyid-test-leak", PLANTED)
    podman("rmi", "localhost/polyid-test-leak")


def test_both_say_what_they_are_and_run_without_rights(
    podman: Podman, train_image: str, serve_image: str, sources: Sources
) -> None:
    for which, image in (("train", train_image), ("serve", serve_image)):
        config = facts(podman, image)["Config"]
        assert config["User"] == "1000:1000"
        assert config["WorkingDir"] == "/srv/run"
        labels = config["Labels"]
        assert labels["org.opencontainers.image.revision"] == sources.commit
        assert re.fullmatch("[0-9a-f]{64}", labels["polyid.lock-sha256"])
        (told,) = runs(podman, image, "print(open('/etc/build-info.json').read().strip())")
        assert json.loads(told) == {
            "image": which, "accelerator": "cpu", "commit": sources.commit,
            "lock_sha256": labels["polyid.lock-sha256"],
        }  # fmt: skip
        assert config["Entrypoint"][0] in ("trainer", "python")  # no shell before it
    told = facts(podman, serve_image)  # podman 4 tells it beside the settings, docker among them
    assert "/health" in str(told.get("Healthcheck") or told["Config"]["Healthcheck"])


def test_the_serving_image_is_small_and_holds_nothing_that_builds_or_trains(
    podman: Podman, serve_image: str, train_image: str, base_image: str
) -> None:
    assert runs(podman, serve_image, BUILD_TOOLS) == ["", "", "", ""]
    assert "pip" in runs(podman, base_image, BUILD_TOOLS)[0].split()  # where there is one
    sizes = {image: facts(podman, image)["Size"] for image in (serve_image, train_image)}
    assert sizes[serve_image] < 1.2e9
    assert sizes[train_image] >= 3 * sizes[serve_image]


def test_its_sbom_names_what_it_holds(podman: Podman, serve_image: str, tmp_path: Path) -> None:
    archive, bill = tmp_path / "image.tar", tmp_path / "sbom.json"
    podman("save", "-o", str(archive), serve_image)
    syft = Path(sys.executable).with_name("syft")
    command = [str(syft), "scan", "-q", f"docker-archive:{archive}", "-o", f"cyclonedx-json={bill}"]
    subprocess.run(command, check=True)
    content = json.loads(bill.read_text())
    held = {part["name"]: part.get("version") for part in content["components"]}
    lock = (ROOT / "requirements/image-serve.lock").read_text()
    # a package may be locked twice, for an older and a newer Python
    locked = set(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", lock, re.MULTILINE))
    assert {(name, held[name]) for name in ("numpy", "rdkit", "fastapi", "gradio")} <= locked
    assert "libexpat1" in held  # what Debian brought, too
    assert "tensorflow" not in held


def test_it_serves_a_release_with_no_right_to_write(
    podman: Podman, serve_image: str, walked: Road
) -> None:
    name = "polyid-test-serve"
    podman("rm", "-f", "-t", "0", name, code=None)
    podman(
        "run", "-d", "--name", name, "--network", "none", "--read-only",
        "--read-only-tmpfs=false", "--tmpfs", "/srv/run:rw,mode=1777", "--cap-drop", "ALL",
        "-v", f"{walked.registry}:/srv/model:ro", "-e", "MODEL=/srv/model", serve_image,
    )  # fmt: skip

    def ask(address: str, *body: str) -> dict | None:
        done = podman("exec", name, "python", "-c", ASK, address, *body, code=None)
        return None if done.returncode else json.loads(done.stdout)

    try:
        wait_for(lambda: ask("/health/ready"), seconds=300, step=1)
        assert podman("healthcheck", "run", name, code=None).returncode == 0
        polymer = "*OC(C)C(=O)*"
        told = ask("/predict", json.dumps({"smiles": polymer}))
        assert told
        outside = subprocess.run(
            [sys.executable, "-m", "polyid.cli", "predict", "--json", "--model",
             str(walked.registry), polymer],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        (row,) = json.loads(outside.stdout)
        assert_alike(told["properties"], row["properties"])
        assert told["model"]["revision"] == row["model"]["revision"] == "v1.0.0"
    finally:
        said = podman("logs", name, code=None)
        podman("rm", "-f", "-t", "10", name)
    assert "Traceback" not in said.stdout + said.stderr
