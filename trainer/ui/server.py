"""Serves the page: sign-in around it, the keeper beside it."""

import os
from functools import partial

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request

from polyid.errors import PolyIDError
from trainer.space_hardware import After
from trainer.training.run import Interrupted
from trainer.ui.choices import Offer
from trainer.ui.desk import Desk
from trainer.ui.errand import Errand
from trainer.ui.keeper import Keeper
from trainer.ui.orders import Order, Outcome
from trainer.ui.page import Page, css, theme
from trainer.ui.signin import USER, Doors, SignIn, take_secret

#: Seconds that a run in a Space has to save when its container is ended.
_SAVING = 20.0


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                say(f"The page is at http://{host}:{port}")


def say(text: str) -> None:
    """Print a line, for the log of the Space."""
    print(text, flush=True)


def serve(
    desk: Desk, offer: Offer, *, host: str, port: int, after: After, idle_s: float, linger_s: float
) -> None:
    """Serve the page until it is told to end.

    Raises
    ------
    PolyIDError
        If nobody would have to sign in, or there is nothing to train.
    """
    env = dict(os.environ)
    env["UI_PASSWORD"] = take_secret("UI_PASSWORD") or ""
    take_secret("OAUTH_CLIENT_SECRET")
    doors, errand = Doors.of(env, host), Errand.of(env)
    keeper = Keeper(desk, after, idle_s, partial(_told, desk, errand), say, linger_s=linger_s)
    if errand is not None:
        offer = _begun(desk, errand, offer, keeper)
    elif not offer.files():
        raise PolyIDError(f"--data {offer.data}: expected a CSV file, or a folder of them.")
    elif desk.recover():
        say("Going on with the run that was cut off.")
    page = Page(desk, offer, keeper)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        page.build(),
        path="/",
        auth_dependency=lambda request: _user(request),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=theme(),
        css=css(),
    )
    keeper.start()
    config = uvicorn.Config(
        SignIn(app, doors), host=host, port=port, log_level="warning", proxy_headers=True,
        forwarded_allow_ips="*" if desk.space else None, timeout_graceful_shutdown=3,
    )  # fmt: skip
    try:
        _Server(config).run()
    except Interrupted:
        pass  # uvicorn hands on the signal that ended it
    finally:
        keeper.end()
        if desk.space is not None:
            desk.leave(_SAVING)


def _begun(desk: Desk, errand: Errand, offer: Offer, keeper: Keeper) -> Offer:
    """Start what a dispatch asked for; if it cannot be, say so and give the hardware back."""
    try:
        if errand.begin(desk):
            say(f"Run {errand.fingerprint} goes on here, as a dispatch asked.")
        return errand.offer(offer)
    except PolyIDError as error:
        say(f"Error: {error}")
        keeper.give_up()
        try:
            errand.refuse(str(error))
        except PolyIDError as silent:
            say(f"Whoever dispatched it could not be told: {silent}")
    return offer


def _told(desk: Desk, errand: Errand | None, order: Order, outcome: Outcome) -> None:
    if errand is not None:
        errand.tell(order, outcome, desk.log(order))


def _user(request: Request) -> str | None:
    user = request.scope.get(USER)
    return None if user is None else str(user)
