"""A run's inputs on the Hub: what a machine without a git checkout needs to do the same run."""

from pathlib import Path
from typing import NamedTuple

import yaml
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

from polyid.errors import PolyIDError
from polyid.hub_errors import explained
from trainer.plan import Plan, make_plan


class Inputs(NamedTuple):
    """Three files that a run reads."""

    data: Path
    params: Path
    gates: Path


_NAMES = Inputs(Path("data.csv"), Path("params.yaml"), Path("gates.yaml"))


def branch(fingerprint: str) -> str:
    """Return the branch of the registry's repository that holds a run's inputs."""
    return f"inputs/{fingerprint}"


def recipe_text(plan: Plan) -> str:
    """Return the recipe of a run as one whole file, overrides included."""
    return str(yaml.safe_dump(plan.params.plain(), sort_keys=False, allow_unicode=True))


def stage(plan: Plan, gates: Path, repo: str) -> str:
    """Put a run's inputs on their branch in one commit, and return its hash.

    Parameters
    ----------
    plan : Plan
        The run.
    gates : Path
        The gate.
    repo : str
        Model repository ``namespace/name``; it is made, private, where there is none.
    """
    contents = (plan.data.read_bytes(), recipe_text(plan).encode(), gates.read_bytes())
    with explained(repo, "storing the inputs of the run"):
        api = HfApi()
        api.create_repo(repo, private=True, exist_ok=True)
        api.create_branch(repo, branch=branch(plan.fingerprint), exist_ok=True)
        commit = api.create_commit(
            repo,
            [
                CommitOperationAdd(str(name), content)
                for name, content in zip(_NAMES, contents, strict=True)
            ],
            commit_message=f"Inputs of run {plan.fingerprint}",
            revision=branch(plan.fingerprint),
        )
    return str(commit.oid)


def fetch(repo: str, fingerprint: str, work: Path) -> tuple[Plan, Inputs]:
    """Fetch a run's inputs, and see that they and this code make the run that was asked for.

    Raises
    ------
    PolyIDError
        If they make another run: other code, or a branch that was changed.
    """
    with explained(repo, "reading the inputs of the run"):
        found = Inputs(
            *(
                Path(hf_hub_download(repo, str(name), revision=branch(fingerprint)))
                for name in _NAMES
            )
        )
    plan = make_plan(found.data, found.params, work)
    require_run(plan, fingerprint, f"{repo}, branch {branch(fingerprint)}")
    return plan, found


def require_run(plan: Plan, fingerprint: str, place: str) -> None:
    """See that inputs and this code make the run that was asked for.

    Parameters
    ----------
    plan : Plan
        What they make.
    fingerprint : str
        What was asked for.
    place : str
        Where the inputs stand, for the message.

    Raises
    ------
    PolyIDError
        If they make another run: other code, or inputs that were changed.
    """
    if plan.fingerprint != fingerprint:
        raise PolyIDError(
            f"The inputs in {place}, and this code make the run {plan.fingerprint}; expected "
            f"{fingerprint}. The image was built from another commit than the one that was "
            "dispatched from: build it anew, give it with --image, and dispatch again."
        )
