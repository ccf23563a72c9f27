"""The page's layout, and which part of it asks for what."""

from typing import Any

import gradio as gr
from fastapi import FastAPI

from app.loading import Loader
from app.page.entries import WAYS, Entry
from app.page.look import style, theme
from app.page.names import NAMES
from app.page.results import EMPTY
from app.page.screen import Screen, Shown, form_of, linked
from app.page.table import TableTab
from app.service import Service
from polyid.mechanisms import MECHANISMS

_QUERY = "() => location.search"
#: The address becomes the link; on a narrow window what was asked for comes into sight.
_KEEP = """(link) => {
  if (!link) return link;
  history.replaceState(null, '', link.startsWith('?') ? location.pathname + link : link);
  if (innerWidth < 760) document.querySelector('#results').scrollIntoView();
  return location.href;
}"""
_PLA = "CC(O)C(=O)" + "OC(C)C(=O)" * 11 + "O"
_EXAMPLES = (
    ("Polystyrene by name", Entry("name", "Polystyrene (PS)")),
    ("Nylon 6,6 from monomers", Entry("monomers", "O=C(O)CCCCC(=O)O\nNCCCCCCN", "amide")),
    ("PET by its repeat unit", Entry("unit", "*OCCOC(=O)c1ccc(C(*)=O)cc1")),
    ("A whole chain of PLA", Entry("chain", _PLA)),
)


def build(shell: FastAPI, service: Service, loader: Loader) -> FastAPI:
    """Put the page into an application that holds nothing else."""
    screen = Screen(service, loader)
    with gr.Blocks(
        title="PolyID", analytics_enabled=False, fill_width=True, delete_cache=(3_600, 3_600)
    ) as demo:
        head = gr.HTML(screen.head(), elem_id="head", padding=False)
        search = gr.Textbox(visible=False)
        again = gr.Timer(2.0, active=False)
        with gr.Tabs():
            with gr.Tab("Predict"):
                predict = Predict(screen)
            with gr.Tab("Table"):
                TableTab(service)
            with gr.Tab("About this model"):
                about = gr.Markdown(screen.about(), elem_id="about")

        async def arrive(query: str) -> list[Any]:
            if not screen.ready:
                waiting = [gr.skip()] * (len(predict.fields) + len(predict.shown) + 1)
                return [query, gr.Timer(active=True), screen.head(), *waiting, gr.skip()]
            entries, asked = linked(query)
            shown = await screen.show(entries, asked)
            return [
                *(query, gr.Timer(active=False), screen.head(), screen.about()),
                *predict.filled(entries[-1] if entries else None),
                gr.update(visible=screen.takes_pm),
                *predict.showing(shown),
            ]

        arriving: dict[str, Any] = {
            "fn": arrive,
            "inputs": search,
            "outputs": [
                *(search, again, head, about),
                *predict.fields,
                predict.pm,
                *predict.shown,
            ],
            "api_visibility": "private",
            "show_progress": "hidden",
        }
        for event in (demo.load(js=_QUERY, **arriving), again.tick(**arriving)):
            predict.keep_link(event)
    demo.queue(default_concurrency_limit=16, max_size=256)
    return gr.mount_gradio_app(
        shell,
        demo,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=False,
        max_file_size=service.limits.body,
        theme=theme(),
        head=style(),
    )


