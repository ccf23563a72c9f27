"""The tab for many polymers: a CSV file in, the same file with predictions out."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app import batches
from app.page.parts import notice
from app.page.table_view import Tally, progress, summary
from app.problems import KINDS, Problem
from app.service import Service

#: Seconds between two looks at how far a table is.
_PAUSE = 0.4

_HOW = """<section class="prose"><h2>Many polymers at once</h2>
<p>A CSV file with a header. Structures stand in a column <code>smiles</code>,
<code>repeat_unit</code> or <code>monomers</code>; columns <code>mechanism</code> and
<code>pm</code> are read if they are there, all others come back as they are. At most {rows} rows.
</p><p>The file comes back with value, interval and unit of every property, the validity, and for a
row that cannot be predicted the reason.</p></section>"""
_EXAMPLE = "name,smiles,mechanism\nPolystyrene,*CC(*)c1ccccc1,\nPLA,CC(O)C(=O)O,ester\n"


class TableTab:
    """The tab, and what happens in it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        with gr.Column(elem_id="table"):
            gr.HTML(_HOW.format(rows=f"{service.limits.rows:,}"), padding=False)
            self.file = gr.File(
                label="CSV file", file_types=[".csv", ".txt"], height=130, elem_id="csv-in"
            )
            with gr.Row(elem_id="table-buttons"):
                go = gr.Button("Predict the table", variant="primary")
                stop = gr.Button("Stop")
                example = gr.Button("Use an example")
            self.html = gr.HTML(elem_id="table-result", padding=False)
            self.out = gr.DownloadButton(
                "Download the table with predictions",
                visible=False,
                variant="primary",
                elem_id="csv-out",
            )
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        event = go.click(self.run, self.file, [self.html, self.out], **private)
        stop.click(self.stopped, None, [self.html, self.out], cancels=[event], **private)
        example.click(self.example, None, [self.html, self.out, self.file], **private)

    async def run(self, path: str | None) -> AsyncIterator[tuple[Any, Any]]:
        """Predict a table and tell how far it is."""
        hidden = gr.update(visible=False)
        if path is None:
            yield notice("error", "No file", "Choose a CSV file first.", alert=True), hidden
            return
        try:
            async for done in self._predicted(Path(path)):
                if isinstance(done, str):
                    yield done, hidden
                    continue
                with tempfile.TemporaryDirectory(prefix="polyid-table-") as folder:
                    out = Path(folder) / f"{Path(path).stem}-predicted.csv"
                    out.write_bytes(done.content)
                    # the library takes a copy before it goes on, and deletes that after a while
                    yield summary(done), gr.update(value=str(out), visible=True)
        except Problem as problem:
            yield notice("error", KINDS[problem.code].title, problem.detail, alert=True), hidden

    async def _predicted(self, path: Path) -> AsyncIterator["str | Tally"]:
        """Yield progress as HTML, and at the end the whole table."""
        service = self.service
        service.model()
        body = await asyncio.to_thread(path.read_bytes)
        batch = await asyncio.to_thread(batches.from_csv, body, service.limits.rows, path.name)
        if not service.begin_batch():
            raise Problem("busy", f"{service.limits.batches} tables are being predicted already.")
        properties = list(service.model().about["properties"])
        tally, looked = Tally(len(batch.rows), len(batch.header), properties), 0.0
        try:
            async for line in batches.stream(service, batch, batches.CSV):
                tally.add(line)
                if time.monotonic() - looked > _PAUSE:
                    looked = time.monotonic()
                    yield progress(tally)
        finally:
            service.end_batch()
        yield tally

    def stopped(self) -> tuple[Any, Any]:
        """Say that nothing more is predicted."""
        return notice("info", "Stopped", "Nothing was kept."), gr.update(visible=False)

    def example(self) -> Iterator[tuple[Any, Any, str]]:
        """Put a small table into the form."""
        with tempfile.TemporaryDirectory(prefix="polyid-table-") as folder:
            path = Path(folder) / "example.csv"
            path.write_text(_EXAMPLE, encoding="utf-8")
            yield "", gr.update(visible=False), str(path)
