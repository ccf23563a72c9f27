"""Registries on the test Hub: how one is made, and what must hold in one after anything."""

from pathlib import Path

from hub_kit import Hub
from huggingface_hub import snapshot_download
from registry_kit import Run

from polyid.checksums import read_checksums, verify
from polyid.registry import read_json
from trainer.registry.hub import HubRegistry


def released(repo: str, folder: Path) -> HubRegistry:
    """Make a registry on the Hub with the release v1.0.0."""
    registry = HubRegistry(f"hf://{repo}")
    run = Run(folder).write()
    registry.add_candidate(run.folder, run.fingerprint)
    registry.publish(run.fingerprint)
    return registry


def titles(hub: Hub, repo: str) -> list[str]:
    """Titles of the commits of ``main``, oldest first."""
    return hub.git(repo, "log", "--first-parent", "--reverse", "--format=%s", "main").splitlines()


def tags(hub: Hub, repo: str) -> dict[str, str]:
    """Every tag with the commit it stands at."""
    lines = hub.git(
        repo, "for-each-ref", "--format=%(refname:short) %(objecttype) %(*objectname)", "refs/tags"
    )
    found = {}
    for line in lines.splitlines():
        name, kind, commit = line.split(" ")
        assert kind == "tag", f"{name} is not annotated"
        found[name] = commit
    return found


def require_sound_hub(hub: Hub, repo: str) -> None:
    """Check what must hold in a registry on the Hub, whatever was done to its writers."""
    commits = hub.git(repo, "log", "--first-parent", "--format=%H %s", "main").splitlines()
    titled = dict(line.split(" ", 1) for line in commits)
    fingerprints = []
    for tag, commit in tags(hub, repo).items():
        assert titled[commit] == f"Release {tag}", "a tag stands at its own commit on main"
        folder = Path(snapshot_download(repo, revision=commit))
        verify(folder, links_within=folder.parents[1])
        said = read_json(folder / "release.json")
        assert said["tag"] == tag
        fingerprints.append(said["fingerprint"])
        made = Path(snapshot_download(repo, revision=f"candidate/{said['fingerprint']}"))
        ours, theirs = read_checksums(folder), read_checksums(made)
        model = [n for n in theirs if n.startswith("model_fold_")]
        assert model
        assert all(ours[n] == theirs[n] for n in model)
    assert len(set(fingerprints)) == len(fingerprints), "no candidate is released twice"
    names = list(titled.values())
    assert all(t == "initial commit" or t.split(" ")[0] in ("Release", "Roll") for t in names)
    events = HubRegistry(f"hf://{repo}").history()
    assert sorted(e.tag for e in events if e.action == "publish") == sorted(tags(hub, repo))
    assert [e.previous for e in events] == [None, *(e.tag for e in events)][: len(events)]
    current = HubRegistry(f"hf://{repo}").current()
    assert (current.tag if current else None) == (events[-1].tag if events else None)
