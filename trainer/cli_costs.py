"""The verb of `trainer` for prices: costs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trainer.cli_options import (
    DATA,
    NO,
    PARAMS,
    WORK,
    Data,
    Json,
    Out,
    Params,
    Sets,
    Work,
    console_for,
    give,
)

app = typer.Typer()


@app.command()
def costs(
    target: Annotated[
        str | None, typer.Option(help="Only there, such as hf-jobs; everywhere by default.")
    ] = None,
    hardware: Annotated[
        str | None, typer.Option(help="Only on this kind of machine, such as l4x1.")
    ] = None,
    data: Data = DATA,
    params: Params = PARAMS,
    sets: Sets = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="US dollars: how many runs it pays. With --target, exit 1 if one costs more.",
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Take a few training steps here first, and time them.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--listed", help="Use the dated table of prices, ask no provider.")
    ] = False,
    document: Annotated[
        Path | None, typer.Option(help="Write the cost document to this file, and nothing else.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="A candidate that is in this registry costs nothing more.")
    ] = None,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Say what a run takes and costs on every target: price, hours, total, runs per budget.

    Hours come from measured throughput of this model on this data; hardware on which nobody
    measured is marked as estimated.
    """
    from trainer.costs.asking import ask
    from trainer.costs.budget import OverBudget, require_within
    from trainer.costs.document import write
    from trainer.costs.measure import measure as time_steps
    from trainer.costs.view import render
    from trainer.plan import make_plan
    from trainer.registry import open_registry

    if document is not None:
        write(document, data, work)
        return
    console = console_for(json_)
    plan = make_plan(data, params, work, sets or ())
    if registry is not None and open_registry(registry).has_candidate(plan.fingerprint):
        console.print(f"Candidate {plan.fingerprint} is there already: nothing is trained.")
        give({"fingerprint": plan.fingerprint, "budget": budget, "estimates": []}, json_, out)
        return
    here = time_steps(plan) if measure else None
    answer = ask(plan, target, hardware, listed=listed, here=here)
    render(answer.estimates, budget, console, answer.what)
    if here is not None:
        console.print(f"Measured here: {here.text}", markup=False, soft_wrap=True)
    give(answer.as_json(budget), json_, out)
    if budget is not None and target is not None:
        try:
            said = require_within(answer.dearest(target, hardware), budget)
            console.print(said, markup=False, highlight=False, soft_wrap=True)
        except OverBudget as no:
            console.print(f"[bold red]{escape(str(no))}[/]", highlight=False, soft_wrap=True)
            raise typer.Exit(NO) from None
