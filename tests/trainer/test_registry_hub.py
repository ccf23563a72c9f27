"""The registry on the Hub does what the one in a folder does, and sends no weights twice."""

from pathlib import Path

import pytest
from hub_kit import Hub
from hub_registry_kit import released, require_sound_hub, tags, titles
from huggingface_hub import CommitOperationAdd, snapshot_download
from registry_kit import Run, tree, write_json

from polyid.checksums import TamperedError
from polyid.hub import pin
from polyid.hub_errors import HubError
from polyid.registry import UnknownModelError
from polyid.store import resolve
from trainer.registry import NotPublishable, Registry, RegistryError, open_registry
from trainer.registry.hub import HubRegistry

pytestmark = pytest.mark.usefixtures("hub_home")

WEIGHTS = "model_fold_0/model.weights.h5"


@pytest.fixture
def repo(hub: Hub) -> str:
    return hub.name("model")


@pytest.fixture
def registry(repo: str) -> Registry:
    return open_registry(f"hf://{repo}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run-a").write()


@pytest.fixture
def second(tmp_path: Path) -> Run:
    return Run(tmp_path / "run-b", data="b", champion="v1.0.0", weights=b"other" * 9000).write()


def writes(hub: Hub) -> list[str]:
    return [f"{c['method']} {c['path']}" for c in hub.calls() if c["method"] != "GET" and (
        "/commit/" in c["path"] or "/tag/" in c["path"] or "/branch/" in c["path"]
        or c["path"].endswith("/repos/create"))]  # fmt: skip


