"""Repositories, commits, refs, downloads: the real client and ``hf`` against the test Hub."""

from __future__ import annotations

import concurrent.futures
import hashlib
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RevisionNotFoundError,
)

BIG = bytes(range(256)) * 1200
SHA = hashlib.sha256(BIG).hexdigest()


def add(path: str, content: bytes = b"text\n") -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def push(api: HfApi, repo: str, files: dict[str, bytes], **more):
    operations = [add(path, content) for path, content in files.items()]
    return api.create_commit(repo, operations, commit_message="a change", **more)


def status(error: pytest.ExceptionInfo) -> int:
    return error.value.response.status_code


def test_commit_is_one_real_git_commit_with_large_files_by_pointer(hub, repo):
    api = hub.api()
    first = api.model_info(repo).sha
    done = push(api, repo, {"a.txt": b"hi\n", "w/x.keras": BIG}, parent_commit=first)
    assert hub.refs(repo) == {"refs/heads/main": done.oid}
    assert hub.git(repo, "rev-list", "--count", "main").strip() == "2"
    assert hub.git(repo, "show", "main:a.txt") == "hi\n"
    pointer = hub.git(repo, "show", "main:w/x.keras")
    assert pointer.splitlines()[1:] == [f"oid sha256:{SHA}", f"size {len(BIG)}"]
    assert "w/x.keras filter=lfs" in hub.git(repo, "show", "main:.gitattributes")
    assert hub.git(repo, "fsck", "--strict", "--no-dangling") == ""
    [entry] = api.get_paths_info(repo, ["w/x.keras"])
    assert (entry.lfs.sha256, entry.size) == (SHA, len(BIG))
    tree = {e.path: e for e in api.list_repo_tree(repo, recursive=True)}
    assert set(tree) == {".gitattributes", "a.txt", "w", "w/x.keras"}
    assert tree["a.txt"].blob_id == hub.git(repo, "rev-parse", "main:a.txt").strip()


def test_wrong_parent_is_412_and_changes_nothing(hub, repo):
    api = hub.api()
    old = api.model_info(repo).sha
    new = push(api, repo, {"a.txt": b"1"}, parent_commit=old).oid
    with pytest.raises(HfHubHTTPError, match="branch was updated since you opened") as error:
        push(api, repo, {"a.txt": b"2"}, parent_commit=old)
    assert status(error) == 412
    assert hub.refs(repo)["refs/heads/main"] == new


def test_of_racing_commits_on_one_parent_exactly_one_wins(hub, repo):
    parent = hub.api().model_info(repo).sha

    def race(number: int) -> int:
        try:
            push(hub.api(), repo, {"n.txt": str(number).encode()}, parent_commit=parent)
        except HfHubHTTPError as error:
            return error.response.status_code
        return 200

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(race, range(6)))
    assert sorted(ends) == [200] + [412] * 5
    assert hub.git(repo, "rev-list", "--count", "main").strip() == "2"


def test_unchanged_files_make_no_commit(hub, repo):
    api = hub.api()
    done = push(api, repo, {"a.txt": b"hi", "x.bin": BIG})
    assert push(api, repo, {"a.txt": b"hi", "x.bin": BIG}).oid == done.oid


def test_branches_and_copies_across_them_and_deletions(hub, repo):
    api = hub.api()
    branch = "candidate/abc123"
    api.create_branch(repo, branch=branch)
    push(api, repo, {"m/a.txt": b"A", "m/x.bin": BIG, "old.txt": b"o"}, revision=branch)
    with pytest.raises(HfHubHTTPError) as error:
        api.create_branch(repo, branch=branch)
    assert status(error) == 409
    with pytest.raises(RevisionNotFoundError):
        push(api, repo, {"a": b"1"}, revision="candidate/none")
    copies = [
        CommitOperationCopy(path, path, src_revision=branch)
        for path in ("m/a.txt", "m/x.bin", "old.txt")
    ]
    api.create_commit(repo, copies, commit_message="promote")
    assert api.get_paths_info(repo, ["m/x.bin"])[0].lfs.sha256 == SHA
    gone = [CommitOperationDelete("old.txt"), CommitOperationDelete("m/")]
    api.create_commit(repo, gone, commit_message="clean")
    assert api.list_repo_files(repo) == [".gitattributes"]
    with pytest.raises(RemoteEntryNotFoundError):
        api.create_commit(repo, [CommitOperationDelete("old.txt")], commit_message="again")
    api.delete_branch(repo, branch=branch)
    with pytest.raises(RevisionNotFoundError):
        api.delete_branch(repo, branch=branch)
    assert [b.name for b in api.list_repo_refs(repo).branches] == ["main"]


def test_tags_are_annotated_and_never_move(hub, repo):
    api = hub.api()
    oid = push(api, repo, {"a.txt": b"1"}).oid
    api.create_tag(repo, tag="v1.0.0", tag_message="first release", revision=oid)
    assert hub.git(repo, "cat-file", "-t", "refs/tags/v1.0.0").strip() == "tag"
    assert "first release" in hub.git(repo, "cat-file", "-p", "refs/tags/v1.0.0")
    push(api, repo, {"a.txt": b"2"})
    with pytest.raises(HfHubHTTPError) as error:
        api.create_tag(repo, tag="v1.0.0", tag_message="again")
    assert status(error) == 409
    [tag] = api.list_repo_refs(repo).tags
    assert (tag.name, tag.target_commit) == ("v1.0.0", oid)
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo, tag="v2", revision="nowhere")
    api.delete_tag(repo, tag="v1.0.0")
    assert api.list_repo_refs(repo).tags == []


