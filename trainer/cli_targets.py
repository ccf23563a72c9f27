"""The verbs of `trainer` for runs on a target: job, dispatch, status, logs, cancel."""

from typing import Annotated

import typer
from rich.markup import escape

from trainer.cli_options import (
    DATA,
    GATES,
    NO,
    PARAMS,
    REGISTRY,
    WORK,
    Data,
    GatesFile,
    Json,
    Out,
    Params,
    Registry,
    Sets,
    Work,
    Workers,
    console_for,
    give,
)

app = typer.Typer()

Where = Annotated[str, typer.Option("--target", help="Where: local, or hf-jobs.")]
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
    work: Work = WORK,
    workers: Workers = None,
) -> None:
    """Do one run to its stored candidate, as the entry point on every target.

    Exits 0 when the candidate is stored, whatever its verdict: `trainer gate` judges it.
    """
    from trainer import road
    from trainer.inputs import fetch
    from trainer.registry import open_registry

    place, console = open_registry(registry), console_for(False)
    if inputs is not None:
        _, (data, recipe, gates) = fetch(registry.removeprefix("hf://"), inputs, work)
        params = str(recipe)
    outcome = road.run(data, params, gates, place, work=work, console=console, workers=workers)
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
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until it is stopped.")] = 21600,
    queue: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for a machine, then cancel.")
    ] = 1800.0,
    namespace: Namespace = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and do not wait.")] = False,
    work: Work = WORK,
    json_: Json = False,
    out: Out = None,
) -> None:
    """Run it elsewhere: start or adopt the run, follow it, see that its candidate is there.

    A candidate that exists is not trained again. Ctrl-C leaves the run going.
    """
    from trainer.dispatching import Asked
    from trainer.dispatching import dispatch as send
    from trainer.plan import make_plan
    from trainer.registry import open_registry
    from trainer.targets import open_target

    plan, console = make_plan(data, params, work, sets or ()), console_for(json_)
    ended = send(
        plan,
        gates,
        open_registry(registry),
        open_target(target, work=work, namespace=namespace),
        Asked(image, flavor, timeout, queue),
        lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
        follow=not detach,
    )
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
        raise typer.Exit(NO)


@app.command()
def status(
    fingerprint: Fingerprint,
    target: Where = "local",
    namespace: Namespace = None,
    work: Work = WORK,
    json_: Json = False,
) -> None:
    """Say how the newest run of a fingerprint stands on a target."""
    from trainer.targets import newest, open_target

    place = open_target(target, work=work, namespace=namespace)
    handle = newest(place, fingerprint)
    state = place.status(handle)
    console_for(json_).print(
        f"{fingerprint} on {target}: {state.stage} {state.message} {handle.url}".strip(),
        markup=False,
        soft_wrap=True,
    )
    give({"run": handle.id, "stage": state.stage, "message": state.message}, json_)


@app.command()
def logs(
    fingerprint: Fingerprint,
    target: Where = "local",
    namespace: Namespace = None,
    work: Work = WORK,
    follow: Annotated[bool, typer.Option(help="Go on until the run ends.")] = True,
) -> None:
    """Print the log of the newest run of a fingerprint."""
    from trainer.targets import newest, open_target

    place = open_target(target, work=work, namespace=namespace)
    for line in place.logs(newest(place, fingerprint), follow=follow):
        print(line)


@app.command()
def cancel(
    fingerprint: Fingerprint,
    target: Where = "local",
    namespace: Namespace = None,
    work: Work = WORK,
) -> None:
    """Stop every live run of a fingerprint on a target; what was saved stays."""
    from trainer.targets import open_target

    place = open_target(target, work=work, namespace=namespace)
    live = place.find(fingerprint)
    for handle in live:
        place.cancel(handle)
    console_for(False).print(
        f"Stopped {len(live)} run{'s' * (len(live) != 1)} of {fingerprint} on {target}."
    )
