"""A deployment ends with the release that was wanted, or with the one of before; it says which."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deploy_kit import APP, make_space, tiny_release
from huggingface_hub import HfApi
from typer.testing import CliRunner

from polyid.errors import PolyIDError
from trainer.cli import app as trainer
from trainer.cli import guarded

pytestmark = pytest.mark.usefixtures("hub_home")


@pytest.fixture
def repo(hub, tmp_path):
    name = hub.name("model")
    commits = {tag: tiny_release(hub, name, tmp_path / tag, tag) for tag in ("v1.0.0", "v1.1.0")}
    return name, commits


@pytest.fixture
def ended(hub):
    names = []
    yield names
    for name in names:
        hub.api().delete_repo(name, repo_type="space")


def space_of(hub, repo, ended, lie=None, private=False):
    name, commits = repo
    variables = {
        "MODEL": f"hf://{name}",
        "MODEL_REVISION": "v1.0.0",
        "COMMITS": json.dumps(commits),
        "LIES": json.dumps({"v1.1.0": lie}),
    }
    space = make_space(hub, [sys.executable, str(APP)], variables, private=private)
    ended.append(space)
    end = time.monotonic() + 60
    while hub.api().get_space_runtime(space).stage != "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return space


def deploy(repo, space, tag="v1.1.0", *more):
    command = ["deploy", "--space", space, "--revision", tag, "--registry", f"hf://{repo[0]}"]
    return CliRunner().invoke(trainer, [*command, "--json", "--timeout", "60", *more])


def pin(space):
    return HfApi().get_space_variables(space)["MODEL_REVISION"].value


def test_an_upgrade_and_the_same_again(hub, repo, ended):
    space = space_of(hub, repo, ended)
    hub.settings(space_lag_seconds=0.5)  # the old process and RUNNING stay for a while
    done = deploy(repo, space)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["status"], said["serves"], said["tested"]) == ("deployed", "v1.1.0", 1)
    assert said["gap_seconds"] > 0
    assert pin(space) == "v1.1.0"
    hub.calls(clear=True)
    again = json.loads(deploy(repo, space).stdout)
    assert (again["status"], again["gap_seconds"]) == ("unchanged", 0)
    assert all(c["method"] == "GET" for c in hub.calls() if "/spaces/" in c["path"])


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("wrong revision", "says it serves v1.0.0"),
        ("not ready", "The self-test failed."),
        ("degraded", "The self-test failed."),
        ("wrong numbers", "Density is 5.0, expected 1 within 0.1"),
        ("errors", "POST /predict answered 500"),
        ("dies", "The Space is RUNTIME_ERROR"),
    ],
)
def test_a_failure_puts_the_old_pin_back(hub, repo, ended, lie, reason):
    space = space_of(hub, repo, ended, lie)
    done = deploy(repo, space)
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert (said["status"], said["serves"]) == ("put back", "v1.0.0")
    assert reason in said["reason"]
    assert said["next"] == f"hf spaces logs {space}"
    assert pin(space) == "v1.0.0"


def test_an_application_that_never_starts_ends_with_the_stage(hub, repo, ended):
    space = space_of(hub, repo, ended)
    hub.space(space, ends="BUILD_ERROR")
    done = deploy(repo, space, "v1.1.0", "--timeout", "5")
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert said["status"] == "failed"
    assert "BUILD_ERROR" in said["reason"]
    assert pin(space) == "v1.0.0"


@pytest.mark.parametrize("stage", ["PAUSED", "BUILD_ERROR"])
def test_a_space_that_cannot_start_is_left_alone(hub, repo, ended, stage):
    space = space_of(hub, repo, ended)
    hub.space(space, stage=stage)
    done = deploy(repo, space)
    assert isinstance(done.exception, PolyIDError)
    assert f"The Space is {stage}" in str(done.exception)
    assert pin(space) == "v1.0.0"


@pytest.mark.parametrize(
    ("tag", "registry", "reason"),
    [
        ("v9.9.9", None, "has no release 'v9.9.9'"),
        ("main", None, "expected the tag of a release"),
        ("v1.1.0", "registry", "reads its model from the Hub"),
    ],
)
def test_what_is_no_release_changes_nothing(hub, repo, ended, tag, registry, reason):
    space = space_of(hub, repo, ended)
    more = ("--registry", registry) if registry else ()
    done = deploy(repo, space, tag, *more)
    assert reason in str(done.exception)
    assert pin(space) == "v1.0.0"


def test_no_such_space_and_no_right(hub, repo, ended, monkeypatch):
    assert "there is no such repository" in str(deploy(repo, "acme/none").exception)
    space = space_of(hub, repo, ended)
    token = hub.token("reader", "read")
    monkeypatch.setenv("HF_TOKEN", token)
    error = str(deploy(repo, space).exception)
    assert "no right" in error
    assert token not in error
    assert pin(space) == "v1.0.0"


@pytest.mark.parametrize("private", [True, False])
def test_only_a_private_space_gets_the_token(hub, repo, ended, private):
    space = space_of(hub, repo, ended, private=private)
    assert deploy(repo, space).exit_code == 0
    files = list(Path(hub.space(space)["folder"]).rglob("authorization.txt"))
    sent = {line for file in files for line in file.read_text().splitlines()}
    assert sent == {f"Bearer {hub.owner_token}" if private else "None"}


def test_a_foreign_address_never_gets_the_token(hub, repo, ended):
    space = space_of(hub, repo, ended, private=True)
    address = hub.api().get_space_runtime(space).raw["domains"][0]["domain"]
    other = address.replace("127.0.0.1", "localhost")
    assert deploy(repo, space, "v1.1.0", "--url", f"http://{other}").exit_code == 0
    files = list(Path(hub.space(space)["folder"]).rglob("authorization.txt"))
    assert {line for f in files for line in f.read_text().splitlines()} == {"None"}


def test_cut_off_in_between_says_so_and_the_same_command_repairs(hub, repo, ended, tmp_path):
    space = space_of(hub, repo, ended)
    hub.settings(space_lag_seconds=600)  # nothing new for long
    command = [sys.executable, "-m", "trainer.cli", "deploy", "--space", space]
    command += ["--revision", "v1.1.0", "--registry", f"hf://{repo[0]}"]
    process = subprocess.Popen(
        command, env=hub.env(tmp_path / "home"), text=True, stdout=subprocess.PIPE
    )
    end = time.monotonic() + 60
    while not any("/restart" in c["path"] and c["status"] == 200 for c in hub.calls()):
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "may be pinned to" in said
    assert "--revision v1.0.0" in " ".join(said.split())
    assert pin(space) == "v1.1.0"
    hub.settings(space_lag_seconds=0.05)
    # what was before is known on the Hub, also when it now turns out to be bad
    lies = json.dumps({"v1.1.0": "wrong numbers"})
    hub.api().add_space_variable(space, "LIES", lies)
    done = deploy(repo, space)
    assert json.loads(done.stdout)["status"] == "put back", done.output
    assert pin(space) == "v1.0.0"
    hub.api().add_space_variable(space, "LIES", "{}")
    assert json.loads(deploy(repo, space).stdout)["status"] == "deployed"


def test_a_refusal_is_bad_input(repo):
    def command():
        trainer(["deploy", "--space", "x", "--revision", "v1.1.0", "--registry", f"hf://{repo[0]}"])

    assert guarded(command) == 2
