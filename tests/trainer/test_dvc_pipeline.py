"""`dvc repro` walks the road: every stage once, and again only what has changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from road_kit import GATES, ROOT, TG, TINY, Road, changed

STAGES = ["check", "train", "evaluate", "gate", "release"]


def stages() -> dict:
    found: dict = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return found


def test_each_stage_is_one_verb_that_leaves_what_the_next_needs() -> None:
    found = stages()
    assert list(found) == STAGES
    before = None
    for name, stage in found.items():
        verb = "publish" if name == "release" else name
        out = f"runs/stages/{name}.json"
        assert stage["cmd"] == f"trainer {verb} --out {out}"
        assert [*stage.get("outs", []), *stage.get("metrics", [])] == [{out: {"cache": False}}]
        assert stage["params"] == [{"params.yaml": None}]
        assert {"data/polyid_properties.csv", "polyid", "trainer"} <= set(stage["deps"])
        assert before is None or f"runs/stages/{before}.json" in stage["deps"]
        assert all((ROOT / d).exists() for d in stage["deps"] if not d.startswith("runs"))
        before = name


class Clone:
    """A repository with this code and these stages, and small data of its own."""

    def __init__(self, folder: Path, table: pd.DataFrame) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        for name in ("polyid", "trainer"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(ROOT / name, folder / name)
        table.to_csv(folder / "data" / "polyid_properties.csv", index=False)
        self.road = Road(folder)
        self.road.write(self.road.params, TINY)
        self.road.write(self.road.gates, GATES)
        bin_folder = folder.parent / "bin"
        bin_folder.mkdir()
        command = bin_folder / "trainer"  # the console script, on this code
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trainer.cli "$@"\n')
        command.chmod(0o755)
        self.env = os.environ | {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        }
        self.run("git", "init", "-q")
        self.dvc("init", "-q")
        self.dvc("add", "-q", "data")

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *arguments: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, code=code)

    def said(self, stage: str) -> dict:
        path = self.folder / "runs" / "stages" / f"{stage}.json"
        content: dict = json.loads(path.read_text())
        return content


@pytest.mark.slow
def test_repro(finished: Road, tiny_table: pd.DataFrame, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", tiny_table)
    shutil.copytree(finished.work, clone.folder / "runs")  # members that are trained already
    said = clone.dvc("repro")
    for stage in STAGES:
        assert f"Running stage '{stage}'" in said
    assert clone.said("gate")["verdict"] == "pass"
    assert clone.said("release")["tag"] == "v1.0.0"
    assert clone.said("evaluate")["properties"][TG]["n"] == len(tiny_table)
    assert (clone.folder / "registry" / "releases" / "v1.0.0" / "report.html").is_file()
    shown = json.loads(clone.dvc("metrics", "show", "--json"))
    assert str(clone.said("evaluate")["properties"][TG]["model"]["mae"]) in json.dumps(shown)

    assert "Data and pipelines are up to date" in clone.dvc("repro")

    # a stricter gate: nothing is trained or scored again, and the road ends there
    clone.road.write(clone.road.gates, changed(GATES, **{f"floors__{TG}__max_mae": 1.0}))
    said = clone.dvc("repro", code=255)
    assert "Stage 'train' didn't change, skipping" in said
    assert "Stage 'evaluate' didn't change, skipping" in said
    assert "Running stage 'gate'" in said
    assert "Running stage 'release'" not in said
