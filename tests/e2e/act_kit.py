"""Runs the repository's real workflow files with act, in a git repository made for the test.

act runs the jobs as processes of this machine (its host mode). What stands in for something else:

- the actions that GitHub serves (``actions/``): a checkout from the test's repository, and so on;
- ``scripts/setup.sh``: it links the virtual environment that runs the tests instead of making one,
  and puts the checkout first on Python's path;
- data, recipe and gate: those of ``road_kit``, a run of seconds.

Everything else is as committed here: Makefile, DVC, packages, workflows.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from github_kit import GitHub
from road_kit import GATES, TINY

from polyid.engine import jit

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ACTIONS = Path(__file__).parent / "actions"
REPOSITORY = "acme/code"
_SETUP = """\
#!/bin/sh
ln -sfn {venv} .venv
echo "PYTHONPATH=$PWD" >>"$GITHUB_ENV"
"""
_PARTS = (".github", ".dvc", ".dvcignore", "Makefile", "scripts", "polyid", "trainer",
          "pyproject.toml", "requirements")  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a workflow did."""

    code: int
    output: str
    events: list[dict[str, Any]] = field(repr=False)

    @property
    def jobs(self) -> dict[str, str]:
        """Result of each job that ran; one that was skipped is not in it."""
        return {e["jobID"]: e["jobResult"] for e in self.events if "jobResult" in e}

    @property
    def text(self) -> str:
        """What the steps printed."""
        return "\n".join(str(e.get("msg", "")) for e in self.events)

    def steps(self, job: str) -> dict[str, str]:
        """Result of each step of a job, by its name; one that was skipped is not in it."""
        ended = (e for e in self.events if e.get("jobID") == job and "stepResult" in e)
        # an action that is skipped is still set up and cleared away
        found = (e for e in ended if e.get("stage", "Main") == "Main")
        return {e["step"].removeprefix("Main "): e["stepResult"] for e in found}


