"""What a container of this machine needs: an engine, the image, a GPU that it may use."""

from polyid.errors import PolyIDError
from trainer.doctor.case import Case
from trainer.doctor.finding import Question
from trainer.doctor.machine import gpu
from trainer.provenance import hardware
from trainer.targets import docker_engine


def container(case: Case) -> list[Question]:
    """Return what is asked before a container is started here."""
    return [
        Question("container engine", engine),
        Question("image", lambda: image(case)),
        Question("GPU", lambda: gpu(case)),
        Question("GPU in containers", lambda: gpu_inside(case)),
        Question("price", lambda: "nothing is rented"),
    ]


def engine() -> str:
    """See that an engine answers."""
    client = docker_engine.connect()
    try:
        said = docker_engine.asked("its version", client.version)
    finally:
        client.close()
    names = {part["Name"] for part in said.get("Components", [])}
    name = next((n for n in ("Podman Engine", "Engine") if n in names), "engine")
    return f"{name} {said.get('Version', '')} answers"


def image(case: Case) -> str:
    """See that the image is here, or pull it."""
    client = docker_engine.connect()
    try:
        docker_engine.require_image(client, case.image)
    finally:
        client.close()
    return f"{case.image} is here"


def gpu_inside(case: Case) -> str:
    """See that the engine can hand GPUs to a container, where there are any."""
    there = hardware().gpus
    client = docker_engine.connect()
    try:
        can = bool(docker_engine.gpu_options(docker_engine.asked("what it is", client.info)))
    finally:
        client.close()
    if can:
        return "the engine hands GPUs to containers"
    if there or case.gpu:
        raise PolyIDError(
            f"This machine has {', '.join(there) or 'no GPU'}, and its container engine can hand "
            "none to a container. Install the NVIDIA container toolkit: for Docker `nvidia-ctk "
            "runtime configure --runtime=docker`, for Podman `nvidia-ctk cdi generate "
            "--output=/etc/cdi/nvidia.yaml`; then restart the engine."
        )
    return "none here, none wanted"