class TestCandidate:
    def test_is_one_commit_on_its_own_branch(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        address = registry.add_candidate(run.folder, run.fingerprint)
        branch = f"candidate/{run.fingerprint}"
        assert address == f"{hub.endpoint}/{repo}/tree/{branch}"
        log = hub.git(repo, "log", "--format=%s", branch).splitlines()
        assert log == [f"Candidate {run.fingerprint}", "initial commit"]
        files = tree(Path(snapshot_download(repo, revision=branch)))
        assert {
            k: v for k, v in files.items() if k not in ("checksums.json", ".gitattributes")
        } == (tree(run.folder))
        assert titles(hub, repo) == ["initial commit"], "nothing of it is on main"
        assert hub.api().model_info(repo).private
        assert registry.has_candidate(run.fingerprint)
        assert registry.candidate(run.fingerprint[:6]).verdict == "pass"
        assert [c.fingerprint for c in registry.candidates()] == [run.fingerprint]
        assert registry.releases() == []
        assert registry.current() is None

    def test_the_same_again_writes_nothing(self, hub: Hub, registry: Registry, run: Run) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        hub.calls(clear=True)
        registry.add_candidate(run.folder, run.fingerprint)
        assert writes(hub) == []

    def test_other_content_is_refused(self, hub: Hub, registry: Registry, run: Run) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        run.weights = b"others" * 5000
        with pytest.raises(RegistryError, match=f"never changed.*differ: {WEIGHTS}"):
            registry.add_candidate(run.write().folder, run.fingerprint)

    def test_public_if_said_so(self, hub: Hub, repo: str, run: Run) -> None:
        open_registry(f"hf://{repo}", public=True).add_candidate(run.folder, run.fingerprint)
        assert not hub.api().model_info(repo).private

    def test_one_that_was_cut_off_is_none_and_is_finished(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        hub.inject("500", method="POST", path="/commit/")
        with pytest.raises(HubError, match="500"):
            registry.add_candidate(run.folder, run.fingerprint)
        assert not registry.has_candidate(run.fingerprint)
        assert registry.candidates() == []
        hub.calls(clear=True)
        registry.add_candidate(run.folder, run.fingerprint)
        assert registry.has_candidate(run.fingerprint)
        sent = [c for c in hub.calls() if c["method"] == "PUT"]
        assert sent == [], "the weights were on the Hub already"

    def test_an_answer_that_was_lost(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        hub.inject("drop_after", method="POST", path="/commit/")
        registry.add_candidate(run.folder, run.fingerprint)
        log = hub.git(repo, "log", "--format=%s", f"candidate/{run.fingerprint}").splitlines()
        assert log == [f"Candidate {run.fingerprint}", "initial commit"]

    @pytest.mark.parametrize("name", ["model.pkl", "sub/x.joblib"])
    def test_a_pickle_is_refused(self, hub: Hub, registry: Registry, run: Run, name: str) -> None:
        path = run.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x80")
        with pytest.raises(TamperedError, match="pickle"):
            registry.add_candidate(run.folder, run.fingerprint)
        assert writes(hub) == []


class TestPublish:
    def test_is_one_commit_and_a_tag_and_no_weights_travel(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        hub.calls(clear=True)
        release = registry.publish(run.fingerprint)
        assert (release.tag, release.status, release.change) == ("v1.0.0", "published", "first")
        assert not any("model.weights.h5" in c["path"] for c in hub.calls())
        assert not any(c["method"] == "PUT" for c in hub.calls())
        assert len(writes(hub)) == 2, "a commit and a tag"
        assert titles(hub, repo) == ["initial commit", "Release v1.0.0"]
        assert tags(hub, repo) == {"v1.0.0": release.commit}
        files = tree(Path(snapshot_download(repo, revision="v1.0.0")))
        for name in ("release.json", "checksums.json", ".gitattributes"):
            files.pop(name)
        assert files == tree(run.folder)
        assert registry.current() == registry.release("v1.0.0")
        require_sound_hub(hub, repo)

    def test_again_changes_nothing(self, hub: Hub, repo: str, tmp_path: Path) -> None:
        registry = released(repo, tmp_path / "run-a")
        hub.calls(clear=True)
        again = registry.publish(Run(tmp_path).fingerprint)
        assert (again.tag, again.status) == ("v1.0.0", "already published")
        assert writes(hub) == []
        with pytest.raises(NotPublishable, match=r"as v1.0.0 already; it cannot be 2.0.0"):
            registry.publish(Run(tmp_path).fingerprint, version="2.0.0")

    def test_dry_run_writes_nothing(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        hub.calls(clear=True)
        release = registry.publish(run.fingerprint, dry_run=True)
        assert (release.tag, release.status) == ("v1.0.0", "would be published")
        assert writes(hub) == []

    def test_the_second_replaces_the_first(
        self, hub: Hub, repo: str, second: Run, tmp_path: Path
    ) -> None:
        first = Run(tmp_path / "run-a")
        first.folder.mkdir()
        (first.folder / "only-here.txt").write_text("an older one had this")
        registry = released(repo, first.folder)
        registry.add_candidate(second.folder, second.fingerprint)
        release = registry.publish(second.fingerprint)
        assert (release.tag, release.previous, release.change) == ("v1.1.0", "v1.0.0", "minor")
        assert release.reasons == ("other data",)
        files = tree(Path(snapshot_download(repo, revision="main")))
        assert files[WEIGHTS] == second.weights
        assert "only-here.txt" not in files
        require_sound_hub(hub, repo)

    @pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
    def test_needs_a_pass(
        self, hub: Hub, repo: str, registry: Registry, tmp_path: Path, verdict: str
    ) -> None:
        run = Run(tmp_path / "run-a", verdict=verdict).write()  # type: ignore[arg-type]
        registry.add_candidate(run.folder, run.fingerprint)
        with pytest.raises(NotPublishable, match=f"verdict is {verdict}"):
            registry.publish(run.fingerprint)
        assert titles(hub, repo) == ["initial commit"]

    def test_needs_a_pass_against_todays_champion(
        self, hub: Hub, repo: str, tmp_path: Path
    ) -> None:
        registry = released(repo, tmp_path / "run-a")
        run = Run(tmp_path / "run-b", data="b").write()
        registry.add_candidate(run.folder, run.fingerprint)
        with pytest.raises(NotPublishable, match=r"against no champion.*is v1.0.0"):
            registry.publish(run.fingerprint)
        run.champion = "v1.0.0"
        assert registry.regate(run.fingerprint, run.write().folder).verdict == "pass"
        assert registry.publish(run.fingerprint).tag == "v1.1.0"
        said = registry.folder("v1.1.0", ["gate.json"]) / "gate.json"
        assert '"revision": "v1.0.0"' in said.read_text()
        made = registry.folder(f"candidate/{run.fingerprint}", ["gate.json"]) / "gate.json"
        assert '"champion": null' in made.read_text(), "the candidate stays as it was"
        require_sound_hub(hub, repo)

    def test_a_candidate_that_was_changed_is_refused(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        operations = [CommitOperationAdd(WEIGHTS, b"something else" * 4000)]
        hub.api().create_commit(
            repo, operations, commit_message="x", revision=f"candidate/{run.fingerprint}"
        )
        with pytest.raises(TamperedError, match=f"changed: {WEIGHTS}"):
            registry.publish(run.fingerprint)
        assert titles(hub, repo) == ["initial commit"]

    def test_whoever_is_overtaken_looks_again(
        self, hub: Hub, repo: str, registry: Registry, run: Run
    ) -> None:
        registry.add_candidate(run.folder, run.fingerprint)
        hub.inject("412", method="POST", path="/commit/main")
        assert registry.publish(run.fingerprint).status == "published"
        require_sound_hub(hub, repo)

    def test_dead_between_commit_and_tag(
        self, hub: Hub, repo: str, second: Run, tmp_path: Path
    ) -> None:
        registry = released(repo, tmp_path / "run-a")
        registry.add_candidate(second.folder, second.fingerprint)
        hub.inject("403", method="POST", path="/tag/")
        with pytest.raises(HubError, match="counts once its tag stands"):
            registry.publish(second.fingerprint)
        assert titles(hub, repo)[-1] == "Release v1.1.0"
        current = registry.current()
        assert current is not None
        assert current.tag == "v1.0.0", "the old release stays until the new one is whole"
        assert pin(repo).revision == "v1.0.0"
        assert resolve(f"hf://{repo}").revision == "v1.0.0"
        again = registry.publish(second.fingerprint)
        assert (again.tag, again.status) == ("v1.1.0", "already published")
        assert titles(hub, repo).count("Release v1.1.0") == 1
        assert resolve(f"hf://{repo}").revision == "v1.1.0"
        require_sound_hub(hub, repo)

    def test_a_tag_that_was_set_by_hand(
        self, hub: Hub, repo: str, second: Run, tmp_path: Path
    ) -> None:
        registry = released(repo, tmp_path / "run-a")
        registry.add_candidate(second.folder, second.fingerprint)
        hub.inject("403", method="POST", path="/tag/")
        with pytest.raises(HubError):
            registry.publish(second.fingerprint)
        hub.api().create_tag(repo, tag="v1.1.0", tag_message="mine", revision="v1.0.0")
        with pytest.raises(RegistryError, match="set by hand"):
            registry.releases()
        current = registry.current()
        assert current is not None
        assert current.tag == "v1.0.0"
        hub.api().delete_tag(repo, tag="v1.1.0")
        assert registry.publish(second.fingerprint).tag == "v1.1.0"

    def test_what_is_not_there_is_named(self, hub: Hub, repo: str, tmp_path: Path) -> None:
        with pytest.raises(UnknownModelError, match="no repository"):
            HubRegistry(f"hf://{repo}").publish("0" * 16)
        registry = released(repo, tmp_path / "run-a")
        with pytest.raises(UnknownModelError, match=Run(tmp_path).fingerprint):
            registry.publish("ffff")
        with pytest.raises(UnknownModelError, match=r"v9.9.9.*it has v1.0.0"):
            registry.release("v9.9.9")
        with pytest.raises(HubError, match="Expected hf://namespace/name"):
            open_registry("hf://only-one-part")


class TestRollback:
    def test_is_a_new_commit_that_says_so(
        self, hub: Hub, repo: str, second: Run, tmp_path: Path
    ) -> None:
        registry = released(repo, tmp_path / "run-a")
        registry.add_candidate(second.folder, second.fingerprint)
        registry.publish(second.fingerprint)
        assert registry.rollback("v1.0.0").tag == "v1.0.0"
        assert titles(hub, repo)[1:] == ["Release v1.0.0", "Release v1.1.0", "Roll back to v1.0.0"]
        assert hub.git(repo, "diff", "--stat", "v1.0.0", "main") == ""
        current = registry.current()
        assert current is not None
        assert current.tag == "v1.0.0"
        assert resolve(f"hf://{repo}").revision == "v1.0.0"
        assert [(e.sequence, e.action, e.tag, e.previous) for e in registry.history()] == [
            (1, "publish", "v1.0.0", None),
            (2, "publish", "v1.1.0", "v1.0.0"),
            (3, "rollback", "v1.0.0", "v1.1.0"),
        ]
        hub.calls(clear=True)
        registry.rollback("v1.0.0")
        assert writes(hub) == []
        third = Run(tmp_path / "run-c", params="c", champion="v1.0.0").write()
        registry.add_candidate(third.folder, third.fingerprint)
        assert registry.publish(third.fingerprint).tag == "v1.2.0"
        require_sound_hub(hub, repo)

    def test_with_the_answer_lost(self, hub: Hub, repo: str, second: Run, tmp_path: Path) -> None:
        registry = released(repo, tmp_path / "run-a")
        registry.add_candidate(second.folder, second.fingerprint)
        registry.publish(second.fingerprint)
        hub.inject("drop_after", method="POST", path="/commit/main")
        assert registry.rollback("v1.0.0").tag == "v1.0.0"
        assert titles(hub, repo).count("Roll back to v1.0.0") == 1


def test_reviews_are_numbered_by_their_commits(hub: Hub, repo: str, tmp_path: Path) -> None:
    registry = released(repo, tmp_path / "run-a")
    run = Run(tmp_path / "run-b", data="b").write()
    registry.add_candidate(run.folder, run.fingerprint)
    for reasons in (["one"], ["two"], ["two"]):
        gate = run.gate() | {"reasons": reasons, "champion": {"revision": "v1.0.0"}}
        write_json(run.folder / "gate.json", gate)
        found = registry.regate(run.fingerprint, run.folder)
        assert found.gate is not None
        assert found.gate["reasons"] == reasons
    log = hub.git(repo, "log", "--format=%s", f"review/{run.fingerprint}").splitlines()
    assert log == [f"Verdict on {run.fingerprint}"] * 2 + ["initial commit"]
    write_json(run.folder / "gate.json", run.gate())
    with pytest.raises(NotPublishable, match="Judge it against that one"):
        registry.regate(run.fingerprint, run.folder)