@dataclass
class Workshop:
    """A git repository with workflows, and what they are given."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    pipeline: "Workshop | None" = None
    """The repository whose workflows this one calls, if it has not the pipeline in it itself."""

    @classmethod
    def calling(
        cls, folder: Path, example: Path, pipeline: "Workshop", **given: dict[str, str]
    ) -> "Workshop":
        """Lay out a repository that calls the pipeline of another one."""
        shop = cls(folder, pipeline=pipeline, **given)
        shutil.copytree(example, shop.source)
        shop.git("init", "-q", "-b", "main")
        shop.commit("Begin")
        return shop

    @classmethod
    def made(cls, folder: Path, table: pd.DataFrame, **given: dict[str, str]) -> "Workshop":
        """Lay it out with data in DVC, and one commit on ``main``."""
        shop = cls(folder, **given)
        shop.source.mkdir(parents=True)
        for name in _PARTS:
            place = ROOT / name
            if place.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
                shutil.copytree(place, shop.source / name, ignore=ignored)
            else:
                shutil.copy(place, shop.source / name)
        (shop.source / ".gitignore").write_text(".venv\n__pycache__\n/runs\n/build\n/registry\n")
        (shop.source / "scripts" / "setup.sh").write_text(_SETUP.format(venv=BIN.parent))
        shop.write("params.yaml", yaml.safe_dump(TINY, allow_unicode=True))
        shop.write("gates.yaml", yaml.safe_dump(GATES, allow_unicode=True))
        shop.git("init", "-q", "-b", "main")
        shop.table(table)
        shop.commit("Begin")
        return shop

    def on(self, github: GitHub) -> None:
        """Let GitHub's API be this server's, with a workflow's own token."""
        self.env |= {"GITHUB_API_URL": github.url}
        self.secrets["GITHUB_TOKEN"] = github.token

    @property
    def source(self) -> Path:
        """The repository."""
        return self.folder / "code"

    def write(self, name: str, text: str) -> None:
        """Write a file of the repository."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def table(self, table: pd.DataFrame) -> None:
        """Make this the data, as a user does: ``dvc add``, ``dvc push``."""
        data = self.source / "data"
        data.mkdir(exist_ok=True)
        table.to_csv(data / "polyid_properties.csv", index=False)
        for command in (["add", "-q", "data"], ["push", "-q"]):
            subprocess.run([str(BIN / "dvc"), *command], cwd=self.source, check=True)

    def git(self, *args: str) -> str:
        """Run git in the repository."""
        who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
        done = subprocess.run(
            ["git", *who, *args], cwd=self.source, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; return the commit."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def request(self, number: int, head: str = REPOSITORY) -> dict[str, Any]:
        """Return the event of a pull request from the branch that is checked out to ``main``."""
        return {
            "action": "opened",
            "number": number,
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
            "pull_request": {
                "number": number,
                "head": {"sha": self.git("rev-parse", "HEAD"), "ref": "change",
                         "repo": {"full_name": head}},
                "base": {"sha": self.git("merge-base", "main", "HEAD"), "ref": "main",
                         "repo": {"full_name": REPOSITORY}},
            },
        }  # fmt: skip

    def merge(self) -> dict[str, Any]:
        """Merge the branch that is checked out into ``main``; return the event of the push."""
        branch, before = self.git("branch", "--show-current"), self.git("rev-parse", "main")
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "Merge", branch)
        return self.push(before)

    def push(self, before: str) -> dict[str, Any]:
        """Return the event of a push to ``main``."""
        return {
            "ref": "refs/heads/main", "before": before, "after": self.git("rev-parse", "HEAD"),
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }  # fmt: skip

    def run(self, event: str, workflow: str, content: dict[str, Any], job: str = "") -> Ran:
        """Run one workflow for an event, to its end, or one job of it and what that needs."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        payload = self.folder / "event.json"
        payload.write_text(json.dumps(content))
        pipeline = self.pipeline or self
        given = self.env | {
            "TEST_SOURCE": str(self.source),
            "TEST_COMMIT": self.git("rev-parse", "HEAD"),
            "TEST_PIPELINE": str(pipeline.source),
            "TEST_PIPELINE_COMMIT": pipeline.git("rev-parse", "HEAD"),
            "TEST_ARTIFACTS": str(self.folder / "artifacts"),
            "GITHUB_REPOSITORY": REPOSITORY,
        }
        options = [f"--{kind}={name}={value}" for kind, pairs in (
            ("secret", self.secrets), ("var", self.variables), ("env", given))
            for name, value in pairs.items()]  # fmt: skip
        options += self._stand_ins(self.source, workflow)
        command = [
            str(BIN / "act"), event, "-W", f".github/workflows/{workflow}", "-e", str(payload),
            "-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--no-skip-checkout",
            "--defaultbranch", "main", "--json", *(["-j", job] if job else []), *options,
        ]  # fmt: skip
        # host mode hands its whole environment on to the steps, so it is given almost none
        env = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        env["POLYID_KERNELS"] = str(jit.root())  # compiled before
        done = subprocess.run(command, cwd=self.source, env=env, capture_output=True, text=True)
        lines = done.stdout.splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return Ran(done.returncode, done.stdout + done.stderr, events)

    def _stand_ins(self, source: Path, workflow: str) -> list[str]:
        """Say where act finds what a workflow uses: stand-ins, and the workflows that it calls."""
        text = (source / ".github" / "workflows" / workflow).read_text()
        options = set()
        for job in yaml.safe_load(text)["jobs"].values():
            if "uses" in job:
                assert self.pipeline is not None
                place, _, ref = job["uses"].partition("@")
                owner, name, called = place.split("/", 2)
                options.add(f"--local-repository={owner}/{name}@{ref}={self.pipeline.source}")
                options |= set(self._stand_ins(self.pipeline.source, Path(called).name))
            for uses in {step["uses"] for step in job.get("steps", []) if "uses" in step}:
                stand_in = ACTIONS / uses.partition("@")[0].partition("/")[2]
                assert stand_in.is_dir(), f"{uses} has no stand-in in {ACTIONS}"
                options.add(f"--local-repository={uses}={stand_in}")
        return sorted(options)
