"""The review of a candidate as Markdown: verdict first, then scores, what changed, what is next."""

from collections.abc import Mapping
from typing import Any

from polyid.properties import PROPERTIES
from trainer.gate import RANDOM_SPLIT_WARNING
from trainer.review import tables
from trainer.review.facts import Facts
from trainer.review.texts import attribute, code, prose
from trainer.show_view import code_text, duration

_HEADLINES = {
    "pass": "may be released",
    "fail": "is not released",
    "inconclusive": "can be merged, and is not released",
    "not judged": "has no verdict",
}
_MOST_REASONS = 20


def headline(facts: Facts) -> str:
    """Return the verdict in a line, without markup."""
    verdict = facts.model.verdict
    said = f"Model gate: {verdict}"
    if not enforced(facts.model.gate):
        return f"{said} (dry run: the gate is not enforced)"
    return f"{said}. This model {_HEADLINES[verdict]}"


def enforced(gate: Mapping[str, Any] | None) -> bool:
    """Whether the verdict decides."""
    return bool((gate or {}).get("enforced", True))


def page(facts: Facts) -> str:
    """Return the whole review."""
    model = facts.model
    metrics, gate = model.metrics or {}, model.gate or {}
    parts = [
        [f"## {tables.ICONS[model.verdict]} {headline(facts)}", "", *_reasons(gate, metrics)],
        _next(facts),
        ["### Scores", "", *tables.scores(metrics, gate), "", *_legend(metrics, gate)],
        _changes(facts),
        _run(facts),
        _plots(facts),
        _origin(facts),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _reasons(gate: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    reasons = [str(reason) for reason in gate.get("reasons") or []]
    lines = [f"- {_reason(reason)}" for reason in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        lines.append(f"- … and {len(reasons) - _MOST_REASONS} more reasons, in the report.")
    warnings = [str(warning) for warning in gate.get("warnings") or []]
    if metrics.get("split") == "random" and RANDOM_SPLIT_WARNING not in warnings:
        warnings.append(RANDOM_SPLIT_WARNING)
    for warning in warnings:
        lines += ["", "> [!WARNING]", f"> {prose(warning)}"]
    return lines


def _reason(reason: str) -> str:
    """Name the property as the table does."""
    name, colon, rest = reason.partition(": ")
    if colon and name in PROPERTIES:
        return f"**{PROPERTIES[name].title}:** {prose(rest)}"
    return prose(reason)


def _next(facts: Facts) -> list[str]:
    """Say what the reader does now."""
    verdict, place = facts.model.verdict, f"--registry {facts.registry}"
    again = code(f".venv/bin/trainer gate {place}", 200)
    steps = {
        "pass": "Merge this. The workflow `publish` then releases exactly this candidate; nothing "
        "is trained again.",
        "inconclusive": "It may be merged; the release in use stays. To get a verdict: more labels "
        "or folds make differences provable, and a champion that could not be compared is compared "
        f"by {again}.",
        "fail": "Look at the floor or property that is named above and at the labels that changed, "
        "correct data or recipe, and push to this branch: this comment is updated. Floors stand "
        "in `gates.yaml` and are its owner's decision.",
        "not judged": f"Run {again}.",
    }
    if facts.model.released_as:
        text = f"This model is {prose(facts.model.released_as)} already: there is nothing to do."
    elif verdict == "pass" and not facts.place.lasting:
        text = (
            "It can be merged, but nothing will be published: candidates are kept on the machine "
            "that trains. Set the repository variable `REGISTRY` (`docs/setup.md`) first."
        )
    else:
        text = steps[verdict]
    show = code(f".venv/bin/trainer show candidate/{facts.model.fingerprint} {place}", 200)
    look = f" All its numbers: {show}." if facts.place.lasting else ""
    return ["### What to do next", "", f"{text}{look}"]


def _legend(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> list[str]:
    rival = gate.get("champion") or {}
    lines = [
        f"<sub>Mean absolute errors in the property's unit, out of fold, "
        f"{prose(metrics.get('split', 'unknown'))} folds. Mean and Gaussian process (GP) are "
        "baselines on the same folds."
    ]
    if rival.get("comparable"):
        lines[0] += (
            " Differences are paired by fold, with the corrected t-test's interval; below 0 is "
            "better than the champion."
        )
    lines[0] += "</sub>"
    if rival and not rival.get("comparable"):
        name = prose(rival.get("revision"))
        lines += ["", f"**Champion {name} is not comparable:** {prose(rival.get('why'))}"]
    if not rival and gate.get("verdict") != "pass":  # a pass says so itself
        lines += ["", "There is no release yet to compare with."]
    return lines


def _changes(facts: Facts) -> list[str]:
    change = facts.change
    if change is None:
        return ["### What changed", "", prose(facts.change_note)] if facts.change_note else []
    return [
        "### What changed",
        "",
        *tables.data(change),
        "",
        *tables.parameters("Recipe", change.params),
        "",
        *tables.parameters("Gate", change.gates),
        "",
        f"<sub>Compared with {code(change.base[:12])}, where this branch begins.</sub>",
    ]


def _run(facts: Facts) -> list[str]:
    """Say what it took, and where it is."""
    record, place = facts.model.record, facts.place
    lines = ["### Run", ""]
    if record is not None:
        machine = record.hardware
        gpus = ", ".join(machine.gpus) or "no GPU"
        cost = "not billed" if record.cost_usd is None else f"{record.cost_usd:.2f} US dollars"
        lines.append(
            f"- **Time and cost:** {duration(record.hours)} on {machine.cores} cores "
            f"({prose(machine.cpu)}), {prose(gpus)}; {cost}."
        )
    if place.lasting:
        lines.append(
            f"- **Candidate:** [{prose(place.name)}]({place.candidate}) · [report]({place.report})"
        )
    else:
        lines.append(
            f"- **Candidate:** {code(place.name)}. If this run trained it, it is the run's "
            "artifact `candidate`, with `report.html`."
        )
    return lines


def _plots(facts: Facts) -> list[str]:
    place = facts.place
    if not place.images:
        return [place.note] if place.note else []
    lines = [f"<details><summary>Plots ({len(place.images)})</summary>", ""]
    for image in place.images:
        url, width = attribute(image.url), 360 if image.small else 720
        lines.append(
            f'<a href="{url}"><img src="{url}" width="{width}" alt="{attribute(image.alt)}"></a>'
        )
    return [*lines, "", "</details>"]


def _origin(facts: Facts) -> list[str]:
    """Return the hashes by which the run is found again."""
    rows = [
        ["Fingerprint", code(facts.model.fingerprint)]
    ]  # of hashes, as much as tells them apart
    record = facts.model.record
    if record is not None:
        commit = code_text(record.code.model_dump())
        rows += [
            [
                "Data",
                f"{code(record.data.name)}, {record.data.rows} rows, {code(record.data.hash[:16])}",
            ],
            ["Code", prose(commit)],
            ["Recipe", f"{code(record.params.get('recipe'))}, {code(record.params_hash[:16])}"],
            ["Folds", f"{record.folds.count} {record.folds.split}, {code(record.folds.hash[:16])}"],
        ]
    return [
        "<details><summary>Where these numbers come from</summary>",
        "",
        *tables.table(["", ""], rows, "ll"),
        "",
        "</details>",
    ]
