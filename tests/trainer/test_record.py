"""The model record: what goes in comes out, and nothing else goes in."""

import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from registry_kit import Run

from trainer import provenance
from trainer.record import Record, RecordError, read_record, write_record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Run(tmp_path / "run").record()


def change(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return path


def test_round_trip(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    assert path.name == "record.yaml"
    assert read_record(path) == record
    assert read_record(tmp_path) == record
    assert [p.name for p in tmp_path.iterdir()] == ["record.yaml"]


def test_a_fingerprint_of_digits_stays_text(record: Record, tmp_path: Path) -> None:
    for name in ("1234567890123456", "1234567890123e45", "0000000000000000"):
        changed = record.model_copy(update={"fingerprint": name})
        assert read_record(write_record(changed, tmp_path)).fingerprint == name


def test_times_are_utc(record: Record, tmp_path: Path) -> None:
    local = datetime(2026, 1, 31, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    changed = Record(**{**dict(record), "started": local})
    assert changed.started == datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert "2026-01-31T12:00:00Z" in write_record(changed, tmp_path).read_text()
    with pytest.raises(ValidationError, match="zone"):
        Record(**{**dict(record), "started": datetime(2026, 1, 31)})


def test_a_time_without_quotes_is_read(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    path.write_text(path.read_text().replace("'2026-01-31T12:00:00Z'", "2026-01-31T12:00:00Z"))
    assert read_record(path).started == record.started


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprnt": "x"}, "fingerprnt: Extra inputs"),
        ({"fingerprint": "xyz"}, "fingerprint: String should match"),
        ({"hours": "1"}, "hours: Input should be a valid number"),
        ({"hours": -1.0}, "hours: "),
        ({"hours": float("nan")}, "hours: "),
        ({"gate": "passed"}, "gate: "),
        ({"format": 2}, "format: "),
        ({"folds": {"hash": "0" * 64, "split": "sorted", "count": 5, "seed": 7}}, "folds.split: "),
    ],
)
def test_faults_are_named(record: Record, tmp_path: Path, changes: dict, message: str) -> None:
    path = change(write_record(record, tmp_path), **changes)
    with pytest.raises(RecordError, match=re.escape(message)):
        read_record(path)


def test_all_faults_at_once(record: Record, tmp_path: Path) -> None:
    path = change(write_record(record, tmp_path), extra=1, hours=-2.0, params_hash="")
    with pytest.raises(RecordError) as caught:
        read_record(path)
    for key in ("extra", "hours", "params_hash"):
        assert key in str(caught.value)


def test_missing_key_missing_file_and_no_yaml(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    path.write_text("\n".join(x for x in path.read_text().splitlines() if "params_hash" not in x))
    with pytest.raises(RecordError, match="params_hash: Field required"):
        read_record(path)
    path.write_text("{")
    with pytest.raises(RecordError, match="not YAML"):
        read_record(path)
    path.write_text("")
    with pytest.raises(RecordError, match="the whole file"):
        read_record(path)
    path.unlink()
    with pytest.raises(RecordError, match="no model record"):
        read_record(path)


def test_git_state(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert provenance.git_state(tmp_path) == (None, None)
    git("init", "-q")
    assert provenance.git_state(tmp_path) == (None, None)  # no commit yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD")
    assert provenance.git_state(tmp_path) == (commit, False)
    (tmp_path / "a").write_text("2")
    assert provenance.git_state(tmp_path) == (commit, True)


def test_a_container_without_a_checkout_names_the_commit_it_was_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_COMMIT", "a" * 40)
    assert provenance.git_state(tmp_path) == ("a" * 40, None)
    monkeypatch.setenv("IMAGE_COMMIT", "unknown")
    assert provenance.git_state(tmp_path) == (None, None)


def test_the_name_by_which_dvc_stores_a_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\r\n1,2\r\n")
    done = subprocess.run(["md5sum", path], capture_output=True, text=True, check=True)
    assert provenance.dvc_md5(path) == done.stdout.split()[0]


def test_older_records_have_no_md5(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    content = yaml.safe_load(path.read_text())
    del content["data"]["md5"]
    path.write_text(yaml.safe_dump(content))
    assert read_record(path).data.md5 is None
    content["data"]["md5"] = "e3aa81"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(RecordError, match=r"data\.md5"):
        read_record(path)


ESTIMATE = {"target": "hf-jobs", "hardware": "l4x1", "usd_per_hour": 0.8, "hours": 2.0,
            "cost_usd": 1.6, "total_usd": 1.8, "measured": False, "basis": "a test"}  # fmt: skip


def test_older_records_have_no_estimate_and_a_broken_one_is_refused(
    record: Record, tmp_path: Path
) -> None:
    path = write_record(record, tmp_path)
    content = yaml.safe_load(path.read_text())
    del content["estimate"]
    path.write_text(yaml.safe_dump(content))
    assert read_record(path).estimate is None
    path.write_text(yaml.safe_dump({**content, "estimate": ESTIMATE}))
    found = read_record(path).estimate
    assert found is not None
    assert (found.hours, found.cost_usd) == (2.0, 1.6)
    for fault in ({"hours": -1.0}, {"extra": 1}, {"measured": "no"}):
        path.write_text(yaml.safe_dump({**content, "estimate": ESTIMATE | fault}))
        with pytest.raises(RecordError, match="estimate"):
            read_record(path)


def test_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_DIGEST", raising=False)
    assert provenance.image_digest() is None
    monkeypatch.setenv("IMAGE_DIGEST", "sha256:" + "0" * 64)
    assert provenance.image_digest() == "sha256:" + "0" * 64
    versions = provenance.package_versions()
    assert set(versions) == set(provenance.PACKAGES)
    assert (versions["numpy"] or "").count(".") == 2
    machine = provenance.hardware()
    assert machine.cores >= 1
    assert machine.memory_gb > 0.1
    assert machine.cpu


def test_graphics_processors_are_named_by_their_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"  # what the driver's tool prints on a machine with two
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200'; echo 'NVIDIA L4'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.hardware().gpus == ["NVIDIA H200", "NVIDIA L4"]
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert provenance.hardware().gpus == []


def test_no_driver_tool_is_no_graphics_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.hardware().gpus == []
    assert provenance.git_state(Path()) == (None, None)
