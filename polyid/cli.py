"""The command `polyid`: predictions for chemists."""

# TensorFlow, m2p and rdkit take seconds to load: they are imported inside commands, so that
# --help answers at once.
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyid.errors import PolyIDError

if TYPE_CHECKING:
    from polyid.cli_table import Table
    from polyid.predict import Predictor, Progress, Query, Result

#: Rows from which a progress bar is shown.
_MANY = 50

_HELP = """Predict polymer properties, with intervals and a word on validity.

A polymer is given as **monomers** joined by a dot, as a **repeat unit** with two `*`, or as a
**whole chain**; all as SMILES, in quotes, because the shell reads `*` and `(` too:

`polyid predict --model registry 'CC(O)C(=O)O' '*CC(*)c1ccccc1'`

`polyid predict --model registry --file in.csv --out out.csv`

More examples: `polyid predict --help`
"""

_PREDICT = """Predict the properties of polymers.

**Examples**

Poly(lactic acid) from its monomer, nylon 6,6 from two, PMMA as a repeat unit:

`polyid predict --model registry 'CC(O)C(=O)O' 'NCCCCCCN.O=C(O)CCCCC(=O)O' '*CC(*)(C)C(=O)OC'`

A release by its tag, for machines:

`polyid predict --model registry@v1.0.0 --json 'C=Cc1ccccc1'`

A table: all its columns stay, and predictions, intervals, units and errors are added:

`polyid predict --model registry --file in.csv --out out.csv`

**Exit codes**: 0 all predicted; 1 some could not be, and the rest were; 2 bad input.
"""

_EXPLAIN = """Say which atoms of a polymer raise and which lower a prediction.

The network gives every bond a value, and a prediction is their mean: this prints how far the bonds
of each atom lie from it, for the middle of the chain, and draws it.

`polyid explain --model registry --property Glass_Transition --svg tg.svg '*CC(*)c1ccccc1'`
"""

app = typer.Typer(
    name="polyid",
    help=_HELP,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class As(StrEnum):
    """How to read the structures."""

    AUTO = "auto"
    MONOMERS = "monomers"
    REPEAT_UNIT = "repeat-unit"
    OLIGOMER = "oligomer"


_IMPORT = """Turn an ensemble of the published package `polyid` 0.1.2 into a model folder.

Its files are pickles. They are read as data, through a list of allowed names, and never run.

`polyid import-legacy save_folder --out model --allow-pickle --property YoungMod=YoungMod:MPa`

Then, from Python: `MultiModel.from_pretrained("model")`.
"""


@app.command(help=_PREDICT, no_args_is_help=True)
def predict(
    model: Annotated[
        str,
        typer.Option(
            metavar="REGISTRY[@TAG]|FOLDER",
            help="A registry (its current release, or the one with this tag) or a model folder.",
        ),
    ],
    smiles: Annotated[
        list[str] | None, typer.Argument(metavar="[SMILES]…", help="Polymers to predict.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="IN.CSV", help="CSV file with a column of structures.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="OUT.CSV", help="CSV file to write, with --file.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of structures in --file. Without it: smiles_polymer, smiles, "
            "repeat_unit, smiles_monomer or monomers.",
        ),
    ] = None,
    mechanism: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="How monomers join: vinyl, ester, amide, carbonate, imide, NIPU or urethane. "
            "Found from their groups without it.",
        ),
    ] = None,
    kind: Annotated[
        As | None, typer.Option("--as", help="How to read the structures; auto finds out.")
    ] = None,
    pm: Annotated[
        str | None,
        typer.Option(
            metavar="X", help="Fraction of meso dyads, 0 to 1, for a model that reads tacticity."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Parse, call, print."""
    # no surprise from what a library prints: stdout is for answers
    with _errors(), redirect_stdout(sys.stderr):
        table, wanted = _wanted(smiles or [], file, out, column, mechanism, kind, pm, as_json)
        predictor = _load(model)
        with _progress(len(wanted)) as told:
            results = predictor.predict(wanted, told)
        if table is not None and out is not None:
            from polyid.cli_table import write_table

            write_table(out, table, results, predictor.properties)
    with _errors():
        _answer(results, predictor.intervals.level, out, as_json)
    failed = sum(not result.ok for result in results)
    if failed:
        typer.echo(f"{failed} of {len(results)} could not be predicted.", err=True)
        raise typer.Exit(1)


@app.command("explain", help=_EXPLAIN, no_args_is_help=True)
def explain_(
    model: Annotated[
        str, typer.Option(metavar="REGISTRY[@TAG]|FOLDER", help="As for `polyid predict`.")
    ],
    smiles: Annotated[str, typer.Argument(metavar="SMILES", help="The polymer.")],
    name: Annotated[
        str | None,
        typer.Option("--property", metavar="NAME", help="Which property; the first without it."),
    ] = None,
    mechanism: Annotated[str | None, typer.Option(metavar="M", help="How monomers join.")] = None,
    pm: Annotated[str | None, typer.Option(metavar="X", help="Fraction of meso dyads.")] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="OUT.SVG", help="Write a picture of the chain's middle.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Parse, call, print."""
    with _errors(), redirect_stdout(sys.stderr):
        from polyid.explain_view import answer
        from polyid.predict import Query

        found = answer(_load(model), Query(smiles, mechanism, pm), name)
        if svg is not None:
            svg.write_text(found.svg, encoding="utf-8")
    typer.echo(json.dumps(found.data, indent=1) if as_json else found.text)


@app.command("import-legacy", help=_IMPORT, no_args_is_help=True)
def import_legacy(
    folder: Annotated[Path, typer.Argument(help="What the published package saved.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Model folder to make.")],
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Yes, read pickles, whose source you trust.")
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            metavar="COLUMN=NAME[:UNIT]",
            help="What a column of the model is, and in which unit it was trained.",
        ),
    ] = None,
    dp: Annotated[int, typer.Option(min=2, help="Monomer units of its training chains.")] = 18,
) -> None:
    """Parse, call, print."""
    with _errors():
        from polyid import legacy
        from polyid.quiet import load_keras

        given = dict(map(legacy.parse_column, columns or []))
        if allow_pickle:
            load_keras()
        mm = legacy.import_legacy(folder, out, allow_pickle=allow_pickle, columns=given, dp=dp)
    typer.echo(f"{len(mm.models)} members, {', '.join(mm.prediction_columns)}: {out}")


