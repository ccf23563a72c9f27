"""The workflows as texts: what GitHub enforces, and a run on another machine does not show."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import workflow_rules as rules
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
BIN = Path(sys.executable).parent
WORKFLOWS = {path.name: path for path in sorted((GITHUB / "workflows").glob("*.yml"))}
EXAMPLES = sorted((ROOT / "examples").glob("*/.github/workflows/*.yml"))

#: A workflow that keeps every rule; the cases below break it, one rule at a time.
SOUND = """\
on: {push: {branches: [main]}}
permissions: {}
concurrency: {group: x}
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    environment: train
    permissions:
      contents: read # to read
    steps:
      - uses: actions/checkout@9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0 # v7.0.0
        with: {persist-credentials: false}
      - run: make test
        env: {TOKEN: "${{ secrets.TOKEN }}"}
"""
BROKEN = {
    "pinned": ("@9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0 # v7.0.0", "@v7"),
    "no_rights_by_default": ("permissions: {}", "permissions: {contents: write}"),
    "rights_have_reasons": (" # to read", ""),
    "every_job_ends": ("    timeout-minutes: 5\n", ""),
    "no_expression_in_run": ("make test", "echo ${{ github.head_ref }}"),
    "no_logic_in_run": ("make test", "|\n          a\n          b\n          c\n          d"),
    "no_kept_credentials": ("persist-credentials: false", "fetch-depth: 0"),
    "secrets_have_an_environment": ("    environment: train\n", ""),
    "id_tokens_have_an_environment": (
        "    environment: train\n    permissions:\n",
        "    permissions:\n      id-token: write # to publish\n",
    ),
    "no_dangerous_trigger": ("{push: ", "{pull_request_target: "),
    "no_filter_by_path": ("branches: [main]", "paths: [data.dvc]"),
    "has_concurrency": ("concurrency: {group: x}\n", ""),
}


def parsed(name: str) -> rules.Workflow:
    return yaml.safe_load(WORKFLOWS[name].read_text())


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True,
                          text=True)  # fmt: skip


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_workflow_keeps_the_rule(rule):
    for path in WORKFLOWS.values():
        text = path.read_text()
        assert rule(yaml.safe_load(text), text) == [], path.name


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_workflow_that_breaks_the_rule_is_found(rule):
    assert rule(yaml.safe_load(SOUND), SOUND) == []
    text = SOUND.replace(*BROKEN[rule.__name__])
    assert text != SOUND
    assert rule(yaml.safe_load(text), text)


def test_one_action_has_one_commit():
    used = [s["uses"] for n in WORKFLOWS for _, s in rules.steps(parsed(n)) if "uses" in s]
    assert len({u.partition("@")[0] for u in used}) == len(set(used))


def test_what_starts_each_workflow():
    on = {name: set(rules.triggers(parsed(name))) for name in WORKFLOWS}
    assert on == {
        "ci.yml": {"pull_request", "push"},
        "train.yml": {"pull_request", "push", "workflow_dispatch", "workflow_call"},
        "publish.yml": {"push", "workflow_dispatch", "workflow_call"},
        "rollback.yml": {"workflow_dispatch"},
        "reap.yml": {"schedule", "workflow_dispatch"},
        "fork.yml": {"pull_request_target"},
        "collect.yml": {"repository_dispatch", "schedule", "workflow_dispatch", "workflow_call"},
    }
    for name in ("ci.yml", "train.yml", "publish.yml"):
        assert rules.triggers(parsed(name))["push"] == {"branches": ["main"]}


def test_what_writes_the_registry_is_never_stopped_half_way_and_goes_one_at_a_time():
    for name in ("publish.yml", "rollback.yml"):
        assert parsed(name)["concurrency"] == {"group": "registry", "cancel-in-progress": False}


def test_a_training_is_replaced_only_by_a_newer_commit_of_its_pull_request():
    how = parsed("train.yml")["concurrency"]
    assert how["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert how["group"] == "train-${{ github.event.pull_request.number || github.run_id }}"


def test_only_the_job_that_publishes_may_write_and_it_holds_no_stored_token():
    job = parsed("publish.yml")["jobs"]["publish"]
    assert job["environment"] == "publish"
    assert job["permissions"] == {"contents": "write", "id-token": "write"}
    assert "secrets." not in str(job)
    deploy = parsed("publish.yml")["jobs"]["deploy"]
    assert deploy["permissions"] == {"contents": "read"}
    assert set(re.findall(r"secrets\.(\w+)", str(deploy))) == {"SPACE_TOKEN"}
    for name in WORKFLOWS.keys() - {"publish.yml", "fork.yml"}:  # the latter: test_workflows_fork
        for given in (other["permissions"] for other in parsed(name)["jobs"].values()):
            assert given.get("contents") == "read"


def test_what_publishes_restores_no_cache():
    for name in ("publish.yml", "rollback.yml"):
        text = WORKFLOWS[name].read_text()
        assert "actions/cache" not in text
        assert not re.search(r"^ +cache:", text, re.M)


def test_a_forks_change_reaches_no_job_with_an_environment():
    jobs = parsed("train.yml")["jobs"]
    assert "needs.decide.outputs.foreign == 'false'" in jobs["train"]["if"]
    assert [name for name, job in jobs.items() if "environment" in job] == ["image", "train"]
    assert "needs.decide.outputs.image == 'true'" in jobs["image"]["if"]  # never for a fork
    jobs = parsed("ci.yml")["jobs"]
    assert [name for name, job in jobs.items() if "environment" in job] == ["publish-images"]
    assert "github.event_name == 'push'" in jobs["publish-images"]["if"]


def test_images_are_published_last_and_only_where_that_was_asked_for():
    jobs = parsed("ci.yml")["jobs"]
    job = jobs["publish-images"]
    assert set(job["needs"]) == set(jobs) - {"publish-images"}
    assert "vars.PUBLISH_IMAGES == 'true'" in job["if"]
    assert {name for name, right in job["permissions"].items() if right == "write"} == {
        "packages", "id-token", "attestations",
    }  # fmt: skip
    assert "write" not in str(jobs["images"]["permissions"])


def test_the_required_check_always_runs_and_knows_all_other_jobs():
    jobs = parsed("train.yml")["jobs"]
    assert jobs["gate"]["if"] == "always()"
    # what people are told does not hold the check up
    assert set(jobs["gate"]["needs"]) == set(jobs) - {"gate", "review"}


def test_the_branch_rules_require_the_checks_that_there_are():
    ruleset = json.loads((ROOT / "docs" / "ruleset.json").read_text())
    by_type = {rule["type"]: rule.get("parameters") for rule in ruleset["rules"]}
    status = by_type["required_status_checks"]
    names = {c["context"] for c in status["required_status_checks"]}
    assert names == {"lint", "test", "gate"}
    assert status["strict_required_status_checks_policy"], "what is merged is what was judged"
    for name in names:
        assert [n for n in ("ci.yml", "train.yml") if name in parsed(n)["jobs"]]
    assert by_type["pull_request"]["require_code_owner_review"]
    assert {"deletion", "non_fast_forward"} <= set(by_type)


def test_owners_review_workflows_and_gate():
    lines = (GITHUB / "CODEOWNERS").read_text().splitlines()
    owned = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert {"/.github/", "/gates.yaml"} <= owned
    assert all((ROOT / place.strip("/")).exists() for place in owned)


def test_a_new_version_of_an_action_waits():
    for update in yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]:
        assert update["cooldown"]["default-days"] >= 7


def test_the_setup_document_names_every_variable_secret_and_environment():
    document = (ROOT / "docs" / "setup.md").read_text()
    texts = [path.read_text() for path in WORKFLOWS.values()]
    named = {n for t in texts for n in re.findall(r"\b(?:vars|secrets)\.(\w+)", t)}
    rooms = {n for t in texts for n in re.findall(r"^ +environment: (\w+)", t, re.M)}
    assert {n for n in named | rooms if f"`{n}`" not in document} == set()


def test_zizmor_as_an_auditor_finds_nothing(tmp_path):
    examples = [str(path) for path in EXAMPLES]
    done = tool("zizmor", "--offline", "--persona", "auditor", ".github", *examples)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "x.yml"
    broken.write_text(SOUND.replace(*BROKEN["no_expression_in_run"]))
    done = tool("zizmor", "--offline", "--persona", "auditor", str(broken))
    assert done.returncode
    assert "template-injection" in done.stdout


def test_actionlint_finds_nothing(tmp_path):
    for path in [*WORKFLOWS.values(), *EXAMPLES]:
        done = tool("actionlint", str(path))
        assert done.returncode == 0, done.stdout
    broken = tmp_path / "x.yml"
    broken.write_text(SOUND.replace("secrets.TOKEN", "nothing.TOKEN"))
    assert tool("actionlint", str(broken)).returncode


def test_the_files_satisfy_githubs_schemas(tmp_path):
    schema = ("check-jsonschema", "--builtin-schema")
    flows = [str(path) for path in [*WORKFLOWS.values(), *EXAMPLES]]
    done = tool(*schema, "vendor.github-workflows", *flows)
    assert done.returncode == 0, done.stdout
    done = tool(*schema, "vendor.dependabot", ".github/dependabot.yml")
    assert done.returncode == 0, done.stdout
    content = copy.deepcopy(parsed("ci.yml"))
    content["jobs"]["lint"]["timeout-minuets"] = 5
    broken = tmp_path / "x.yml"
    broken.write_text(yaml.safe_dump({("on" if k is True else k): v for k, v in content.items()}))
    assert tool(*schema, "vendor.github-workflows", str(broken)).returncode
