"""The rules for workflows, as functions from a parsed workflow to the faults found in it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

Workflow = dict[Any, Any]
Rule = Callable[[Workflow, str], list[str]]

_PIN = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_SECRET = re.compile(r"\bsecrets\.(?!GITHUB_TOKEN\b)")


def triggers(workflow: Workflow) -> dict[str, Any]:
    """Return ``on``, which YAML 1.1 reads as true."""
    on: dict[str, Any] = workflow.get("on", workflow.get(True))
    return on


def steps(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", []):
            yield name, step


def pinned(workflow: Workflow, text: str) -> list[str]:
    """Every action by its full commit, with the version behind it for people to read."""
    found = [s["uses"] for _, s in steps(workflow) if "uses" in s]
    bad = [u for u in found if not u.startswith("./") and not _PIN.fullmatch(u)]
    return bad + [u for u in found if f"{u} # v" not in text and not u.startswith("./")]


def no_rights_by_default(workflow: Workflow, text: str) -> list[str]:
    return [] if workflow.get("permissions") == {} else ["permissions at the top are not {}"]


def rights_have_reasons(workflow: Workflow, text: str) -> list[str]:
    """A job says what it may do, and each grant why."""
    silent = [name for name, job in workflow["jobs"].items() if "permissions" not in job]
    grants = re.findall(r"^ +[a-z-]+: (?:read|write)\b(.*)$", text, re.M)
    return silent + [f"a grant without a reason: {g!r}" for g in grants if "# " not in g]


def every_job_ends(workflow: Workflow, text: str) -> list[str]:
    return [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job]


def no_expression_in_run(workflow: Workflow, text: str) -> list[str]:
    return [s["run"] for _, s in steps(workflow) if "${{" in s.get("run", "")]


def no_logic_in_run(workflow: Workflow, text: str) -> list[str]:
    return [s["run"] for _, s in steps(workflow) if len(s.get("run", "").splitlines()) > 3]


def no_kept_credentials(workflow: Workflow, text: str) -> list[str]:
    checkouts = [s for _, s in steps(workflow) if s.get("uses", "").startswith("actions/checkout@")]
    return [str(s) for s in checkouts if s.get("with", {}).get("persist-credentials") is not False]


def secrets_have_an_environment(workflow: Workflow, text: str) -> list[str]:
    """A job that only calls a workflow has none; the called job has."""
    jobs = [(name, job) for name, job in workflow["jobs"].items() if "uses" not in job]
    bad = [name for name, job in jobs if _SECRET.search(str(job)) and "environment" not in job]
    return bad + (["secrets for every job"] if _SECRET.search(str(workflow.get("env"))) else [])


def id_tokens_have_an_environment(workflow: Workflow, text: str) -> list[str]:
    return [
        name
        for name, job in workflow["jobs"].items()
        if job.get("permissions", {}).get("id-token") == "write" and "environment" not in job
    ]


def no_dangerous_trigger(workflow: Workflow, text: str) -> list[str]:
    """A run with our rights for what others sent: only one that takes nothing of what they sent."""
    found = {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(workflow))
    return sorted(found - ({"pull_request_target"} if _only_hears_a_label(workflow) else set()))


def _only_hears_a_label(workflow: Workflow) -> bool:
    """Whether it checks out and runs what is here, and never what the pull request holds."""
    how = triggers(workflow).get("pull_request_target")
    if not isinstance(how, dict) or how.get("types") != ["labeled"] or "secrets." in str(workflow):
        return False
    for _, step in steps(workflow):
        if "run" in step and step["run"] != "python3 -m trainer.ci.labelled":
            return False
        if "uses" in step and not step["uses"].startswith("actions/checkout@"):
            return False
        if set(step.get("with", {})) - {"persist-credentials"}:
            return False
    return True


def no_filter_by_path(workflow: Workflow, text: str) -> list[str]:
    """A required check that a filter skips waits for ever."""
    return [
        name for name, how in triggers(workflow).items()
        if isinstance(how, dict) and {"paths", "paths-ignore"} & set(how)
    ]  # fmt: skip


def has_concurrency(workflow: Workflow, text: str) -> list[str]:
    return [] if "concurrency" in workflow else ["no concurrency"]


RULES: list[Rule] = [
    pinned, no_rights_by_default, rights_have_reasons, every_job_ends, no_expression_in_run,
    no_logic_in_run, no_kept_credentials, secrets_have_an_environment,
    id_tokens_have_an_environment, no_dangerous_trigger, no_filter_by_path, has_concurrency,
]  # fmt: skip