class Predict:
    """The tab in which polymers are given and shown."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.entries = gr.State([])
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=2, min_width=300, elem_id="ask"):
                self._form()
            with gr.Column(scale=5, min_width=320, elem_id="answers"):
                self.html = gr.HTML(EMPTY, elem_id="results", padding=False)
                self.link = gr.Textbox(
                    label="Link to these predictions",
                    info="It names the polymers and the model, so the same numbers come back.",
                    interactive=False,
                    visible=False,
                    buttons=["copy"],
                    elem_id="link",
                )
        self._connect()

    def _form(self) -> None:
        self.way = gr.Radio(
            [(title, key) for key, title in WAYS.items()],
            value="name",
            label="Give the polymer by",
            elem_id="way",
        )
        self.texts: dict[str, Any] = {
            "name": gr.Dropdown(
                [named.label for named in NAMES],
                value=None,
                allow_custom_value=True,
                label="Name of the polymer",
                info="Choose, or type a name or an abbreviation.",
                elem_id="name",
            ),
            "monomers": gr.Textbox(
                label="Monomers as SMILES",
                info="One a line, with the groups that react.",
                placeholder="O=C(O)CCCCC(=O)O\nNCCCCCCN",
                lines=2,
                visible=False,
                elem_id="monomers",
            ),
            "unit": gr.Textbox(
                label="Repeat unit as SMILES",
                info="With a * at each of its two open ends.",
                placeholder="*CC(*)c1ccccc1",
                max_lines=1,
                visible=False,
                elem_id="unit",
            ),
            "chain": gr.Textbox(
                label="Whole chain as SMILES",
                info="An oligomer with its end groups, read as it is.",
                lines=3,
                max_lines=8,
                visible=False,
                elem_id="chain",
            ),
        }
        self.mechanism = gr.Dropdown(
            [("Find it from their groups", ""), *((f"{k}: {v}", k) for k, v in MECHANISMS.items())],
            value="",
            label="How they join",
            visible=False,
            elem_id="mechanism",
        )
        self.pm = gr.Slider(
            0,
            1,
            value=0.5,
            step=0.01,
            label="Fraction of meso dyads",
            info="0 syndiotactic, 0.5 atactic, 1 isotactic.",
            visible=self.screen.takes_pm,
            elem_id="pm",
        )
        with gr.Row(elem_id="buttons"):
            self.go = gr.Button("Predict", variant="primary", elem_id="go")
            self.add = gr.Button("Add beside", elem_id="add")
        self.chosen = gr.CheckboxGroup(
            [], label="Shown side by side", visible=False, elem_id="chosen"
        )
        gr.HTML("<h2 class='small-head'>Examples</h2>", padding=False)
        with gr.Column(elem_id="examples"):
            self.examples = [gr.Button(title, size="sm") for title, _ in _EXAMPLES]

    @property
    def fields(self) -> list[Any]:
        """Everything that `filled` fills."""
        return [self.way, *self.texts.values(), self.mechanism]

    @property
    def shown(self) -> list[Any]:
        """Everything that `showing` fills."""
        return [self.entries, self.html, self.link, self.chosen]

    def filled(self, entry: Entry | None) -> list[Any]:
        """Fill the form with a polymer; leave it as it is without one."""
        if entry is None:
            return [gr.skip()] * len(self.fields)
        form = form_of(entry)
        texts = [gr.update(value=form.get(w), visible=w == entry.way) for w in self.texts]
        mechanism = gr.update(value=form["mechanism"], visible=entry.way == "monomers")
        return [entry.way, *texts, mechanism]

    def showing(self, shown: Shown) -> list[Any]:
        """Show predictions."""
        choices = [(f"{i}. {e.title[:40]}", i) for i, e in enumerate(shown.entries, start=1)]
        return [
            shown.entries,
            shown.html,
            gr.update(value=shown.link, visible=bool(shown.link)),
            gr.update(
                choices=choices, value=[i for _, i in choices], visible=len(shown.entries) > 1
            ),
        ]

    def _connect(self) -> None:
        async def predict(*form: Any) -> list[Any]:
            return self.showing(await self.screen.show([self._entry(form)]))

        async def add(before: list[Entry], *form: Any) -> list[Any]:
            entries = [Entry(*one) for one in before]
            return self.showing(await self.screen.show([*entries, self._entry(form)]))

        async def choose(before: list[Entry], kept: list[int]) -> list[Any]:
            entries = [Entry(*one) for i, one in enumerate(before, start=1) if i in kept]
            return self.showing(await self.screen.show(entries))

        def turn(way: str) -> list[Any]:
            texts = [gr.update(visible=key == way) for key in self.texts]
            return [*texts, gr.update(visible=way == "monomers")]

        form = [*self.fields, self.pm]
        private: dict[str, Any] = {"api_visibility": "private"}
        self.way.input(
            turn,
            self.way,
            [*self.texts.values(), self.mechanism],
            show_progress="hidden",
            # two keys in a row: the second counts, even if the first is still being answered
            trigger_mode="always_last",
            **private,
        )
        submitted = [self.texts[way].submit for way in ("unit", "chain", "monomers")]
        events = [gr.on([self.go.click, *submitted], predict, form, self.shown, **private)]
        events.append(self.add.click(add, [self.entries, *form], self.shown, **private))
        events.append(
            self.chosen.input(
                choose,
                [self.entries, self.chosen],
                self.shown,
                trigger_mode="always_last",
                **private,
            )
        )
        for button, (_, entry) in zip(self.examples, _EXAMPLES, strict=True):

            async def example(pm: float, entry: Entry = entry) -> list[Any]:
                asked = entry._replace(pm=pm if self.screen.takes_pm else None)
                shown = await self.screen.show([asked])
                return [*self.filled(entry), *self.showing(shown)]

            outputs = [*self.fields, *self.shown]
            events.append(button.click(example, self.pm, outputs, **private))
        for event in events:
            self.keep_link(event)

    def keep_link(self, event: Any) -> None:
        """Let the window's address follow what ``event`` has shown."""
        event.then(
            None, self.link, self.link, js=_KEEP, api_visibility="private", show_progress="hidden"
        )

    def _entry(self, form: tuple[Any, ...]) -> Entry:
        way, *texts, mechanism, pm = form
        return self.screen.entry(way, texts, mechanism, pm)
