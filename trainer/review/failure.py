"""What a pull request is told of a run without a verdict: what failed, its log, what to run next.

Standard library only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainer.ci import outputs
from trainer.ci.github import GitHub, GitHubError
from trainer.review.texts import attribute, code, prose

#: What to do when a step of the workflow `train` fails, by the step's name. Names in capitals are
#: replaced by those of the run.
NEXT = {
    "set up, fetch the data": "If the data are missing, push them: `.venv/bin/dvc push`, then run "
    "this again. Otherwise try `make setup data` in a clone.",
    "write the recipe": "Correct the recipe: `.venv/bin/trainer check` names every faulty key.",
    "hold data and recipe to the contract": "See every fault at once, with row and column: "
    "`.venv/bin/trainer check --data DATA`. Correct them, then `.venv/bin/dvc add data`, "
    "`.venv/bin/dvc push`, commit `data.dvc` and push.",
    "see what is there already": "Can the registry be reached and read? "
    "`.venv/bin/trainer doctor --data DATA` asks.",
    "train on a rented machine": "The machine's own log: `.venv/bin/trainer logs FINGERPRINT "
    "--target TARGET`.",
    "train and judge": "Try it in a clone: `.venv/bin/trainer doctor --data DATA`, then "
    "`.venv/bin/trainer run --data DATA`.",
}


_NAME = re.compile(r"\b[A-Z]{4,}\b")


class Broken(NamedTuple):
    """A step that did not succeed."""

    job: str
    step: str
    """Empty where the job has none that failed."""
    how: str
    """Such as ``failure`` or ``timed_out``."""
    log: str
    """Address of the job's log."""


def broken_steps(github: GitHub, run: str) -> list[Broken]:
    """Ask GitHub which steps of a run did not succeed; nothing if it does not say."""
    try:
        jobs = list(github.pages(f"actions/runs/{run}/jobs?per_page=100", "jobs"))
    except GitHubError as error:
        outputs.notice("review", f"Which step failed is not known: {error}")
        return []
    bad = ("failure", "timed_out", "cancelled")
    found = []
    for job in jobs:
        if job.get("conclusion") not in bad:
            continue
        steps = [step for step in job.get("steps") or [] if step.get("conclusion") in bad]
        first = steps[0] if steps else {"name": "", "conclusion": job["conclusion"]}
        url = str(job.get("html_url") or "")
        found.append(Broken(str(job["name"]), str(first["name"]), str(first["conclusion"]), url))
    return found


def title(result: str, verdict: str) -> str:
    """Return the outcome in a line."""
    if result == "cancelled":
        return "Model gate: no verdict, the run was cancelled"
    if verdict in ("pass", "inconclusive"):
        return f"Model gate: {verdict}, but the run failed after it"
    return "Model gate: no verdict, the run failed"


def failure_page(
    result: str,
    heading: str,
    broken: Sequence[Broken],
    names: Mapping[str, str],
    run_url: str,
    run: str,
) -> str:
    """Return what failed, where its log is, and what to do, as Markdown.

    ``names`` has what stands in capitals in `NEXT`.
    """
    icon = "⏹️" if result == "cancelled" else "💥"
    lines = [f"## {icon} {heading}", ""]
    if not broken:
        lines.append(f"- The job `train` ended as {prose(result)}: [log of the run]({run_url}).")
    for one in broken:
        where = f", step **{prose(one.step)}**" if one.step else ""
        log = attribute(one.log) if one.log.startswith("https://") else run_url
        lines.append(f"- Job **{prose(one.job)}**{where}: {prose(one.how)} ([log]({log})).")
    lines += ["", "### What to do next", ""]
    hints = [NEXT[one.step] for one in broken if one.step in NEXT]
    known = {name: _plain(value) for name, value in names.items()}
    lines += [f"- {_NAME.sub(lambda found: known.get(found[0], found[0]), hint)}" for hint in hints]
    lines += [
        f"- The failed steps' log: {code(f'gh run view {run} --log-failed')}.",
        f"- The same again: {code(f'gh run rerun {run} --failed')}.",
        "- A new commit on this branch starts anew, and this comment is updated.",
    ]
    return "\n".join(lines) + "\n"


def _plain(value: str) -> str:
    """Leave what a file or a fingerprint is made of: it goes into code letters."""
    return re.sub(r"[^\w./-]", "_", value)


def running_page(heading: str, fingerprint: str, run_url: str) -> str:
    """Return what a pull request is told while its model is trained without the workflow."""
    return (
        f"## ⏳ {heading}\n\n"
        f"- Run {code(fingerprint)} goes on without this workflow: see the check `training`.\n"
        f"- When its candidate is stored, [the same workflow run]({run_url}) is started again and "
        "judges it. Nothing is to be done.\n"
    )


def conclusion(result: str, verdict: str, enforced: bool) -> str:
    """Return the conclusion of the check: the verdict, where the run got so far.

    ``result`` is the training job's. A job that ends red because its gate says fail got so far.
    """
    if result == "cancelled":
        return "cancelled"
    if result != "success" and verdict != "fail":
        return "failure"
    said = {"pass": "success", "fail": "failure", "inconclusive": "neutral"}.get(verdict, "failure")
    return said if enforced or said == "success" else "neutral"


def needs_of(needs: Mapping[str, Any], job: str) -> tuple[str, Mapping[str, Any]]:
    """Return a job's result and outputs from the context ``needs``."""
    found = needs.get(job) or {}
    return str(found.get("result", "skipped")), found.get("outputs") or {}
