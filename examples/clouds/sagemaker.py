"""A run as a training job of Amazon SageMaker, in the same image with the same entry point.

    uv pip install --python .venv/bin/python boto3
    .venv/bin/python examples/clouds/sagemaker.py --registry hf://acme/polyid \
        --image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/polyid-train@sha256:... \
        --role arn:aws:iam::123456789012:role/training --bucket s3://acme-training --secret hf-token

It needs an image in ECR, a role for SageMaker that may read the secret and write the bucket, and
the Hub token as a secret of Secrets Manager: a job shows its environment to everybody who may read
it. Two jobs of one run are not prevented; look first:
``aws sagemaker list-training-jobs --name-contains FINGERPRINT --status-equals InProgress``.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer import dispatching
from trainer.plan import make_plan
from trainer.targets import RunSpec

#: What the container runs: it fetches the token, and becomes the entry point.
ENTRY = """
import os, sys, botocore.session
client = botocore.session.get_session().create_client("secretsmanager")
os.environ["HF_TOKEN"] = client.get_secret_value(SecretId=sys.argv[1])["SecretString"]
os.execvp(sys.argv[2], sys.argv[2:])
"""


def request(spec: RunSpec, role: str, bucket: str, secret: str, machine: str) -> dict[str, Any]:
    """Return what `create_training_job` is given.

    Interruptible machines, waited for as long again as the run may take; SageMaker starts the
    container anew after an interruption, and the run goes on from its own checkpoints.
    """
    return {
        # a name is used once, also that of a job which failed
        "TrainingJobName": f"polyid-{spec.fingerprint}-{datetime.now(UTC):%Y%m%d%H%M%S}",
        "AlgorithmSpecification": {
            "TrainingImage": spec.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", ENTRY, secret],
            "ContainerArguments": list(spec.command),
        },
        "RoleArn": role,
        "OutputDataConfig": {"S3OutputPath": f"{bucket.rstrip('/')}/sagemaker"},
        "ResourceConfig": {"InstanceType": machine, "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {
            "MaxRuntimeInSeconds": spec.timeout_s,
            "MaxWaitTimeInSeconds": 2 * spec.timeout_s,
        },
        "EnableManagedSpotTraining": True,
        "Environment": dict(spec.env),
        "Tags": [{"Key": "polyid-fingerprint", "Value": spec.fingerprint}],
    }


def main(
    registry: Annotated[str, typer.Option()],
    image: Annotated[str, typer.Option()],
    role: Annotated[str, typer.Option()],
    bucket: Annotated[str, typer.Option()],
    secret: Annotated[str, typer.Option()],
    data: Path = Path("data/polyid_properties.csv"),
    params: str = "params.yaml",
    gates: Path = Path("gates.yaml"),
    work: Path = Path("runs"),
    machine: str = "ml.g5.xlarge",
    timeout: int = 21600,
) -> None:
    """Put the inputs on the Hub, and start the job."""
    import boto3

    plan = make_plan(data, params, work)
    asked = dispatching.Asked(image, timeout_s=timeout)
    spec = dispatching.rented(plan, gates, registry, "SageMaker", asked)
    answer = boto3.client("sagemaker").create_training_job(
        **request(spec, role, bucket, secret, machine)
    )
    print(answer["TrainingJobArn"])


if __name__ == "__main__":
    typer.run(main)
