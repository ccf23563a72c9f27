"""Makes the output folder of a small run, with real records and hashes."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from polyid.checksums import verify
from trainer.fingerprint import fingerprint
from trainer.record import (
    CodeRecord,
    DataRecord,
    FoldsRecord,
    HardwareRecord,
    Record,
    Verdict,
    write_record,
)
from trainer.registry import LocalRegistry

UNITS = {"Glass_Transition": "°C", "Density": "g/cm³"}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Run:
    """A run's output: ``data``, ``params``, ``code`` are any texts; other texts, other hashes."""

    folder: Path
    data: str = "data"
    params: str = "params"
    code: str = "code"
    units: dict[str, str] = field(default_factory=lambda: dict(UNITS))
    verdict: Verdict = "pass"
    champion: str | None = None
    weights: bytes = b"weights" * 5000

    @property
    def fingerprint(self) -> str:
        return fingerprint(data=sha(self.data), params=sha(self.params), code=sha(self.code))

    def record(self) -> Record:
        return Record(
            fingerprint=self.fingerprint,
            data=DataRecord(
                name="polymers.csv",
                hash=sha(self.data),
                rows=120,
                labels=dict.fromkeys(self.units, 100),
                licence="MIT",
            ),
            code=CodeRecord(hash=sha(self.code), commit="ab" * 20, dirty=False, image=None),
            params={"model": {"name": "global100"}, "training": {"learning_rate": 1e-4}},
            params_hash=sha(self.params),
            folds=FoldsRecord(hash=sha("folds"), split="grouped", count=5, seed=7),
            seeds={"folds": 7, "member_0": 11},
            packages={"numpy": "2.4.6", "nfp": None},
            hardware=HardwareRecord(cpu="a processor", cores=2, memory_gb=8.0, gpus=[]),
            hours=0.25,
            cost_usd=None,
            started=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
            finished=datetime(2026, 1, 31, 12, 15, tzinfo=UTC),
            gate=self.verdict,
        )

    def metrics(self) -> dict:
        scores = {
            "Glass_Transition": (23.4, 31.0, 0.91, 97.7, 25.1),
            "Density": (0.05, 0.08, 0.77, 0.14, 0.06),
        }
        properties = {}
        for name, unit in self.units.items():
            mae, rmse, r2, mean, gp = scores.get(name, (1.0, 1.5, 0.5, 2.0, 1.1))
            properties[name] = {
                "unit": unit,
                "n": 100,
                "model": {"mae": mae, "rmse": rmse, "r2": r2},
                "mean": {"mae": mean, "rmse": mean * 1.3, "r2": 0.0},
                "gp": {"mae": gp, "rmse": gp * 1.3, "r2": 0.8},
                "per_fold": [],
                "interval": {"level": 0.9, "coverage": 0.912, "mean_width": 4 * mae},
            }
        return {
            "split": "grouped",
            "folds_hash": sha("folds"),
            "data_hash": sha(self.data),
            "fingerprint": self.fingerprint,
            "properties": properties,
        }

    def gate(self) -> dict:
        champion: dict[str, object] = {
            "revision": self.champion,
            "comparable": True,
            "why": "",
            "properties": {},
        }
        return {
            "verdict": self.verdict,
            "mode": "enforce",
            "reasons": [] if self.verdict == "pass" else ["Density: MAE 0.05 g/cm³ above 0.04"],
            "checks": [],
            "champion": champion if self.champion else None,
        }

    def write(self) -> "Run":
        (self.folder / "model_fold_0").mkdir(parents=True, exist_ok=True)
        (self.folder / "model_fold_0" / "model.weights.h5").write_bytes(self.weights)
        (self.folder / "model_fold_0" / "scaler.json").write_text("{}")
        (self.folder / "parameters.json").write_text('{"members": 1}')
        write_json(self.folder / "metrics.json", self.metrics())
        write_json(self.folder / "gate.json", self.gate())
        (self.folder / "report.md").write_text(f"# {self.verdict}\n")
        write_record(self.record(), self.folder)
        return self


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a process of its own and return how it ended (-9: killed)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def require_sound(registry: LocalRegistry) -> None:
    """Check what must hold after anything that ended by itself."""
    releases, events = registry.releases(), registry.history()
    for release in releases:
        verify(Path(release.address))
        assert Path(release.address).name == release.tag
    assert len({r.fingerprint for r in releases}) == len(releases)
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert sorted(e.tag for e in events if e.action == "publish") == sorted(r.tag for r in releases)
    assert [e.previous for e in events] == [None, *(e.tag for e in events)][: len(events)]
    current = registry.current()
    assert (current.tag if current else None) == (events[-1].tag if events else None)
    assert list((registry.path / ".staging").iterdir()) == []


def released_registry(tmp_path: Path) -> LocalRegistry:
    """Make a registry with the release v1.0.0."""
    registry = LocalRegistry(tmp_path / "registry")
    run = Run(tmp_path / "run-a").write()
    registry.add_candidate(run.folder, run.fingerprint)
    registry.publish(run.fingerprint)
    return registry
