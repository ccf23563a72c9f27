"""The whole road by its real commands, on a table so small that it takes seconds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from road_kit import GATES, ROOT, TG, TINY, TM, Road, changed

pytestmark = pytest.mark.slow

MONOMERS = {"poly(lactic acid)": "CC(O)C(=O)O", "broken": "C(("}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_one_command_from_data_to_a_release(finished: Road) -> None:
    said = (finished.folder / "output.txt").read_text()
    assert "Verdict: pass" in said
    for heading in ("Property", "Unit", "n", "MAE", "R²", "Mean", "Verdict"):
        assert heading in said
    release = finished.registry / "releases" / "v1.0.0"
    assert f"v1.0.0 (published): {release}" in said
    report = re.search(r"^Report\s+(\S+)$", said, re.MULTILINE)
    assert report is not None
    assert Path(report[1]).is_file()
    for name in ("parameters.json", "metrics.json", "predictions.parquet", "history.csv",
                 "record.yaml", "domain.json", "README.md", "folds.json", "gate.json",
                 "intervals.json", "checksums.json", "report.html", "report.md",
                 f"plots/parity-{TG}.png", f"plots/parity-{TM}.png", "plots/learning-curves.png",
                 "model_fold_0/model.weights.h5", "model_fold_1/scaler.json"):  # fmt: skip
        assert (release / name).is_file(), name
    metrics = json.loads((release / "metrics.json").read_text())
    assert set(metrics["properties"]) == {TG, TM}
    assert metrics["split"] == "grouped"
    predictions = pd.read_parquet(release / "predictions.parquet")
    assert predictions["y_pred"].notna().all()
    assert predictions.groupby("group")["fold"].nunique().max() == 1


def test_the_release_predicts(finished: Road) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polyid.cli", "predict", "--json", "--model", str(finished.registry),
         *MONOMERS.values()],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    good, bad = json.loads(done.stdout)
    assert good["ok"]
    assert good["properties"].keys() == {TG, TM}
    for value in good["properties"].values():
        assert value["low"] < value["value"] < value["high"]
        assert value["unit"] == "°C"
    assert not bad["ok"]
    assert "C((" in bad["error"]


def test_the_same_again_trains_nothing(finished: Road) -> None:
    before = files(finished.registry)
    code = (
        "import sys; from trainer.cli import app, guarded; code = guarded(app); "
        "print('tensorflow' in sys.modules or 'keras' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *finished.arguments("run", "--publish")[3:]],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is trained" in done.stdout
    assert "v1.0.0 (" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
    assert files(finished.registry) == before


def test_another_parameter_trains_again_and_meets_the_champion(walked: Road) -> None:
    said = walked.answer("run", "--publish", "--workers", "1", "--set", "training.epochs=50")
    assert said["trained"]
    assert said["verdict"] == "pass", said["reasons"]
    assert said["release"] == "v1.1.0"
    gate = json.loads((Path(said["candidate"]) / "gate.json").read_text())
    assert gate["champion"]["revision"] == "v1.0.0"
    assert gate["champion"]["comparable"]
    assert set(gate["champion"]["properties"]) == {TG, TM}
    assert "v1.0.0" in (Path(said["candidate"]) / "report.md").read_text()

    listed = walked.answer("list")
    assert listed["current"] == "v1.1.0"
    assert [r["tag"] for r in listed["releases"]] == ["v1.0.0", "v1.1.0"]
    assert walked.call("rollback", "--to", "v1.0.0").returncode == 0
    assert walked.answer("list")["current"] == "v1.0.0"
    assert "v9.9.9" in (wrong := walked.call("rollback", "--to", "v9.9.9")).stderr
    assert wrong.returncode == 2


def test_shuffled_labels_fail_and_release_nothing(walked: Road) -> None:
    table = pd.read_csv(walked.data, dtype=str, keep_default_na=False)
    for name, seed in ((TG, 3), (TM, 4)):
        there = table[name] != ""
        table.loc[there, name] = table.loc[there, name].sample(frac=1, random_state=seed).to_numpy()
    table.to_csv(walked.data, index=False)
    before = files(walked.registry / "releases")
    done = walked.call("run", "--publish", "--workers", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Gate: fail" in done.stdout
    assert re.search(rf"{TG}: R² -?\d\.\d+ is below the floor of 0.05", done.stdout)
    assert files(walked.registry / "releases") == before
    listed = walked.answer("list")
    assert listed["current"] == "v1.0.0"
    failed = next(c for c in listed["candidates"] if c["verdict"] == "fail")
    gate_file = walked.registry / "candidates" / failed["fingerprint"] / "gate.json"
    champion = json.loads(gate_file.read_text())["champion"]
    assert champion["comparable"]  # other data, so the release was evaluated again on them
    refused = walked.call("publish", "--candidate", failed["fingerprint"])
    assert refused.returncode == 2
    assert "its verdict is fail" in refused.stderr


def test_another_gate_gives_another_verdict(walked: Road) -> None:
    walked.write(walked.gates, changed(GATES, **{f"floors__{TG}__max_mae": 1.0}))
    done = walked.call("run", "--publish")
    assert done.returncode == 1
    assert "nothing is trained" in done.stdout
    assert re.search(rf"{TG}: MAE \S+ °C is above the floor of 1 °C", done.stdout)


def test_missing_metrics_fail(walked: Road, finished: Road) -> None:
    (walked.run_folder() / "candidate" / "metrics.json").unlink()
    road = Road(walked.folder)
    empty = walked.folder / "other-registry"
    arguments = road.arguments("gate")
    arguments[arguments.index("--registry") + 1] = str(empty)
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "metrics.json missing in" in done.stdout
    assert "that fails" in done.stdout
    assert "Traceback" not in done.stderr
    assert not list(empty.glob("candidates/*"))


def test_publish_by_hand(walked: Road) -> None:
    again = walked.folder / "again"
    (fingerprint,) = [p.name for p in (walked.registry / "candidates").iterdir()]
    walked.registry.rename(walked.folder / "old")
    assert walked.call("gate").returncode == 0  # the run's own candidate into a new registry
    before = files(walked.registry)
    dry = walked.answer("publish", "--dry-run")
    assert dry == {"tag": "v1.0.0", "fingerprint": fingerprint, "status": "would be published"}
    assert files(walked.registry) == before
    out = again / "publish.json"
    assert walked.answer("publish", "--version", "2.0.0", "--out", str(out))["tag"] == "v2.0.0"
    assert json.loads(out.read_text())["status"] == "published"


def test_a_tampered_candidate_is_refused(walked: Road) -> None:
    folder = next((walked.registry / "candidates").iterdir())
    victim = folder / "model_fold_0" / "scaler.json"
    for path in (folder, victim.parent, victim):
        path.chmod(0o755)
    victim.write_text(victim.read_text().replace("1", "2"))
    walked.registry.joinpath("current.json").unlink()
    for path in sorted((walked.registry / "releases").rglob("*"), reverse=True):
        path.parent.chmod(0o755)
        path.rmdir() if path.is_dir() else path.unlink()
    walked.registry.joinpath("history.jsonl").unlink(missing_ok=True)
    done = walked.call("publish", "--candidate", folder.name)
    assert done.returncode == 2
    assert "scaler.json" in done.stderr


def test_an_unwritable_registry_is_said_before_training(fresh: Road) -> None:
    fresh.folder.joinpath("registry").write_text("in the way")
    done = fresh.call("run")
    assert done.returncode == 2
    assert str(fresh.registry) in done.stderr
    assert "Training" not in done.stdout
    assert not fresh.checkpoints()


def test_tacticity_and_both_splits(finished: Road, stereo_table: Path, tmp_path: Path) -> None:
    stereo = changed(
        TINY,
        data__columns__pm="pm",
        data__columns__replicate="replicate_structure",
        data__properties={TG: {"column": "Tg", "unit": "°C"}},
        folds__also="random",
        model__name="pm",
        model__dropout=0.0,
        model__dp=10,
        training__epochs=8,
    )
    gates = changed(GATES, mode="dry_run")
    table = pd.read_csv(stereo_table, dtype=str, keep_default_na=False)
    road = Road.laid(tmp_path / "road", table, stereo, gates)
    said = road.answer("run", "--workers", "1")
    assert said["metrics"]["properties"][TG]["n"] == 78  # samples, not their replicate chains
    report = (Path(said["candidate"]) / "report.md").read_text()
    assert "random" in report
    assert "grouped" in report
    (other,) = road.work.glob("*/other_split.json")
    scores = json.loads(other.read_text())
    assert scores["split"] == "random"
    assert f"{scores['properties'][TG]['model']['r2']:.2f}" in report
    assert said["metrics"]["split"] == "grouped"
    assert [p.name for p in (road.registry / "candidates").iterdir()] == [said["fingerprint"]]


def test_a_verdict_that_was_overtaken_is_given_anew(walked: Road) -> None:
    walked.registry.rename(walked.folder / "old")
    other = ("--set", "training.epochs=50")
    waiting = walked.answer("run", "--workers", "2", *other)
    assert waiting["verdict"] == "pass"
    assert walked.answer("run", "--publish")["release"] == "v1.0.0"
    dry = walked.call("publish", "--dry-run", *other)
    assert dry.returncode == 2
    assert "passed against no champion, but the current release is v1.0.0" in (
        " ".join(dry.stderr.split())
    )
    done = walked.call("publish", *other)
    assert done.returncode == 0, done.stderr
    assert "again, against v1.0.0" in " ".join(done.stdout.split())
    gate = json.loads((walked.registry / "releases" / "v1.1.0" / "gate.json").read_text())
    assert gate["champion"]["revision"] == "v1.0.0"
