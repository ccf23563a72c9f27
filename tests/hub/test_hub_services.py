"""Pull requests, Spaces, jobs and keyless tokens against the test Hub."""

from __future__ import annotations

import time

import pytest
from huggingface_hub import CommitOperationAdd, get_token
from huggingface_hub._oidc import oidc_login
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, JobNotFoundError


def until(ready, seconds=60.0):
    """Wait for a condition (a generous limit, no fixed sleeps)."""
    end = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)
    return value


def push(api, repo, content=b"new", path="a.txt", **more):
    return api.create_commit(
        repo, [CommitOperationAdd(path, content)], commit_message="A change", **more
    )


def test_pull_requests_are_refs_and_merge_as_one_commit(hub, repo):
    api = hub.api()
    first = push(api, repo, b"one").oid
    opened = push(api, repo, b"two", create_pr=True)
    assert (opened.pr_num, opened.pr_revision) == (1, "refs/pr/1")
    assert hub.refs(repo)["refs/heads/main"] == first
    push(api, repo, b"three", path="b.txt", revision="refs/pr/1")
    push(api, repo, b"other", path="c.txt")
    details = api.get_discussion_details(repo, 1)
    assert (details.status, details.conflicting_files) == ("open", [])
    assert "+two" in details.diff
    api.merge_pull_request(repo, 1, comment="good")
    merged = api.get_discussion_details(repo, 1)
    assert merged.status == "merged"
    assert merged.merge_commit_oid == hub.refs(repo)["refs/heads/main"]
    assert [hub.git(repo, "show", f"main:{n}.txt") for n in "abc"] == ["two", "three", "other"]
    assert hub.git(repo, "rev-list", "--count", "--merges", "main").strip() == "0"
    with pytest.raises(BadRequestError):
        api.merge_pull_request(repo, 1)


def test_pull_requests_conflict_and_need_rights(hub, repo):
    api = hub.api()
    draft = api.create_pull_request(repo, title="A draft")
    assert (draft.status, draft.git_reference) == ("draft", "refs/pr/1")
    push(api, repo, b"theirs", revision="refs/pr/1")
    push(api, repo, b"ours")
    with pytest.raises(BadRequestError, match="draft"):
        api.merge_pull_request(repo, 1)
    api.change_discussion_status(repo, 1, "open")
    assert api.get_discussion_details(repo, 1).conflicting_files == ["a.txt"]
    with pytest.raises(HfHubHTTPError) as error:
        api.merge_pull_request(repo, 1)
    assert error.value.response.status_code == 409
    with pytest.raises(HfHubHTTPError) as error:
        hub.api(hub.token("r", "read")).merge_pull_request(repo, 1)
    assert error.value.response.status_code == 403
    assert [d.num for d in api.get_repo_discussions(repo)] == [1]
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    assert [p.ref for p in refs.pull_requests] == ["refs/pr/1"]


@pytest.fixture
def space(hub):
    name = hub.name("space")
    hub.api().create_repo(
        name,
        repo_type="space",
        space_sdk="docker",
        space_variables=[{"key": "MODEL", "value": "acme/m"}],
        space_secrets=[{"key": "TOKEN", "value": "very-secret"}],
    )
    return name


def test_a_space_walks_through_its_stages(hub, space):
    api = hub.api()
    assert api.get_space_runtime(space).stage == "NO_APP_FILE"
    assert api.get_space_variables(space)["MODEL"].value == "acme/m"
    assert "TOKEN" in api.get_space_secrets(space)
    oid = push(api, space, b"FROM scratch", "Dockerfile", repo_type="space").oid
    seen = []

    def running():
        seen.append(api.get_space_runtime(space))
        return seen[-1].stage == "RUNNING"

    until(running)
    stages = [r.stage for r in seen]
    assert sorted(set(stages), key=stages.index)[-1] == "RUNNING"
    assert (seen[-1].raw["sha"], seen[-1].hardware) == (oid, "cpu-basic")
    assert hub.space(space)["secrets"] == {"TOKEN": "very-secret"}
    # a push while it runs still shows the old application first
    hub.settings(space_seconds=0.2, space_lag_seconds=30)
    new = push(api, space, b"FROM x", "Dockerfile", repo_type="space").oid
    assert api.get_space_runtime(space).raw["sha"] == oid
    hub.settings(space_seconds=0, space_lag_seconds=0)
    api.add_space_variable(space, "MODEL_REVISION", "v2")
    assert api.wait_for_space(space, timeout=60, poll_interval=0.02).raw["sha"] == new
    assert hub.space(space)["variables"] == {"MODEL": "acme/m", "MODEL_REVISION": "v2"}
    assert any(new[:7] in line for line in api.fetch_space_logs(space, build=True))
    api.request_space_hardware(space, "t4-small", sleep_time=600)
    runtime = api.wait_for_space(space, timeout=60, poll_interval=0.02)
    assert (runtime.hardware, runtime.sleep_time) == ("t4-small", 600)
    assert api.pause_space(space).stage == "PAUSED"
    assert api.wait_for_space(space).stage == "PAUSED"
    api.restart_space(space, factory_reboot=True)
    assert until(lambda: api.get_space_runtime(space).stage == "RUNNING")


