"""How many cores of the processor this process may use."""

import os


def cores() -> int:
    """Count the processor's cores that this process may use."""
    # macOS does not say which cores a process may use
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
