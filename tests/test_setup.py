"""Set-up: the locks fit, what is missing is named, what stands is left alone, data arrives."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def copy(tmp_path):
    """The files that the lock check reads, to be changed."""
    for name in ("pyproject.toml", "scripts/locks.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def check_locks(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "scripts/locks.py", "check"], cwd=folder, capture_output=True, text=True
    )


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_locks_are_in_step(copy):
    told = check_locks(copy)
    assert told.returncode == 0, told.stderr


def test_a_dependency_that_is_not_locked_is_told(copy):
    change(copy / "pyproject.toml", '"dvc>=', '"left-pad>=1",\n    "dvc>=')
    told = check_locks(copy)
    assert told.returncode == 1
    assert "left-pad>=1, the lock has nothing" in told.stderr
    assert "make lock" in told.stderr


def test_a_bound_that_the_lock_misses_is_told(copy):
    change(copy / "pyproject.toml", '"filelock>=3.16"', '"filelock>=999"')
    assert "filelock>=999" in check_locks(copy).stderr


def test_a_dependency_that_was_taken_out_is_told(copy):
    change(copy / "pyproject.toml", '    "scipy>=1.15",\n', "")
    assert "changed after the locks" in check_locks(copy).stderr


def test_a_dev_lock_of_other_versions_is_told(copy):
    lock = copy / "requirements/dev.lock"
    lock.write_text(re.sub(r"^scipy==\S+", "scipy==0.1", lock.read_text(), flags=re.MULTILINE))
    assert "scipy differs from runtime.lock" in check_locks(copy).stderr


@pytest.mark.parametrize("name", ["image-serve", "image-train-cuda"])
def test_an_image_of_other_versions_is_told(copy, name):
    lock = copy / f"requirements/{name}.lock"
    lock.write_text(re.sub(r"^rdkit==\S+", "rdkit==0.1", lock.read_text(), flags=re.MULTILINE))
    assert f"{name}.lock: rdkit differs from runtime.lock" in check_locks(copy).stderr


def test_a_training_image_that_lacks_a_package_is_told(copy):
    change(copy / "requirements/image-train-cuda.lock", "dvc==", "other-than-dvc==")
    assert "dvc of runtime.lock is missing" in check_locks(copy).stderr


def test_an_image_asked_for_more_than_it_locks_is_told(copy):
    with (copy / "requirements/image-serve.in").open("a") as file:
        file.write("left-pad\n")
    told = check_locks(copy).stderr
    assert "asks for left-pad, the lock has nothing" in told
    assert "changed after the locks" in told


@pytest.mark.parametrize("name", ["bootstrap", "runtime", "dev", "image-serve", "image-train-cuda"])
def test_every_locked_package_has_a_hash(name):
    text = (ROOT / f"requirements/{name}.lock").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


# --- set-up and data -------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path):
    """A checkout with a PATH of our own making, where nothing can be installed."""
    for name in ("pyproject.toml", "scripts/setup.sh", "requirements"):
        target = tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum", "date", "uname", "env", "rm", "grep", "git"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def tool(bare: Path, name: str, body: str) -> None:
    (bare / "tools" / name).write_text(f"#!/bin/sh\n{body}\n")
    (bare / "tools" / name).chmod(0o755)


def set_up(bare: Path, which: str = "runtime") -> subprocess.CompletedProcess:
    return subprocess.run(
        ["/bin/sh", "scripts/setup.sh", which],
        cwd=bare / "checkout",
        env={"PATH": str(bare / "tools")},
        capture_output=True,
        text=True,
    )


def test_without_apt_the_missing_packages_are_named(bare):
    told = set_up(bare)
    assert told.returncode == 2
    assert "python3-venv" in told.stderr
    assert "no apt-get here" in told.stderr


def test_a_user_without_rights_is_told_the_command(bare):
    tool(bare, "apt-get", "exit 1")
    tool(bare, "id", "echo 1000")
    told = set_up(bare)
    assert told.returncode == 2
    assert "apt-get update && apt-get install -y --no-install-recommends python3" in told.stderr
    assert not (bare / "checkout/.venv").exists()


def test_sudo_is_used_and_said(bare):
    tool(bare, "apt-get", 'echo "E: no network" >&2; exit 100')
    tool(bare, "id", "echo 1000")
    tool(bare, "sudo", 'exec "$@"')
    told = set_up(bare)
    assert "with sudo" in told.stdout
    assert "E: no network" in told.stderr
    assert told.returncode == 2


def test_an_unknown_set_is_refused(bare):
    told = set_up(bare, "everything")
    assert told.returncode == 2
    assert "'runtime' or 'dev'" in told.stderr


def key_of(checkout: Path, which: str) -> str:
    """The key as documented: place, pyproject.toml, script, bootstrap lock and the set's lock."""
    files = ["pyproject.toml", "scripts/setup.sh", "requirements/bootstrap.lock",
             f"requirements/{which}.lock"]  # fmt: skip
    data = f"{checkout}\n".encode() + b"".join((checkout / name).read_bytes() for name in files)
    return subprocess.run(["cksum"], input=data, capture_output=True).stdout.decode()