def test_a_space_can_fail_and_refuses_strangers(hub, space):
    api = hub.api()
    hub.space(space, ends="BUILD_ERROR")
    push(api, space, b"FROM scratch", "Dockerfile", repo_type="space")
    assert until(lambda: api.get_space_runtime(space).stage == "BUILD_ERROR")
    stranger = hub.api(hub.token("s", namespace="zoe"))
    assert stranger.get_space_runtime(space).stage == "BUILD_ERROR"
    with pytest.raises(HfHubHTTPError) as error:
        stranger.add_space_secret(space, "A", "b")
    assert error.value.response.status_code == 403
    with pytest.raises(BadRequestError, match="h200"):
        api.request_space_hardware(space, "h200")
    hub.settings(free_account=True)
    with pytest.raises(HfHubHTTPError) as error:
        api.create_repo(hub.name(), repo_type="space", space_sdk="gradio")
    assert error.value.response.status_code == 402


PYTHON = ["python", "-c"]


def test_jobs_run_with_their_environment_and_keep_secrets(hub):
    api = hub.api()
    code = "import os; print('sum', 1 + 2); print(os.environ['A'], os.environ['S'][::-1])"
    job = api.run_job(
        image="python:3.12",
        command=[*PYTHON, code],
        env={"A": "1"},
        secrets={"S": "terces"},
        labels={"run": "r1"},
        flavor="t4-small",
    )
    assert list(api.fetch_job_logs(job_id=job.id, follow=True)) == ["sum 3", "1 secret"]
    done = api.wait_for_job(job.id, timeout=60, poll_interval=0.05)
    assert (done.status.stage, done.flavor) == ("COMPLETED", "t4-small")
    assert list(done.secrets) == ["S"]
    assert "terces" not in str(done)
    assert [j.id for j in api.list_jobs(labels={"run": "r1"}, namespace="acme")] == [job.id]
    again = api.rerun_job(job_id=job.id)
    assert api.wait_for_job(again.id, timeout=60).status.stage == "COMPLETED"
    prices = {h.name: h.unit_cost_usd for h in api.list_jobs_hardware()}
    assert prices["h200"] == pytest.approx(5 / 60)


def test_jobs_fail_time_out_and_are_canceled(hub):
    api = hub.api()

    def run(code, **more):
        return api.run_job(image="python:3.12", command=[*PYTHON, code], **more).id

    def end(job):
        return api.wait_for_job(job, timeout=60, poll_interval=0.05).status

    failed = end(run("raise SystemExit(3)"))
    assert (failed.stage, failed.message) == ("ERROR", "Job failed with exit code: 3")
    late = end(run("import time; time.sleep(600)", timeout=1))
    assert (late.stage, "timeout" in late.message) == ("ERROR", True)
    job = run("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: api.inspect_job(job_id=job).status.stage == "RUNNING")
    api.cancel_job(job_id=job)
    assert end(job).stage == "CANCELED"
    with pytest.raises(JobNotFoundError):
        api.inspect_job(job_id="0" * 24)
    with pytest.raises(HfHubHTTPError) as error:
        hub.api(hub.token("f", "fineGrained", ["acme/x"])).run_job(image="x", command=["true"])
    assert error.value.response.status_code == 403
    with pytest.raises(BadRequestError, match="flavor"):
        run("", flavor="abacus")


def test_a_job_talks_to_the_same_hub(hub, repo):
    code = f"from huggingface_hub import HfApi; print(HfApi().model_info({repo!r}).sha)"
    secrets = {"HF_TOKEN": hub.owner_token}
    job = hub.api().run_job(image="x", command=[*PYTHON, code], secrets=secrets)
    logs = list(hub.api().fetch_job_logs(job_id=job.id, follow=True))
    assert logs == [hub.api().model_info(repo).sha]


def test_hf_command_runs_jobs(hub, hf):
    assert "h200" in hf("jobs", "hardware").stdout
    ran = hf("jobs", "run", "python:3.12", "python", "-c", "print(6 * 7)")
    assert "42" in ran.stdout
    failed = hf("jobs", "run", "x", "python", "-c", "raise SystemExit(1)", check=False)
    assert failed.returncode == 1


def test_keyless_token_writes_one_repository_and_nothing_else(hub, repo, hub_home, monkeypatch):
    hub.trust(repo, "acme/code", workflow="train.yaml", branch="main")
    for name, value in hub.ci_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_OIDC_RESOURCE", repo)
    token = get_token()
    assert token is not None
    assert token.startswith("hf_jwt_")
    api = hub.api(token)
    done = push(api, repo)
    api.create_tag(repo, tag="v1", tag_message="by CI", revision=done.oid)
    other = hub.name()
    hub.api().create_repo(other)
    for refused in (
        lambda: push(api, other),
        lambda: api.create_repo(hub.name()),
        lambda: api.run_job(image="x", command=["true"], namespace="acme"),
    ):
        with pytest.raises(HfHubHTTPError) as error:
            refused()
        assert error.value.response.status_code == 403
    with pytest.raises(BadRequestError, match="invalid_grant"):
        oidc_login(resource=other)


@pytest.mark.parametrize(
    "job", [{"branch": "topic"}, {"workflow": "other.yaml"}, {"repository": "zoe/code"}]
)
def test_keyless_claims_must_match_exactly(hub, repo, hub_home, monkeypatch, job):
    hub.trust(repo, "acme/code", workflow="train.yaml", branch="main")
    for name, value in hub.ci_env(**job).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadRequestError, match="no trusted publisher"):
        oidc_login(resource=repo)


def test_keyless_token_expires_and_is_shown_by_hf(hub, repo, hf):
    hub.trust(repo)
    environment = hub.ci_env() | {"HF_OIDC_RESOURCE": repo, "HF_TOKEN": ""}
    assert "hf_jwt_" in hf("auth", "token", **environment).stdout
    hub.settings(oidc_seconds=-1)
    dead = hf("auth", "token", **environment).stdout.strip().split()[-1]
    with pytest.raises(HfHubHTTPError) as error:
        hub.api(dead).whoami()
    assert error.value.response.status_code == 401
