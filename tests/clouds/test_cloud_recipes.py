"""SageMaker and Azure ML: what the recipes ask for, held to a service's rules and to a schema."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from clouds_kit import ROOT
from jsonschema import Draft202012Validator
from moto.server import ThreadedMotoServer
from road_kit import Road

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/train@sha256:abc"
ROLE = "arn:aws:iam::123456789012:role/training"

#: What Azure documents of a command job, as far as it is used.
COMMAND_JOB = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "command", "environment", "compute"],
    "properties": {
        "$schema": {"const": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"},
        "type": {"const": "command"},
        "display_name": {"type": "string", "minLength": 1},
        "command": {"type": "string", "minLength": 1},
        "environment": {
            "type": "object",
            "additionalProperties": False,
            "required": ["image"],
            "properties": {"image": {"type": "string"}},
        },
        "environment_variables": {"type": "object", "additionalProperties": {"type": "string"}},
        "compute": {"type": "string", "pattern": "^azureml:[a-zA-Z][a-zA-Z0-9-]+$"},
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "instance_count": {"type": "integer", "minimum": 1},
                "shm_size": {"type": "string", "pattern": r"^\d+[bkmg]$"},
            },
        },
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"timeout": {"type": "integer", "minimum": 1}},
        },
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve Amazon's interfaces on loopback, for this process and what it starts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def road(hub, hub_home, tiny_table, tmp_path) -> Road:
    """Return a road with a registry on the Hub that is not there yet."""
    return Road(Road.laid(tmp_path / "road", tiny_table).folder, f"hf://{hub.name('model')}")


def recipe(name: str, road: Road, *more: str) -> subprocess.CompletedProcess[str]:
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", road.place(n))]  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "clouds" / name), *places, *more],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_sagemaker_takes_the_job_and_its_container_finds_its_token(hub, aws, road):
    boto3.client("secretsmanager").create_secret(Name="hf-token", SecretString="hf_from_amazon")
    words = ("--image", IMAGE, "--role", ROLE, "--bucket", "s3://acme", "--secret", "hf-token")
    told = recipe("sagemaker.py", road, *words)
    name = told.stdout.strip().rpartition("/")[2]
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert job["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"]["MaxWaitTimeInSeconds"] >= 21600
    assert hub.owner_token not in json.dumps(job, default=str)
    command = job["AlgorithmSpecification"]["ContainerArguments"]
    assert command[:4] == ["trainer", "job", "--registry", road.place("registry")]
    # the entry point for real, with a command that shows what it was given
    entry = job["AlgorithmSpecification"]["ContainerEntrypoint"]
    there = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    shown = subprocess.run(
        [sys.executable, *entry[1:], "sh", "-c", 'echo "$HF_TOKEN"'],
        capture_output=True, text=True, env=there,
    )  # fmt: skip
    assert shown.stdout.strip() == "hf_from_amazon", shown.stderr
    assert name.startswith("polyid-")


def test_azure_gets_a_command_job_of_the_documented_form(hub, road, tmp_path):
    out = tmp_path / "job.yml"
    recipe("azureml.py", road, "--image", IMAGE, "--compute", "gpu-cluster", "--out", str(out))
    job = yaml.safe_load(out.read_text())
    assert not [error.message for error in Draft202012Validator(COMMAND_JOB).iter_errors(job)]
    assert job["command"].startswith(f"trainer job --registry {road.place('registry')} --inputs")
    assert hub.owner_token not in out.read_text()
    for wrong in ({"compute": "gpu"}, {"limits": {"timeout": 0}}, {"gpus": 1}):
        assert list(Draft202012Validator(COMMAND_JOB).iter_errors(job | wrong))


@pytest.mark.parametrize("name", ["sagemaker.py", "azureml.py"])
def test_a_recipe_tells_how_it_is_used(name):
    text = (ROOT / "examples" / "clouds" / name).read_text()
    assert f".venv/bin/python examples/clouds/{name} --registry" in text
    assert Path(ROOT / "docs" / "other-clouds.md").read_text().count(f"examples/clouds/{name}") >= 1
