"""The verbs of `trainer` for runs on a target: job, dispatch, status, logs, cancel."""

from typing import Annotated

import typer
from rich.markup import escape

from trainer.cli_options import (
    DATA,
    GATES,
    INTERRUPTED,
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
    Registry,
    Sets,
    Track,
    Work,
    Workers,
    console_as,
    console_for,
    give,
)

app = typer.Typer()

Where = Annotated[
    str, typer.Option("--target", help="Where: local, docker, hf-jobs, hf-space or runpod.")
]
Namespace = Annotated[
    str | None, typer.Option(help="Who pays on the Hub; the token's owner by default.")
]
Fingerprint = Annotated[str, typer.Argument(help="The run's fingerprint.")]


@app.command()
def job(
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    inputs: Annotated[
        str | None,
        typer.Option(help="Read data, recipe and gate of this run from the registry on the Hub."),
    ] = None,
    expect: Annotated[
        str | None, typer.Option(help="Refuse to run if data, recipe and code make another run.")
    ] = None,
    work: Work = WORK,
    workers: Workers = None,
    checkpoints: Checkpoints = None,
    checkpoint_minutes: CheckpointMinutes = None,
    track: Track = None,
    log_format: Format = "text",
) -> None:
    """Do one run to its stored candidate, as the entry point on every target.

    Exits 0 when the candidate is stored, whatever its verdict: `trainer gate` judges it.
    """
    from trainer import road
    from trainer.conduct import Wanted, conduct_of
    from trainer.config import load_params
    from trainer.inputs import fetch, require_run
    from trainer.plan import make_plan
    from trainer.registry import open_registry
    from trainer.reporting import told

    place, console = open_registry(registry), console_as(log_format, False)
    if inputs is not None:
        _, (data, recipe, gates) = fetch(registry.removeprefix("hf://"), inputs, work)
        params = str(recipe)
    if expect is not None:
        require_run(make_plan(data, params, work), expect, f"{data}, {params}")
    wanted = Wanted(checkpoints, checkpoint_minutes, track, log_format)
    conduct = conduct_of(load_params(params), wanted)
    with told(inputs or expect, lambda line: console.print(line, soft_wrap=True)):
        outcome = road.run(
            *(data, params, gates, place),
            work=work, console=console, workers=workers, conduct=conduct,
        )  # fmt: skip
    console.print(
        f"Candidate {outcome.fingerprint} is stored, verdict {outcome.gate['verdict']}: "
        f"{escape(outcome.address)}",
        soft_wrap=True,
    )


