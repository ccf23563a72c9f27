"""A run as a command job of Azure ML, in the same image with the same entry point.

    .venv/bin/python examples/clouds/azureml.py --registry hf://acme/polyid \
        --image acme.azurecr.io/polyid-train@sha256:... --compute gpu-cluster --out job.yml
    az ml job create --file job.yml --set environment_variables.HF_TOKEN="$HF_TOKEN"

It needs Azure's command line with the extension `ml`, a workspace that may pull the image, and a
compute cluster (of low priority for interruptible machines). Everybody who may read the job can
read its environment: give it a token that writes this one registry and nothing else.
"""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from trainer import dispatching
from trainer.plan import make_plan
from trainer.targets import RunSpec


def job(spec: RunSpec, compute: str) -> dict[str, Any]:
    """Return the job; it holds no secret."""
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
        "type": "command",
        "display_name": f"polyid-{spec.fingerprint}",
        "command": shlex.join(spec.command),
        "environment": {"image": spec.image},
        "environment_variables": dict(spec.env),
        "compute": f"azureml:{compute}",
        "resources": {"instance_count": 1, "shm_size": "2g"},
        "limits": {"timeout": spec.timeout_s},
        "tags": {"polyid-fingerprint": spec.fingerprint},
    }


def main(
    registry: Annotated[str, typer.Option()],
    image: Annotated[str, typer.Option()],
    compute: Annotated[str, typer.Option()],
    data: Path = Path("data/polyid_properties.csv"),
    params: str = "params.yaml",
    gates: Path = Path("gates.yaml"),
    work: Path = Path("runs"),
    out: Path = Path("job.yml"),
    timeout: int = 21600,
) -> None:
    """Put the inputs on the Hub, and write the job."""
    plan = make_plan(data, params, work)
    asked = dispatching.Asked(image, timeout_s=timeout)
    spec = dispatching.rented(plan, gates, registry, "Azure ML", asked)
    out.write_text(yaml.safe_dump(job(spec, compute), sort_keys=False), encoding="utf-8")
    print(f"{out} is written: az ml job create --file {out}")


if __name__ == "__main__":
    typer.run(main)
