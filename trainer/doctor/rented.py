"""What a rented machine needs that can be asked from here: token, image, hardware, price."""

import re

from huggingface_hub import HfApi, JobHardwareInfo, get_token

from polyid.errors import PolyIDError
from polyid.hub_errors import HubError, explained
from trainer.doctor.basics import ROOM
from trainer.doctor.case import Case
from trainer.doctor.finding import Question
from trainer.doctor.image import require_pullable
from trainer.doctor.machine import GPU_ROOM
from trainer.registry.staging import size_text

_SIZE = re.compile(r"([\d.]+)\s*([GT])i?B")
#: Jobs take the image of a Space, too.
_SPACE = re.compile(r"(?:https://)?(?:hf\.co|huggingface\.co)/spaces/([\w.-]+/[\w.-]+)")
_DEFAULT = "cpu-basic"


def hf_jobs(case: Case) -> list[Question]:
    """Return what is asked before a job is started on the Hub."""
    return [
        Question("Hub", hub),
        Question("jobs", lambda: may_run_jobs(case)),
        Question("image", lambda: image(case)),
        Question("hardware", lambda: hardware(case)),
        Question("price", lambda: price(case)),
    ]


def hf_space(case: Case) -> list[Question]:
    """Return what is asked before the Training Space of the Hub is started."""
    return [
        Question("Hub", hub),
        Question("image", lambda: image(case)),
        Question("hardware", lambda: hardware(case, spaces=True)),
        Question("price", lambda: price(case, spaces=True)),
    ]


def hub() -> str:
    """See that the Hub answers, and knows the token."""
    if not get_token():
        raise PolyIDError(
            "There is no token for the Hub, and a job needs one. Log in with `hf auth login`, or "
            "set HF_TOKEN."
        )
    with explained("whoami", "reaching the Hub"):
        me = HfApi().whoami()
    return f"reached as {me['name']}"


def may_run_jobs(case: Case) -> str:
    """See that the token may rent for the namespace: the Hub lists its jobs to those who may."""
    who = case.namespace or "the token’s owner"
    try:
        with explained(f"{who} (jobs)", "asking for the right to run jobs"):
            list(HfApi().list_jobs(namespace=case.namespace))
    except HubError as error:
        raise PolyIDError(
            f"{error} Needed is a token of role write, or a fine-grained one with “Run jobs” for "
            f"{who}; --namespace names who pays."
        ) from None
    return f"{who} may run jobs"


def image(case: Case) -> str:
    """See that the image's registry serves it to somebody without an account."""
    if not case.image:
        raise PolyIDError(
            "--image: received nothing, and the machine runs a container; expected the training "
            "image, best by digest (`make images` builds it from Dockerfile.train)."
        )
    if matched := _SPACE.fullmatch(case.image):
        with explained(matched[1], "looking at the Space whose image a job is to run"):
            HfApi().space_info(matched[1])
        return f"{case.image} is a Space, whose image a job can run"
    return require_pullable(case.image)


def hardware(case: Case, *, spaces: bool = False) -> str:
    """See that the kind of machine exists, with memory and disk for the run."""
    kind = _kind(case, spaces)
    disk = _bytes(str(kind.ephemeral_storage or ""))
    if disk is not None and disk < ROOM:
        raise PolyIDError(
            f"{kind.name} has a disk of {kind.ephemeral_storage}, {size_text(ROOM)} are wanted. "
            "Choose another with --flavor."
        )
    gpu = kind.accelerator
    if gpu is None:
        if case.gpu:
            raise PolyIDError(
                f"{kind.name} has no GPU. Choose one that has, such as --flavor l4x1; "
                "`hf jobs hardware` lists them."
            )
        return f"{kind.name}: {kind.cpu}, {kind.ram}, no GPU"
    memory = _bytes(str(gpu.vram))
    if memory is not None and memory < GPU_ROOM:
        raise PolyIDError(
            f"{kind.name} has {gpu.vram} of GPU memory, {size_text(GPU_ROOM)} are wanted. Choose "
            "another with --flavor; `hf jobs hardware` lists them."
        )
    return f"{kind.name}: {gpu.quantity} × {gpu.model} with {gpu.vram}, {kind.cpu}, {kind.ram}"


def price(case: Case, *, spaces: bool = False) -> str:
    """Say what the machine costs, and what it can cost at most."""
    kind = _kind(case, spaces)
    if kind.unit_cost_usd is None or kind.unit_label != "minute":
        raise PolyIDError(
            f"The Hub names no price by the minute for {kind.name}: see its pricing page before "
            "renting."
        )
    minutes = case.timeout_s / 60
    return (
        f"{kind.name}: ${kind.unit_cost_usd * 60:.2f} an hour, at most "
        f"${kind.unit_cost_usd * minutes:.2f} until the time limit of {minutes / 60:.3g} h"
    )


def _kind(case: Case, spaces: bool) -> JobHardwareInfo:
    with explained("spaces" if spaces else "jobs", "asking for the hardware"):
        kinds = HfApi().list_spaces_hardware() if spaces else HfApi().list_jobs_hardware()
    name = case.flavor or _DEFAULT
    found = next((kind for kind in kinds if kind.name == name), None)
    if found is None:
        raise PolyIDError(
            f"--flavor: received {name!r}; expected one of {', '.join(k.name for k in kinds)}."
        )
    return found


def _bytes(text: str) -> float | None:
    matched = _SIZE.search(text)
    return float(matched[1]) * {"G": 1e9, "T": 1e12}[matched[2]] if matched else None
