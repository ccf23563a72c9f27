"""Each kind of fault, as the real client meets it."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session, httpx

COMMIT = "/commit/main$"


def push(hub, repo, content=b"new"):
    operations = [CommitOperationAdd("a.txt", content)]
    return hub.api().create_commit(repo, operations, commit_message="a change")


@pytest.mark.parametrize("code", ["500", "503", "401", "403", "409", "412", "429"])
def test_a_status_is_answered_before_anything_is_done(hub, repo, code):
    before = hub.refs(repo)
    hub.inject(code, path=COMMIT)
    with pytest.raises(HfHubHTTPError) as error:
        push(hub, repo)
    assert error.value.response.status_code == int(code)
    assert hub.refs(repo) == before
    assert push(hub, repo).oid == hub.refs(repo)["refs/heads/main"]


def test_drop_does_nothing_and_drop_after_has_done_all(hub, repo):
    before = hub.refs(repo)
    hub.inject("drop", path=COMMIT)
    with pytest.raises(httpx.HTTPError):
        push(hub, repo)
    assert hub.refs(repo) == before
    hub.inject("drop_after", path=COMMIT)
    with pytest.raises(httpx.HTTPError):
        push(hub, repo)
    assert hub.git(repo, "show", "main:a.txt") == "new"
    ends = [(c["status"], c.get("executed")) for c in hub.calls() if c["path"].endswith("main")]
    assert ends[-2:] == [(200, None), (0, 200)]


def test_slow_is_done_but_answered_late(hub, repo):
    hub.inject("slow", path=COMMIT, seconds=60)
    operations = [CommitOperationAdd("a.txt", b"new")]
    api = hub.api()
    api.preupload_lfs_files(repo, operations)
    from huggingface_hub import set_client_factory

    set_client_factory(lambda: httpx.Client(timeout=0.5))
    try:
        with pytest.raises(httpx.ReadTimeout):
            api.create_commit(repo, operations, commit_message="a change")
    finally:
        set_client_factory(huggingface_hub.utils._http.default_client_factory)
    assert hub.git(repo, "show", "main:a.txt") == "new"


def test_truncated_downloads_are_noticed_and_asked_for_again(hub, repo, hub_home):
    push(hub, repo, b"0123456789" * 1000)
    hub.inject("truncate", method="GET", path="/resolve/")
    assert Path(hf_hub_download(repo, "a.txt")).read_bytes() == b"0123456789" * 1000
    gets = [c["fault"] for c in hub.calls() if c["method"] == "GET" and "/resolve/" in c["path"]]
    assert gets == ["truncate", None]


def test_the_nth_matching_request_and_as_many_times_as_told(hub, repo):
    api = hub.api()
    hub.inject("503", nth=2, times=2, method="GET", path="/refs$")
    ends = []
    for _ in range(4):
        api.model_info(repo)
        try:
            api.list_repo_refs(repo)
            ends.append(200)
        except HfHubHTTPError as error:
            ends.append(error.response.status_code)
    assert ends == [200, 503, 503, 200]
    assert [c["status"] for c in hub.calls() if c["path"].endswith("/refs")] == ends
    assert {c["token_name"] for c in hub.calls()} == {"owner"}
    assert hub.calls(clear=True)
    assert hub.calls() == []


def test_a_failure_of_the_server_itself_is_shown(hub, repo):
    hub.settings(page="many")
    headers = {"Authorization": f"Bearer {hub.owner_token}"}
    answer = get_session().get(f"{hub.endpoint}/api/models/{repo}/commits/main", headers=headers)
    assert answer.status_code == 500
    assert "ValueError" in hub.calls()[-1]["error"]


def test_a_client_that_dies_in_an_upload_leaves_nothing(hub, repo):
    content = b"\0" * 50_000
    digest = hashlib.sha256(content).hexdigest()
    url = f"{hub.endpoint}/{repo}.git/info/lfs/objects/batch"
    wanted = {"operation": "upload", "objects": [{"oid": digest, "size": len(content)}]}
    headers = {"Authorization": f"Bearer {hub.owner_token}"}
    answer = get_session().post(url, json=wanted, headers=headers).json()
    href = urlsplit(answer["objects"][0]["actions"]["upload"]["href"])
    with socket.create_connection(("127.0.0.1", hub.port)) as line:
        head = f"PUT {href.path}?{href.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"
        line.sendall(head.encode() + content[:20_000])
    while [c["status"] for c in hub.calls() if c["method"] == "PUT"] != [499]:
        time.sleep(0.02)
    assert not [p for p in (hub.folder(repo) / "lfs").rglob("*") if p.is_file()]
    assert not [c for c in hub.calls() if c.get("error")]


def test_an_unknown_fault_is_refused(hub):
    with pytest.raises(RuntimeError, match="expected one of"):
        hub.inject("earthquake")


def test_offline_refuses_and_comes_back_with_all_it_had(hub, repo):
    oid = push(hub, repo).oid
    with hub.offline(), pytest.raises(httpx.HTTPError):
        hub.api().model_info(repo)
    assert hub.api().model_info(repo).sha == oid
