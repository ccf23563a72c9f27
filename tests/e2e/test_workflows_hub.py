"""The whole story on the Hub, run by act: trained by a job, released keyless, served by a Space."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from act_kit import REPOSITORY, ROOT, Ran, Workshop
from deploy_kit import make_space
from github_kit import GitHub
from hub_kit import Hub
from huggingface_hub import CommitOperationAdd
from image_registry_kit import DIGEST, ImageRegistry, image_registry
from road_kit import TG, TINY, TM, changed, small_table, wait_for
from serve_kit import spoil_weights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PATIENCE = 300.0
#: Rows of the table that a pull request adds.
ADDED = 20
SPACE_APP = [sys.executable, "-m", "app", "--workers", "1"]


@dataclass
class Story:
    """A repository whose models are trained as jobs and served by a Space."""

    shop: Workshop
    hub: Hub
    github: GitHub
    registry: str
    space: str
    wrote: frozenset[str] = frozenset()
    """Names of the tokens that the publication wrote the registry with."""

    def served(self) -> str:
        """Tag that the Space is pinned to."""
        return self.hub.api().get_space_variables(self.space)["MODEL_REVISION"].value

    def tags(self) -> dict[str, str]:
        """Releases on the Hub, with their commits."""
        refs = self.hub.refs(self.registry)
        return {n.removeprefix("refs/tags/"): c for n, c in refs.items() if "/tags/" in n}

    def candidates(self) -> list[str]:
        """Fingerprints of the candidates on the Hub."""
        refs = self.hub.refs(self.registry)
        return [n.rpartition("/")[2] for n in refs if n.startswith("refs/heads/candidate/")]

    def live_jobs(self) -> list[str]:
        """Jobs that cost money."""
        found = self.hub.api().list_jobs(namespace="acme")
        return [job.id for job in found if job.status.stage in ("SCHEDULING", "RUNNING")]

    def told(self, number: int, commit: str) -> tuple[int, str, str]:
        """Return the one comment of a pull request, and what the check of its commit says."""
        (comment,) = self.github.comments(number)
        (check,) = self.github.checks(commit)
        assert check["name"] == "model gate"
        return comment["id"], comment["body"], check["conclusion"]


@pytest.fixture(scope="module")
def table(property_table: Path) -> pd.DataFrame:
    return small_table(property_table)


@pytest.fixture(scope="module")
def images() -> Iterator[ImageRegistry]:
    with image_registry() as registry:
        yield registry


@pytest.fixture(scope="module")
def story(
    hub_server: Hub,
    images: ImageRegistry,
    table: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """The repository, with settings as docs/setup.md says, and nothing trained yet."""
    folder, hub = tmp_path_factory.mktemp("story"), hub_server
    registry = hub.name("model")
    hub.api().create_repo(registry, private=True)
    reader = hub.token("space", "fineGrained", [registry])
    space = make_space(hub, SPACE_APP, {}, {"HF_TOKEN": reader}, cwd=ROOT)
    variables = {
        "REGISTRY": f"hf://{registry}",
        "HF_OIDC_RESOURCE": registry,
        "SPACE": space,
        "TRAIN_TARGET": "hf-jobs",
        "TRAIN_IMAGE": f"{images.host}/acme/train@{DIGEST}",
        "TRAIN_FLAVOR": "cpu-basic",
    }
    secrets = {
        "HF_TOKEN": hub.token("train", "fineGrained", [registry, "acme"], jobs=True),
        "SPACE_TOKEN": hub.token("deploy", "fineGrained", [registry, f"spaces/{space}"]),
    }
    with GitHub.start(REPOSITORY) as github:
        env = hub.variables(folder / "hf") | {"GITHUB_API_URL": github.url}
        secrets |= {"GITHUB_TOKEN": github.token, "REPORT_TOKEN": github.make_token("robot")}
        shop = Workshop.made(folder, table[ADDED:], variables=variables, secrets=secrets, env=env)
        yield Story(shop, hub, github, registry, space)
    hub.api().delete_repo(space, repo_type="space")


def publish(story: Story, event: dict, workflow: str = "publish.yml", name: str = "push") -> Ran:
    """Run a workflow that writes the registry, with the id tokens that GitHub gives only to it."""
    story.hub.trust(story.registry, REPOSITORY, workflow=workflow, branch="main")
    shop = story.shop
    before = shop.env
    shop.env = before | story.hub.ci_env(REPOSITORY, workflow)
    try:
        return shop.run(name, workflow, event)
    finally:
        shop.env = before


@pytest.fixture(scope="module")
def released(story: Story, table: pd.DataFrame) -> Story:
    """After a pull request that added rows, a second push to it, and its merge."""
    shop, hub = story.shop, story.hub
    shop.git("checkout", "-qb", "rows")
    shop.table(table)
    story.github.pull(1, commit := shop.commit("Add rows"))
    ran = shop.run("pull_request", "train.yml", shop.request(1))
    assert ran.code == 0, ran.output
    assert ran.steps("train")["train on a rented machine"] == "success"
    assert "is stored, verdict pass" in ran.text  # the job's own log, followed
    first, text, conclusion = story.told(1, commit)
    assert conclusion == "success"
    assert "Model gate: pass" in text.splitlines()[1]
    added = int((table[:ADDED][[TG, TM]] != "").to_numpy().sum())
    assert f"**Data:** labels {added} added, 0 removed, 0 relabelled." in text
    (fingerprint,) = story.candidates()
    jobs = len(list(hub.api().list_jobs(namespace="acme")))
    assert story.live_jobs() == []

    shop.write("docs/note.md", "A second push of the same model.\n")
    story.github.pull(1, commit := shop.commit("Write a note"))
    ran = shop.run("pull_request", "train.yml", shop.request(1))
    assert ran.code == 0, ran.output
    again, text, conclusion = story.told(1, commit)
    assert (again, conclusion) == (first, "success")
    assert commit[:12] in text
    assert len(list(hub.api().list_jobs(namespace="acme"))) == jobs  # it was trained once
    assert story.candidates() == [fingerprint]
    assert story.tags() == {}

    event = shop.merge()
    hub.calls(clear=True)
    ran = publish(story, event)
    assert ran.code == 0, ran.output
    assert ran.jobs == {"decide": "success", "publish": "success", "deploy": "success"}
    assert "v1.0.0: deployed" in ran.text
    assert story.candidates() == [fingerprint]
    assert fingerprint in hub.git(story.registry, "show", "v1.0.0:release.json")
    assert story.github.refs == {"refs/tags/model-v1.0.0": event["after"]}
    place = f"/{story.registry}/commit/main"
    wrote = frozenset(c["token_name"] for c in hub.calls() if place in c["path"])
    return replace(story, wrote=wrote)


def test_added_rows_are_trained_reviewed_twice_merged_released_without_a_stored_token_and_served(
    released: Story,
):
    assert released.wrote == {f"oidc:{REPOSITORY}"}
    assert list(released.tags()) == ["v1.0.0"]
    assert released.served() == "v1.0.0"


def trained_elsewhere(story: Story, changes: str) -> set[str]:
    """Dispatch a run that the workflow does not wait for; return the candidates that it makes."""
    shop, github, before = story.shop, story.github, set(story.candidates())
    inputs = {"target": "hf-jobs", "changes": changes, "dry_run": "false", "detach": "true"}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(shop.run, "workflow_dispatch", "train.yml", {"inputs": inputs})
        (job,) = wait_for(lambda: story.live_jobs() or running.done(), PATIENCE)
        group = wait_for(lambda: process_of(job), PATIENCE)
        os.killpg(group, signal.SIGSTOP)  # it is not over before the workflow is
        try:
            ran = running.result(PATIENCE)
        finally:
            os.killpg(group, signal.SIGCONT)
    assert ran.jobs == {"decide": "success", "train": "success", "gate": "failure"}, ran.output
    assert "the model is being trained elsewhere" in ran.text
    commit = shop.git("rev-parse", "HEAD")
    (check,) = github.checks(commit)
    assert (check["name"], check["status"]) == ("training", "in_progress")
    run = int(check["external_id"].rpartition("/")[2])
    github.workflow_ran(run, commit, "failure")

    # the run reports its end, which wakes the workflow that looks after such commits
    wait_for(lambda: github.dispatches, PATIENCE)
    payload = {"action": "trained", "client_payload": github.dispatches[0]["client_payload"]}
    ran = shop.run("repository_dispatch", "collect.yml", payload)
    assert ran.code == 0, ran.output
    assert github.attempts(run) == 2, ran.text
    assert github.checks(commit)[0]["conclusion"] == "success"

    # so GitHub runs the same again
    ran = shop.run("workflow_dispatch", "train.yml", {"inputs": inputs})
    assert ran.code == 0, ran.output
    assert "passed its gate" in ran.text
    return set(story.candidates()) - before


@pytest.mark.usefixtures("hub")  # it turns Xet off
def test_a_failed_smoke_test_puts_the_space_back_and_rollback_the_registry(
    released: Story, tmp_path: Path
):
    # a recipe is tried by hand, nobody waits for its run, and it is kept
    story, shop = released, released.shop
    (fingerprint,) = trained_elsewhere(story, "training.epochs=61")

    # what a smoke test is for: the files are whole, their numbers are not those that were judged
    branch, api = f"candidate/{fingerprint}", story.hub.api()
    folder = Path(api.snapshot_download(story.registry, revision=branch, local_dir=tmp_path / "c"))
    shutil.rmtree(folder / ".cache")  # the client's own
    spoil_weights(folder)
    files = [p for p in folder.rglob("*") if p.is_file()]
    adds = [CommitOperationAdd(str(p.relative_to(folder)), str(p)) for p in files]
    api.create_commit(story.registry, adds, revision=branch, commit_message="Tamper")

    old = shop.git("rev-parse", "HEAD")
    recipe = changed(TINY, training__epochs=61)
    shop.write("params.yaml", yaml.safe_dump(recipe, allow_unicode=True))
    shop.commit("Train longer")
    ran = publish(story, shop.push(old))
    assert ran.code == 1, ran.output
    assert ran.jobs == {"decide": "success", "publish": "success", "deploy": "failure"}
    assert set(story.tags()) == {"v1.0.0", "v1.1.0"}
    assert "put back" in ran.text
    assert "self-test failed" in ran.text
    assert story.served() == "v1.0.0"

    ran = publish(story, {"inputs": {"tag": "v1.0.0"}}, "rollback.yml", "workflow_dispatch")
    assert ran.code == 0, ran.output
    assert ran.jobs == {"rollback": "success", "deploy": "success"}
    assert "v1.0.0: unchanged" in ran.text
    assert '"tag": "v1.0.0"' in story.hub.git(story.registry, "show", "main:release.json")


def test_a_target_that_dies_fails_the_check_and_leaves_nothing_running(story: Story):
    shop = story.shop
    shop.git("checkout", "-qb", "dies")
    shop.write("params.yaml", yaml.safe_dump(changed(TINY, training__seed=5), allow_unicode=True))
    story.github.pull(2, commit := shop.commit("Another seed"))
    before = story.candidates()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(shop.run, "pull_request", "train.yml", shop.request(2))
        (job,) = wait_for(lambda: story.live_jobs() or running.done(), PATIENCE)
        os.killpg(wait_for(lambda: process_of(job), PATIENCE), signal.SIGKILL)
        ran = running.result(PATIENCE)
    assert ran.code == 1
    assert ran.jobs == {
        "decide": "success", "train": "failure", "review": "success", "gate": "failure",
    }  # fmt: skip
    assert "The run ended failed" in ran.text
    assert "the job train says failure" in ran.text
    assert "train and judge" not in ran.steps("train")
    assert story.live_jobs() == []
    assert story.candidates() == before
    (comment,) = story.github.comments(2)
    assert "no verdict, the run failed" in comment["body"]
    (check,) = story.github.checks(commit)
    assert (check["name"], check["conclusion"]) == ("model gate", "failure")
    shop.git("checkout", "-q", "main")


def test_what_the_target_could_not_run_is_found_before_it_is_rented(story: Story):
    shop, before = story.shop, story.shop.variables
    shop.variables = before | {"TRAIN_IMAGE": before["TRAIN_IMAGE"].replace("/train@", "/none@")}
    jobs = len(list(story.hub.api().list_jobs(namespace="acme")))
    inputs = {"target": "hf-jobs", "changes": "training.seed=6", "dry_run": "false"}
    try:
        ran = shop.run("workflow_dispatch", "train.yml", {"inputs": inputs})
    finally:
        shop.variables = before
    assert ran.jobs == {"decide": "success", "train": "failure", "gate": "failure"}, ran.output
    assert ran.steps("train")["ask whether a run can start there"] == "failure"
    assert "make the package public" in ran.text
    assert "train on a rented machine" not in ran.steps("train")
    assert len(list(story.hub.api().list_jobs(namespace="acme"))) == jobs


def process_of(job: str) -> int | None:
    """Find the first process of a job on the test Hub, which leads its group."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            found = f"JOB_ID={job}".encode() in environ.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile, or is not ours
        if found and os.getpgid(int(environ.parent.name)) == int(environ.parent.name):
            return int(environ.parent.name)
    return None
