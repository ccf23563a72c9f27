"""A deployment with the real application as the Space's process."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd
from serve_kit import PATIENCE, ROOT, spoil_weights
from typer.testing import CliRunner

from polyid.checksums import write_checksums
from trainer.cli import app as trainer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hub_home")]


def publish(hub, repo, model, folder, tag, spoiled=False):
    shutil.copytree(model, folder)
    if spoiled:
        spoil_weights(folder)
    content = {"tag": tag, "fingerprint": "0" * 16, "previous": None, "change": "minor"}
    content |= {"reasons": [], "time": "2026-01-01T00:00:00+00:00", "content": "0" * 64}
    (folder / "release.json").write_text(json.dumps(content))
    write_checksums(folder)
    api = hub.api()
    api.create_repo(repo, exist_ok=True)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    adds = [CommitOperationAdd(str(p.relative_to(folder)), str(p)) for p in files]
    commit = api.create_commit(repo, adds, commit_message=f"Release {tag}").oid
    api.create_tag(repo, tag=tag, revision=commit)


def test_upgrade_failing_self_test_and_back(hub, model_folder, other_folder, tmp_path: Path):
    repo, space = hub.name("model"), hub.name("space")
    publish(hub, repo, model_folder, tmp_path / "1", "v1.0.0")
    publish(hub, repo, other_folder, tmp_path / "2", "v1.1.0")
    publish(hub, repo, model_folder, tmp_path / "3", "v1.2.0", spoiled=True)
    api = hub.api()
    api.create_repo(space, repo_type="space", space_sdk="docker")
    hub.space(space, command=[sys.executable, "-m", "app", "--workers", "1"], cwd=ROOT)
    for key, value in (("MODEL", f"hf://{repo}"), ("MODEL_REVISION", "v1.0.0")):
        api.add_space_variable(space, key, value)
    dockerfile = [CommitOperationAdd("Dockerfile", b"FROM scratch")]
    api.create_commit(space, dockerfile, commit_message="App", repo_type="space")
    end = time.monotonic() + PATIENCE
    while api.get_space_runtime(space).stage != "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.1)

    def deploy(tag):
        command = ["deploy", "--space", space, "--revision", tag, "--registry", f"hf://{repo}"]
        done = CliRunner().invoke(trainer, [*command, "--json"])
        said = json.loads(done.stdout)
        return done.exit_code, said["status"], said["serves"], said["reason"]

    assert deploy("v1.1.0") == (0, "deployed", "v1.1.0", None)
    assert deploy("v1.1.0") == (0, "unchanged", "v1.1.0", None)
    code, status, serves, reason = deploy("v1.2.0")
    assert (code, status, serves) == (1, "put back", "v1.1.0")
    assert "The self-test failed" in reason
    assert deploy("v1.0.0") == (0, "deployed", "v1.0.0", None)
    api.delete_repo(space, repo_type="space")