def test_history_comes_in_pages(hub, repo):
    hub.settings(page=2)
    api = hub.api()
    oids = [push(api, repo, {"a.txt": str(i).encode()}).oid for i in range(4)]
    hub.calls(clear=True)
    rows = api.list_repo_commits(repo)
    assert [r.commit_id for r in rows][:4] == oids[::-1]
    assert (len(rows), rows[0].title, rows[0].authors) == (5, "a change", ["acme"])
    assert len(hub.calls()) == 3
    assert api.model_info(repo, revision=oids[0][:8]).sha == oids[0]


def test_snapshot_by_tag_and_commit_verifies_and_then_needs_no_network(hub, repo, hub_home):
    api = hub.api()
    oid = push(api, repo, {"a.txt": b"1", "x.bin": BIG}).oid
    api.create_tag(repo, tag="v1", revision=oid)
    push(api, repo, {"a.txt": b"2"})
    folder = Path(snapshot_download(repo, revision="v1"))
    assert (folder / "a.txt").read_bytes() == b"1"
    assert (folder / "x.bin").read_bytes() == BIG
    assert folder.is_relative_to(hub_home)
    assert snapshot_download(repo, revision=oid) == str(folder)
    assert not api.verify_repo_checksums(repo, revision=oid).mismatches
    (folder / "x.bin").resolve().write_bytes(b"changed")
    assert [m["path"] for m in api.verify_repo_checksums(repo, revision=oid).mismatches] == [
        "x.bin"
    ]
    with hub.offline():
        assert snapshot_download(repo, revision=oid) == str(folder)
    assert api.model_info(repo).id == repo


def test_download_resumes_where_it_was_cut(hub, repo, hub_home, monkeypatch):
    push(hub.api(), repo, {"x.bin": BIG})
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what is kept at a cut
    hub.inject("truncate", path="/_cdn/get/")
    assert Path(hf_hub_download(repo, "x.bin")).read_bytes() == BIG
    gets = [c for c in hub.calls() if "/_cdn/get/" in c["path"]]
    assert [(c["status"], c["fault"]) for c in gets] == [(200, "truncate"), (206, None)]


def test_large_files_can_go_in_parts(hub, repo):
    hub.settings(multipart_over=100_000)
    push(hub.api(), repo, {"x.bin": BIG})
    parts = [c for c in hub.calls() if "/_cdn/part/" in c["path"]]
    assert len(parts) == 4
    assert hub.api().get_paths_info(repo, ["x.bin"])[0].lfs.sha256 == SHA


def test_repositories_are_made_once_moved_copied_and_deleted(hub, repo):
    api = hub.api()
    with pytest.raises(HfHubHTTPError) as error:
        api.create_repo(repo)
    assert status(error) == 409
    assert api.create_repo(repo, exist_ok=True).repo_id == repo
    with pytest.raises(BadRequestError):
        api.create_repo("acme/x", repo_type="space", space_sdk="docker", space_hardware="h200")
    push(api, repo, {"x.bin": BIG})
    moved, copied = hub.name(), hub.name()
    api.move_repo(repo, moved)
    api.duplicate_repo(moved, copied)
    assert api.get_paths_info(copied, ["x.bin"])[0].lfs.sha256 == SHA
    assert not api.repo_exists(repo)
    assert {m.id for m in api.list_models(author="acme")} >= {moved, copied}
    api.delete_repo(copied)
    assert not api.repo_exists(copied)
    data = hub.name("data")
    api.create_repo(data, repo_type="dataset")
    api.upload_file(path_or_fileobj=BIG, path_in_repo="d.bin", repo_id=data, repo_type="dataset")
    assert hub.git(data, "rev-list", "--count", "main", repo_type="dataset").strip() == "2"


def test_cards_are_checked(hub, repo, hub_home):
    good = ModelCard("---\nlicense: bsd-3-clause\n---\n# A model")
    good.validate()
    push(hub.api(), repo, {"README.md": str(good).encode()})
    assert ModelCard.load(repo).data.license == "bsd-3-clause"
    assert hub.api().model_info(repo).card_data.license == "bsd-3-clause"
    text = "---\nlicense: my-own\nmodel-index:\n- name: x\n---\n"
    with pytest.raises(ValueError, match="must be one of the known identifiers"):
        ModelCard(text, ignore_metadata_errors=True).validate()
    with pytest.raises(ValueError, match=r"model-index\[0\].results"):
        push(hub.api(), repo, {"README.md": text.encode()})


def test_hf_command_creates_uploads_lists_and_downloads(hub, hf, tmp_path):
    name = hub.name("command")
    hf("repos", "create", name, "--private")
    (tmp_path / "x.bin").write_bytes(BIG)
    hf("upload", name, str(tmp_path / "x.bin"), "w/x.bin")
    hf("repos", "tag", "create", name, "v1", "-m", "first")
    out = tmp_path / "out"
    hf("download", name, "--revision", "v1", "--local-dir", str(out))
    assert (out / "w" / "x.bin").read_bytes() == BIG
    assert "v1" in hf("repos", "tag", "list", name).stdout
    assert "acme" in hf("auth", "whoami").stdout
    assert name in hf("repos", "list", "--format", "json").stdout
    refused = hf("download", name, check=False, HF_TOKEN=hub.token("s", namespace="zoe"))
    assert refused.returncode != 0
