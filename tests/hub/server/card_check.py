"""What is wrong with a card's YAML: the checks of the Hub that matter to a model card."""

from __future__ import annotations

from typing import Any

import yaml

# the identifiers of licences on the Hub that a card here may name
_LICENSES = """
    apache-2.0 mit openrail bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear cc cc0-1.0 cc-by-2.0
    cc-by-3.0 cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 gpl gpl-2.0 gpl-3.0 lgpl lgpl-3.0
    agpl-3.0 mpl-2.0 isc unlicense artistic-2.0 bsl-1.0 odbl pddl unknown other"""
LICENSES = set(_LICENSES.split())


def front_matter(text: str) -> Any:
    """The YAML block at the top of a README, None when there is none."""
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return None
    for end, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            return yaml.safe_load("\n".join(lines[1:end]))
    return None


def problems(text: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Errors (the card is refused) and warnings of a README's front matter."""
    try:
        card = front_matter(text)
    except yaml.YAMLError as bad:
        return [f"YAML Metadata Error: {str(bad).splitlines()[0]}"], []
    if card is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(card, dict):
        return ["YAML metadata must be a mapping of names to values"], []
    errors: list[str] = []
    licence = card.get("license")
    for one in licence if isinstance(licence, list) else [licence]:
        if one is not None and one not in LICENSES:
            errors.append(f'"license" must be one of the known identifiers, received {one!r}')
    for name in ("tags", "datasets", "metrics"):
        value = card.get(name)
        rows = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(v, str) for v in rows):
            errors.append(f'"{name}" must be an array of strings')
    for name in ("pipeline_tag", "library_name"):
        if name in card and not isinstance(card[name], str):
            errors.append(f'"{name}" must be a string')
    if repo_type == "model" and "model-index" in card:
        errors += _index_problems(card["model-index"])
    if repo_type == "space":
        sdk = card.get("sdk")
        if sdk is not None and sdk not in {"gradio", "docker", "static", "streamlit"}:
            errors.append(f'"sdk" must be one of gradio, docker, static, received {sdk!r}')
    short = card.get("short_description")
    if short is not None and len(str(short)) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    return errors, []


def _index_problems(index: Any) -> list[str]:
    if not isinstance(index, list) or not index:
        return ['"model-index" must be an array with at least one item']
    errors = []
    for i, model in enumerate(index):
        at = f"model-index[{i}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append(f'"{at}.name" is required and must be a string')
            continue
        results = model.get("results")
        if not isinstance(results, list):
            errors.append(f'"{at}.results" is required and must be an array')
            continue
        for j, row in enumerate(results):
            errors += _result_problems(f"{at}.results[{j}]", row)
    return errors


def _result_problems(at: str, row: Any) -> list[str]:
    if not isinstance(row, dict):
        return [f'"{at}" must be an object']
    errors = []
    for part, names in (("task", ("type",)), ("dataset", ("type", "name"))):
        found = row.get(part)
        for name in names:
            if not isinstance(found, dict) or not isinstance(found.get(name), str):
                errors.append(f'"{at}.{part}.{name}" is required and must be a string')
    metrics = row.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        return [*errors, f'"{at}.metrics" is required and must be an array']
    for k, metric in enumerate(metrics):
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str):
            errors.append(f'"{at}.metrics[{k}].type" is required and must be a string')
        elif "value" not in metric:
            errors.append(f'"{at}.metrics[{k}].value" is required')
    return errors
