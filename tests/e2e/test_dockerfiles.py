"""What both Dockerfiles promise, told without building them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["Dockerfile.train", "Dockerfile.serve"]
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def faults(text: str) -> list[str]:
    """What a Dockerfile does that it should not."""
    steps = instructions(text)
    found = []
    if not re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE):
        found.append("base without a digest")
    if any(step == "FROM" and not given.startswith("${BASE_IMAGE}") for step, given in steps):
        found.append("base that cannot be overridden")
    last = max(place for place, (step, _) in enumerate(steps) if step == "FROM")
    final = dict(steps[last:])
    if final.get("USER") != "1000:1000":
        found.append("not run as uid 1000")
    if not final.get("ENTRYPOINT", "").startswith("["):
        found.append("entry point in a shell")
    for step, given in steps:
        if step in ("ARG", "ENV") and re.search(r"TOKEN|SECRET|PASSWORD|_KEY", given, re.I):
            found.append(f"secret in {step}")
        if step in ("COPY", "ADD") and re.search(r"(^|\s)\.\s", given):
            found.append("copies everything")
    commands = [part for step, given in steps if step == "RUN" for part in given.split("&&")]
    installs = [part for part in commands if "pip install" in part]
    if not all(re.search("--require-hashes|--no-deps", part) for part in installs):
        found.append("package without a hash")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_keeps_its_promises(name):
    assert faults((ROOT / name).read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"@sha256:[0-9a-f]+", "", "base without a digest"),
        (r"(?m)^FROM \$\{BASE_IMAGE\}$", "FROM python:3", "base that cannot be overridden"),
        (r"USER 1000:1000", "USER 0", "not run as uid 1000"),
        (r"(?m)^ENTRYPOINT .*", "ENTRYPOINT trainer", "entry point in a shell"),
        (r"(?m)^ARG COMMIT.*", "ARG HF_TOKEN", "secret in ARG"),
        (r"(?m)^COPY polyid .*", "COPY . /src", "copies everything"),
        (r"--require-hashes", "", "package without a hash"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_broken_promise_is_found(name, old, new, fault):
    assert fault in faults(re.sub(old, new, (ROOT / name).read_text()))


def lint(path: Path) -> subprocess.CompletedProcess:
    return subprocess.run([str(HADOLINT), str(path)], capture_output=True, text=True)


@pytest.mark.parametrize("name", NAMES)
def test_hadolint_is_content(name):
    told = lint(ROOT / name)
    assert told.returncode == 0, told.stdout


def test_hadolint_finds_a_fault(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN sudo pip install x\n")
    assert lint(bad).returncode != 0


def test_the_serving_image_gets_no_training_code():
    copied = [given for step, given in instructions((ROOT / "Dockerfile.serve").read_text())
              if step == "COPY"]  # fmt: skip
    assert not any("trainer" in given or "pyproject" in given for given in copied)
    locked = (ROOT / "requirements/image-serve.lock").read_text()
    for name in ("dvc", "docker", "uv", "pip", "tensorflow", "keras", "scikit-learn", "boto3"):
        assert not re.search(rf"^{name}==[^;]*$", locked, re.MULTILINE), name
    assert not re.search(r"^nvidia-", locked, re.MULTILINE)


def test_the_build_context_is_a_list_of_what_is_allowed():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines()
             if line and not line.startswith("#")]  # fmt: skip
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed == {
        "pyproject.toml", "README.md", "LICENSE", "NOTICE", "requirements/*.lock",
        "polyid", "trainer", "app",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [({"ACCELERATOR": "tpu"}, "expected cuda or cpu"), ({"IMAGES": "all"}, "serve or train")],
)
def test_the_script_refuses_what_it_does_not_know(change, said):
    told = subprocess.run(
        ["sh", str(ROOT / "scripts/images.sh")], capture_output=True, text=True,
        env={**os.environ, "ENGINE": "true", **change},
    )  # fmt: skip
    assert told.returncode == 2
    assert said in told.stderr