@pytest.mark.parametrize("which", ["runtime", "dev"])
def test_a_set_up_that_stands_is_left_alone(bare, which):
    checkout = bare / "checkout"
    (checkout / ".venv").mkdir()
    (checkout / ".venv/.set-up-dev").write_text(key_of(checkout, "dev"))
    told = set_up(bare, which)  # dev holds all of runtime
    assert (told.returncode, told.stdout) == (0, ""), told.stderr


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements/runtime.lock"])
def test_a_change_sets_up_again(bare, changed):
    checkout = bare / "checkout"
    (checkout / ".venv").mkdir()
    (checkout / ".venv/.set-up-runtime").write_text(key_of(checkout, "runtime"))
    assert set_up(bare).stdout == ""
    with (checkout / changed).open("a") as file:
        file.write("\n")
    assert "Setting up .venv" in set_up(bare).stdout


@pytest.fixture
def data_script(tmp_path):
    """The data script in a checkout of its own, with a `dvc` that only says that it was called."""
    for name in ("data.dvc", "scripts/data.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    code = (
        "import json, sys; sys.path.insert(0, 'scripts'); import data; from pathlib import Path; "
        "print(json.dumps(data.state(Path('data.dvc'))))"
    )

    def state() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return tmp_path, state


def test_data_that_dvc_restored_needs_no_dvc(data_script):
    folder, state = data_script
    assert state() == "missing"
    shutil.copytree(ROOT / "data", folder / "data")
    assert state() == "same"  # the hash is DVC's own: data.dvc was written by DVC
    with (folder / "data/polyid_properties.csv").open("a") as file:
        file.write("\n")
    assert state() == "other"


def test_a_clone_gets_its_data(tmp_path):
    for name in (".dvc/config", "data.dvc", ".dvcignore", "scripts/data.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "dvc-store", tmp_path / "dvc-store")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    def fetch() -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "scripts/data.py"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "site")},
        )  # fmt: skip

    first = fetch()
    assert first.returncode == 0, first.stderr
    assert "fetching" in first.stdout
    assert (tmp_path / "data/polyid_properties.csv").is_file()
    assert fetch().stdout == ""

    table = tmp_path / "data/polyid_properties.csv"
    text = table.read_text() + "changed here\n"
    table.unlink()  # DVC may have linked it
    table.write_text(text)
    changed = fetch()
    assert changed.returncode == 2
    assert "dvc add data" in changed.stderr
    assert table.read_text() == text  # a person's change is never overwritten


@pytest.mark.parametrize(
    ("pipeline", "others", "good"), [(0, 0, True), (1, 0, False), (0, 1, False), (2, 1, False)]
)
def test_all_tests_are_well_only_if_both_halves_are(
    tmp_path: Path, pipeline: int, others: int, good: bool
):
    """What stands in for pytest says what it was asked for and ends as it is told."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "test.sh", tmp_path / "scripts")
    stub = tmp_path / ".venv" / "bin" / "pytest"
    stub.parent.mkdir(parents=True)
    code = f"case $* in tests/trainer) exit {pipeline} ;; --ignore=*) exit {others} ;; esac"
    stub.write_text(f'#!/bin/sh\necho "asked for $*"\n{code}\n')
    stub.chmod(0o755)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "scripts/test.sh", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = run()
    assert (done.returncode == 0) is good
    assert "asked for tests/trainer\n" in done.stdout
    assert "asked for --ignore=tests/trainer\n" in done.stdout
    assert f"tests/trainer {pipeline}, all others {others}" in done.stdout
    assert run("tests/polyid", "-k", "fold").stdout == "asked for tests/polyid -k fold\n"
