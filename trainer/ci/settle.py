"""The result of the required check: ``python3 -m trainer.ci.settle`` in a workflow.

A job that was skipped counts for nothing by itself: which jobs may be skipped depends on what was
decided, so that a pipeline that broke half-way cannot look green. Standard library only.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

#: Verdicts with which a change may be merged. What is inconclusive is merged, and not published.
MERGEABLE = ("pass", "inconclusive")


def settle(needs: Mapping[str, Any]) -> tuple[bool, str]:
    """Say whether the check passes, and why.

    Parameters
    ----------
    needs
        Results and outputs of the jobs before it, as GitHub gives them.
    """
    result = {name: job.get("result", "") for name, job in needs.items()}
    said = needs["decide"].get("outputs") or {}
    if result["decide"] != "success":
        return False, f"what to do could not be decided: the job decide says {result['decide']}"
    if said.get("train") != "true":
        return True, "nothing that decides a model changed"
    if said.get("foreign") == "true":
        if result["check"] != "success":
            return False, "data or recipe break the contract: see the job check"
        return False, (
            "this change decides a model and comes from a fork, which is not given secrets. A "
            "maintainer who has read it gives the pull request the label train, which has this "
            "commit trained (docs/setup.md, forks)"
        )
    if result.get("image") == "failure":
        return False, "the training image could not be built: see the job image"
    verdict = (needs["train"].get("outputs") or {}).get("verdict", "")
    if result["train"] != "success":
        return False, f"the job train says {result['train']}; the gate says {verdict or 'nothing'}"
    if verdict == "planned":
        return True, "a dry run: nothing was trained"
    if verdict == "running":
        return False, (
            "the model is being trained elsewhere; this run is started again when it is there "
            "(docs/setup.md, long runs)"
        )
    if verdict not in MERGEABLE:
        return False, f"the gate says {verdict or 'nothing'}"
    return True, f"the gate says {verdict}"


def main() -> int:
    """Read ``$NEEDS``; exit 0 if the check passes."""
    good, why = settle(json.loads(os.environ["NEEDS"]))
    print(f"::{'notice' if good else 'error'} title=gate::{why}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
