"""What a change does to data, recipe and gate: the checkout compared with the base branch."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from polyid.dataset import load_table
from polyid.errors import PolyIDError
from trainer.changes import ParamChange, RowChange, param_changes, row_changes
from trainer.config import Params, load_params
from trainer.difference import RowCount, row_counts
from trainer.plan import Plan


@dataclass(frozen=True)
class Change:
    """What differs from the base."""

    base: str
    """Its commit."""
    rows: list[RowChange] | None
    """Labels that came, went or changed; None if they cannot be compared."""
    note: str = ""
    """Why not."""
    params: list[ParamChange] = field(default_factory=list)
    gates: list[ParamChange] = field(default_factory=list)

    @property
    def counts(self) -> list[RowCount]:
        """Labels that differ, by property and mechanism."""
        return row_counts(self.rows or [])


def change(plan: Plan, params: Path, gates: Path, base: str) -> Change:
    """Compare data, recipe and gate with those of a commit.

    Parameters
    ----------
    plan
        The run: data and recipe of the checkout, which is the current folder.
    params, gates
        Their files in the repository.
    base
        A commit; what is compared is where the checkout branched off from it.

    Raises
    ------
    PolyIDError
        If the current folder is no git checkout that knows ``base``.
    """
    commit = _git("merge-base", base, "HEAD").strip()
    rows, note, then = None, "", _file_at(commit, params)
    old: Mapping[str, Any] = _mapping(then)
    with tempfile.TemporaryDirectory() as name:
        try:
            # a recipe that ships with the pipeline is named, and stands in no file here
            recipe = _recipe(then, Path(name)) if params.is_file() else plan.params
            old = recipe.plain()
            before = _labels_at(commit, plan.data, recipe, Path(name))
            rows = row_changes(labels(plan.frame(), plan.properties), before)
        except PolyIDError as error:
            note = str(error)
    gate = _mapping(gates.read_text(encoding="utf-8"))
    return Change(
        commit,
        rows,
        note,
        param_changes(plan.params.plain(), old),
        param_changes(gate, _mapping(_file_at(commit, gates))),
    )


def labels(frame: pd.DataFrame, properties: list[str]) -> pd.DataFrame:
    """Return a dataset frame label by label, as `trainer.changes.row_changes` reads it."""
    kept = ["smiles_polymer", "mechanism", "group", "sample", "row"]
    return frame.melt(kept, properties, var_name="property", value_name="y_true")


def _recipe(text: str, folder: Path) -> Params:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load_params(path)


def _labels_at(commit: str, data: Path, recipe: Params, folder: Path) -> pd.DataFrame:
    """Read the labels of a commit, by that commit's recipe."""
    place, out = _in_checkout(data), folder / "data.csv"
    in_git = subprocess.run(["git", "show", f"{commit}:{place}"], capture_output=True)
    if in_git.returncode == 0:
        out.write_bytes(in_git.stdout)
        return labels(load_table(out, recipe.data.spec()), list(recipe.data.properties))
    # DVC reads the commit's own settings, so its data come from where they were put then
    command = [sys.executable, "-m", "dvc", "get", "-q", ".", place, "--rev", commit]
    done = subprocess.run([*command, "-o", str(out)], capture_output=True, text=True)
    if done.returncode or not out.is_file():
        why = done.stderr.strip().splitlines() or ["no reason given"]
        raise PolyIDError(
            f"{place} of commit {commit[:7]} is not in git, and DVC does not bring it "
            f"({why[-1]}). If it is not new, push it with `dvc push` from that commit."
        )
    return labels(load_table(out, recipe.data.spec()), list(recipe.data.properties))


def _in_checkout(path: Path) -> str:
    root = Path(_git("rev-parse", "--show-toplevel").strip())
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise PolyIDError(
            f"{path} is not in the checkout {root}, so it has no older one."
        ) from None


def _file_at(commit: str, path: Path) -> str:
    """Return a file of a commit that is there; nothing if it was not in it yet."""
    command = ["git", "show", f"{commit}:{_in_checkout(path)}"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}  # it cannot have been used; what stands there now is shown as new
    return found if isinstance(found, dict) else {}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise PolyIDError(
            f"`git {' '.join(arguments)}` failed ({done.stderr.strip()}). The review compares with "
            "a base: check out the whole history (fetch-depth: 0), and give a commit of it."
        )
    return done.stdout
