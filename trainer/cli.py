"""``trainer``: the pipeline's command line. It parses and calls; the work is done elsewhere.

Exit codes: 0 done, 1 the answer is no, 2 bad input, 75 interrupted and resumable.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from polyid.errors import PolyIDError
from trainer import (
    cli_ci,
    cli_clouds,
    cli_costs,
    cli_deploy,
    cli_doctor,
    cli_reap,
    cli_registry,
    cli_review,
    cli_runs,
    cli_targets,
    cli_ui,
)
from trainer.cli_options import (
    BAD_INPUT,
    DATA,
    GATES,
    INTERRUPTED,
    NO,
    PARAMS,
    REGISTRY,
    WORK,
    Candidate,
    Data,
    GatesFile,
    Json,
    Out,
    Params,
    Public,
    Registry,
    Sets,
    Version,
    Work,
    console_for,
    give,
)
from trainer.training.run import Interrupted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train, gate, release: from a data change to a model that predicts.\n\n"
    "[bold]trainer run[/] walks the whole road; the other verbs are its stages.\n\n"
    "Exit codes: 0 done, 1 the answer is no (a gate that fails), 2 bad input, 75 interrupted: "
    "the same command resumes.",
)

app.add_typer(cli_runs.app)
app.add_typer(cli_registry.app)
app.add_typer(cli_reap.app)
app.add_typer(cli_review.app)
app.add_typer(cli_costs.app)
app.add_typer(cli_ci.app)
app.add_typer(cli_deploy.app)
app.add_typer(cli_doctor.app)
app.add_typer(cli_targets.app)
app.add_typer(cli_clouds.app)
app.add_typer(cli_ui.app)


@app.command()
def check(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    sets: Sets = None,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Hold data and recipe to the contract, without training: every fault at once."""
    from trainer.config import load_params
    from trainer.contract import check_data
    from trainer.contract_view import render
    from trainer.gates_config import load_gates, require_floors

    recipe = load_params(params, sets or ())
    require_floors(load_gates(gates), list(recipe.data.properties))
    f = recipe.folds
    report = check_data(data, recipe.data, folds=f.count, split=f.split)
    render(report, console_for(json_))
    give(report.to_dict(), json_, out)
    if not report.ok:
        raise typer.Exit(BAD_INPUT)


@app.command()
def evaluate(
    data: Data = DATA,
    params: Params = PARAMS,
    sets: Sets = None,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Score a trained run out of fold, beside both baselines, in the properties' units."""
    from trainer import road
    from trainer.plan import make_plan

    plan, console = make_plan(data, params, work, sets or ()), console_for(json_)
    give(road.evaluate_plan(plan, console), json_, out)


@app.command()
def gate(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    candidate: Candidate = None,
    sets: Sets = None,
    public: Public = False,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Judge a run against floors, baselines and the current release, and store the candidate."""
    from trainer import road
    from trainer.outcome_view import show
    from trainer.plan import make_plan
    from trainer.registry import open_registry

    plan, console = make_plan(data, params, work, sets or ()), console_for(json_)
    place = open_registry(registry, public=public)
    outcome = road.gate_plan(plan, gates, place, candidate)
    show(outcome, registry, False, console)
    give(outcome.gate, json_, out)
    if not outcome.passed:
        raise typer.Exit(NO)


@app.command()
def publish(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    candidate: Candidate = None,
    sets: Sets = None,
    version: Version = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Release a candidate that passed; the old release stays if anything fails.

    A candidate of --data and --params that passed against an older release is judged again first.
    """
    from trainer import publishing
    from trainer.plan import make_plan
    from trainer.registry import open_registry

    console = console_for(json_)
    known = candidate is None or data.is_file()
    plan = make_plan(data, params, work, sets or ()) if known else None
    place, chosen = open_registry(registry), candidate or (plan.fingerprint if plan else "")
    release = publishing.publish(
        place, chosen, plan, gates, console, version=version, dry_run=dry_run
    )
    console.print(
        f"{release.tag} {release.status}: candidate {release.fingerprint}, {release.change} "
        f"({'; '.join(release.reasons)})"
    )
    give(
        {"tag": release.tag, "fingerprint": release.fingerprint, "status": release.status},
        json_,
        out,
    )


def guarded(command: Callable[[], None]) -> int:
    """Run a command line, and turn what a user can cause into one message and an exit code."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        command()
    except Interrupted:
        console.print("Interrupted; everything so far is saved. The same command resumes.")
        return INTERRUPTED
    except PolyIDError as error:
        console.print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False)
        return BAD_INPUT
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.print(
            f"[bold red]Error:[/] {escape(f'{where}{error.strerror or error}')}. Free disk space "
            "or give this user the right to read and write there, then run the same command "
            "again: it goes on where it stopped.",
            highlight=False,
        )
        return BAD_INPUT
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    sys.exit(guarded(app))


def _interrupt(number: int, _: FrameType | None) -> None:
    """Leave from wherever the work is: every file is written whole or not at all."""
    raise Interrupted


if __name__ == "__main__":
    main()
