"""The page: what is chosen, what runs, and three buttons. Every look is read anew from disk."""

import os
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from polyid.errors import PolyIDError
from trainer.ui.choices import Choice, Offer
from trainer.ui.desk import Desk
from trainer.ui.expected import expected_facts
from trainer.ui.keeper import Keeper
from trainer.ui.progress import progress
from trainer.ui.views import plan_view, run_view, trouble_view

#: Seconds between two looks of a browser.
_PACE = 2.0
_FONTS = ("ui-sans-serif", "system-ui", "sans-serif")


class Page:
    """The page of one desk.

    Parameters
    ----------
    desk
        The run.
    offer
        What can be chosen.
    keeper
        Whose troubles are shown.
    """

    def __init__(self, desk: Desk, offer: Offer, keeper: Keeper) -> None:
        self.desk, self.offer, self.keeper = desk, offer, keeper

    def build(self) -> gr.Blocks:
        """Lay it out."""
        first = self.offer.first_choice(self.offer.recipes()[0])
        names = list(self.offer.recipe(first.recipe).data.properties)
        with gr.Blocks(title="PolyID training", analytics_enabled=False, fill_width=True) as blocks:
            gr.HTML(f"<h1>PolyID training</h1><p>{self._where()}</p>", elem_id="title")
            notice = gr.HTML("", elem_id="notice", elem_classes="hide-when-empty")
            run = gr.HTML("", elem_id="run")
            with gr.Row():
                stop = gr.Button("Stop", visible=False, elem_id="stop")
                resume = gr.Button("Resume", variant="primary", visible=False, elem_id="resume")
            with gr.Column(elem_id="choice") as form:
                gr.HTML("<h2>New run</h2>")
                with gr.Row():
                    recipe = gr.Dropdown(
                        self.offer.recipes(), value=first.recipe, label="Recipe", elem_id="recipe"
                    )
                    data = gr.Dropdown(
                        list(self.offer.files()), value=first.data, label="Data", elem_id="data"
                    )
                with gr.Row():
                    epochs = gr.Number(
                        first.epochs, label="Epochs", precision=0, minimum=1, elem_id="epochs"
                    )
                    folds = gr.Number(
                        first.folds, label="Folds", precision=0, minimum=2, maximum=50,
                        elem_id="folds",
                    )  # fmt: skip
                chosen = gr.CheckboxGroup(
                    names, value=names, label="Properties", elem_id="properties"
                )
                plan = gr.HTML("", elem_id="plan")
                start = gr.Button("Start", variant="primary", elem_id="start")
            shown = gr.State("")
            choice = [recipe, data, epochs, folds, chosen]
            looks = [run, stop, resume, form, shown]
            quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
            gr.Timer(_PACE).tick(self._look, shown, looks, api_visibility="private", **quiet)
            blocks.load(self._look_anew, None, looks, api_visibility="private", **quiet)
            blocks.load(self._plan, choice, [plan, start], api_visibility="private", **quiet)
            recipe.input(
                self._recipe, recipe, [data, epochs, folds, chosen], api_visibility="private"
            ).then(self._plan, choice, [plan, start], api_visibility="private", **quiet)
            for part in (data, epochs, folds, chosen):
                part.input(self._plan, choice, [plan, start], api_visibility="private", **quiet)
            for button, act, inputs in (
                (start, self._start, choice),
                (stop, self._stop, None),
                (resume, self._resume, None),
            ):
                button.click(
                    act, inputs, notice, api_visibility="private", concurrency_limit=1
                ).then(self._look_anew, None, looks, api_visibility="private", **quiet)
        return blocks

    def _where(self) -> str:
        place = f"Space {self.desk.space}" if self.desk.space else "this machine"
        return f"On {place}. Candidates go to <code>{self.desk.registry}</code>."

    def _look(self, shown: str) -> list[Any]:
        """Show how things stand, unless that is what is shown already."""
        seen = self.desk.see()
        order = seen.order
        far = progress(self.desk.work, order) if order else None
        log = self.desk.log(order) if order else []
        text = run_view(seen, far, log, self.keeper.trouble)
        if text == shown:
            return [gr.skip()] * 5
        return [
            text,
            gr.update(visible=seen.standing in ("running", "stopping"),
                      interactive=seen.standing == "running"),
            gr.update(visible=seen.standing in ("stopped", "failed")),
            gr.update(visible=not seen.busy),
            text,
        ]  # fmt: skip

    def _look_anew(self) -> list[Any]:
        return self._look("")

    def _recipe(self, name: str) -> list[Any]:
        first = self.offer.first_choice(name)
        names = list(self.offer.recipe(name).data.properties)
        return [first.data, first.epochs, first.folds, gr.update(choices=names, value=names)]

    def _plan(self, *choice: Any) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                chosen = self.offer.choose(_choice(choice), Path(folder) / "params.yaml")
                known = self._known(chosen.plan.fingerprint)
                facts = expected_facts(chosen.plan, self.desk.space, self.desk.conduct(chosen.plan))
            except PolyIDError as error:
                return [trouble_view(str(error)), gr.update(interactive=False)]
        view = plan_view(chosen, facts, known)
        return [view, gr.update(interactive=chosen.report.ok)]

    def _known(self, fingerprint: str) -> bool:
        from trainer.registry import open_registry

        return open_registry(self.desk.registry).has_candidate(fingerprint)

    def _start(
        self, recipe: str, data: str, epochs: float, folds: float, chosen: list[str],
        request: gr.Request,
    ) -> str:  # fmt: skip
        choice = _choice((recipe, data, epochs, folds, chosen))
        with tempfile.TemporaryDirectory() as folder:
            staged = Path(folder) / "params.yaml"
            return self._tried(
                lambda: self.desk.start(self.offer.choose(choice, staged), _who(request))
            )

    def _stop(self, request: gr.Request) -> str:
        return self._tried(lambda: self.desk.stop(_who(request)))

    def _resume(self, request: gr.Request) -> str:
        return self._tried(lambda: self.desk.resume(_who(request)))

    @staticmethod
    def _tried(act: Callable[[], object]) -> str:
        try:
            act()
        except (PolyIDError, OSError) as error:
            return trouble_view(str(error))
        return ""


def _choice(values: Any) -> Choice:
    recipe, data, epochs, folds, properties = values
    return Choice(
        str(recipe), str(data), int(epochs or 0), int(folds or 0), tuple(map(str, properties or ()))
    )


def _who(request: gr.Request) -> str:
    return str(request.username or "somebody")


def theme() -> gr.themes.Base:
    """Return a plain theme with the system's own fonts."""
    plain = gr.themes.Default(
        primary_hue="blue", neutral_hue="gray", font=_FONTS, font_mono=("ui-monospace", "monospace")
    )
    # dark enough to be read by everybody
    return plain.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def css() -> str:
    """Return the page's style."""
    return (resources.files("trainer") / "templates" / "ui.css").read_text("utf-8")
