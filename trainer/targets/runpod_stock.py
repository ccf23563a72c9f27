"""Which GPU types of RunPod are tried, and in what order."""

from trainer.targets.base import TargetError
from trainer.targets.runpod_api import Gpu

#: Without a choice the cheapest in stock are tried that hold every recipe.
_MEMORY_GB, _CHOICES = 16, 5


def candidates(flavor: str, prices: list[Gpu]) -> list[str]:
    """Return GPU types in the order in which they are tried: what is in stock first."""
    offered = {gpu.id: gpu for gpu in prices if gpu.usd_per_hour}
    if not flavor:
        fit = [g for g in offered.values() if g.nvidia and g.memory_gb >= _MEMORY_GB]
        there = sorted((g for g in fit if g.stock != "NONE"), key=lambda g: (g.usd_per_hour, g.id))
        if not there:
            raise TargetError(
                f"RunPod has no GPU of {_MEMORY_GB} GB or more in stock. Name smaller ones with "
                "--gpu, or run the same command again later."
            )
        return [gpu.id for gpu in there[:_CHOICES]]
    asked = [name.strip() for name in flavor.split(",") if name.strip()]
    if unknown := [name for name in asked if name not in offered]:
        raise TargetError(
            f"--gpu: received {', '.join(unknown)}, which RunPod does not offer; expected one or "
            f"more of {', '.join(sorted(offered))}."
        )
    # the list is a hint and no reservation: what is said to be sold out is tried last
    return sorted(asked, key=lambda name: offered[name].stock == "NONE")
