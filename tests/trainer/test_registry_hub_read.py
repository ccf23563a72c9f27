"""Reading a model of the Hub: by tag, candidate or commit, once, and only if it is whole."""

import os
import shutil
from pathlib import Path

import pytest
from hub_kit import Hub
from hub_registry_kit import released
from huggingface_hub import CommitOperationAdd
from registry_kit import Run, tree

from polyid.checksums import TamperedError, write_checksums
from polyid.hub import fetch, pin
from polyid.hub_errors import HubError
from polyid.registry import UnknownModelError, read_json
from polyid.store import resolve
from trainer.registry.hub import HubRegistry

pytestmark = pytest.mark.usefixtures("hub_home")

WEIGHTS = "model_fold_0/model.weights.h5"


@pytest.fixture
def repo(hub: Hub) -> str:
    return hub.name("model")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run-a").write()


class TestRead:
    def test_by_tag_candidate_commit_and_as_it_is(
        self, hub: Hub, repo: str, run: Run, tmp_path: Path
    ) -> None:
        registry = released(repo, tmp_path / "run-a")
        release = registry.release("v1.0.0")
        for asked, shown in [
            (f"hf://{repo}", "v1.0.0"),
            (f"hf://{repo}@v1.0.0", "v1.0.0"),
            (f"hf://{repo}@{release.commit}", "v1.0.0"),
            (f"hf://{repo}@candidate/{run.fingerprint}", f"candidate/{run.fingerprint}"),
        ]:
            found = resolve(asked)
            assert (found.registry, found.revision) == (f"hf://{repo}", shown)
            assert found.fingerprint == run.fingerprint
            assert tree(found.folder)[WEIGHTS] == run.weights
            assert found.commit is not None
        with pytest.raises(UnknownModelError, match=r"no revision 'v2.0.0'. Releases: v1.0.0"):
            resolve(f"hf://{repo}@v2.0.0")

    def test_offline_after_the_first_time(self, hub: Hub, repo: str, tmp_path: Path) -> None:
        released(repo, tmp_path / "run-a")
        online = [resolve(f"hf://{repo}"), resolve(f"hf://{repo}@v1.0.0")]
        with hub.offline():
            assert [resolve(f"hf://{repo}"), resolve(f"hf://{repo}@v1.0.0")] == online
            with pytest.raises(HubError, match="cannot be reached"):
                resolve(f"hf://{repo}@v1.1.0")

    def test_a_damaged_cache_is_fetched_again_and_a_damaged_release_refused(
        self, hub: Hub, repo: str, tmp_path: Path
    ) -> None:
        released(repo, tmp_path / "run-a")
        folder = resolve(f"hf://{repo}").folder
        os.truncate((folder / WEIGHTS).resolve(), 10)
        assert resolve(f"hf://{repo}").folder == folder
        with hub.offline():
            os.truncate((folder / WEIGHTS).resolve(), 10)
            with pytest.raises((TamperedError, HubError)):
                resolve(f"hf://{repo}")

    def test_a_pickle_on_the_hub_is_refused(self, hub: Hub, repo: str, tmp_path: Path) -> None:
        released(repo, tmp_path / "run-a")
        operations = [CommitOperationAdd("extra/model.pkl", b"\x80\x04.")]
        done = hub.api().create_commit(repo, operations, commit_message="x")
        with pytest.raises(TamperedError, match=r"refused: extra/model.pkl .*pickle"):
            resolve(f"hf://{repo}@{done.oid}")
        assert resolve(f"hf://{repo}").revision == "v1.0.0", "a hand on main changes no release"

    def test_a_model_without_a_registry(self, hub: Hub, repo: str, run: Run) -> None:
        folder = run.folder.with_name("alone")
        shutil.copytree(run.folder, folder)
        names = [*write_checksums(folder), "checksums.json"]
        hub.api().create_repo(repo)
        hub.api().create_commit(
            repo, [CommitOperationAdd(n, str(folder / n)) for n in names], commit_message="x"
        )
        found = resolve(f"hf://{repo}")
        assert found.revision == found.commit

    def test_an_empty_repository_says_what_to_do(self, hub: Hub, repo: str, run: Run) -> None:
        hub.api().create_repo(repo)
        with pytest.raises(UnknownModelError, match=r"no release.*Make one: `trainer run"):
            resolve(f"hf://{repo}")
        HubRegistry(f"hf://{repo}").add_candidate(run.folder, run.fingerprint)
        with pytest.raises(UnknownModelError, match=f"@candidate/{run.fingerprint}"):
            resolve(f"hf://{repo}")
        with pytest.raises(UnknownModelError, match="no such repository"):
            resolve("hf://acme/nothing-here")

    def test_only_the_files_asked_for_travel(self, hub: Hub, repo: str, tmp_path: Path) -> None:
        registry = released(repo, tmp_path / "run-a")
        hub.calls(clear=True)
        folder = registry.folder("v1.0.0", ["metrics.json", "not-there.txt"])
        assert read_json(folder / "metrics.json")["split"] == "grouped"
        assert not any("weights" in c["path"] for c in hub.calls())

    def test_a_truncated_download_is_not_taken_for_one(
        self, hub: Hub, repo: str, tmp_path: Path
    ) -> None:
        released(repo, tmp_path / "run-a")
        shutil.rmtree(Path(fetch(pin(repo))).parents[1])
        hub.inject("truncate", method="GET", path="weights", times=1)
        assert tree(resolve(f"hf://{repo}").folder)[WEIGHTS] == Run(tmp_path).weights
