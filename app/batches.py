"""Batches: rows from JSON or CSV, answers streamed as NDJSON or CSV in the order of the rows."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.problems import Problem, pointer
from app.schemas import Ask
from app.service import Service
from polyid.cli_table import TableError, parse_table, predicted_header, queries
from polyid.errors import PolyIDError

NDJSON, CSV = "application/x-ndjson", "text/csv"


@dataclass(frozen=True)
class Row:
    """One row: what is asked for, or what is wrong with it."""

    ask: Ask | Problem
    cells: list[str]
    """The row as it came, for a CSV answer."""


@dataclass(frozen=True)
class Batch:
    """Rows, and the header they came with."""

    header: list[str]
    rows: list[Row]


def from_json(body: bytes, most: int) -> Batch:
    """Read a JSON list of structures or of objects as for a single prediction.

    Raises
    ------
    Problem
        If it is no such list, is empty, or has more than ``most`` rows.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem("bad-request", f"The body is not JSON: {reason}.") from None
    if not isinstance(content, list):
        raise Problem(
            "invalid",
            f'Expected a JSON list such as ["*CC*", {{"smiles": "C=CC"}}], received '
            f"{type(content).__name__}.",
            [],
        )
    _check_count(len(content), most)
    return Batch(["input"], [_json_row(item) for item in content])


def from_csv(body: bytes, most: int, called: str = "body") -> Batch:
    """Read CSV with a column of structures, as `polyid predict --file` does.

    Parameters
    ----------
    body
        The file's content.
    most
        How many rows it may have.
    called
        What messages call it.

    Raises
    ------
    Problem
        If it is no such table, or has more than ``most`` rows.
    """
    try:
        table = parse_table(_decode(body), Path(called))
        _check_count(len(table.rows), most)
        wanted = queries(table)
    except TableError as error:
        raise Problem("invalid", str(error), []) from None
    rows = [
        Row(_csv_ask(query.text, query.mechanism, query.pm, query.kind), cells)
        for query, cells in zip(wanted, table.rows, strict=True)
    ]
    return Batch(table.header, rows)


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"The body is not text in UTF-8 (byte {error.start}); save it as CSV UTF-8."
        raise Problem("bad-request", detail) from None


async def stream(service: Service, batch: Batch, media_type: str) -> AsyncIterator[bytes]:
    """Predict the rows and yield their lines, as many at once as there are workers."""
    properties = list(service.model().about["properties"])
    line: Callable[[int, Row, dict[str, Any]], bytes]
    if media_type == CSV:
        yield _csv_line([*batch.header, *predicted_header(batch.header, properties)])

        def line(number: int, row: Row, answer: dict[str, Any]) -> bytes:
            return _csv_line([*row.cells, *_cells(answer, properties)])
    else:

        def line(number: int, row: Row, answer: dict[str, Any]) -> bytes:
            return json.dumps({"row": number, **answer}, allow_nan=False).encode("ascii") + b"\n"

    ahead = max(2, 2 * service.pool.size)
    tasks: list[asyncio.Task[dict[str, Any]]] = []
    try:
        for number, row in enumerate(batch.rows, start=1):
            while len(tasks) < ahead and number + len(tasks) <= len(batch.rows):
                following = batch.rows[number + len(tasks) - 1]
                tasks.append(asyncio.create_task(_answer(service, following)))
            answer = await tasks.pop(0)
            yield line(number, row, answer)
    finally:
        # the client may have left
        for task in tasks:
            task.cancel()


async def _answer(service: Service, row: Row) -> dict[str, Any]:
    """Predict one row; what is wrong with it is its answer."""
    ask = row.ask
    try:
        if isinstance(ask, Problem):
            raise ask
        return await service.predict(ask, patient=True)
    except Problem as problem:
        name = ask.name if isinstance(ask, Ask) else None
        text = None
        if isinstance(ask, Ask):
            text = ".".join(ask.monomers) if ask.monomers else ask.smiles
        return {
            "name": name,
            "input": text,
            "ok": False,
            "error": problem.detail,
            "problem": problem.as_dict(),
            "model": service.model().identity,
        }


def _check_count(count: int, most: int) -> None:
    if not count:
        raise Problem("invalid", "The batch is empty; expected at least one row.", [])
    if count > most:
        raise Problem(
            "too-many-rows",
            f"The batch has {count} rows; at most {most} are predicted at once. Split it.",
        )


def _json_row(item: object) -> Row:
    given = {"smiles": item} if isinstance(item, str) else item
    shown = item if isinstance(item, str) else json.dumps(item)
    try:
        return Row(Ask.model_validate(given), [shown])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = list(first["loc"])
        return Row(Problem("invalid", f"{pointer(field)}: {first['msg']}.", field), [shown])


def _csv_ask(text: str, mechanism: str | None, pm: Any, kind: str) -> Ask | Problem:
    from polyid.predict import fraction

    try:
        value = fraction(pm)
    except PolyIDError as error:
        return Problem("invalid", str(error), ["pm"])
    try:
        return Ask.model_validate(
            {"smiles": text, "mechanism": mechanism, "pm": value, "kind": kind}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = list(first["loc"])
        return Problem("invalid", f"{pointer(field)}: {first['msg']}.", field)


def _cells(answer: dict[str, Any], properties: Sequence[str]) -> list[str]:
    """Write the new cells of a CSV row, in the order of `polyid.cli_table.predicted_header`."""
    cells: list[str] = []
    for name in properties:
        found = (answer.get("properties") or {}).get(name)
        if found is None:
            cells += [""] * 4
        else:
            cells += [*(f"{found[k]:.6g}" for k in ("value", "low", "high")), found["unit"]]
    word = (answer.get("validity") or {}).get("word", "")
    return [*cells, word, answer.get("note", ""), answer["error"] or ""]


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
