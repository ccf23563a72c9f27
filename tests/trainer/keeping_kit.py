"""Stores of checkpoints for tests: a real S3 API on loopback, and runs' folders to keep."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import numpy as np
from moto.server import ThreadedMotoServer

from trainer.keeping import store
from trainer.training import checkpoint

BUCKET = "runs"


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Serve S3 with an empty bucket; yields the environment that reaches it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key-for-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-for-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        bucket_client(env).create_bucket(Bucket=BUCKET)
        yield env
    finally:
        server.stop()


def bucket_client(env: dict[str, str]):
    """Return a client of the bucket that is not the code under test."""
    return boto3.client(
        "s3", endpoint_url=env["AWS_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def objects(env: dict[str, str]) -> list[str]:
    """Names of everything in the bucket."""
    found = bucket_client(env).list_objects_v2(Bucket=BUCKET)
    return [item["Key"] for item in found.get("Contents", [])]


def write(folder: Path, path: str, value: float) -> None:
    """Write a file of a run as training does."""
    checkpoint.write_arrays(folder / path, {"weights": np.full(100, value)})


def kept(folder: Path) -> list[store.Kept]:
    """Everything of a run's folder that can be saved."""
    return [
        store.Kept(
            path.relative_to(folder).as_posix(), path,
            path.with_name(f"{path.name}.sha256").read_text().strip(),
        )
        for path in sorted(folder.rglob("*.npz"))
    ]  # fmt: skip


def contents(folder: Path) -> dict[str, float]:
    """Return what verifies in a run's folder, with its value."""
    return {
        path.relative_to(folder).as_posix(): float(checkpoint.read_arrays(path)["weights"][0])
        for path in sorted(folder.rglob("*.npz"))
    }


def quick_clients() -> dict[str, str]:
    """Variables that keep clients from trying for minutes what cannot be reached."""
    return {"AWS_MAX_ATTEMPTS": "1", "PATH": os.environ["PATH"]}