def _wanted(
    smiles: Sequence[str],
    file: Path | None,
    out: Path | None,
    column: str | None,
    mechanism: str | None,
    kind: As | None,
    pm: str | None,
    as_json: bool,
) -> "tuple[Table | None, list[Query]]":
    """Check what was asked for, before anything slow is loaded."""
    if file is not None and smiles:
        raise PolyIDError(f"Give SMILES or --file, not both: received {smiles[0]!r} and {file}.")
    if file is None and (out is not None or column is not None):
        raise PolyIDError("--out and --column go with --file, the CSV file to read.")
    if file is None and not smiles:
        raise PolyIDError("Nothing to predict: give SMILES in quotes, or --file in.csv.")
    if file is not None and out is None and not as_json:
        raise PolyIDError(f"--file {file} needs --out out.csv for the answers, or --json.")
    if mechanism is not None:
        from polyid.mechanisms import mechanism_name

        mechanism_name(mechanism)  # a mistyped one would spoil every row
    if pm is not None:
        from polyid.predict import fraction

        fraction(pm)
    way = kind.value.replace("-", "_") if kind else None
    if file is None:
        from polyid.predict import Query

        return None, [Query(text, mechanism, pm, kind=way or "auto") for text in smiles]
    from polyid.cli_table import check_target, queries, read_table

    table = read_table(file)
    if out is not None:
        check_target(out, file)
    return table, queries(table, column=column, mechanism=mechanism, kind=way, pm=pm)


def _load(model: str) -> "Predictor":
    """Verify and load a model."""
    from polyid.engine.jit import is_new

    if sys.stderr.isatty() and is_new():
        typer.echo("The first prediction compiles its loops for this processor: seconds.", err=True)
    from polyid.predict import Predictor
    from polyid.store import resolve

    return Predictor(resolve(model))


def _answer(results: "Sequence[Result]", level: float, out: Path | None, as_json: bool) -> None:
    if as_json:
        # ASCII, so that no terminal's encoding can spoil it
        typer.echo(json.dumps([result.as_dict() for result in results], indent=1, allow_nan=False))
    elif out is None:
        from rich.console import Console

        from polyid.cli_view import show

        show(Console(highlight=False), results, level)
    else:
        good = sum(result.ok for result in results)
        typer.echo(f"{good} of {len(results)} rows predicted: {out}")


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what the user can mend into a message and exit code 2."""
    try:
        yield
    except PolyIDError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None


@contextmanager
def _progress(rows: int) -> "Iterator[Progress | None]":
    """Show a progress bar on stderr if there are many rows."""
    if rows <= _MANY:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=False) as bars:
        tasks: dict[str, int] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)  # type: ignore[arg-type]

        yield told


def main() -> None:
    """Run the console script."""
    app()


if __name__ == "__main__":
    main()
