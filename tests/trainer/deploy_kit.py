"""A Space on the test Hub with an application, and a registry to deploy from."""

import json
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from polyid.checksums import write_checksums

APP = Path(__file__).parent / "lying_app.py"


def publish(hub, repo: str, folder: Path, tag: str, previous: str | None = None) -> str:
    """Put a model folder on `main` as a release, and tag it; return the commit."""
    content = {"tag": tag, "fingerprint": "0" * 16, "previous": previous, "change": "minor"}
    content |= {"reasons": [], "time": "2026-01-01T00:00:00+00:00", "content": "0" * 64}
    (folder / "release.json").write_text(json.dumps(content))
    write_checksums(folder)
    api = hub.api()
    api.create_repo(repo, private=True, exist_ok=True)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    adds = [CommitOperationAdd(str(p.relative_to(folder)), str(p)) for p in files]
    commit = api.create_commit(repo, adds, commit_message=f"Release {tag}").oid
    api.create_tag(repo, tag=tag, revision=commit, tag_message=f"Release {tag}")
    return commit


def tiny_release(hub, repo: str, folder: Path, tag: str) -> str:
    """Release papers without a model: one reference polymer of density 1."""
    folder.mkdir()
    reference = {
        "format": 1,
        "units": {"Density": "g/cm³"},
        "tolerance": {"Density": 0.1},
        "polymers": [{"smiles_polymer": "CCCC", "predictions": {"Density": 1.0}}],
    }
    (folder / "reference.json").write_text(json.dumps(reference))
    return publish(hub, repo, folder, tag)


def make_space(hub, command, variables, secrets=None, *, private=False, cwd=None) -> str:
    """Create a Space that runs a command once it is pushed to, restarted or changed."""
    name = hub.name("space")
    rows = [{"key": key, "value": value} for key, value in variables.items()]
    hidden = [{"key": key, "value": value} for key, value in (secrets or {}).items()]
    api = hub.api()
    api.create_repo(
        name,
        repo_type="space",
        space_sdk="docker",
        private=private,
        space_variables=rows,
        space_secrets=hidden,
    )
    hub.space(name, command=command, cwd=cwd)
    api.create_commit(
        name,
        [CommitOperationAdd("Dockerfile", b"FROM scratch")],
        commit_message="The application",
        repo_type="space",
    )
    return name
