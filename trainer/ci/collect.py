"""What becomes of commits whose model is trained elsewhere, once there is something to judge."""

from collections.abc import Callable

from trainer.ci.github import GitHub
from trainer.ci.waiting import run_again, settle, waiting
from trainer.registry import Registry
from trainer.targets import Handle

#: Asked with a target and a fingerprint: the runs of it that are live.
Live = Callable[[str, str], list[Handle]]


def collect(github: GitHub, workflow: str, registry: Registry, live: Live) -> list[str]:
    """Look after every commit that waits; return a sentence for each."""
    told = []
    for one in waiting(github, workflow):
        name = f"Run {one.fingerprint} of commit {one.commit[:12]}"
        if registry.has_candidate(one.fingerprint):
            # in this order: what is cut off in between is done again, and harms nothing
            run_again(github, one)
            settle(github, one, "success", "Trained", "Its workflow run judges it now.")
            told.append(f"{name} is trained: its workflow run is started again.")
        elif live(one.target, one.fingerprint):
            told.append(f"{name} is still being trained on {one.target}.")
        else:
            log = f"`trainer logs {one.fingerprint} --target {one.target}`"
            summary = (
                f"Nothing of it runs on {one.target} any more, and {registry} has no candidate. "
                f"Its log: {log}. To go on, run the failed workflow run again."
            )
            settle(github, one, "failure", "Ended without a candidate", summary)
            told.append(f"{name} ended on {one.target} without a candidate. Its log: {log}.")
    return told
