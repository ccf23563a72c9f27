"""What ``status.json`` says of a run, in lines for people."""

from collections.abc import Mapping
from typing import Any


def summary(status: Mapping[str, Any]) -> list[str]:
    """Return how far a run is, where it is kept and tracked, and what went wrong last."""
    if not status:
        return []
    share, seconds = float(status["share"]), float(status["seconds"])
    left = ""
    if status["state"] == "training" and 0 < share < 1:
        minutes = seconds * (1 - share) / share / 60
        left = f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"
    lines = [f"{status['state']}: {share:.0%} of the run{left}; updated {status['updated']}"]
    if stalled := status.get("stalled"):
        lines.append(f"No step ends: fold {', '.join(map(str, stalled))}")
    if kept := status.get("checkpoints"):
        when = kept.get("kept") or kept.get("restored")
        lines.append(f"Checkpoints at {kept['place']}, {when}")
    for name, where in status.items():
        if name.startswith("tracking_"):
            lines.append(f"Tracked by {name.removeprefix('tracking_')}: {where['folder']}")
    lines += [f"Warning: {text}" for text in status.get("warnings", [])]
    return lines
