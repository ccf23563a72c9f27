"""The verb that brings a release to the Space that serves it."""

from typing import Annotated

import typer
from rich.markup import escape

from trainer.cli_options import NO, REGISTRY, Json, Registry, console_for, give

app = typer.Typer()


@app.command()
def deploy(
    space: Annotated[str, typer.Option(help="The Space, namespace/name.")],
    revision: Annotated[str, typer.Option(help="Tag of the release that it is to serve.")],
    registry: Registry = REGISTRY,
    url: Annotated[
        str | None, typer.Option(help="Where the app answers, if not where the Hub says.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds for the app to serve it; as long to undo it.")
    ] = 900.0,
    json_: Json = False,
) -> None:
    """Serve a release: pin, restart, wait for the app itself, smoke test; else the old pin again.

    The same command again changes nothing if all is well, and repairs what was cut off.
    """
    from trainer.deploy import deploy as bring
    from trainer.space import Space

    console = console_for(json_)
    outcome = bring(Space(space, url), revision, registry, console, timeout=timeout)
    gap = "" if outcome.gap_seconds is None else f" Not answering: at most {outcome.gap_seconds} s."
    if outcome.reason:
        console.print(f"[bold red]Failed:[/] {escape(outcome.reason)}", highlight=False)
    console.print(
        f"{outcome.wanted}: {outcome.status}. {space} serves {outcome.serves}.{gap}",
        highlight=False,
        soft_wrap=True,
    )
    if outcome.next:
        console.print(f"Next: {outcome.next}", highlight=False, soft_wrap=True)
    give(outcome.as_json(), json_)
    if not outcome.ok:
        raise typer.Exit(NO)
