"""Delivers the review of a pull request: ``python3 -m trainer.review.post`` in a workflow.

It needs the standard library only, so that the job that may write to pull requests installs
nothing, and can say what failed when an installation is what failed.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from polyid.errors import PolyIDError
from trainer.ci import outputs
from trainer.ci.github import GitHub, GitHubError
from trainer.review import deliver, failure, written
from trainer.review.texts import code


class Run(NamedTuple):
    """The run of the workflow that this is part of."""

    id: str
    attempt: str
    url: str

    @classmethod
    def from_environment(cls) -> "Run":
        """Read what GitHub sets."""
        run, attempt = os.environ["GITHUB_RUN_ID"], os.environ.get("GITHUB_RUN_ATTEMPT", "1")
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return cls(run, attempt, f"{server}/{os.environ['GITHUB_REPOSITORY']}/actions/runs/{run}")


class Delivery(NamedTuple):
    """What is delivered."""

    conclusion: str
    title: str
    page: str


def compose(
    github: GitHub, needs: Mapping[str, Any], review: written.Review | None, run: Run
) -> Delivery:
    """Take the review that the training job wrote, or say why there is none."""
    result, outputs = failure.needs_of(needs, "train")
    if result == "success" and outputs.get("verdict") == "running":
        title = "Model gate: no verdict yet, the model is being trained elsewhere"
        mark = str(outputs.get("fingerprint") or "")
        return Delivery("neutral", title, failure.running_page(title, mark, run.url))
    verdict, enforced = (review.verdict, review.enforced) if review else ("none", True)
    conclusion = failure.conclusion(result, verdict, enforced)
    judged = verdict in ("pass", "fail", "inconclusive") and result != "cancelled"
    if review and judged and (result == "success" or verdict == "fail"):
        return Delivery(conclusion, review.title, review.page)
    title = failure.title(result, verdict)
    names = {
        "FINGERPRINT": str(outputs.get("fingerprint") or ""),
        "TARGET": str(failure.needs_of(needs, "decide")[1].get("target") or ""),
        "DATA": os.environ.get("DATA", "data/polyid_properties.csv"),
    }
    broken = failure.broken_steps(github, run.id)
    page = failure.failure_page(result, title, broken, names, run.url, run.id)
    if review:
        page += f"\n---\n\n{review.page}"
    return Delivery(conclusion, title, page)


def post(event: Mapping[str, Any], needs: Mapping[str, Any], folder: Path) -> list[str]:
    """Deliver; return what could not be delivered, as sentences.

    Parameters
    ----------
    event
        The event of a pull request.
    needs
        Results and outputs of the jobs before this one.
    folder
        Where the training job's review is; it may be missing.
    """
    github, run = GitHub.from_environment(), Run.from_environment()
    number, commit = int(event["number"]), str(event["pull_request"]["head"]["sha"])
    faults = []
    try:
        review = written.read(folder)
    except PolyIDError as error:
        faults.append(str(error))
        review = None
    made = compose(github, needs, review, run)
    try:
        if _is_newest(github, number, commit):
            where = deliver.comment(github, number, _named(made.page, commit, run))
            outputs.notice("review", f"{made.title}: {where}")
        else:
            outputs.notice("review", f"A newer commit than {commit} is there: no comment.")
    except GitHubError as error:
        faults.append(f"The comment was not written. {error}")
    try:
        name = f"{run.id}-{run.attempt}"
        deliver.check(github, commit, made.conclusion, made.title, made.page, name, run.url)
    except GitHubError as error:
        faults.append(f"The check was not written. {error}")
    if review is None or made.page != review.page:
        outputs.summary(
            made.page
        )  # the training job showed its own review on the run's page already
    return faults


def _named(page: str, commit: str, run: Run) -> str:
    """Say under the heading which commit it is about: a newer one may be in training already."""
    heading, _, rest = page.partition("\n")
    note = f"Commit {code(commit[:12])}, [run {run.id}]({run.url}), attempt {run.attempt}"
    return f"{heading}\n\n<sub>{note}. Updated with every push.</sub>\n{rest}"


def _is_newest(github: GitHub, number: int, commit: str) -> bool:
    """Whether this is still the head: a run that was replaced must not overwrite its successor."""
    return bool(github.get(f"pulls/{number}")["head"]["sha"] == commit)


def main() -> int:
    """Read event and results from the environment; exit 0 if everything was delivered."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    needs, folder = json.loads(os.environ["NEEDS"]), Path(os.environ.get("REVIEW", "review"))
    try:
        faults = post(event, needs, folder)
    except PolyIDError as error:
        faults = [str(error)]
    for fault in faults:
        outputs.notice("review", fault, "error")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
