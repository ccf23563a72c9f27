"""What the test Hub refuses, as the Hub does: rights, bad commits, bad uploads."""

from __future__ import annotations

import hashlib
import json

import pytest
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import get_session

BIG = bytes(range(256)) * 1200
SHA = hashlib.sha256(BIG).hexdigest()


def push(api, repo, files):
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(repo, operations, commit_message="a change")


def status(error: pytest.ExceptionInfo) -> int:
    return error.value.response.status_code


def test_who_may_see_and_write(hub, repo):
    stranger, reader = hub.token("s", namespace="zoe"), hub.token("r", role="read")
    fine = hub.token("f", role="fineGrained", repos=[repo])
    with pytest.raises(RepositoryNotFoundError) as error:
        hub.api(stranger).model_info(repo)
    assert (status(error), error.value.response.headers["X-Error-Code"]) == (404, "RepoNotFound")
    with pytest.raises(RepositoryNotFoundError):
        hub.api(False).model_info(repo)
    with pytest.raises(HfHubHTTPError) as error:
        hub.api("hf_unknown").whoami()
    assert status(error) == 401
    hub.api(reader).auth_check(repo)
    for refused in (reader, hub.token("g", role="fineGrained", repos=["acme/other"])):
        with pytest.raises(HfHubHTTPError) as error:
            hub.api(refused).auth_check(repo, write=True)
        assert status(error) == (403 if refused == reader else 404)
    with pytest.raises(HfHubHTTPError) as error:
        push(hub.api(reader), repo, {"a": b"1"})
    assert status(error) == 403
    hub.api(fine).auth_check(repo, write=True)
    push(hub.api(fine), repo, {"a": b"1"})
    with pytest.raises(HfHubHTTPError) as error:
        hub.api(fine).create_repo(hub.name())
    assert status(error) == 403
    hub.api().update_repo_settings(repo, visibility="public")
    assert hub.api(False).model_info(repo).private is False
    with pytest.raises(HfHubHTTPError) as error:
        push(hub.api(stranger), repo, {"a": b"2"})
    assert status(error) == 403
    assert hub.api(fine).whoami()["auth"]["accessToken"]["role"] == "fineGrained"
    hub.revoke(fine)
    with pytest.raises(HfHubHTTPError):
        hub.api(fine).whoami()


def _raw_commit(hub, repo, *rows):
    lines = [{"key": "header", "value": {"summary": "raw"}}, *rows]
    body = "\n".join(json.dumps(row) for row in lines)
    return get_session().post(
        f"{hub.endpoint}/api/models/{repo}/commit/main",
        content=body,
        headers={"Authorization": f"Bearer {hub.owner_token}"},
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": "0" * 64}}, "pointer"),
        ({"key": "file", "value": {"path": "../x", "content": ""}}, "Invalid path"),
        ({"key": "file", "value": {"path": "a/.git/config", "content": ""}}, "Invalid path"),
        ({"key": "file", "value": {"path": "/etc/x", "content": ""}}, "Invalid path"),
        ({"key": "file", "value": {"path": "a", "content": "%", "encoding": "base64"}}, "read"),
        ({"key": "magic", "value": {"path": "a"}}, "unknown operation"),
    ],
)
def test_bad_commits_are_refused(hub, repo, row, text):
    before = hub.refs(repo)
    answer = _raw_commit(hub, repo, row)
    assert answer.status_code == 400
    assert text in answer.json()["error"]
    assert hub.refs(repo) == before


def test_uploads_with_other_content_or_a_forged_address_are_refused(hub, repo):
    url = f"{hub.endpoint}/{repo}.git/info/lfs/objects/batch"
    wanted = {"operation": "upload", "objects": [{"oid": SHA, "size": len(BIG)}]}
    headers = {"Authorization": f"Bearer {hub.owner_token}"}
    [row] = get_session().post(url, json=wanted, headers=headers).json()["objects"]
    href = row["actions"]["upload"]["href"]
    assert get_session().put(href, content=BIG[:-1]).status_code == 400
    assert (
        get_session().put(href.replace("signature=", "signature=0"), content=BIG).status_code == 403
    )
    verify = row["actions"]["verify"]["href"]
    assert get_session().post(verify, json=row, headers=headers).status_code == 404
    assert get_session().put(href, content=BIG).status_code == 200
    assert get_session().post(verify, json=row, headers=headers).status_code == 200
