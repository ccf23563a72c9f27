"""The verbs on what a registry holds: list, show, diff, lineage, and back to an earlier release."""

from typing import Annotated

import typer

from trainer.cli_options import REGISTRY, Json, Registry, console_for, give

app = typer.Typer()

REVISION = "Tag, candidate/<fingerprint>, (short) fingerprint or, on the Hub, a commit."

Revision = Annotated[str | None, typer.Argument(help=f"{REVISION} By default the current release.")]


@app.command(name="list")
def list_(registry: Registry = REGISTRY, json_: Json = False) -> None:
    """List releases and candidates with their verdicts."""
    from trainer.outcome_view import listing, listing_table
    from trainer.registry import open_registry

    content = listing(open_registry(registry))
    if not json_:
        console_for(False).print(listing_table(content))
    give(content, json_)


@app.command()
def show(revision: Revision = None, registry: Registry = REGISTRY, json_: Json = False) -> None:
    """Show one release or candidate: verdict with reasons, scores, record."""
    from trainer import show_view
    from trainer.registry import open_registry
    from trainer.show import show as read

    shown = read(open_registry(registry), revision)
    if not json_:
        show_view.render(shown, console_for(False))
    give(shown.as_json(), json_)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help=f"The older one. {REVISION}")],
    new: Annotated[str, typer.Argument(metavar="B", help="The newer one, likewise.")],
    registry: Registry = REGISTRY,
    rows: Annotated[int, typer.Option(min=0, help="Rows of the data to show.")] = 20,
    json_: Json = False,
) -> None:
    """Compare two releases or candidates: scores, parameters, rows of the data, code, files."""
    from trainer import difference_view
    from trainer.difference import difference
    from trainer.registry import open_registry

    found = difference(open_registry(registry), old, new)
    if not json_:
        difference_view.render(found, console_for(False), rows)
    give(found.as_json(), json_)


@app.command()
def lineage(revision: Revision = None, registry: Registry = REGISTRY, json_: Json = False) -> None:
    """Follow a prediction's model back to data, code, image, recipe, verdict; how to fetch each."""
    from trainer import lineage_view
    from trainer.lineage import lineage as follow
    from trainer.registry import open_registry

    found = follow(open_registry(registry), revision)
    if not json_:
        lineage_view.render(found, console_for(False))
    give(found.as_json(), json_)


@app.command()
def rollback(
    to: Annotated[str, typer.Option("--to", help="Version tag of an earlier release.")],
    registry: Registry = REGISTRY,
) -> None:
    """Make an earlier release current again; the history stays."""
    from trainer.registry import open_registry

    release = open_registry(registry).rollback(to)
    console_for(False).print(f"{release.tag} is current in {registry}.")
