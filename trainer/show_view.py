"""One release or candidate on the console: verdict first, then scores, then the record."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polyid.properties import PROPERTIES
from trainer.revisions import in_order
from trainer.show import Shown
from trainer.view import COLOURS, MARKS, number, ratio


def render(shown: Shown, console: Console) -> None:
    """Print one release or candidate."""
    line(console, Text.assemble((shown.revision, "bold"), f"  {shown.state}"))
    line(console, shown.address)
    console.print()
    _verdict(shown, console)
    if shown.metrics is not None:
        console.print()
        console.print(score_table(shown.metrics))
        split = shown.metrics.get("split", "unknown")
        note = "Mean and GP: MAE of the labels' mean and of a Gaussian process"
        line(console, Text(f"{note}. All out of fold, {split} folds.", style="dim"))
    console.print()
    console.print(_facts(shown))


def line(console: Console, text: str | Text) -> None:
    """Print data as it is: no markup, no colours by guess, no line breaks."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def facts_table(facts: Mapping[str, str]) -> Table:
    """Return names and values in two columns."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(value))
    return table


def score_table(metrics: Mapping[str, Any]) -> Table:
    """Return a line per property: error, both baselines, and the intervals' measured coverage."""
    scored = in_order(metrics)
    levels = {entry["interval"]["level"] for _, entry in scored if entry.get("interval")}
    inside = f"In {levels.pop():.0%} int." if len(levels) == 1 else "In interval"
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("Property", "Unit"):
        table.add_column(heading, no_wrap=True)
    for heading in ("n", "MAE", "RMSE", "R²", "Mean", "GP", inside):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, entry in scored:
        unit, model = entry.get("unit", ""), entry.get("model") or {}
        interval = entry.get("interval") or {}
        covered = interval.get("coverage")
        table.add_row(
            PROPERTIES[name].title if name in PROPERTIES else Text(name),
            Text(unit),
            str(entry.get("n", "–")),
            Text(number(model.get("mae"), unit), style="bold"),
            number(model.get("rmse"), unit),
            ratio(model.get("r2")),
            number((entry.get("mean") or {}).get("mae"), unit),
            number((entry.get("gp") or {}).get("mae"), unit),
            "–" if covered is None else f"{covered:.1%}",
        )
    return table


def duration(hours: float) -> str:
    """Write hours of work for a reader."""
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"


def dollars(usd: float) -> str:
    """Write dollars for a reader; a little is not written as nothing."""
    return f"{usd:.2f} US dollars" if usd >= 0.01 else f"{usd:.4f} US dollars"


def _expected(actual: float, estimate: float | None, write: Callable[[float], str]) -> str:
    """Say what was expected, and how far off that was."""
    if not estimate:
        return ""
    return f"; {write(estimate)} expected, × {actual / estimate:.2f}"


def code_text(code: Mapping[str, Any]) -> str:
    """Say which code ran, and what is not known about it."""
    if code.get("commit") is None:
        return f"not from a git checkout; hash {code.get('hash')}"
    dirty = " with changes that were not committed" if code.get("dirty") else ""
    return f"git commit {code['commit']}{dirty}"


def _verdict(shown: Shown, console: Console) -> None:
    gate = shown.gate or {}
    mode = "" if gate.get("enforced", True) else " (dry run: not enforced)"
    rival = (gate.get("champion") or {}).get("revision")
    against = f", judged against {rival}" if rival else ""
    colour = COLOURS.get(shown.verdict, "default")
    mark = MARKS.get(shown.verdict, "?")
    line(
        console,
        Text.assemble("Verdict: ", (f"{mark} {shown.verdict}", f"bold {colour}"), mode, against),
    )
    for sentence in [*(gate.get("reasons") or []), *(gate.get("warnings") or [])]:
        line(console, f"  {sentence}")


def _facts(shown: Shown) -> Table:
    facts: dict[str, str] = {}
    release = shown.release
    if release is not None:
        since = f" since {release['previous']}" if release["previous"] else ""
        facts["Released"] = f"{release['time']}; {release['change']}{since}: " + "; ".join(
            release["reasons"]
        )
        if release["commit"]:
            facts["Hub commit"] = release["commit"]
    facts["Fingerprint"] = shown.fingerprint
    record = shown.record
    if record is None:
        return facts_table(facts | {"Record": "none: record.yaml is not there"})
    data, code, folds, machine = (record[key] for key in ("data", "code", "folds", "hardware"))
    facts["Data"] = f"{data['name']}, {data['rows']} rows, SHA-256 {data['hash']}"
    facts["Licence"] = data["licence"]
    facts["Code"] = code_text(code)
    facts["Image"] = code["image"] or "none: not run in a container"
    facts["Recipe"] = f"{record['params'].get('recipe', 'unnamed')}, hash {record['params_hash']}"
    facts["Folds"] = (
        f"{folds['count']} {folds['split']}, seed {folds['seed']}, hash {folds['hash']}"
    )
    facts["Seeds"] = ", ".join(f"{key} {value}" for key, value in record["seeds"].items())
    facts["Hardware"] = ", ".join(
        [
            machine["cpu"],
            f"{machine['cores']} cores",
            f"{machine['memory_gb']:g} GB",
            *(machine["gpus"] or ["no GPU"]),
        ]
    )
    expected = record.get("estimate") or {}
    cost = record["cost_usd"]
    facts["Took"] = duration(record["hours"]) + _expected(
        record["hours"], expected.get("hours"), duration
    )
    facts["Cost"] = "not billed"
    if cost is not None:
        facts["Cost"] = dollars(cost) + _expected(cost, expected.get("cost_usd"), dollars)
    if expected:
        how = "measured" if expected["measured"] else "estimated"
        facts["Estimate"] = (
            f"{expected['hardware']} of {expected['target']}, {how}: {expected['basis']}"
        )
    facts["Time"] = f"{record['started']} to {record['finished']}"
    return facts_table(facts)
