"""What happens on the page: from the form to shown predictions, links and the model's state."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from app.loading import Loader
from app.page.about import about
from app.page.answers import answer_all
from app.page.entries import MOST, WAYS, Entry, from_query, to_query
from app.page.parts import notice, revision_of
from app.page.results import results
from app.service import Service

_BRAND = """<header class="brand"><div><h1>PolyID</h1>
<p>Properties of a polymer from its structure, each with an interval and a word on how far to trust
it.</p></div>{}</header>"""
_LOADING = "It takes some seconds after a start. This page goes on by itself when it is there."


class Shown(NamedTuple):
    """What the part of the page that shows predictions holds."""

    entries: list[Entry]
    html: str
    link: str
    """Query of the page's address under which they come back."""


class Screen:
    """The page's answers to its visitors; it holds nothing about any of them."""

    def __init__(self, service: Service, loader: Loader) -> None:
        self.service, self.loader = service, loader

    @property
    def ready(self) -> bool:
        """Whether there is a model to predict with."""
        return self.service.served is not None

    @property
    def takes_pm(self) -> bool:
        """Whether the model that is served reads the tacticity."""
        served = self.service.served
        return bool(served and served.about["takes_pm"])

    def entry(
        self, way: str, texts: Sequence[str | None], mechanism: str | None, pm: float
    ) -> Entry:
        """Read the form; ``texts`` holds what was written for each of `WAYS`."""
        text = dict(zip(WAYS, texts, strict=True))[way] or ""
        return Entry(
            way,
            text,
            (mechanism or None) if way == "monomers" else None,
            pm if self.takes_pm else None,
        )

    async def show(self, entries: Sequence[Entry], asked: str | None = None) -> Shown:
        """Predict polymers and show them.

        Parameters
        ----------
        entries
            What was asked for; only the last `MOST` are shown.
        asked
            Revision that a link names.
        """
        entries = list(entries)[-MOST:]
        html = results(await answer_all(self.service, entries), self._other_model(asked))
        served = self.service.served
        link = ""
        if entries and served is not None:
            link = f"?{to_query(entries, revision_of(served.identity))}"
        return Shown(entries, html, link)

    def head(self) -> str:
        """Say which model is served, or why none is."""
        served, status = self.service.served, self.loader.status
        if served is None:
            if status.phase == "not ready":
                return _BRAND.format("") + notice(
                    "error", "No model is served", status.reason or "GET /health says more."
                )
            return _BRAND.format("") + notice("info", "The model is being loaded", _LOADING)
        name = revision_of(served.identity) or "a folder"
        trained = served.identity.get("fingerprint")
        more = f"<br>run <code>{escape(trained)}</code>" if trained and trained != name else ""
        line = _BRAND.format(f'<p class="served">Model <strong>{escape(name)}</strong>{more}</p>')
        if status.phase == "degraded":
            line += notice("warning", "Another release than was asked for", status.reason or "")
        return line + "".join(notice("warning", "Not tested", text) for text in status.warnings)

    def about(self) -> str:
        """Tell about the model, as Markdown."""
        return about(self.service.served)

    def _other_model(self, asked: str | None) -> str:
        served = self.service.served
        if not asked or served is None:
            return ""
        same = {served.identity.get(k) for k in ("tag", "revision", "hub_commit", "fingerprint")}
        if asked in same:
            return ""
        now = revision_of(served.identity) or "a folder without a revision"
        return notice(
            "warning",
            "This link was made with another model",
            f"It names {asked[:80]}; served here is {now}. The numbers below are of {now} and may "
            "differ from those that were shared.",
            alert=True,
        )


def linked(search: str) -> tuple[list[Entry], str | None]:
    """Read the query of the page's address."""
    return from_query(search)


def form_of(entry: Entry) -> dict[str, Any]:
    """Fill the form with a polymer: a value for every field that it uses."""
    return {"way": entry.way, entry.way: entry.text, "mechanism": entry.mechanism or ""}
