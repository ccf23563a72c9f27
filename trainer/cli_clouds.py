"""The verbs of `trainer` for others' machines: a task for SkyPilot, the entry point in a pod."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli_options import (
    DATA,
    GATES,
    PARAMS,
    REGISTRY,
    WORK,
    Data,
    GatesFile,
    Params,
    Registry,
    Sets,
    Work,
    console_for,
)

app = typer.Typer()


@app.command()
def sky(
    image: Annotated[str, typer.Option(help="Training image, best by digest.")],
    out: Annotated[Path, typer.Option(help="Where to write the task.")] = Path("task.yaml"),
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    sets: Sets = None,
    cloud: Annotated[
        list[str] | None, typer.Option(help="aws, gcp, azure, lambda, kubernetes; all by default.")
    ] = None,
    gpu: Annotated[
        list[str] | None, typer.Option(help="SkyPilot's name of a GPU; may be repeated.")
    ] = None,
    spot: Annotated[
        bool, typer.Option("--spot/--on-demand", help="Interruptible machines where there are.")
    ] = True,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until it is stopped.")] = 21600,
    stage: Annotated[
        bool, typer.Option(help="Put the run's inputs on the Hub, where the task reads them.")
    ] = True,
    work: Work = WORK,
) -> None:
    """Write this run as a task for your own SkyPilot: any cloud, interruptible, recovered."""
    from trainer import dispatching, skypilot
    from trainer.plan import make_plan
    from trainer.skypilot import CLOUDS, GPUS

    plan, console = make_plan(data, params, work, sets or ()), console_for(False)
    asked = dispatching.Asked(image, timeout_s=timeout)
    spec = dispatching.rented(plan, gates, registry, "SkyPilot", asked, stage=stage)
    text = skypilot.render(spec, skypilot.Wish(cloud or tuple(CLOUDS), gpu or GPUS, spot))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    said = skypilot.validated(out)
    console.print(f"Run {plan.fingerprint} is written to {out}.", markup=False, soft_wrap=True)
    console.print(
        f"{said}." if said else "SkyPilot is not installed here, so it was not asked about it: "
        f"`uv tool install 'skypilot[aws]=={skypilot.VERSION}'` (with your clouds).",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    console.print(
        f"Start it: {skypilot.launch(str(out), spec.secrets)}", markup=False, soft_wrap=True
    )


@app.command()
def pod(
    command: Annotated[list[str], typer.Argument(help="What to run: trainer job ...")],
    machine: Annotated[str, typer.Option(envvar="RUNPOD_POD_ID", help="The pod's id.")],
    registry: Annotated[
        str, typer.Option(envvar="POLYID_REGISTRY", help="Where the note goes: hf://...")
    ],
    fingerprint: Annotated[
        str, typer.Option(envvar="POLYID_FINGERPRINT", help="The run's fingerprint.")
    ],
    until: Annotated[
        float, typer.Option(envvar="POLYID_UNTIL", help="When it is stopped, seconds since 1970.")
    ],
) -> None:
    """Inside a rented pod: run a command, note on the Hub how it ended, give the pod back.

    `trainer dispatch --target runpod` starts it; RunPod and the dispatch set its variables.
    """
    from trainer.pod import run

    def say(line: str) -> None:
        print(line, flush=True)

    repo = registry.removeprefix("hf://")
    raise typer.Exit(run(command, machine, repo, fingerprint, until, say))
