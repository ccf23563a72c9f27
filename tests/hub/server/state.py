"""The server's memory: repositories by kind and name, tokens, jobs; who may see and change what."""

from __future__ import annotations

import itertools
import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gitstore
import pygit2
from jobs import Jobs
from oidc import Publishers
from space_process import Application
from tokens import Tokens
from wire import KINDS, PREFIX, Call, RefusalError, stamp


@dataclass
class Repo:
    """A repository: its bare git folder (with ``lfs/`` in it) and what git does not keep."""

    kind: str
    repo_id: str
    path: Path
    private: bool = False
    gated: Any = False
    made: str = field(default_factory=stamp)
    lock: threading.RLock = field(default_factory=threading.RLock)
    discussions: list[dict[str, Any]] = field(default_factory=list)
    space: Any = None

    def git(self) -> pygit2.Repository:
        return gitstore.opened(self.path)

    def lfs_file(self, sha256: str) -> Path:
        return self.path / "lfs" / sha256[:2] / sha256

    def has_lfs(self, sha256: str) -> int | None:
        """The size of an uploaded object, None when it was never uploaded here."""
        try:
            return self.lfs_file(sha256).stat().st_size
        except FileNotFoundError:
            return None


class State:
    """Everything that a running server knows."""

    def __init__(self, root: Path, endpoint: str, cdn: str) -> None:
        self.root, self.endpoint, self.cdn = root, endpoint, cdn
        self.tokens = Tokens()
        self.publishers = Publishers()
        self.secret = secrets.token_bytes(16)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.lock = threading.RLock()
        self.settings: dict[str, Any] = {"multipart_over": None, "page": 50}
        self.jobs = Jobs(root / "jobs", lambda: bool(self.settings.get("no_machine")))
        self._trash = itertools.count()

    def folder(self, kind: str, repo_id: str) -> Path:
        return self.root / "repos" / kind / f"{repo_id}.git"

    def url(self, kind: str, repo_id: str) -> str:
        return f"{self.endpoint}/{PREFIX[kind]}{repo_id}"

    def add(self, kind: str, repo_id: str, private: bool, author: str) -> Repo:
        """Make a repository; 409 with its address when it is there."""
        with self.lock:
            if (kind, repo_id) in self.repos:
                raise self.taken(kind, repo_id)
            path = self.folder(kind, repo_id)
            gitstore.make(path, author)
            repo = self.repos[kind, repo_id] = Repo(kind, repo_id, path, private)
            return repo

    def taken(self, kind: str, repo_id: str) -> RefusalError:
        text = f"You already created this {KINDS[kind]} repo"
        return RefusalError(409, text, url=self.url(kind, repo_id))

    def copy(self, source: Repo, repo_id: str, private: bool) -> Repo:
        with self.lock:
            if (source.kind, repo_id) in self.repos:
                raise self.taken(source.kind, repo_id)
            path = self.folder(source.kind, repo_id)
            shutil.copytree(source.path, path)
            repo = self.repos[source.kind, repo_id] = Repo(source.kind, repo_id, path, private)
            return repo

    def move(self, repo: Repo, repo_id: str) -> None:
        with self.lock:
            if (repo.kind, repo_id) in self.repos:
                raise self.taken(repo.kind, repo_id)
            path = self.folder(repo.kind, repo_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            repo.path.rename(path)
            del self.repos[repo.kind, repo.repo_id]
            repo.repo_id, repo.path = repo_id, path
            self.repos[repo.kind, repo_id] = repo

    def remove(self, repo: Repo) -> None:
        with self.lock:
            self.repos.pop((repo.kind, repo.repo_id), None)
            self.end_application(repo)
            grave = self.root / "trash" / str(next(self._trash))
            grave.parent.mkdir(exist_ok=True)
            repo.path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def told_space(
        self,
        repo_id: str,
        stage: str | None = None,
        ends: str | None = None,
        command: list[str] | None = None,
        cwd: str | None = None,
    ) -> dict[str, Any]:
        """Do to a Space what a test wants, and say what its application sees."""
        space = self.repos["spaces", repo_id].space
        if command:
            surroundings = {
                "HF_ENDPOINT": self.endpoint,
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "NO_PROXY": "127.0.0.1,localhost",
                "SPACE_ID": repo_id,
            }
            if space.application is not None:
                space.application.close()
            folder = self.root / "spaces" / secrets.token_hex(6)
            space.application = Application(command, folder, cwd, surroundings)
        told = space.told(stage, ends)
        running = space.application
        return told | {"folder": str(running.folder) if running else None}

    def close(self) -> None:
        """End every process that was started here."""
        self.jobs.close()
        for repo in self.repos.values():
            self.end_application(repo)

    @staticmethod
    def end_application(repo: Repo) -> None:
        if repo.space is not None and repo.space.application is not None:
            repo.space.application.close()

    def readable(self, call: Call, kind: str | None = None, repo_id: str | None = None) -> Repo:
        """The repository of a call; one that the caller may not see does not exist for it."""
        kind = kind or call.params.get("kind", "models")
        repo_id = repo_id or f"{call.params['ns']}/{call.params['name']}"
        repo = self.repos.get((kind, repo_id))
        who = call.who
        if repo is None or (repo.private and not (who and who.may_read(kind, repo_id))):
            if who is None:
                raise RefusalError(401, "Invalid username or password.", "RepoNotFound")
            raise RefusalError(404, "Repository not found", "RepoNotFound")
        return repo

    def writable(self, call: Call, kind: str | None = None, repo_id: str | None = None) -> Repo:
        """The repository of a call that changes it; 401 or 403 without the right."""
        repo = self.readable(call, kind, repo_id)
        if call.who is None:
            raise RefusalError(401, "Invalid username or password.")
        if not call.who.may_write(repo.kind, repo.repo_id):
            text = (
                f"the token {call.who.name!r} (role {call.who.role}) may not write to "
                f"{PREFIX[repo.kind]}{repo.repo_id}: you must use a write token"
            )
            raise RefusalError(403, text)
        return repo