@app.command()
def dispatch(
    target: Where = "local",
    data: Data = DATA,
    params: Params = PARAMS,
    gates: GatesFile = GATES,
    registry: Registry = REGISTRY,
    sets: Sets = None,
    image: Annotated[str, typer.Option(help="Training image, best by digest.")] = "",
    flavor: Annotated[str, typer.Option(help="Kind of machine, such as l4x1.")] = "",
    gpu: Annotated[
        list[str] | None,
        typer.Option(help="GPU type on runpod; may be repeated, the first in stock is rented."),
    ] = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until it is stopped.")] = 21600,
    queue: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for a machine, then cancel.")
    ] = 1800.0,
    restarts: Annotated[
        int, typer.Option(min=0, help="How often it goes on elsewhere when its machine is lost.")
    ] = 3,
    budget: Annotated[
        float | None,
        typer.Option(min=0.0, help="US dollars: nothing is started that is estimated above."),
    ] = None,
    namespace: Namespace = None,
    checkpoints: Checkpoints = None,
    checkpoint_minutes: CheckpointMinutes = None,
    track: Track = None,
    log_format: Format = "text",
    detach: Annotated[
        bool, typer.Option("--detach/--follow", help="Start it and do not wait, or wait.")
    ] = False,
    report: Annotated[
        str, typer.Option(help="GitHub repository told of a detached run's end, with REPORT_TOKEN.")
    ] = "",
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Run it elsewhere: start or adopt the run, follow it, see that its candidate is there.

    A candidate that exists is not trained again. Ctrl-C leaves the run going, but pauses a Space.
    """
    from trainer.conduct import Wanted
    from trainer.costs.budget import OverBudget
    from trainer.dispatching import Asked
    from trainer.dispatching import dispatch as send
    from trainer.plan import make_plan
    from trainer.registry import open_registry
    from trainer.targets import open_target

    plan, console = make_plan(data, params, work, sets or ()), console_for(json_)
    try:
        ended = send(
            plan,
            gates,
            open_registry(registry),
            open_target(target, work=work, namespace=namespace, registry=registry),
            Asked(
                *(image, ",".join(gpu or [flavor]), timeout, queue, restarts),
                conduct=Wanted(checkpoints, checkpoint_minutes, track, log_format),
                report_to=report if detach else "",  # who waits sees the end
                budget=budget,
            ),
            lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            follow=not detach,
        )
    except OverBudget as no:
        console.print(f"[bold red]{escape(str(no))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    give(
        {
            "fingerprint": ended.fingerprint,
            "run": ended.handle and ended.handle.id,
            "url": ended.handle and ended.handle.url,
            "stage": ended.state and ended.state.stage,
            "candidate": ended.candidate,
        },
        json_,
        out,
    )
    follow = f"--target {target}" + (f" --namespace {namespace}" if namespace else "")
    if target == "runpod":  # its pods keep nothing
        follow += f" --registry {registry}"
    if ended.state is None:
        if not ended.candidate:
            console.print(f"Follow it: trainer logs {ended.fingerprint} {follow}")
        return
    if not ended.candidate:
        said = f" ({ended.state.message})" if ended.state.message else ""
        console.print(
            f"[bold red]The run ended {ended.state.stage}{escape(said)}, and {escape(registry)} "
            f"has no candidate {ended.fingerprint}.[/] Its log: trainer logs {ended.fingerprint} "
            f"{follow}. The same dispatch starts it again.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED if ended.state.exit_code == INTERRUPTED else NO)


@app.command()
def status(
    fingerprint: Fingerprint,
    target: Where = "local",
    registry: Registry = REGISTRY,
    namespace: Namespace = None,
    work: Work = WORK,
    json_: Json = False,
) -> None:
    """Say how the newest run of a fingerprint stands on a target, and how far it is."""
    from trainer.targets import newest, open_target
    from trainer.training.status import read_status
    from trainer.watching.summary import summary

    place = open_target(target, work=work, namespace=namespace, registry=registry)
    handle = newest(place, fingerprint)
    state = place.status(handle)
    console_for(json_).print(
        f"{fingerprint} on {target}: {state.stage} {state.message} {handle.url}".strip(),
        markup=False,
        soft_wrap=True,
    )
    # elsewhere a run's folder is not here; one of the same name would be another sitting's
    progress = read_status(work / fingerprint) if target in ("local", "docker") else {}
    for line in summary(progress):
        console_for(json_).print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    told = {"run": handle.id, "stage": state.stage, "message": state.message}
    give({**told, "progress": progress}, json_)


@app.command()
def logs(
    fingerprint: Fingerprint,
    target: Where = "local",
    registry: Registry = REGISTRY,
    namespace: Namespace = None,
    work: Work = WORK,
    follow: Annotated[bool, typer.Option(help="Go on until the run ends.")] = True,
) -> None:
    """Print the log of the newest run of a fingerprint."""
    from trainer.targets import newest, open_target

    place = open_target(target, work=work, namespace=namespace, registry=registry)
    for line in place.logs(newest(place, fingerprint), follow=follow):
        print(line)


@app.command()
def cancel(
    fingerprint: Fingerprint,
    target: Where = "local",
    registry: Registry = REGISTRY,
    namespace: Namespace = None,
    work: Work = WORK,
) -> None:
    """Stop every live run of a fingerprint on a target; what was saved stays."""
    from trainer.targets import open_target

    place = open_target(target, work=work, namespace=namespace, registry=registry)
    live = place.find(fingerprint)
    for handle in live:
        place.cancel(handle)
    console_for(False).print(
        f"Stopped {len(live)} run{'s' * (len(live) != 1)} of {fingerprint} on {target}."
    )
