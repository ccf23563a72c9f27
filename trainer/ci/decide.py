"""Whether an event needs a model trained: ``python3 -m trainer.ci.decide`` in a workflow.

It runs before anything is installed, so that a change of a document is answered within seconds:
it imports the standard library only. It answers in doubt that training is needed, since a
candidate that exists already is not trained again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

#: What decides a model or its verdict: files, and folders with a slash behind them.
DECIDES = (
    "data.dvc",
    "params.yaml",
    "gates.yaml",
    "polyid/",
    "trainer/training/",
    "trainer/recipes/",
    "requirements/runtime.lock",
)

#: Where the target `local`, and every target that only sends work away, runs.
HOSTED = ["ubuntu-24.04"]

#: Targets that rent a machine, which runs the training image.
RENTED = ("hf-jobs", "hf-space", "runpod")

_NOTHING = "0" * 40


class Decision(NamedTuple):
    """What the jobs after this one read."""

    train: bool
    """Whether the model is to be trained, or found to be trained already, and judged."""
    foreign: bool
    """Whether the change comes from another repository: it gets no secrets, and is not trained."""
    target: str
    runner: list[str]
    """Labels of the machine on which the job runs."""
    why: str

    @property
    def rented(self) -> bool:
        """Whether a machine is rented for it."""
        return self.train and self.target in RENTED

    def outputs(self, image: str = "") -> str:
        """Return lines for ``$GITHUB_OUTPUT``; an ``image`` that is given need not be built."""
        pairs = {
            "train": json.dumps(self.train),
            "foreign": json.dumps(self.foreign),
            "target": self.target,
            "runner": json.dumps(self.runner),
            "rented": json.dumps(self.rented),
            "image": json.dumps(self.rented and not image),
        }
        return "".join(f"{name}={value}\n" for name, value in pairs.items())


def deciding(files: Sequence[str], given: Sequence[str] = ()) -> list[str]:
    """Return those of ``files`` that decide a model, ``given`` (see `decide`) among them."""
    folders = tuple(name for name in DECIDES if name.endswith("/"))
    # data that DVC tracks: the file itself, or a folder that it lies in
    known = {*DECIDES, *given}
    known |= {f"{place}.dvc" for name in given for place in (name, *Path(name).parents)}
    return [name for name in files if name in known or name.startswith(folders)]


def decide(
    name: str,
    event: Mapping[str, Any],
    files: Sequence[str] | None,
    target: str,
    labels: str,
    given: Sequence[str] = (),
) -> Decision:
    """Decide from an event.

    Parameters
    ----------
    name, event
        The event, as GitHub gives it.
    files
        What it changes; None if that cannot be told.
    target
        Where to train; nothing means ``local``.
    labels
        Labels of one's own machines, as a JSON list, for the target ``self-hosted``.
    given
        Data, recipe and gate of the repository that calls the pipeline, and its workflow, which
        names the commit of the pipeline.

    Raises
    ------
    ValueError
        If ``self-hosted`` was asked for without labels.
    """
    head = ((event.get("pull_request") or {}).get("head") or {}).get("repo") or {}
    here = (event.get("repository") or {}).get("full_name")
    foreign = "pull_request" in event and head.get("full_name") != here
    target = "local" if foreign else target or "local"
    runner = HOSTED
    if target == "self-hosted":
        runner = json.loads(labels or "null")
        if not (isinstance(runner, list) and runner and all(isinstance(x, str) for x in runner)):
            raise ValueError(
                f"The target self-hosted needs the repository variable RUNNER_LABELS: a JSON list "
                f'such as ["self-hosted", "gpu"], received {labels!r}. See docs/setup.md.'
            )
    if name == "workflow_dispatch":
        return Decision(True, foreign, target, runner, "it was asked for")
    if files is None:
        return Decision(True, foreign, target, runner, "what was changed cannot be told")
    found = deciding(files, given)
    why = f"{', '.join(found[:5])} changed" if found else "nothing that decides a model changed"
    return Decision(bool(found), foreign, target, runner, why)


def changed_files(name: str, event: Mapping[str, Any], folder: Path) -> list[str] | None:
    """List what an event changes in the checkout ``folder``; None if that cannot be told."""
    if name == "pull_request":
        base, dots = event["pull_request"]["base"]["sha"], "..."
    else:
        base, dots = event.get("before") or _NOTHING, ".."
    if base == _NOTHING:
        return None
    # names from both sides of a renaming: a recipe that was moved away is a change too
    command = ["git", "diff", "--name-only", "--no-renames", "-z", f"{base}{dots}HEAD"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        return None
    return [path for path in done.stdout.split("\0") if path]


def given_files(env: Mapping[str, str]) -> list[str]:
    """Return the files that a workflow names: data, recipe, gate, and the workflow itself."""
    # acme/polymers/.github/workflows/train.yml@refs/heads/main
    workflow = env.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].split("/", 2)[2:]
    return [*(env[name] for name in ("DATA", "PARAMS", "GATES") if env.get(name)), *workflow]


def main() -> int:
    """Read the event from the environment, and write the decision where the workflow reads it."""
    name = os.environ["GITHUB_EVENT_NAME"]
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    files = changed_files(name, event, Path.cwd())
    target, labels = os.environ.get("TARGET", ""), os.environ.get("RUNNER_LABELS", "")
    try:
        decision = decide(name, event, files, target, labels, given_files(os.environ))
    except ValueError as error:
        print(f"::error title=decide::{error}")
        return 2
    text = f"{'Training' if decision.train else 'No training'}: {decision.why}."
    if decision.train and decision.foreign:
        text = f"Checked without secrets, since it comes from another repository: {decision.why}."
    print(f"::notice title=decide::{text}")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as out:
        out.write(decision.outputs(os.environ.get("IMAGE", "")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
