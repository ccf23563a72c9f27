"""The verb that serves the training page."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.cli_options import (
    DATA,
    GATES,
    PARAMS,
    REGISTRY,
    WORK,
    CheckpointMinutes,
    Checkpoints,
    GatesFile,
    Work,
)

app = typer.Typer()


@app.command()
def ui(
    data: Annotated[Path, typer.Option(help="Data file (CSV), or a folder of them.")] = DATA,
    params: Annotated[
        Path, typer.Option(help="A recipe to offer beside those that ship with the package.")
    ] = Path(PARAMS),
    gates: GatesFile = GATES,
    registry: Annotated[
        str,
        typer.Option(
            envvar="POLYID_REGISTRY",
            help="Where candidates go: a folder, or hf://namespace/name.",
        ),
    ] = REGISTRY,
    work: Work = WORK,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond 127.0.0.1 a sign-in is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, help="Port; 0 takes a free one.")] = 7860,
    after: Annotated[
        Literal["pause", "downgrade", "stay"],
        typer.Option(help="What becomes of the Space when a run has ended, however it did."),
    ] = "pause",
    idle: Annotated[
        float, typer.Option(min=0, help="Minutes that paid hardware may stand idle.")
    ] = 30.0,
    linger: Annotated[
        float, typer.Option(min=0, help="Seconds for which the end is shown before that.")
    ] = 15.0,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until a run is stopped.")] = 172800,
    checkpoints: Checkpoints = None,
    checkpoint_minutes: CheckpointMinutes = None,
) -> None:
    """Serve the training page: choose, start, follow, stop; in a Space it pauses itself at the end.

    Sign-in: the secret UI_PASSWORD, or in a Space with `hf_oauth: true` the variable UI_USERS.
    """
    from trainer.conduct import Wanted
    from trainer.ui.choices import Offer
    from trainer.ui.desk import Desk
    from trainer.ui.server import serve

    wanted = Wanted(checkpoints, checkpoint_minutes)
    serve(
        Desk(work, registry, os.environ.get("SPACE_ID"), timeout, wanted),
        Offer(params, data, gates, work),
        host=host,
        port=port,
        after=after,
        idle_s=60 * idle,
        linger_s=linger,
    )
