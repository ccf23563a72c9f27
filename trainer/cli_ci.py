"""``trainer ci``: the verbs of the workflows in ``.github/``, each one step of a job."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli_options import (
    DATA,
    NO,
    PARAMS,
    REGISTRY,
    WORK,
    Data,
    Params,
    Registry,
    Work,
)

app = typer.Typer(
    name="ci",
    no_args_is_help=True,
    help="The steps of the workflows in .github/; they write outputs for the steps after them.",
)


@app.command()
def recipe(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    params: Params = PARAMS,
    changes: Annotated[
        str, typer.Option(help="Keys to change, with spaces between them: training.epochs=5 …")
    ] = "",
) -> None:
    """Write a recipe with changes as one file, which the steps after this one read."""
    from trainer.ci.recipe import write_recipe

    write_recipe(params, changes.split(), out)


@app.command()
def standing(
    data: Data = DATA,
    params: Params = PARAMS,
    registry: Registry = REGISTRY,
    work: Work = WORK,
    planned: Annotated[
        bool, typer.Option("--planned", help="Only say what there is; never fail.")
    ] = False,
) -> None:
    """Say where the model of this commit stands, and give its fingerprint, verdict and more.

    Exits 1 where the model was trained and failed its gate, or was never judged.
    """
    from trainer.ci import outputs
    from trainer.ci import standing as place
    from trainer.plan import make_plan
    from trainer.registry import open_registry

    fingerprint = make_plan(data, params, work).fingerprint
    found = place.standing(open_registry(registry), fingerprint)
    outputs.notice("gate", found.text)
    outputs.set_outputs(
        fingerprint=fingerprint,
        verdict="planned" if planned else found.verdict,
        trained="false" if found.verdict == "not trained" else "true",
        publish="true" if found.publishable else "false",
        release=found.release or "",
    )
    if not planned and found.verdict not in ("pass", "inconclusive"):
        raise typer.Exit(NO)


@app.command()
def tag(
    commit: Annotated[str, typer.Option(help="Commit that the release was made from.")],
    data: Data = DATA,
    params: Params = PARAMS,
    registry: Registry = REGISTRY,
    work: Work = WORK,
) -> None:
    """Tag the git commit of the release that this commit's model is, and give its tag."""
    from polyid.errors import PolyIDError
    from trainer.ci import outputs
    from trainer.ci.standing import standing as place
    from trainer.ci.tags import tag_commit
    from trainer.plan import make_plan
    from trainer.registry import open_registry

    found = place(open_registry(registry), make_plan(data, params, work).fingerprint)
    if found.release is None:
        raise PolyIDError(f"Nothing to tag. {found.text} Run `trainer publish` first.")
    name = tag_commit(found.release, commit)
    outputs.notice("publish", f"{found.text} Its commit is tagged {name}.")
    outputs.set_outputs(tag=found.release)


@app.command()
def away(
    fingerprint: Annotated[str, typer.Argument(help="The run's fingerprint.")],
    commit: Annotated[str, typer.Option(help="Commit that waits for it.")],
    target: Annotated[str, typer.Option(help="Where it is being trained.")],
    registry: Registry = REGISTRY,
) -> None:
    """Leave a run that was dispatched to its target: mark its commit as one that waits.

    Gives away and verdict; a candidate that is there already is judged at once.
    """
    from trainer.ci import outputs
    from trainer.ci.github import GitHub
    from trainer.ci.waiting import mark
    from trainer.registry import open_registry

    if open_registry(registry).has_candidate(fingerprint):
        outputs.set_outputs(away="false", verdict="")
        return
    mark(GitHub.from_environment(), commit, fingerprint, target)
    outputs.notice("train", f"Run {fingerprint} goes on on {target}, and is judged when it ends.")
    outputs.set_outputs(away="true", verdict="running")


@app.command()
def collect(
    registry: Registry = REGISTRY,
    workflow: Annotated[str, typer.Option(help="File of the workflow that trains.")] = "train.yml",
    namespace: Annotated[
        str, typer.Option(help="Who pays on the Hub; the token's owner by default.")
    ] = "",
    work: Work = WORK,
) -> None:
    """Look after commits whose model is trained elsewhere: what is there is judged."""
    from trainer.ci import collect as collecting
    from trainer.ci import outputs
    from trainer.ci.github import GitHub
    from trainer.registry import open_registry
    from trainer.targets import Handle, open_target

    def live(target: str, fingerprint: str) -> list[Handle]:
        place = open_target(target, work=work, namespace=namespace or None, registry=registry)
        return place.find(fingerprint)

    github = GitHub.from_environment()
    for line in collecting.collect(github, workflow, open_registry(registry), live):
        outputs.notice("collect", line)
