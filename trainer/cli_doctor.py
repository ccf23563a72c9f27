"""The verb of `trainer` that asks before a run: doctor."""

from typing import Annotated

import typer

from trainer.cli_options import (
    DATA,
    GATES,
    NO,
    PARAMS,
    REGISTRY,
    WORK,
    Checkpoints,
    Data,
    GatesFile,
    Json,
    Out,
    Params,
    Registry,
    Sets,
    Work,
    console_for,
    give,
)

app = typer.Typer()

Target = Annotated[
    str | None,
    typer.Option(
        help="Ask all that a run there needs: local, self-hosted, docker, hf-jobs, or another "
        "target of `trainer dispatch`. Without it, only what holds everywhere."
    ),
]


@app.command()
def doctor(
    target: Target = None,
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    sets: Sets = None,
    checkpoints: Checkpoints = None,
    image: Annotated[str, typer.Option(help="Training image, best by digest.")] = "",
    flavor: Annotated[str, typer.Option(help="Kind of machine, such as l4x1.")] = "",
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until it is stopped.")] = 21600,
    namespace: Annotated[str | None, typer.Option(help="Who pays on the Hub.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Without a GPU it is not well.")] = False,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Ask whether a run can start, here or on a target, and whether its end will be allowed.

    Every answer is green, or red with what to do. On this machine ten steps of the run are trained
    and a checkpoint is saved and loaded. Exits 1 if one is red.
    """
    from trainer.doctor import Case, answered, everywhere
    from trainer.doctor.view import render
    from trainer.registry import open_registry

    place = open_registry(registry)
    case = Case(
        *(data, params, gates, place, work, sets or ()),
        checkpoints=checkpoints,
        image=image,
        flavor=flavor,
        namespace=namespace,
        timeout_s=timeout,
        gpu=gpu,
    )
    if target is None:
        findings = answered(everywhere(case))
    else:
        from trainer.doctor.places import examine_target

        findings = examine_target(target, case)
    render(findings, console_for(json_))
    well = all(finding.ok for finding in findings)
    give({"ok": well, "checks": [finding._asdict() for finding in findings]}, json_, out)
    if not well:
        raise typer.Exit(NO)
