"""``trainer review``: what the reader of a pull request is told."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli_options import (
    BAD_INPUT,
    DATA,
    GATES,
    PARAMS,
    REGISTRY,
    WORK,
    Data,
    GatesFile,
    Params,
    Registry,
    Work,
)

app = typer.Typer(
    name="review",
    no_args_is_help=True,
    help="The review of this commit's model for a pull request: verdict, scores, what changed.",
)


@app.command()
def write(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    work: Work = WORK,
    recipe: Annotated[
        Path, typer.Option(help="The recipe's file in the repository, to find it at the base.")
    ] = Path("params.yaml"),
    base: Annotated[
        str, typer.Option(help="Commit or branch to compare data, recipe and gate with.")
    ] = "",
    check: Annotated[
        Path | None, typer.Option(help="What `trainer check --out` wrote: why nothing was trained.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for review.md and review.json; else it is printed.")
    ] = None,
) -> None:
    """Write the review of the candidate of --data and --params, or of why there is none."""
    from trainer.ci.outputs import summary
    from trainer.plan import make_plan
    from trainer.registry import open_registry
    from trainer.review.write import write as review

    plan = make_plan(data, params, work)
    made = review(plan, open_registry(registry), recipe, gates, base or None, check)
    if out is None:
        print(made.page, end="")
        return
    made.save(out)
    summary(made.page)
    print(f"{made.title}. Written to {out}.")


@app.command()
def post(
    folder: Annotated[Path, typer.Argument(help="Where `trainer review write --out` wrote.")],
) -> None:
    """Deliver it from a workflow: one comment, updated in place, and the check `model gate`.

    Reads GITHUB_API_URL, GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_EVENT_PATH, GITHUB_RUN_ID and
    NEEDS (toJSON(needs)). `python3 -m trainer.review.post` is the same without anything installed.
    """
    import os

    from trainer.review.post import main

    os.environ["REVIEW"] = str(folder)
    if main():
        raise typer.Exit(BAD_INPUT)
