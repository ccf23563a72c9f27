"""Another repository, with data of its own, calls the pipeline's workflow in ten lines."""

import re
from pathlib import Path

import pytest
import yaml
from act_kit import REPOSITORY, ROOT, Workshop
from github_kit import GitHub
from road_kit import TG, small_table

from trainer.registry import LocalRegistry

EXAMPLE = ROOT / "examples" / "caller"
WORKFLOWS = ROOT / ".github" / "workflows"
CALLS = sorted((EXAMPLE / ".github" / "workflows").glob("*.yml"))
COLUMNS = {"smiles_polymer": "polymer", "smiles_monomer": "monomers", "mechanism": "mechanism"}


@pytest.mark.slow
def test_ten_lines_train_and_ten_publish_a_table_of_ones_own(tmp_path: Path, property_table: Path):
    table = small_table(property_table).rename(columns=COLUMNS | {TG: "Tg"})
    pipeline = Workshop.made(tmp_path / "pipeline", small_table(property_table))
    registry = LocalRegistry(tmp_path / "registry")
    shop = Workshop.calling(
        tmp_path / "caller", EXAMPLE, pipeline, variables={"REGISTRY": str(registry)}
    )
    shop.git("checkout", "-qb", "change")
    data = shop.source / "data" / "polymers.csv"
    data.parent.mkdir()
    table[[*COLUMNS.values(), "Tg"]].to_csv(data, index=False)
    commit = shop.commit("Add our table")
    with GitHub.start(REPOSITORY) as server:
        shop.on(server)
        server.pull(1, commit)
        ran = shop.run("pull_request", "train.yml", shop.request(1))
        (comment,) = server.comments(1)
        (check,) = server.checks(commit)
        (candidate,) = registry.candidates()
        merged = shop.merge()
        published = shop.run("push", "publish.yml", merged)
        assert published.code == 0, published.output
        assert server.refs == {"refs/tags/model-v1.0.0": merged["after"]}
        looked = shop.run("schedule", "collect.yml", {})
        assert looked.code == 0, looked.output
        assert "0 of the newest runs of train.yml wait" in looked.text
        assert "set up" not in looked.steps("collect")
    assert ran.code == 0, ran.output
    assert ran.jobs == dict.fromkeys(("decide", "train", "review", "gate"), "success")
    assert "Model gate: pass" in comment["body"]
    assert check["conclusion"] == "success"
    assert "data/polymers.csv changed" in ran.text
    assert "passed its gate" in ran.text
    assert list((shop.folder / "artifacts" / "candidate").rglob("report.html"))

    release = registry.current()
    assert release is not None
    assert release.fingerprint == candidate.fingerprint

    # a document of the caller is answered at once, by the same check
    shop.write("note.md", "A note.\n")
    shop.commit("Write a note")
    ran = shop.run("push", "train.yml", shop.push(merged["after"]))
    assert ran.code == 0, ran.output
    assert ran.jobs == {"decide": "success", "gate": "success"}
    assert [c.fingerprint for c in registry.candidates()] == [candidate.fingerprint]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.stem)
def test_the_example_has_ten_lines_and_grants_what_is_asked(call: Path):
    text = call.read_text()
    assert len(text.splitlines()) <= 10
    (job,) = yaml.safe_load(text)["jobs"].values()
    called = ROOT / re.fullmatch(r"[\w-]+/[\w-]+/(.+)@[0-9a-f]{40}", job["uses"])[1]
    assert called.name == call.name
    workflow = yaml.safe_load(called.read_text())
    takes = workflow[True]["workflow_call"]
    assert set(job.get("with", {})) <= set(takes["inputs"])
    assert set(job["secrets"]) <= set(takes["secrets"])
    # GitHub does not start a called job that may do more than the job that calls it
    asked = [g for j in workflow["jobs"].values() for g in j.get("permissions", {}).items()]
    for what, how in asked:
        assert job["permissions"].get(what) in (how, "write"), what


@pytest.mark.parametrize("name", [call.name for call in CALLS])
def test_every_job_takes_its_code_from_the_commit_of_the_called_workflow(name: str):
    for job in yaml.safe_load((WORKFLOWS / name).read_text())["jobs"].values():
        places = [s["with"] for s in job["steps"] if "actions/checkout" in s.get("uses", "")]
        (pipeline,) = [place for place in places if "path" in place]
        assert pipeline["repository"] == "${{ job.workflow_repository }}"
        assert pipeline["ref"] == "${{ job.workflow_sha }}"
