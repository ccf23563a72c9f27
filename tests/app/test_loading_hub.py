"""Models from the Hub: pinned by tag or commit, without the Hub, tampered, and failing ones."""

import shutil

import pytest
from huggingface_hub import CommitOperationAdd
from serve_kit import release, serving, spoil_weights

pytestmark = pytest.mark.slow


@pytest.fixture
def releases(model_folder, other_folder, tmp_path):
    """Folders of v1.0.0 and of v1.1.0, whose self-test fails."""
    root = tmp_path / "made"
    good = release(root, "v1.0.0", model_folder)
    bad = release(root, "v1.1.0", other_folder)
    spoil_weights(bad)
    return good, bad


def publish(hub, repo, folder, tag):
    """Put a release's folder on `main` in one commit, and tag it."""
    api = hub.api()
    api.create_repo(repo, private=True, exist_ok=True)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    adds = [CommitOperationAdd(str(p.relative_to(folder)), str(p)) for p in files]
    commit = api.create_commit(repo, adds, commit_message=f"Release {tag}").oid
    api.create_tag(repo, tag=tag, revision=commit)
    return commit


def environment(hub, tmp_path, **more):
    return hub.env(tmp_path / "home") | more


def test_pinned_by_the_environment_and_reported_everywhere(hub, releases, tmp_path):
    repo, cache = hub.name("model"), tmp_path / "cache"
    commit = publish(hub, repo, releases[0], "v1.0.0")
    publish(hub, repo, releases[1], "v1.1.0")
    for revision in ("v1.0.0", commit):
        env = environment(hub, tmp_path, MODEL_REVISION=revision)
        with serving(f"hf://{repo}", cache, env=env) as running:
            health = running.settled()
            assert (health["status"], health["self_test"]) == ("ready", 4)
            answer = running.predict("*CC*")["model"]
            assert answer["tag"] == "v1.0.0"
            assert answer["hub_commit"] == commit
            assert answer["registry"] == f"hf://{repo}"
            assert health["model"] == answer
            assert running.get("/model").json()["hub_commit"] == commit


def test_a_failing_release_gives_way_to_the_last_good_one_and_both_to_a_mended_one(
    hub, releases, other_folder, tmp_path
):
    repo, cache = hub.name("model"), tmp_path / "cache"
    commit = publish(hub, repo, releases[0], "v1.0.0")
    env = environment(hub, tmp_path)
    with serving(f"hf://{repo}", cache, env=env) as running:
        assert running.settled()["model"]["tag"] == "v1.0.0"
    publish(hub, repo, releases[1], "v1.1.0")
    with serving(f"hf://{repo}", cache, env=env) as running:
        health = running.settled()
        assert health["status"] == "degraded"
        assert "The self-test failed" in health["reason"]
        assert health["model"]["hub_commit"] == commit
        assert running.predict("*CC*")["model"]["tag"] == "v1.0.0"
    mended = release(tmp_path / "mended", "v1.1.1", other_folder)
    publish(hub, repo, mended, "v1.1.1")
    with serving(f"hf://{repo}", cache, env=env) as running:
        health = running.settled()
        assert (health["status"], health["model"]["tag"]) == ("ready", "v1.1.1")


def test_without_the_hub(hub, releases, tmp_path):
    repo, cache = hub.name("model"), tmp_path / "cache"
    publish(hub, repo, releases[0], "v1.0.0")
    env = environment(hub, tmp_path)
    with serving(f"hf://{repo}@v1.0.0", cache, env=env) as running:
        assert running.settled()["status"] == "ready"
        before = running.predict("*CC(*)C")
    with hub.offline():
        # what is asked for is in the cache
        with serving(f"hf://{repo}@v1.0.0", cache, env=env) as running:
            assert running.settled()["status"] == "ready"
            assert running.predict("*CC(*)C") == before
        # it is not, but the last good one is
        with serving(f"hf://{repo}@v2.0.0", cache, env=env) as running:
            health = running.settled()
            assert health["status"] == "degraded"
            assert "the Hub cannot be reached" in health["reason"]
            assert health["model"]["tag"] == "v1.0.0"
        with serving(f"hf://{repo}", tmp_path / "empty", env=env) as running:
            health = running.settled()
            assert health["status"] == "not ready"
            assert "the Hub cannot be reached" in health["reason"]


def test_a_tampered_release_is_refused(hub, releases, tmp_path):
    repo, cache = hub.name("model"), tmp_path / "cache"
    changed = tmp_path / "changed"
    shutil.copytree(releases[0], changed)
    domain = changed / "domain.json"
    domain.write_text(domain.read_text().replace("57.0", "75.0"))
    publish(hub, repo, changed, "v1.0.0")
    with serving(f"hf://{repo}", cache, env=environment(hub, tmp_path)) as running:
        health = running.settled()
        assert health["status"] == "not ready"
        assert "changed: domain.json" in health["reason"]
