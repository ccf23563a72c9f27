"""The local registry: candidates, publication, roll-back, and what it refuses."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from registry_kit import UNITS, Run, tree, write_json

from polyid.checksums import TamperedError
from polyid.registry import UnknownModelError
from polyid.store import resolve
from trainer.record import Verdict, write_record
from trainer.registry import LocalRegistry, NotPublishable, RegistryError


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run").write()


def add(registry: LocalRegistry, run: Run) -> Run:
    registry.add_candidate(run.write().folder, run.fingerprint)
    return run


def regate(registry: LocalRegistry, run: Run) -> None:
    """Judge a candidate against the release that is current now."""
    current = registry.current()
    run.champion = current.tag if current else None
    run.write()
    registry.regate(run.fingerprint, run.folder)


def publish(registry: LocalRegistry, folder: Path, **changes: Any) -> str:
    """Walk a new run's whole way to a release and return the tag."""
    current = registry.current()
    run = Run(folder, champion=current.tag if current else None, **changes)
    add(registry, run)
    return registry.publish(run.fingerprint).tag


class TestCandidates:
    def test_same_files_read_only_and_found(self, registry: LocalRegistry, run: Run) -> None:
        folder = Path(registry.add_candidate(run.folder, run.fingerprint))
        stored = tree(folder)
        stored.pop("checksums.json")
        assert stored == tree(run.folder)
        assert {stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file()} == {0o444}
        assert registry.has_candidate(run.fingerprint)
        assert not registry.has_candidate("0" * 16)
        candidate = registry.candidate(run.fingerprint[:6])
        assert (candidate.fingerprint, candidate.verdict) == (run.fingerprint, "pass")
        assert registry.candidates() == [candidate]
        assert resolve(f"{registry}@candidate/{run.fingerprint}").folder == folder
        assert list((registry.path / ".staging").iterdir()) == []

    def test_again_changes_nothing(self, registry: LocalRegistry, run: Run) -> None:
        folder = Path(registry.add_candidate(run.folder, run.fingerprint))
        before = {p: p.stat() for p in folder.rglob("*")}
        assert registry.add_candidate(run.folder, run.fingerprint) == str(folder)
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == {
            p: s.st_mtime_ns for p, s in before.items()
        }

    def test_other_content_is_refused(self, registry: LocalRegistry, run: Run) -> None:
        folder = Path(registry.add_candidate(run.folder, run.fingerprint))
        before = tree(folder)
        run.weights = b"other"
        with pytest.raises(RegistryError, match=r"differ: model_fold_0/model\.weights\.h5\."):
            registry.add_candidate(run.write().folder, run.fingerprint)
        assert tree(folder) == before

    def test_of_another_run_is_refused(self, registry: LocalRegistry, run: Run) -> None:
        with pytest.raises(RegistryError, match="belongs to the run"):
            registry.add_candidate(run.folder, "0" * 16)
        with pytest.raises(RegistryError, match="16 hex digits"):
            registry.add_candidate(run.folder, "../../etc")
        assert not registry.path.exists()

    def test_half_cut_pickled_or_empty_output(
        self, registry: LocalRegistry, run: Run, tmp_path: Path
    ) -> None:
        whole = Path(registry.add_candidate(run.folder, run.fingerprint))
        (run.folder / "checksums.json").write_bytes((whole / "checksums.json").read_bytes())
        os.truncate(run.folder / "model_fold_0" / "model.weights.h5", 100)
        other = LocalRegistry(tmp_path / "other")
        with pytest.raises(TamperedError, match="changed: model_fold_0"):
            other.add_candidate(run.folder, run.fingerprint)
        (run.folder / "model.pkl").write_bytes(b"\x80")
        with pytest.raises(TamperedError, match=r"model\.pkl"):
            other.add_candidate(run.folder, run.fingerprint)
        (tmp_path / "empty").mkdir()
        with pytest.raises(RegistryError, match="nothing to store"):
            other.add_candidate(tmp_path / "empty", run.fingerprint)
        assert not other.path.exists()


