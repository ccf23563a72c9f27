"""Containers for tests: is there an engine that runs one, a base image, our images, its service.

Nothing here is a stand-in but the base image, and that only where the pinned one cannot be pulled.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from road_kit import ROOT, wait_for

HERE = Path(__file__).parent
#: What podman needs where limits may not be raised and both kinds of cgroups are mounted.
_SETTINGS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
_TRIAL = "localhost/polyid-test-trial"
_BASE = "localhost/polyid-test-base"
_NAME = "localhost/polyid-test"
#: Looks like a token, and is put where tokens lie when an image is built.
PLANTED = "hf_" + "planted" * 5
#: What is built, as the Dockerfiles see it.
_SOURCES = (
    "Dockerfile.serve", "Dockerfile.train", ".dockerignore", "LICENSE", "NOTICE", "README.md",
    "pyproject.toml", "requirements", "scripts", "polyid", "trainer", "app",
)  # fmt: skip


class NoContainersError(Exception):
    """Podman is missing or runs no container here; the message says which, in its words."""


class Podman(NamedTuple):
    """Podman as it runs containers here."""

    env: dict[str, str]

    def __call__(
        self, *words: str, code: int | None = 0, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of podman's, and expect its exit code (None: any)."""
        done = subprocess.run(
            ["podman", *words], capture_output=True, text=True, env=self.env | (env or {})
        )
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def has(self, image: str) -> bool:
        """Whether an image is in its store."""
        return self("image", "exists", image, code=None).returncode == 0


def find_podman(folder: Path) -> Podman:
    """Return podman with settings under which a container runs.

    Raises
    ------
    NoContainersError
        If there are none.
    """
    missing = [name for name in ("podman", "catatonit") if shutil.which(name) is None]
    if missing:
        raise NoContainersError(f"{', '.join(missing)} not installed (make setup-dev says why)")
    settings = folder / "containers.conf"
    limits = {"files": _limit("RLIMIT_NOFILE", 20000), "processes": _limit("RLIMIT_NPROC", 32768)}
    settings.write_text(_SETTINGS.format(**limits))
    told = ""
    for more in ({}, {"CONTAINERS_CONF": str(settings)}):
        podman = Podman(os.environ | more)
        told = _trial(podman, folder)
        if not told:
            return podman
    raise NoContainersError(f"podman runs no container here: {told}")


def _limit(name: str, most: int) -> int:
    import resource

    hard = resource.getrlimit(getattr(resource, name))[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _trial(podman: Podman, folder: Path) -> str:
    """Run one program in a container; return what went wrong, or nothing."""
    archive = folder / "trial.tar"
    with tarfile.open(archive, "w") as tar:  # a program that needs no library
        tar.add(shutil.which("catatonit") or "", "catatonit")
    for words in (
        ("import", "-q", str(archive), _TRIAL),
        ("run", "--rm", "--network", "none", _TRIAL, "/catatonit", "--version"),
    ):
        done = podman(*words, code=None)
        if done.returncode:
            return " ".join(done.stderr.split())
    podman("rmi", _TRIAL)
    return ""


def base_image(podman: Podman) -> str:
    """Return the base that our images are built on here.

    That is ``BASE_IMAGE``, else the one the Dockerfiles pin, else one made of Debian's packages
    and the Python that runs the tests.
    """
    if given := os.environ.get("BASE_IMAGE"):
        return given
    text = (ROOT / "Dockerfile.train").read_text()
    (pinned,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    if podman.has(pinned) or podman("pull", "-q", pinned, code=None).returncode == 0:
        return pinned
    script = HERE / "stand_in_base.sh"
    mark = hashlib.sha256(script.read_bytes() + sys.version.encode()).hexdigest()[:12]
    name = f"{_BASE}:{mark}"
    if not podman.has(name):
        done = subprocess.run(
            ["bash", str(script), name, sys.executable],
            capture_output=True, text=True, env=podman.env,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return name


def checkout(folder: Path, base: str) -> str:
    """Make a git checkout of what images are built from, with `PLANTED` wherever secrets lie.

    Returns its commit, which is the same for the same content and base.
    """
    for name in _SOURCES:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, folder / name)
    when = "2026-01-01T00:00:00Z"
    env = os.environ | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")

    def git(*words: str) -> str:
        command = ["git", *who, "-c", "commit.gpgsign=false", *words]
        done = subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", f"On {base}")
    git("config", "http.extraheader", f"Authorization: {PLANTED}")
    for name in (".env", "trainer/.env.local", "data/token.txt", "registry/token", "secrets.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"HF_TOKEN={PLANTED}\n")
    return git("rev-parse", "HEAD")


def build(podman: Podman, base: str, source: Path, which: str, tag: str) -> str:
    """Build one of our images by the command that users have; return its name.

    One that was built from the same commit already is taken as it is.
    """
    name = f"{_NAME}-{which}"
    if podman.has(f"{name}:{tag}"):
        return f"{name}:{tag}"
    env = podman.env | {
        "ENGINE": "podman", "BASE_IMAGE": base, "NETWORK": "host", "ACCELERATOR": "cpu",
        "NAME": _NAME, "TAG": tag, "IMAGES": which, "SYFT": "", "HF_TOKEN": PLANTED,
        # each step's result would be written out and read back, and be of no use to anybody
        "BUILDAH_LAYERS": "false",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "scripts/images.sh"], cwd=source, capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    listed = ("images", "--filter", f"reference={name}", "--format", "{{.Repository}}:{{.Tag}}")
    for old in podman(*listed).stdout.split():
        if old != f"{name}:{tag}":
            podman("rmi", old, code=None)  # of an earlier test run; one in use stays
    return f"{name}:{tag}"


def saved(podman: Podman, image: str) -> Iterator[bytes]:
    """All that an image holds, as it is stored and sent: every layer, history and settings."""
    command = ["podman", "save", "--format", "docker-archive", image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=podman.env) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 24):
            yield chunk
    assert process.returncode == 0


def holds(podman: Podman, image: str, text: str) -> bool:
    """Whether a text stands anywhere in an image, files that a later layer removes included."""
    wanted, last, found = text.encode(), b"", False
    for chunk in saved(podman, image):  # to the end, or podman complains
        found = found or wanted in last + chunk
        last = chunk[-len(wanted) :]
    return found


def reaching(host: str, folder: Path) -> dict[str, str]:
    """Return the environment that lets podman use a registry without TLS, and keep its login."""
    path = folder / "registries.conf"
    path.write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    access = str(folder / "auth.json")
    return {"CONTAINERS_REGISTRIES_CONF": str(path), "REGISTRY_AUTH_FILE": access}


@contextmanager
def service(podman: Podman) -> Iterator[str]:
    """Serve podman's API, which is Docker's, and return its address."""
    # a socket's path has to be short
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as folder:
        path = Path(folder) / "api.sock"
        process = subprocess.Popen(
            ["podman", "system", "service", "--time", "0", f"unix://{path}"],
            env=podman.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: process.poll() is not None or _listens(path))
            assert process.poll() is None, "podman system service ended"
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        return path.exists() and asked.connect_ex(str(path)) == 0
