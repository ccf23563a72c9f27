"""A GitHub for tests: its REST API over real HTTP on loopback, for one repository.

Programs reach it by ``GITHUB_API_URL`` (:attr:`GitHub.url`) and ``GITHUB_TOKEN``
(:attr:`GitHub.token`, which writes as ``github-actions[bot]``, like the token of a workflow).
"""

from __future__ import annotations

import copy
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from github_server import Api
from github_state import ACTIONS, ALL, Fault, State, User

BOT = "github-actions[bot]"


class GitHub:
    """A running server. Make one with :meth:`start`, or take the fixture ``github``."""

    def __init__(self, repository: str = "acme/polymers") -> None:
        self.repository = repository
        self.state = State(repository)
        self.token = self.make_token(BOT, bot=True)
        self.url = ""

    @classmethod
    @contextmanager
    def start(cls, repository: str = "acme/polymers") -> Iterator[GitHub]:
        """Serve inside the block."""
        github = cls(repository)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 0))
            github.url = github.state.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            config = uvicorn.Config(
                Api(github.state).application(),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            try:
                _wait_until_started(server, thread)
                yield github
            finally:
                server.should_exit = True
                thread.join(30)

    def make_token(self, login: str, may: Iterable[str] = ALL, bot: bool = False) -> str:
        """Make a token of a user.

        Parameters
        ----------
        login
            Such as ``alice``; ``github-actions[bot]`` with ``bot=True`` is a workflow's token.
        may
            What it may write, of ``issues``, ``checks``, ``contents``, ``actions``; () reads only.
        """
        token = f"{'ghs' if bot else 'ghp'}_{secrets.token_hex(18)}"
        kind, app = ("Bot", ACTIONS) if bot else ("User", None)
        with self.state.lock:
            self.state.users[token] = User(login, frozenset(may), kind, app)
        return token

    def env(self, token: str | None = None) -> dict[str, str]:
        """Variables for a program that is to find this server."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_TOKEN": token or self.token,
            "GITHUB_REPOSITORY": self.repository,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def comments(self, number: int) -> list[dict[str, Any]]:
        """Comments of a pull request, oldest first, as the API gives them."""
        with self.state.lock:
            found = [c for c in self.state.comments.values() if c["number"] == number]
            return copy.deepcopy(found)

    def say(self, number: int, body: str, login: str = "alice") -> dict[str, Any]:
        """Add somebody's comment."""
        user = User(login, kind="Bot", app=ACTIONS) if login == BOT else User(login)
        with self.state.lock:
            return copy.deepcopy(self.state.add_comment(number, body, user))

    def checks(self, sha: str) -> list[dict[str, Any]]:
        """Check runs of a commit, oldest first."""
        with self.state.lock:
            return copy.deepcopy([c for c in self.state.checks.values() if c["head_sha"] == sha])

    def pull(self, number: int, head: str, fork: bool = False, branch: str = "change") -> None:
        """Let a pull request be there, for ``GET /pulls/{number}``."""
        repo = "somebody/polymers" if fork else self.repository
        with self.state.lock:
            self.state.pulls[number] = {
                "number": number,
                "state": "open",
                "head": {"sha": head, "ref": branch, "repo": {"full_name": repo, "fork": fork}},
                "base": {"ref": "main", "repo": {"full_name": self.repository}},
            }

    def ran(self, run: int, job: str, conclusion: str, **steps: str) -> None:
        """Let a run have a job, with the conclusions of its steps; ``_`` in a name is a blank."""
        with self.state.lock:
            jobs = self.state.jobs.setdefault(run, [])
            number = self.state.number()
            page = f"https://github.com/{self.repository}/actions/runs/{run}/job/{number}"
            shown = [
                {"name": name.replace("_", " "), "status": "completed", "conclusion": said}
                for name, said in steps.items()
            ]
            made = {"id": number, "run_id": run, "name": job, "html_url": page, "steps": shown}
            jobs.append(made | {"status": "completed", "conclusion": conclusion})

    def workflow_ran(
        self, id_: int, head: str, conclusion: str, workflow: str = "train.yml"
    ) -> None:
        """Let a workflow have run for a commit."""
        with self.state.lock:
            self.state.runs[id_] = {
                "id": id_,
                "head_sha": head,
                "path": f".github/workflows/{workflow}",
                "status": "completed",
                "conclusion": conclusion,
                "run_attempt": 1,
            }

    def attempts(self, id_: int) -> int:
        """How often a run of a workflow was started."""
        with self.state.lock:
            return int(self.state.runs[id_]["run_attempt"])

    def labels(self, number: int) -> list[str]:
        """Labels of a pull request."""
        with self.state.lock:
            return list(self.state.labels.get(number, []))

    def label(self, number: int, name: str) -> None:
        """Let somebody have given a pull request a label."""
        with self.state.lock:
            self.state.labels.setdefault(number, []).append(name)

    def permit(self, login: str, permission: str) -> None:
        """Give a user ``admin``, ``write`` or ``read`` here; strangers have ``read``."""
        with self.state.lock:
            self.state.permissions[login] = permission

    @property
    def started(self) -> list[dict[str, Any]]:
        """Every ``workflow_dispatch`` so far: ``workflow``, ``ref`` and ``inputs``."""
        with self.state.lock:
            return copy.deepcopy(self.state.started)

    @property
    def dispatches(self) -> list[dict[str, Any]]:
        """Every ``repository_dispatch`` so far: ``event_type`` and ``client_payload``."""
        with self.state.lock:
            return copy.deepcopy(self.state.dispatches)

    @property
    def refs(self) -> dict[str, str]:
        """Full ref names with their hashes; a tag that is an object comes to its commit."""
        with self.state.lock:
            tags = self.state.tags
            return {
                name: tags[sha]["object"]["sha"] if sha in tags else sha
                for name, sha in self.state.refs.items()
            }

    def requests(self, method: str | None = None) -> list[dict[str, Any]]:
        """Every request so far.

        Keys: method, path, query, status, user, body, ``fault`` (the injected status or None) and
        ``executed`` (the status that a fault with ``after`` hid).
        """
        with self.state.lock:
            found = [r for r in self.state.requests if method in (None, r["method"])]
            return copy.deepcopy(found)

    def inject(
        self,
        status: int,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int = 1,
        headers: dict[str, str] | None = None,
        message: str = "",
        after: bool = False,
    ) -> None:
        """Answer coming requests with an error.

        Parameters
        ----------
        status
            Such as 502 (in HTML, as a gateway does), 429 or 403.
        method, path
            Which requests: a method, and a regular expression searched in the path.
        times
            How many of them.
        headers, message
            Such as ``{"Retry-After": "1"}``.
        after
            Do what was asked before failing, so that only the answer is lost.
        """
        fault = Fault(status, method, path, times, dict(headers or {}), message, after)
        with self.state.lock:
            self.state.faults.append(fault)

    def forget(self) -> None:
        """Begin anew: no comments, checks, refs, faults or requests."""
        with self.state.lock:
            self.state.forget()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 60
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the test GitHub did not start")
        time.sleep(0.01)