class TestPublish:
    def test_first(self, registry: LocalRegistry, run: Run) -> None:
        candidate = Path(registry.add_candidate(run.folder, run.fingerprint))
        release = registry.publish(run.fingerprint[:8])
        assert (release.tag, release.change, release.previous) == ("v1.0.0", "first", None)
        assert release.status == "published"
        assert resolve(str(registry)).revision == "v1.0.0"
        files, original = tree(Path(release.address)), tree(candidate)
        description = json.loads(files.pop("release.json"))
        assert description["tag"] == "v1.0.0"
        assert description["fingerprint"] == run.fingerprint
        assert json.loads(files.pop("checksums.json"))["files"].keys() == {*files, "release.json"}
        original.pop("checksums.json")
        assert files == original
        weights = "model_fold_0/model.weights.h5"
        assert (Path(release.address) / weights).samefile(
            candidate / weights
        )  # no second copy on disk
        assert stat.S_IMODE((Path(release.address) / weights).stat().st_mode) == 0o444
        assert [(e.sequence, e.action, e.tag) for e in registry.history()] == [
            (1, "publish", "v1.0.0")
        ]

    def test_again_is_no_second_release(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        first, before = registry.publish(run.fingerprint), tree(registry.path)
        again = registry.publish(run.fingerprint)
        assert (again.tag, again.status) == (first.tag, "already published")
        assert registry.publish(run.fingerprint, version="1.0.0").tag == "v1.0.0"
        with pytest.raises(NotPublishable, match=r"released as v1\.0\.0 already"):
            registry.publish(run.fingerprint, version="v2.0.0")
        assert tree(registry.path) == before

    def test_dry_run_writes_nothing(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        before = tree(registry.path)
        release = registry.publish(run.fingerprint, dry_run=True)
        assert (release.tag, release.status) == ("v1.0.0", "would be published")
        assert tree(registry.path) == before
        assert registry.current() is None

    def test_versions_by_what_changed(self, registry: LocalRegistry, tmp_path: Path) -> None:
        three = {**UNITS, "YoungMod": "GPa"}
        steps: list[tuple[dict, str]] = [
            ({}, "v1.0.0"),
            ({"data": "more"}, "v1.1.0"),
            ({"data": "more", "params": "p2"}, "v1.2.0"),
            ({"data": "more", "params": "p2", "code": "c2"}, "v1.3.0"),
            ({"data": "b", "units": three}, "v2.0.0"),
            ({"data": "c", "units": {**three, "Density": "kg/m³"}}, "v3.0.0"),
            ({"data": "d", "units": UNITS}, "v4.0.0"),
        ]
        for number, (changes, expected) in enumerate(steps):
            assert publish(registry, tmp_path / str(number), **changes) == expected
        assert [r.tag for r in registry.releases()] == [tag for _, tag in steps]
        assert "newly predicts YoungMod" in registry.release("v2.0.0").reasons
        assert registry.release("v1.1.0").reasons == ("other data",)

    def test_version_by_hand(self, registry: LocalRegistry, tmp_path: Path) -> None:
        publish(registry, tmp_path / "a")
        run = add(registry, Run(tmp_path / "b", data="b", champion="v1.0.0"))
        for version, reason in {"1.0.0": "exists", "v0.9.0": "older", "two": "such as"}.items():
            with pytest.raises(NotPublishable, match=reason):
                registry.publish(run.fingerprint, version=version)
        assert registry.publish(run.fingerprint, version="3.1.4").tag == "v3.1.4"
        assert publish(registry, tmp_path / "c", data="c") == "v3.2.0"

    @pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
    def test_only_pass(self, registry: LocalRegistry, tmp_path: Path, verdict: Verdict) -> None:
        run = add(registry, Run(tmp_path / "run", verdict=verdict))
        with pytest.raises(NotPublishable, match=rf"verdict is {verdict}\.\n  - Density: MAE"):
            registry.publish(run.fingerprint)
        assert registry.releases() == []
        with pytest.raises(UnknownModelError, match=f"{run.fingerprint}  {verdict}"):
            resolve(str(registry))

    @pytest.mark.parametrize("missing", ["gate.json", "metrics.json", "record.yaml"])
    def test_anything_missing_is_a_no(
        self, registry: LocalRegistry, run: Run, missing: str
    ) -> None:
        (run.folder / missing).unlink()
        registry.add_candidate(run.folder, run.fingerprint)
        with pytest.raises(NotPublishable, match=r"never judged|has no"):
            registry.publish(run.fingerprint)
        assert registry.current() is None

    @pytest.mark.parametrize("verdict", ["passed", None, "PASS", True])
    def test_a_verdict_of_another_word(
        self, registry: LocalRegistry, run: Run, verdict: object
    ) -> None:
        write_json(run.folder / "gate.json", {**run.gate(), "verdict": verdict})
        registry.add_candidate(run.folder, run.fingerprint)
        with pytest.raises(NotPublishable, match="expected one of pass"):
            registry.publish(run.fingerprint)

    def test_scores_that_are_no_numbers(self, registry: LocalRegistry, run: Run) -> None:
        metrics = run.metrics()
        metrics["properties"]["Density"]["model"]["mae"] = float("nan")
        write_json(run.folder / "metrics.json", metrics)
        registry.add_candidate(run.folder, run.fingerprint)
        with pytest.raises(NotPublishable, match="Density: expected a finite MAE"):
            registry.publish(run.fingerprint)

    def test_tampered_candidate(self, registry: LocalRegistry, run: Run) -> None:
        folder = Path(registry.add_candidate(run.folder, run.fingerprint))
        path = folder / "model_fold_0" / "scaler.json"
        path.chmod(0o644)
        path.write_text("{ }")
        with pytest.raises(TamperedError, match=r"changed: model_fold_0/scaler\.json"):
            registry.publish(run.fingerprint)
        assert registry.releases() == []
        with pytest.raises(TamperedError):
            registry.add_candidate(run.folder, run.fingerprint)

    def test_unknown_candidate_or_registry(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        with pytest.raises(UnknownModelError, match=run.fingerprint):
            registry.publish("0" * 16)
        nowhere = LocalRegistry(registry.path.parent / "typo")
        for call in (nowhere.publish, nowhere.rollback):
            with pytest.raises(UnknownModelError):
                call("0" * 16)
        assert not nowhere.path.exists()


class TestChampion:
    def test_a_verdict_against_another_champion_is_stale(
        self, registry: LocalRegistry, tmp_path: Path
    ) -> None:
        a = add(registry, Run(tmp_path / "a"))
        b = add(registry, Run(tmp_path / "b", data="b"))
        registry.publish(a.fingerprint)
        message = rf"against no champion, .* v1\.0\.0.*trainer gate --registry .*{b.fingerprint}"
        with pytest.raises(NotPublishable, match=message):
            registry.publish(b.fingerprint)
        before = tree(registry.folder(f"candidate/{b.fingerprint}"))
        regate(registry, b)
        assert tree(registry.folder(f"candidate/{b.fingerprint}")) == before  # the candidate stays
        release = registry.publish(b.fingerprint)
        assert release.tag == "v1.1.0"
        gate = json.loads((Path(release.address) / "gate.json").read_text())
        assert gate["champion"]["revision"] == "v1.0.0"  # the release carries the newest verdict
        assert resolve(str(registry)).fingerprint == b.fingerprint

    def test_a_later_no_counts(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        for verdict in ("inconclusive", "fail"):
            run.verdict = verdict
            regate(registry, run)
            assert registry.candidate(run.fingerprint).verdict == verdict
            with pytest.raises(NotPublishable, match=verdict):
                registry.publish(run.fingerprint)

    def test_a_review_must_fit(self, registry: LocalRegistry, run: Run, tmp_path: Path) -> None:
        add(registry, run)
        with pytest.raises(RegistryError, match=r"no gate\.json"):
            registry.regate(run.fingerprint, tmp_path)
        run.champion = "v7.0.0"
        with pytest.raises(NotPublishable, match=r"against v7\.0\.0; the current release is none"):
            registry.regate(run.fingerprint, run.write().folder)
        run.champion = None
        run.write()
        write_record(Run(tmp_path / "other", data="other").record(), run.folder)
        with pytest.raises(RegistryError, match="belongs to the run"):
            registry.regate(run.fingerprint, run.folder)
        assert not (registry.path / "reviews").exists()

    def test_the_same_review_again_changes_nothing(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        regate(registry, run)  # the verdict it was stored with
        assert not (registry.path / "reviews").exists()
        for verdict in ("fail", "fail", "pass", "pass"):
            run.verdict = verdict
            regate(registry, run)
        reviews = registry.path / "reviews" / run.fingerprint
        assert sorted(p.name for p in reviews.iterdir()) == ["0001", "0002"]
        assert registry.candidate(run.fingerprint).verdict == "pass"

    def test_a_tampered_review(self, registry: LocalRegistry, run: Run) -> None:
        add(registry, run)
        run.verdict = "fail"
        regate(registry, run)
        path = registry.path / "reviews" / run.fingerprint / "0001" / "gate.json"
        path.chmod(0o644)
        path.write_text(path.read_text().replace("fail", "pass"))
        with pytest.raises(TamperedError, match=r"changed: gate\.json"):
            registry.publish(run.fingerprint)


class TestRollback:
    def test_back_and_forth(self, registry: LocalRegistry, tmp_path: Path) -> None:
        publish(registry, tmp_path / "a")
        publish(registry, tmp_path / "b", data="b")
        assert registry.rollback("v1.0.0").tag == "v1.0.0"
        assert resolve(str(registry)).revision == "v1.0.0"
        assert resolve(f"{registry}@v1.1.0").revision == "v1.1.0"  # it stays where it was
        registry.rollback("v1.0.0")  # nothing to do
        stale = add(registry, Run(tmp_path / "c", data="c", champion="v1.1.0"))
        with pytest.raises(NotPublishable, match=r"against v1\.1\.0"):
            registry.publish(stale.fingerprint)
        regate(registry, stale)
        assert registry.publish(stale.fingerprint).tag == "v1.2.0"  # never a used number again
        registry.rollback("v1.1.0")
        events = [(e.sequence, e.action, e.tag, e.previous) for e in registry.history()]
        assert events == [
            (1, "publish", "v1.0.0", None),
            (2, "publish", "v1.1.0", "v1.0.0"),
            (3, "rollback", "v1.0.0", "v1.1.0"),
            (4, "publish", "v1.2.0", "v1.0.0"),
            (5, "rollback", "v1.1.0", "v1.2.0"),
        ]

    def test_to_what_is_not_there_or_not_whole(
        self, registry: LocalRegistry, tmp_path: Path
    ) -> None:
        publish(registry, tmp_path / "a")
        publish(registry, tmp_path / "b", data="b")
        with pytest.raises(UnknownModelError, match=r"it has v1\.0\.0, v1\.1\.0"):
            registry.rollback("v3.0.0")
        (registry.path / "releases" / "v1.0.0" / "metrics.json").unlink()
        with pytest.raises(TamperedError, match=r"missing: metrics\.json"):
            registry.rollback("v1.0.0")
        assert resolve(str(registry)).revision == "v1.1.0"
