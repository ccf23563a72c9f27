"""What a pod of RunPod needs that can be asked from here: key, image, a GPU in stock, its price."""

import os

from trainer.doctor.case import Case
from trainer.doctor.finding import Question
from trainer.doctor.rented import hub, image
from trainer.targets import TargetError
from trainer.targets.runpod_api import Client, Gpu
from trainer.targets.runpod_stock import candidates


def runpod(case: Case) -> list[Question]:
    """Return what is asked before a pod is rented."""
    return [
        Question("Hub", hub),  # the pod fetches its inputs there
        Question("RunPod", key),
        Question("image", lambda: pod_image(case)),
        Question("hardware", lambda: hardware(case)),
        Question("price", lambda: price(case)),
    ]


def key() -> str:
    """See that RunPod answers, and takes the key."""
    count = len(Client().pods())
    return f"reached; the account has {count} pod{'s' * (count != 1)}"


def pod_image(case: Case) -> str:
    """See that the image can be pulled; one behind a login only RunPod can ask for."""
    if case.image and os.environ.get("RUNPOD_REGISTRY_ID"):
        return f"{case.image} is pulled with the login RUNPOD_REGISTRY_ID, which only RunPod has"
    return image(case)


def hardware(case: Case) -> str:
    """See that one of the GPUs that would be tried is in stock."""
    tried = _tried(case)
    there = [gpu for gpu in tried if gpu.stock != "NONE"]
    if not there:
        raise TargetError(
            f"None of {', '.join(gpu.id for gpu in tried)} is in stock. Name others with "
            "--flavor, with commas between, or ask again later."
        )
    return ", ".join(f"{gpu.id} with {gpu.memory_gb} GB" for gpu in there)


def price(case: Case) -> str:
    """Say what the dearest that would be tried costs, and can cost at most."""
    dearest = max(_tried(case), key=lambda gpu: gpu.usd_per_hour)
    hours = case.timeout_s / 3600
    return (
        f"{dearest.id}: ${dearest.usd_per_hour:.2f} an hour, at most "
        f"${dearest.usd_per_hour * hours:.2f} until the time limit of {hours:.3g} h"
    )


def _tried(case: Case) -> list[Gpu]:
    offered = Client().gpus()
    known = {gpu.id: gpu for gpu in offered}
    return [known[name] for name in candidates(case.flavor, offered)]
