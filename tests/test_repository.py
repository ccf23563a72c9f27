"""The front door keeps its promises: README, targets, locks, what is committed and what is not."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = ["README.md", "CONTRIBUTING.md"]

#: What no committed text may hold, in pieces, so that this file does not hold it either.
FORBIDDEN = {
    "a package registry's host": r"(?<![\w.-])(pypi|pythonhosted|npmjs|debian)\.(org|com)\b|"
    r"files\.pythonhosted|deb\.debian|registry\.npmjs|proxy\.golang|static\.crates",
    "a path of one machine": r"(?<![\w.}])/(root|home|Users|work)/[\w.]+|[A-Z]:\\Users\\",
    "an index address": r"--(extra-)?index-url[ =]|^-i https?://",
}
#: (file, text) pairs that are right all the same.
ALLOWED: set[tuple[str, str]] = set()


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def committed() -> list[str]:
    """Files that are committed or about to be."""
    if not (ROOT / ".git").exists():
        pytest.fail("not a git checkout: what is committed cannot be told")
    told = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    return [name for name in told.split("\0") if name and (ROOT / name).is_file()]


def leaks(name: str, text: str) -> list[str]:
    return [
        f"{name}:{number}: {what}: {found.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        for found in re.finditer(pattern, line)
        if (name, found.group()) not in ALLOWED
    ]


def test_nothing_committed_names_a_registry_or_a_machine():
    found = []
    for name in committed():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content[:8000] and not name.startswith("dvc-store/"):
            found += leaks(name, content.decode())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "index = https://" + "pypi" + ".org/simple",
        "see https://files." + "pythonhosted" + ".org/packages/x.whl",
        "cd " + "/work" + "/main",
        "open('" + "/root" + "/x.csv')",
        "HOME=" + "/home" + "/me",
        "--index" + "-url https://x",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert leaks("x", line)


@pytest.mark.parametrize("line", ["docs/home/x", "the work/ folder", "https://x.org/home/page"])
def test_the_search_spares_the_innocent(line):
    assert not leaks("x", line)


def test_readme_is_short_and_opens_with_the_two_commands():
    lines = README.splitlines()
    assert len(lines) <= 100
    assert README.index("make run") < README.index("make test") < len(README) / 3


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_make_targets_exist(document):
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named
    assert named <= make_targets()


def test_make_without_a_target_lists_every_target():
    told = run("make")
    assert told.returncode == 0
    listed = set(re.findall(r"^  ([a-z-]+) ", told.stdout, re.MULTILINE))
    assert listed == make_targets()


@functools.cache
def help_of(program: str, verb: str) -> subprocess.CompletedProcess:
    """What the installed command says of a verb, wide and without colours."""
    plain = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return run(str(Path(sys.executable).with_name(program)), verb, "--help", env=plain)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_commands_exist(document):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"\.venv/bin/(polyid|trainer)\s([a-z]+)", text))
    assert named
    for program, verb in sorted(named):
        told = help_of(program, verb)
        assert told.returncode == 0, f"{program} {verb}: {told.stdout}{told.stderr}"


def test_readme_options_exist():
    lines = re.findall(r"\.venv/bin/polyid predict (.*)", README)
    options = set(re.findall(r"--[a-z-]+", " ".join(lines)))
    assert options
    assert options <= set(re.findall(r"--[a-z-]+", help_of("polyid", "predict").stdout))


def test_what_make_run_calls_exists():
    recipe = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    calls = re.findall(r"^\t\$\(VENV\)/(trainer|polyid) ([a-z]+) (.*)", recipe, re.MULTILINE)
    assert [call[:2] for call in calls] == [("trainer", "run"), ("polyid", "predict")]
    for program, verb, rest in calls:
        known = set(re.findall(r"--[a-z-]+", help_of(program, verb).stdout))
        assert set(re.findall(r"--[a-z-]+", rest)) <= known


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/data-remotes.md"])
def test_links_lead_somewhere(document):
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
        assert (folder / target).exists(), f"{document} links to {target}"


def test_ci_is_make_test_and_passes_its_failure_on(tmp_path):
    script = (ROOT / ".ci/run").read_text()
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    for recipe, good in (("@echo tested", True), ("@exit 1", False)):
        (tmp_path / "Makefile").write_text(f"test:\n\t{recipe}\n")
        told = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True)
        assert (told.returncode == 0) == good, script


def test_hooks_run_the_tools_of_the_environment():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {"ruff", "ruff-format", "mypy"} <= {hook["id"] for hook in hooks}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)


def test_a_release_is_dated_and_the_version_is_known():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
    headings = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert not headings or headings[0] == version


def test_every_package_licence_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in project["license-files"]:
        assert (ROOT / name).is_file()
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text()
