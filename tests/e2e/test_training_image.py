"""The training image of a commit is built and pushed once, and then found by its content."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from act_kit import REPOSITORY, Workshop
from container_kit import Podman
from oci_kit import Oci, serving_images
from road_kit import small_table

from trainer.ci.image import MADE_OF, key
from trainer.ci.oci import OciError, Repository

ROOT = Path(__file__).parents[2]
NAME = f"{REPOSITORY}-train"
#: An image of seconds: nothing is installed, and no base is pulled.
TINY_IMAGE = "FROM scratch\nARG COMMIT\nCOPY pyproject.toml /\nLABEL commit=${COMMIT}\n"


@pytest.fixture
def oci() -> Iterator[Oci]:
    with serving_images() as registry:
        yield registry


def test_a_tag_is_asked_with_a_token_and_what_is_not_there_is_none(oci: Oci):
    place = Repository(oci.host, NAME)
    assert place.digest("one", "robot", oci.password) is None
    assert len(oci.tokens) == 1
    oci.manifests[NAME, "one"] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert place.digest("one", "robot", oci.password) == digest
    with pytest.raises(OciError, match="gave no token"):
        place.digest("one", "robot", "wrong")


def test_a_registry_that_is_not_there_is_told(oci: Oci):
    host = oci.host
    with serving_images() as other:
        host = other.host
    with pytest.raises(OciError, match=r"cannot be reached.*IMAGE_REGISTRY"):
        Repository(host, NAME).digest("one", "a", "b")


def test_what_is_no_registry_is_told():
    def greet(listener: socket.socket) -> None:
        with listener.accept()[0] as caller:
            caller.recv(4096)
            caller.sendall(b"220 mail.example ready\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,), daemon=True)
        thread.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(OciError, match=r"cannot be reached \(BadStatusLine\)"):
            Repository(host, NAME).digest("one", "a", "b")
        thread.join(30)


@pytest.mark.parametrize("said", [["a", "list"], {"no": "token"}])
def test_a_token_that_is_none_is_told(oci: Oci, said: object):
    oci.gives = said
    with pytest.raises(OciError, match="gave no token"):
        Repository(oci.host, NAME).digest("one", "robot", oci.password)


def test_a_login_is_not_carried_to_where_a_registry_sends_us(oci: Oci):
    with serving_images() as other:
        oci.moved_to = other.host
        assert Repository(oci.host, NAME).digest("one", "robot", oci.password) is None
    assert len(oci.logins) == 2
    assert other.logins == [""]


def test_all_that_the_build_reads_names_the_image(tmp_path: Path):
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for place in (line[1:].split("/")[0] for line in allowed if line.startswith("!")):
        assert place in MADE_OF
    for name in MADE_OF:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "notes.md").write_text("a")

    def commit() -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@t"]
        for words in (["add", "-A"], [*who, "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        return key(tmp_path)

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    seen = [commit()]
    (tmp_path / "notes.md").write_text("b")
    assert commit() == seen[0]
    for name in MADE_OF:
        (tmp_path / name).write_text("changed")
        seen.append(commit())
    assert len(set(seen)) == len(MADE_OF) + 1


@pytest.mark.slow
def test_the_workflow_builds_and_attests_it_once(
    oci: Oci, podman: Podman, tmp_path: Path, property_table: Path
):
    settings = tmp_path / "registries.conf"  # podman takes plain HTTP only where it is told to
    settings.write_text(f'[[registry]]\nlocation = "{oci.host}"\ninsecure = true\n')
    podman_settings = {k: v for k, v in podman.env.items() if k == "CONTAINERS_CONF"}
    shop = Workshop.made(
        tmp_path / "shop",
        small_table(property_table),
        variables={"REGISTRY": "hf://acme/x", "IMAGE_REGISTRY": oci.host},
        secrets={"GITHUB_TOKEN": oci.password},
        env=podman_settings | {
            "ENGINE": "podman",
            "CONTAINERS_REGISTRIES_CONF": str(settings),
        },
    )  # fmt: skip
    for name in (".dockerignore", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, shop.source / name)
    shop.write("Dockerfile.train", TINY_IMAGE)
    shop.commit("An image")
    event = {"inputs": {"target": "hf-jobs"}}
    try:
        ran = shop.run("workflow_dispatch", "train.yml", event, job="image")
        assert ran.code == 0, ran.output
        assert ran.jobs == {"decide": "success", "image": "success"}
        (tag,) = oci.tags(NAME)
        digest = Repository(oci.host, NAME).digest(tag, "robot", oci.password)
        assert f"Built {oci.host}/{NAME}@{digest}" in ran.text
        assert "attest it" in ran.steps("image")
        assert oci.password not in ran.output

        again = shop.run("workflow_dispatch", "train.yml", event, job="image")
        assert again.code == 0, again.output
        assert f"Found {oci.host}/{NAME}@{digest}" in again.text
        assert "attest it" not in again.steps("image")
    finally:
        podman("rmi", "-f", f"{oci.host}/{NAME}:{key(shop.source)}", code=None)


def test_a_build_that_fails_is_told(oci: Oci, tmp_path: Path):
    broken = tmp_path / "engine"
    broken.write_text("#!/bin/sh\necho no space left on device\nexit 3\n")
    broken.chmod(0o755)
    env = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ENGINE": str(broken),
        "IMAGE_REGISTRY": oci.host, "GITHUB_REPOSITORY": "Acme/Code", "GITHUB_ACTOR": "robot",
        "GITHUB_TOKEN": oci.password,
    }  # fmt: skip
    command = [sys.executable, "-S", "-m", "trainer.ci.image"]  # -S: no installed packages
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "no space left on device" in done.stdout + done.stderr
    assert "::error title=image::scripts/images.sh failed" in done.stdout
    assert oci.tags(NAME) == []
