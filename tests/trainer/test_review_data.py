"""What a branch changes, compared with its base in a real git repository with DVC."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from road_kit import GATES, TG, TINY, TM, changed

from polyid.errors import PolyIDError
from trainer.plan import make_plan
from trainer.registry import LocalRegistry
from trainer.review.data import change
from trainer.review.write import write

PARAMS, GATE, DATA = Path("params.yaml"), Path("gates.yaml"), Path("data/polymers.csv")
WHO = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]


def call(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> str:
    call("git", "add", "-A")
    call("git", *WHO, "commit", "-qm", message)
    return call("git", "rev-parse", "HEAD")


def lay(table: pd.DataFrame, params: dict = TINY, gates: dict = GATES) -> None:
    """Write data, recipe and gate into the current folder."""
    DATA.parent.mkdir(exist_ok=True)
    table.to_csv(DATA, index=False)
    for path, content in ((PARAMS, params), (GATE, gates)):
        path.write_text(yaml.safe_dump(content, allow_unicode=True))


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """An empty git repository, as the current folder."""
    monkeypatch.chdir(tmp_path)
    call("git", "init", "-q", "-b", "main")
    return tmp_path


def compared(base: str):
    return change(make_plan(DATA, PARAMS, "runs"), PARAMS, GATE, base)


def put(table: pd.DataFrame, message: str, **files) -> str:
    """Make it the data with DVC, as a user does; return the commit."""
    lay(table, **files)
    for command in (["add", "-q", "data"], ["push", "-q"]):
        call(sys.executable, "-m", "dvc", *command)
    return commit(message)


@pytest.mark.slow
def test_labels_recipe_and_gate_of_a_branch(checkout, tiny_table):
    dvc = [sys.executable, "-m", "dvc"]
    call(*dvc, "init", "-q")
    call(*dvc, "remote", "add", "-q", "-d", "store", str(checkout.parent / "store"))
    base = put(tiny_table[4:], "Begin")
    call("git", "checkout", "-qb", "change")
    new = tiny_table.iloc[:-1].copy()
    place = new.index[new[TG] != ""][10]
    new.loc[place, TG] = str(float(new.loc[place, TG]) + 25.0)
    params = changed(TINY, training__epochs=61)
    gates = changed(GATES, floors={**GATES["floors"], TG: {**GATES["floors"][TG], "max_mae": 71.0}})
    put(new, "Change", params=params, gates=gates)
    # main goes on meanwhile: what others did is not this branch's change
    call("git", "checkout", "-q", "main")
    later = commit_of_others()
    call("git", "checkout", "-q", "change")
    found = compared(later)
    assert found.base == base
    assert found.note == ""
    kinds = [(row.property, row.kind) for row in found.rows]
    assert kinds.count((TG, "came")) == 4
    assert kinds.count((TG, "went")) == 1
    (relabelled,) = [row for row in found.rows if row.kind == "changed"]
    assert relabelled.new == pytest.approx(relabelled.old + 25.0)
    assert sum(count.came for count in found.counts if count.property == TG) == 4
    assert {count.mechanism for count in found.counts} <= {"vinyl", "ester", "amide"}
    assert found.params == [("training.epochs", "60", "61")]
    assert found.gates == [(f"floors.{TG}.max_mae", "70.0", "71.0")]


def commit_of_others() -> str:
    Path("note.md").write_text("A note.\n")
    return commit("Write a note")


def test_data_in_git_and_a_property_that_is_new(checkout, tiny_table):
    one = changed(TINY, data__properties={TG: TINY["data"]["properties"][TG]})
    lay(tiny_table, one)
    base = commit("Begin")
    lay(tiny_table)
    commit("Add a property")
    found = compared(base)
    assert {(row.property, row.kind) for row in found.rows} == {(TM, "came")}
    assert {change.key for change in found.params} == {
        f"data.properties.{TM}.column", f"data.properties.{TM}.unit",
    }  # fmt: skip
    assert found.gates == []


def test_data_that_cannot_be_had_are_said_and_the_rest_is_compared(checkout, tiny_table):
    lay(tiny_table, changed(TINY, training__epochs=59))
    Path(".gitignore").write_text("/data\n")
    base = commit("Begin without data")
    lay(tiny_table)
    commit("Change the recipe")
    found = compared(base)
    assert found.rows is None
    assert "data/polymers.csv of commit" in found.note
    assert "dvc push" in found.note
    assert found.params == [("training.epochs", "59", "60")]


def test_a_recipe_of_the_base_that_this_code_does_not_read_is_said(checkout, tiny_table):
    lay(tiny_table, TINY | {"older": 1})
    base = commit("Begin")
    lay(tiny_table)
    commit("Change the recipe")
    found = compared(base)
    assert found.rows is None
    assert "older" in found.note
    assert ("older", "1", "—") in found.params


def test_an_unknown_base_is_an_error(checkout, tiny_table):
    lay(tiny_table)
    commit("Begin")
    with pytest.raises(PolyIDError, match="fetch-depth: 0"):
        compared("e" * 40)


def reviewed(**how):
    plan = make_plan(DATA, PARAMS, "runs")
    return plan, write(plan, LocalRegistry("registry"), PARAMS, GATE, **how)


def test_without_a_candidate_the_review_says_how_far_the_run_came(checkout, tiny_table):
    lay(tiny_table)
    plan, made = reviewed()
    assert made.verdict == "none"
    assert made.page == f"Run `{plan.fingerprint}` did not begin to train.\n"
    plan.folder.mkdir(parents=True)
    status = {"state": "training", "share": 0.43, "updated": "2026-01-31T12:00:00+00:00"}
    (plan.folder / "status.json").write_text(json.dumps(status))
    _, made = reviewed()
    assert "was training at 43% of its epochs, last seen 2026-01-31T12:00:00" in made.page


def test_faulty_data_are_shown_row_by_row(checkout, tiny_table):
    table = tiny_table.copy()
    table.loc[table.index[:30], TG] = "hot | <b>"
    lay(table)
    report = Path("check.json")
    done = subprocess.run(
        [sys.executable, "-m", "trainer.cli", "check", "--data", str(DATA), "--out", str(report)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    _, made = reviewed(check=report)
    assert made.verdict == "none"
    assert "The data break their contract: 30 errors in `data/polymers.csv`" in made.page
    rows = [line for line in made.page.splitlines() if line.startswith("| ")]
    assert len(rows) == 27
    assert rows[2].startswith(f"| 2 | `{TG}` | `hot \\| <b>` |")
    assert "… and 5 more." in made.page
