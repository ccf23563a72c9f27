"""The verb of `trainer` for what nobody follows any more: reap."""

import os
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli_options import NO, WORK, Json, Out, Work, console_for, give

app = typer.Typer()


@app.command()
def reap(
    target: Annotated[
        list[str] | None,
        typer.Option(help="Ask only this target; may be repeated. All that are set up by default."),
    ] = None,
    older_than: Annotated[
        str, typer.Option(help="Age from which on it goes: 90m, 24h, 2d, or 0 for everything.")
    ] = "24h",
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--stop", help="Only say what stands and what it costs.")
    ] = False,
    registry: Annotated[
        str | None, typer.Option(help="hf://namespace/name: inputs of ended runs go there too.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Who pays on the Hub; the token's owner by default.")
    ] = None,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Stop what was left running and still costs money, on every target, and say what it cost.

    Exits 1 if something could not be stopped, or a target could not be asked.
    """
    from trainer.reap import reap as collect
    from trainer.reap import summary
    from trainer.reap_view import age_of, markdown, render
    from trainer.staged import StagedInputs
    from trainer.targets import open_target, set_up

    names = target or set_up()
    places = [
        open_target(name, work=work, namespace=namespace or None, registry=registry)
        for name in names
    ]
    hub = (registry or "").partition("hf://")[2]
    staged = [StagedInputs(hub)] if hub else []
    reaped = collect([*places, *staged], age_of(older_than), dry_run=dry_run)
    render(reaped, console_for(json_))
    give(
        {
            "asked": [*names, *(place.name for place in staged)],
            "clean": reaped.clean,
            "usd": round(reaped.usd, 4),
            "found": [found.as_json() for found in reaped.found],
            "unasked": reaped.unasked,
            "summary": summary(reaped),
        },
        json_,
        out,
    )
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(markdown(reaped))
    if not reaped.clean:
        raise typer.Exit(NO)
