"""A model of one's own on the Hub: pushed whole, loaded by name, refused when it was changed."""

from pathlib import Path

import pytest
from hub_kit import Hub
from huggingface_hub import CommitOperationAdd

from polyid.checksums import TamperedError
from polyid.hub_errors import HubError, explained, without_secrets
from polyid.multimodel import MultiModel
from polyid.registry import UnknownModelError

pytestmark = pytest.mark.usefixtures("hub_home")

CHAINS = ["CCCCCC", "CC(C)CC(C)CC"]


@pytest.fixture
def model(model_folder: Path) -> MultiModel:
    return MultiModel.load_models(model_folder)


def test_pushed_and_loaded_by_name_it_predicts_the_same(hub: Hub, model: MultiModel) -> None:
    repo = hub.name("mine")
    commit = model.push_to_hub(repo)
    assert hub.api().model_info(repo).private
    for revision in (None, commit, "main"):
        loaded = MultiModel.from_pretrained(repo, revision=revision)
        assert (loaded.predict_members(CHAINS) == model.predict_members(CHAINS)).all()
    with hub.offline():
        assert MultiModel.from_pretrained(repo).folder == loaded.folder


def test_again_replaces_and_a_branch_leaves_main_alone(hub: Hub, model: MultiModel) -> None:
    repo = hub.name("mine")
    first = model.push_to_hub(repo, private=False)
    assert not hub.api().model_info(repo).private
    hub.api().create_commit(repo, [CommitOperationAdd("stray.txt", b"x")], commit_message="x")
    with pytest.raises(TamperedError, match=r"extra .*: stray.txt"):
        MultiModel.from_pretrained(repo)
    model.push_to_hub(repo, branch="trial")
    assert "stray.txt" not in hub.api().list_repo_files(repo, revision="trial")
    assert "stray.txt" in hub.api().list_repo_files(repo)
    assert MultiModel.from_pretrained(repo, revision=first).models


def test_a_folder_of_the_same_name_goes_first(
    hub: Hub, model: MultiModel, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = hub.name("mine")
    model.push_to_hub(repo)
    monkeypatch.chdir(tmp_path)
    Path(repo).parent.mkdir()
    Path(repo).symlink_to(model_folder)
    hub.calls(clear=True)
    assert MultiModel.from_pretrained(repo).folder == Path(repo)
    assert hub.calls() == []


def test_no_right_no_upload(hub: Hub, model: MultiModel, monkeypatch: pytest.MonkeyPatch) -> None:
    token = hub.token("reader", role="read")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match="403") as caught:
        model.push_to_hub(hub.name("mine"))
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        ("401", HubError, "hf auth login"),
        ("403", HubError, "no right"),
        ("429", HubError, "Too many requests"),
        ("500", HubError, "HTTP 500"),
        ("drop", HubError, "no answer"),
    ],
)
def test_each_answer_is_said_plainly(
    hub: Hub, status: str, kind: type[Exception], text: str
) -> None:
    repo = hub.name("mine")
    hub.api().create_repo(repo)
    hub.inject(status, path="/refs", times=20)
    with pytest.raises(kind, match=text), explained(repo, "reading"):
        hub.api().list_repo_refs(repo)


def test_a_repository_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(UnknownModelError, match="no such repository, or this token may not"):
        MultiModel.from_pretrained(hub.name("nothing"))


def test_a_token_never_stands_in_a_message() -> None:
    token = "hf_" + "a1B2" * 8
    assert token not in str(HubError(f"asked with {token} and Bearer {token}"))
    assert without_secrets("set HF_TOKEN, see hf_hub_download") == "set HF_TOKEN, see ***"
