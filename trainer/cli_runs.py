"""The verbs of `trainer` that train: run, train."""

from typing import Annotated

import typer

from trainer.cli_options import (
    DATA,
    GATES,
    NO,
    PARAMS,
    REGISTRY,
    WORK,
    CheckpointMinutes,
    Checkpoints,
    Data,
    Format,
    GatesFile,
    Json,
    Out,
    Params,
    Public,
    Registry,
    Sets,
    Track,
    Version,
    Work,
    Workers,
    console_as,
    give,
)

app = typer.Typer()


@app.command()
def run(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    sets: Sets = None,
    publish: Annotated[bool, typer.Option("--publish", help="Release it if it passes.")] = False,
    version: Version = None,
    public: Public = False,
    work: Work = WORK,
    workers: Workers = None,
    checkpoints: Checkpoints = None,
    checkpoint_minutes: CheckpointMinutes = None,
    track: Track = None,
    log_format: Format = "text",
    json_: Json = False,
) -> None:
    """Walk the whole road: check, train, evaluate, gate, candidate and, with --publish, release.

    What is done already is not done again: a candidate that exists is not trained, and a run that
    was stopped or killed goes on from its newest checkpoint.
    """
    from trainer import road
    from trainer.conduct import Wanted, conduct_of
    from trainer.config import load_params
    from trainer.outcome_view import show
    from trainer.registry import open_registry

    console = console_as(log_format, json_)
    wanted = Wanted(checkpoints, checkpoint_minutes, track, log_format)
    outcome = road.run(
        data,
        params,
        gates,
        open_registry(registry, public=public),
        work=work,
        console=console,
        overrides=sets or (),
        publish=publish,
        version=version,
        workers=workers,
        conduct=conduct_of(load_params(params, sets or ()), wanted),
    )
    show(outcome, registry, publish, console)
    give(outcome.as_json(), json_)
    if not outcome.passed:
        raise typer.Exit(NO)


@app.command()
def train(
    data: Data = DATA,
    params: Params = PARAMS,
    sets: Sets = None,
    work: Work = WORK,
    workers: Workers = None,
    checkpoints: Checkpoints = None,
    checkpoint_minutes: CheckpointMinutes = None,
    track: Track = None,
    log_format: Format = "text",
    json_: Json = False,
    out: Out = None,
) -> None:
    """Train the members, resuming what was begun."""
    from trainer import road
    from trainer.conduct import Wanted, conduct_of
    from trainer.plan import make_plan

    plan, console = make_plan(data, params, work, sets or ()), console_as(log_format, json_)
    wanted = Wanted(checkpoints, checkpoint_minutes, track, log_format)
    conduct = conduct_of(plan.params, wanted)
    done = road.train_plan(plan, console, workers, conduct)
    console.print(f"Trained {plan.params.folds.count} folds in {plan.folder}.")
    give(
        {"fingerprint": plan.fingerprint, "folder": str(plan.folder), "seconds": done.seconds},
        json_,
        out,
    )
