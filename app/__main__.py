"""`python -m app --model REGISTRY[@REVISION] --port N`: parse and run."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

_HELP = """Serve predictions over HTTP, and a page for people.

`python -m app --model hf://acme/polyid --port 7860`, with MODEL_REVISION=v1.2.0

`python -m app --model registry@v1.2.0 --port 8000`

The page is at /, the API is described at /docs. Ready when GET /health/ready answers 200.
"""

#: Seconds that answers may still take when the process is told to end.
_LAST_SECONDS = 5


def serve(
    model: Annotated[
        str,
        typer.Option(
            metavar="REGISTRY[@REVISION]|FOLDER",
            envvar="MODEL",
            help="hf://namespace/name or a folder; the current release unless one is named.",
        ),
    ],
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535)] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 to be reached from outside.")] = "127.0.0.1",
    revision: Annotated[
        str | None,
        typer.Option(
            envvar="MODEL_REVISION", help="Tag, commit or candidate/FINGERPRINT, as after @."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Models from the Hub, and which release was good last. The Hub client's own "
            "folder without it.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that predict; one per core.")
    ] = None,
    run_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one polymer may take.")
    ] = 20.0,
    rows: Annotated[int, typer.Option(min=1, help="Polymers of a batch.")] = 5_000,
) -> None:
    """Serve."""
    if cache is not None:
        # read when the client is imported, below
        os.environ["HF_HUB_CACHE"] = str(cache / "hub")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    import uvicorn
    from huggingface_hub import constants

    from app.limits import Limits
    from app.loading import address
    from app.page.mount import page
    from app.server import Settings, create
    from polyid.errors import PolyIDError

    try:
        wanted = address(model, revision)
    except PolyIDError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    remembered = cache or Path(constants.HF_HOME) / "polyid-app"
    more = {} if workers is None else {"workers": workers}
    limits = Limits(run_seconds=run_seconds, rows=rows)
    application = create(Settings(wanted, remembered, limits=limits, **more), mount=page)
    uvicorn.run(
        application,
        host=host,
        port=port,
        log_level="info",
        access_log=False,
        # what comes with the page and would be taken otherwise: a parser that breaks off at methods
        # it does not know, and a loop that fails in another way when a worker's pipe is closed
        http="h11",
        loop="asyncio",
        # an open page holds a connection for as long as it is open
        timeout_graceful_shutdown=_LAST_SECONDS,
    )


def main() -> None:
    """Run the command."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=_HELP, no_args_is_help=True)(serve)
    app(prog_name="python -m app")


if __name__ == "__main__":
    main()
