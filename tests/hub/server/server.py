"""The server's process: the application, its port, and the commands that come on stdin.

Run as ``python server.py ROOT``. It prints one JSON line ``{"port": N, "token": "hf_..."}`` and
then answers each JSON line on stdin with one on stdout; it ends when stdin does, so that it never
outlives the test run that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import commits
import discussions
import jobs
import lfs
import lfs_files
import oidc
import refs
import repo_api
import resolve
import spaces
import tokens
import uvicorn
from faults import Faults
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from state import State
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

ROOMS = (tokens, jobs, spaces, repo_api, oidc, refs, discussions, commits, resolve, lfs, lfs_files)


class Door:
    """The port: open, shut (connections refused) and open again under the same number."""

    def __init__(self, app: Any) -> None:
        self.config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=120,
            lifespan="off",
            server_header=False,
        )
        self.config.load()
        self.state = ServerState()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        # asyncio turns off Nagle's delay (40 ms an answer) only where the protocol is named
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listener, backlog=512)

    def _connection(self) -> asyncio.Protocol:
        return H11Protocol(config=self.config, server_state=self.state, app_state={})

    async def shut(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for connection in list(self.state.connections):
            connection.transport.abort()
        while self.state.connections:
            await asyncio.sleep(0.001)


class Control:
    """What the tests can ask of the server, beside HTTP."""

    def __init__(self, state: State, faults: Faults, door: Door) -> None:
        self.state, self.faults, self.door = state, faults, door

    async def do(self, name: str, args: dict[str, Any]) -> Any:
        if name == "token":
            return self.state.tokens.make(**args).value
        if name == "revoke":
            return self.state.tokens.revoke(args["value"])
        if name == "calls":
            return self.faults.taken(args["clear"])
        if name == "inject":
            return self.faults.inject(**args)
        if name == "clear_faults":
            return self.faults.clear()
        if name == "offline":
            return await self.door.shut()
        if name == "online":
            return await self.door.open()
        if name == "settings":
            return self.state.settings.update(args)
        if name == "space":
            return self.state.told_space(**args)
        if name == "trust":
            return self.state.publishers.trusted.append(oidc.Publisher(**args))
        if name == "ci_job":
            bearer = args.pop("bearer")
            self.state.publishers.jobs[bearer] = args
            return None
        raise ValueError(f"command {name!r} is not known")


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _failed(request: Request, error: Exception) -> Response:
    """A failure of this server itself: a 500 whose traceback ``Hub.calls()`` shows."""
    request.scope["call"]["error"] = "".join(traceback.format_exception(error))
    return JSONResponse({"error": "the test Hub itself failed, see calls()"}, 500)


async def _main(root: Path) -> None:
    app = Starlette(
        routes=[r for room in ROOMS for r in room.ROUTES], exception_handlers={Exception: _failed}
    )
    app.router.redirect_slashes = False
    state = State(root, "", "")
    app.state.hub = state
    faults = Faults(app, state.tokens)
    door = Door(faults)
    await door.open()
    # downloads of large files must leave for another host name, as on the real Hub
    state.endpoint = f"http://127.0.0.1:{door.port}"
    state.cdn = f"http://localhost:{door.port}"
    owner = state.tokens.make("owner")
    control = Control(state, faults, door)
    reader = await _lines()
    print(json.dumps({"port": door.port, "token": owner.value}), flush=True)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            answer = {"value": await control.do(command["do"], command.get("with", {}))}
        except (ValueError, TypeError, KeyError, OSError):
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
    await door.shut()
    state.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(Path(sys.argv[1])))
