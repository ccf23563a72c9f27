"""The data really travels: through the store in the repository, and through a real S3 API."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[2]
TRACKED = [".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitattributes", ".gitignore"]
BUCKET, NAMESPACE = "polymers", "tester"

ADMIN = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}


class Repository:
    """A git and DVC repository in a folder, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder.parent),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "AWS_ACCESS_KEY_ID": "HFAKTEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess:
        if command[0] == "dvc":
            command = (sys.executable, "-m", "dvc", *command[1:])
        else:
            command = (command[0], "-c", "user.name=t", "-c", "user.email=t@example.org",
                       *command[1:])  # fmt: skip
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "data")

    def clone(self, name: str) -> "Repository":
        target = self.folder.parent / name
        self.run("git", "clone", "-q", str(self.folder), str(target))
        return Repository(target)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository whose ``data/`` is tracked by DVC, with no remote yet."""
    folder = tmp_path / "work"
    (folder / "data" / "more").mkdir(parents=True)
    (folder / "data" / "a.csv").write_bytes(b"smiles,Tg\nCC,1\n")
    (folder / "data" / "more" / "b.bin").write_bytes(bytes(range(256)) * 5000)
    new = Repository(folder)
    new.run("git", "init", "-q")
    new.run("dvc", "init", "-q")
    new.run("dvc", "add", "-q", "data")
    return new


@pytest.fixture
def s3() -> Iterator[str]:
    """Serve a real S3 API on loopback, below a namespace, as the Hub's gateway does."""
    app = DomainDispatcherApplication(create_backend_app)

    def below_namespace(environ: dict[str, Any], start: Callable) -> Any:
        # requests of the test itself (IAM, moto's own switches) come without a namespace
        for key in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
            environ[key] = environ[key].replace(f"/{NAMESPACE}", "", 1) or "/"
        return app(environ, start)

    server = make_server("127.0.0.1", 0, below_namespace, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    boto3.client("s3", endpoint_url=url, **ADMIN).create_bucket(Bucket=BUCKET)
    yield url
    server.shutdown()
    thread.join()


def configure(repository: Repository, endpoint: str, bucket: str = BUCKET) -> None:
    """Run the commands of the documentation, with this server in place of the gateway."""
    page = (ROOT / "docs" / "data-remotes.md").read_text(encoding="utf-8")
    commands = re.search(r"S3 gateway\n.*?```sh\n(.*?)```", page, re.DOTALL)
    assert commands is not None
    for line in commands[1].splitlines():
        line = line.replace("https://s3.hf.co/my-namespace", endpoint)
        repository.run(*line.replace("my-bucket", bucket).split())


def test_a_clone_restores_the_data_without_an_account(tmp_path):
    source = Repository(tmp_path / "work")
    for name in [*TRACKED, "data.dvc"]:
        target = source.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    shutil.copytree(ROOT / "dvc-store", source.folder / "dvc-store")
    source.run("git", "init", "-q")
    source.commit()
    clone = source.clone("clone")
    assert not (clone.folder / "data").exists()
    clone.run("dvc", "pull", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    pulled = contents(clone.folder / "data")
    assert sorted(pulled) == [
        "LICENSE-polyid_properties.txt",
        "LICENSE-stereopolymer.txt",
        "README.md",
        "polyid_properties.csv",
        "stereopolymer_input_nopush.csv",
    ]
    assert pulled["polyid_properties.csv"].count(b"\n") == 1291
    assert clone.run("git", "status", "--short").stdout == ""


def test_a_store_that_lost_an_object_is_an_error(tmp_path):
    source = Repository(tmp_path / "work")
    shutil.copytree(ROOT / ".dvc", source.folder / ".dvc",
                    ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))  # fmt: skip
    shutil.copy(ROOT / "data.dvc", source.folder)
    shutil.copytree(ROOT / "dvc-store", source.folder / "dvc-store")
    source.run("git", "init", "-q")
    max((source.folder / "dvc-store").rglob("*"), key=lambda p: p.stat().st_size).unlink()
    failed = source.run("dvc", "pull", check=False)
    assert failed.returncode != 0
    assert "failed to pull data from the cloud" in failed.stderr


@pytest.mark.slow
def test_bucket_round_trip_below_a_namespace(repository, s3):
    configure(repository, f"{s3}/{NAMESPACE}")
    repository.run("dvc", "push")
    assert "in sync" in repository.run("dvc", "status", "-c").stdout
    repository.commit()

    clone = repository.clone("clone")
    assert not (clone.folder / "data").exists()
    configure(clone, f"{s3}/{NAMESPACE}")
    clone.run("dvc", "pull")
    assert contents(clone.folder / "data") == contents(repository.folder / "data")

    changed = clone.folder / "data" / "a.csv"
    changed.write_bytes(b"smiles,Tg\nCC,2\n")
    clone.run("dvc", "add", "-q", "data")
    clone.run("dvc", "push")
    shutil.copy(clone.folder / "data.dvc", repository.folder / "data.dvc")
    repository.run("dvc", "pull")
    assert (repository.folder / "data" / "a.csv").read_bytes() == changed.read_bytes()


def test_keys_and_addresses_stay_out_of_git(repository, s3):
    configure(repository, f"{s3}/{NAMESPACE}")
    repository.run("dvc", "remote", "modify", "--local", "bucket", "access_key_id", "HFAKSECRET")
    repository.commit()
    tracked = repository.run("git", "ls-files").stdout.split()
    assert ".dvc/config.local" not in tracked
    assert not any(b"HFAKSECRET" in (repository.folder / f).read_bytes() for f in tracked)


def test_missing_bucket_is_named(repository, s3):
    configure(repository, f"{s3}/{NAMESPACE}", bucket="nowhere")
    failed = repository.run("dvc", "push", check=False)
    assert failed.returncode != 0
    assert "The specified bucket does not exist" in failed.stderr


def test_missing_credentials_are_named(repository, s3):
    configure(repository, s3)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del repository.env[name]
    failed = repository.run("dvc", "push", check=False)
    assert failed.returncode != 0
    assert "Unable to locate credentials" in failed.stderr


@pytest.mark.slow
def test_wrong_credentials_are_refused(repository, s3):
    iam = boto3.client("iam", endpoint_url=s3, **ADMIN)
    iam.create_user(UserName="ci")
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    everything = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=everything)
    key = iam.create_access_key(UserName="ci")["AccessKey"]
    right = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    configure(repository, s3)
    switch = f"{s3}/moto-api/reset-auth"
    requests.post(
        switch, data=b"0", timeout=10
    )  # from now on every request needs a valid signature
    try:
        failed = repository.run(
            "dvc", "push", check=False, **{**right, "AWS_SECRET_ACCESS_KEY": "no"}
        )
        assert failed.returncode != 0
        assert re.search("Forbidden|SignatureDoesNotMatch|AccessDenied", failed.stderr)
        unknown = repository.run("dvc", "push", check=False)
        assert unknown.returncode != 0
        assert re.search("Forbidden|InvalidAccessKeyId", unknown.stderr)
        repository.run("dvc", "push", **right)
    finally:
        requests.post(switch, data=b"inf", timeout=10)
