"""What the verbs of `trainer` share: their options, exit codes, and where an answer goes."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

LogFormat = Literal["text", "json"]
NO, BAD_INPUT, INTERRUPTED = 1, 2, 75

Data = Annotated[Path, typer.Option(help="Data file (CSV).")]
Params = Annotated[str, typer.Option(help="Recipe: a file, or a name such as 'publication'.")]
GatesFile = Annotated[Path, typer.Option("--gates", help="The gate.")]
Registry = Annotated[
    str, typer.Option(help="Candidates and releases: a folder, or hf://namespace/name.")
]
Public = Annotated[
    bool,
    typer.Option("--public/--private", help="Who may read a Hub repository that this creates."),
]
Work = Annotated[Path, typer.Option(help="Folder for checkpoints, caches and logs of runs.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one key of the recipe: training.epochs=5. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for machines.")]
Out = Annotated[Path | None, typer.Option(help="Write the result as JSON to this file as well.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; one per core by default. Same result.")
]
Candidate = Annotated[
    str | None, typer.Option(help="Fingerprint; by default that of --data and --params.")
]
Version = Annotated[
    str | None, typer.Option(help="Version tag such as v2.0.0, instead of the next one.")
]

Checkpoints = Annotated[
    str | None,
    typer.Option(
        help="Keep checkpoints there too, to resume on another machine: hf://namespace/name, "
        "s3://bucket/folder or any fsspec address; 'none' for nowhere."
    ),
]
CheckpointMinutes = Annotated[
    float | None, typer.Option(min=0.0, help="Least minutes between two uploads; 10 by default.")
]

Track = Annotated[
    list[str] | None,
    typer.Option(help="Tell tensorboard, trackio or wandb how training goes. May be repeated."),
]
Format = Annotated[LogFormat, typer.Option(help="Log for people, or one JSON object a line.")]

DATA, PARAMS, GATES = Path("data/polyid_properties.csv"), "params.yaml", Path("gates.yaml")
REGISTRY, WORK = "registry", Path("runs")


def console_for(as_json: bool) -> Console:
    """Return where people read; standard output is kept for JSON if that was asked for."""
    seen = (sys.stderr if as_json else sys.stdout).isatty()
    return Console(stderr=as_json, width=None if seen else 100)


def console_as(log_format: LogFormat, as_json: bool) -> Console:
    """Return the same for a log in either format."""
    if log_format == "text":
        return console_for(as_json)
    from trainer.watching.jsonlog import json_console

    return json_console(as_json)


def give(result: dict[str, Any], as_json: bool, out: Path | None = None) -> None:
    """Print a result as JSON if that was asked for, and write it to ``out`` if there is one."""
    text = json.dumps(result, indent=1, ensure_ascii=False, default=str)
    if as_json:
        print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
