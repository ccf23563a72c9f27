"""A Hub for tests: a server of its own process, and all that a test needs to talk to it.

The server speaks real HTTP and keeps real git repositories; the real ``huggingface_hub`` client
and the real ``hf`` command talk to it. Tests get it by the fixtures of ``hub_fixtures.py``.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SERVER = Path(__file__).parent / "server" / "server.py"
_NUMBERS = itertools.count(1)
# what the surroundings may have set and a test must not inherit
FOREIGN = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_CACHE",
    "HF_XET_CACHE",
    "HF_ASSETS_CACHE",
    "HF_STORED_TOKENS_PATH",
    "HF_HUB_OFFLINE",
    "HF_OIDC_RESOURCE",
    "HF_OIDC_ID_TOKEN",
    "GITHUB_ACTIONS",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    *(f"{n}_proxy" for n in ("http", "https", "all")),
    *(f"{n}_PROXY" for n in ("HTTP", "HTTPS", "ALL")),
)


class Hub:
    """A running server. Make one with :meth:`start`."""

    def __init__(self, root: Path, process: subprocess.Popen[str]) -> None:
        self.root = root
        self._process = process
        self._lock = threading.Lock()
        hello = self._read()
        self.port: int = hello["port"]
        self.owner_token: str = hello["token"]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def start(cls, root: Path) -> Iterator[Hub]:
        """Start a server whose repositories live in ``root``; it ends with the block."""
        root.mkdir(parents=True, exist_ok=True)
        with (root / "server.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, str(SERVER), str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            yield cls(root, process)
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            log = (self.root / "server.log").read_text()
            raise RuntimeError(f"the test Hub ended; its log says:\n{log}")
        return json.loads(line)

    def control(self, command: str, /, **args: Any) -> Any:
        """Give the server a command beside HTTP (works while it is offline)."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps({"do": command, "with": args}) + "\n")
            self._process.stdin.flush()
            answer = self._read()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def name(self, stem: str = "repo", namespace: str = "acme") -> str:
        """A repository name that nobody has used yet."""
        return f"{namespace}/{stem}-{next(_NUMBERS)}-{secrets.token_hex(3)}"

    def token(
        self,
        name: str = "owner",
        role: str = "write",
        repos: list[str] | None = None,
        namespace: str = "acme",
        **more: Any,
    ) -> str:
        """Make a token of user ``namespace``.

        Parameters
        ----------
        role
            ``read``, ``write`` or ``fineGrained``.
        repos
            What a fine-grained token may see and write: ``ns/name``, ``datasets/ns/name``, or a
            bare ``ns`` for all of a namespace (creation and jobs included).
        more
            ``jobs=True`` (fine-grained: may run jobs), ``orgs=[...]`` (organizations of the user),
            ``seconds=`` (its life).
        """
        more |= {"name": name, "role": role, "repos": repos, "namespace": namespace}
        return self.control("token", **more)

    def revoke(self, token: str) -> None:
        """Make a token unknown (401 from now on)."""
        self.control("revoke", value=token)

    def api(self, token: str | bool | None = None) -> HfApi:
        """The real client, pointed here; ``token=False`` for an anonymous one."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.owner_token if token is None else token)

    def env(self, home: Path, token: str | bool | None = None) -> dict[str, str]:
        """The environment for a subprocess that uses the client or ``hf``."""
        env = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        env |= self.variables(home)
        if token is not False:
            env["HF_TOKEN"] = self.owner_token if token in (None, True) else str(token)
        return env

    def variables(self, home: Path) -> dict[str, str]:
        """The variables of :meth:`env` that are about this server."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def ci_env(
        self, repository: str = "acme/code", workflow: str = "train.yaml", branch: str = "main"
    ) -> dict[str, str]:
        """Variables of a GitHub job that may ask for an id token (add ``HF_OIDC_RESOURCE``)."""
        bearer = secrets.token_hex(16)
        self.control(
            "ci_job", bearer=bearer, repository=repository, workflow=workflow, branch=branch
        )
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.endpoint}/_github/id-token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer,
        }

    def trust(self, resource: str, repository: str = "acme/code", **claims: str) -> None:
        """Let a workflow (``repository``, ``workflow=``, ``branch=``) publish ``resource``."""
        self.control("trust", resource=resource, repository=repository, **claims)

    def calls(self, clear: bool = False) -> list[dict[str, Any]]:
        """Every request so far.

        Keys: n, method, path (raw), query, status (0 when no answer was given), token_name, fault
        (the injected kind or None); ``executed`` (status that ``drop_after`` hid), ``error`` (a
        traceback of the server's own failure).
        """
        return self.control("calls", clear=clear)

    def inject(
        self,
        fault: str,
        *,
        nth: int | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int = 1,
        **more: Any,
    ) -> None:
        """Make coming requests fail.

        Parameters
        ----------
        fault
            A status (``500``, ``503``, ``401``, ``403``, ``409``, ``412``, ``429``...), answered
            before anything is done; ``drop`` (closed before anything is done); ``drop_after``
            (executed in full, then closed without an answer); ``slow`` (``seconds=``, executed at
            once and answered late; with ``before=True`` executed late); ``truncate`` (half of the
            body under the full Content-Length).
        nth, times
            The nth request from now that matches ``method`` and ``path`` (1 is the next), and as
            many after it as ``times`` says.
        path
            Regular expression, searched in the raw path (revisions percent-encoded, no query).
        more
            For a status: ``message=``, ``headers=``.
        """
        more |= {"method": method, "path": path}
        self.control("inject", fault=str(fault), nth=nth, times=times, **more)

    def clear_faults(self) -> None:
        """Forget all faults."""
        self.control("clear_faults")

    def settings(self, **values: Any) -> None:
        """Change how the server behaves; the fixture ``hub`` sets all back.

        ``multipart_over`` (bytes from which an upload goes in parts), ``page`` (commits of a page),
        ``oidc_seconds``, ``space_seconds`` (of each stage), ``space_lag_seconds``, and
        ``free_account`` and ``no_credit`` (402 for Spaces and jobs), ``no_machine`` (jobs stay in
        SCHEDULING while it is set).
        """
        self.control("settings", **values)

    def space(
        self,
        repo_id: str,
        *,
        stage: str | None = None,
        ends: str | None = None,
        command: list[str] | None = None,
        cwd: Path | None = None,
    ) -> dict[str, Any]:
        """Force a Space's stage, how its next walk ends (``BUILD_ERROR``...), or what runs in it.

        With ``command`` every start (push, restart, change of settings) from now on runs it in
        ``cwd``, with the Space's variables and secrets and ``PORT``; ``domains`` of the runtime
        names its address.

        Returns what the application would see: variables, secrets with values, ``sha``; and the
        ``folder`` with the home of each start, numbered from 0 and with its ``log.txt``.
        """
        folder = str(cwd) if cwd else None
        more = {"stage": stage, "ends": ends, "command": command, "cwd": folder}
        return self.control("space", repo_id=repo_id, **more)

    def folder(self, repo_id: str, repo_type: str = "model") -> Path:
        """The bare git repository behind a name."""
        return self.root / "repos" / f"{repo_type}s" / f"{repo_id}.git"

    def git(self, repo_id: str, *args: str, repo_type: str = "model") -> str:
        """The output of real git in the bare repository."""
        command = ["git", f"--git-dir={self.folder(repo_id, repo_type)}", *args]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"git {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def refs(self, repo_id: str, repo_type: str = "model") -> dict[str, str]:
        """Full ref names with the commit each comes to (tags peeled)."""
        form = "%(refname) %(objectname) %(*objectname)"
        rows = self.git(repo_id, "for-each-ref", f"--format={form}", repo_type=repo_type)
        return {r.split()[0]: r.split()[-1] for r in rows.splitlines()}

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Refuse connections inside the block; afterwards answer again on the same port."""
        self.control("offline")
        try:
            yield
        finally:
            self.control("online")
