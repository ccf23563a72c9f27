"""What the page shows, as HTML: the run, its end, and the run that a choice would make."""

from html import escape

from trainer.contract_report import RULES, Report
from trainer.ui.choices import Chosen
from trainer.ui.curve import draw
from trainer.ui.desk import Seen
from trainer.ui.orders import Order, Outcome
from trainer.ui.progress import Progress

_STATES = {
    "idle": "No run yet",
    "running": "Training",
    "stopping": "Stopping: the step at hand is finished and saved",
    "ending": "Ending",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
}
_VERDICTS = {
    "pass": "The gate passed: it can be published.",
    "fail": "The gate failed: it is not published.",
    "inconclusive": "The gate could not decide: it is not published.",
}
_MOST_FAULTS = 6


def run_view(seen: Seen, progress: Progress | None, log: list[str], trouble: str) -> str:
    """Show the run: how it stands, how far it is, how it ended."""
    order = seen.order
    if order is None or progress is None:
        return trouble_view(trouble) + '<p class="quiet">No run has been started here yet.</p>'
    state = _STATES[seen.standing]
    if seen.standing == "running":
        state = "Evaluating, judging and uploading" if progress.trained else state
        state = state if progress.share or progress.trained else "Preparing"
    parts = [
        trouble_view(trouble),
        f'<div class="state {seen.standing}"><span class="dot"></span>'
        f"<strong>{state}</strong></div>",
    ]
    if seen.outcome is not None:
        parts.append(outcome_view(seen.outcome))
    parts.append(_bar(progress.share))
    parts.append(_facts(order, progress, seen.busy))
    parts.append(draw(progress.curves, progress.epochs))
    parts.append(_folds(progress))
    if log:
        text = escape("\n".join(log))
        parts.append(f"<details><summary>Log</summary><pre>{text}</pre></details>")
    return "".join(parts)


def outcome_view(outcome: Outcome) -> str:
    """Show how a run ended."""
    parts = [f"<p>{escape(outcome.message)}</p>"]
    if outcome.verdict:
        verdict = _VERDICTS.get(outcome.verdict, f"Verdict: {outcome.verdict}.")
        parts.append(f"<p><strong>{escape(verdict)}</strong></p>")
        rows = "".join(f"<li>{escape(reason)}</li>" for reason in outcome.reasons)
        parts.append(f"<ul>{rows}</ul>" if rows else "")
    if outcome.address.startswith(("https://", "http://")):
        href = escape(outcome.address, quote=True)
        parts.append(
            f'<p><a href="{href}" target="_blank" rel="noopener">Candidate on the Hub</a></p>'
        )
    elif outcome.address:
        parts.append(f"<p>Candidate: <code>{escape(outcome.address)}</code></p>")
    if outcome.given_back:
        parts.append(f'<p class="quiet">{escape(outcome.given_back)}</p>')
    return f'<div class="outcome {outcome.stage}">{"".join(parts)}</div>'


def trouble_view(text: str) -> str:
    """Show what needs a person."""
    return f'<div class="trouble" role="alert">{escape(text)}</div>' if text else ""


def plan_view(chosen: Chosen, estimate: list[tuple[str, str]], known: bool) -> str:
    """Show the run that a choice makes: its data check, what it takes, whether it exists."""
    plan = chosen.plan
    t, f = plan.params.training, plan.params.folds
    facts = [
        ("Run", f"<code>{plan.fingerprint}</code>"),
        ("Work", f"{f.count} {f.split} folds × {t.epochs} epochs"),
        *((name, escape(text)) for name, text in estimate),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    there = (
        "<p>This candidate is in the registry already: nothing would be trained, only judged "
        "again if the gate or the release has changed.</p>"
        if known
        else ""
    )
    return f'{_check(chosen.report)}<dl class="facts">{rows}</dl>{there}'


def _check(report: Report) -> str:
    errors, warnings = len(report.errors), len(report.warnings)
    mark = "ok" if report.ok else "bad"
    word = "The data keep the contract" if report.ok else "The data cannot be trained on"
    counts = f"{report.rows} rows, {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    faults = report.errors or report.warnings
    rows = "".join(
        f"<li>{f'line {x.row}, ' if x.row else ''}{escape(x.column or '')} "
        f"{escape(RULES[x.rule])}; expected {escape(x.expected)}</li>"
        for x in faults[:_MOST_FAULTS]
    )
    more = len(faults) - _MOST_FAULTS
    rows += f"<li>… and {more} more: <code>trainer check</code></li>" if more > 0 else ""
    shown = f"<ul>{rows}</ul>" if rows else ""
    if report.ok and rows:
        shown = f"<details><summary>Warnings</summary>{shown}</details>"
    return f'<div class="check {mark}"><strong>{word}</strong> ({counts}){shown}</div>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _bar(share: float) -> str:
    percent = round(100 * share)
    return (
        f'<div class="bar" role="progressbar" aria-label="Share of all epochs" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><span style="width:{percent}%"></span>'
        f"</div>"
    )


def _facts(order: Order, progress: Progress, busy: bool) -> str:
    left = "–"
    if busy and not progress.trained:
        left = duration(progress.eta_s) if progress.eta_s is not None else "known after some epochs"
    facts = [
        ("Run", f"<code>{order.fingerprint}</code>, recipe {escape(order.recipe)}"),
        ("Properties", escape(", ".join(order.properties))),
        ("Started", f"{escape(moment(order.at))} by {escape(order.by)}"),
        ("Done", f"{progress.share:.0%} in {duration(progress.seconds)}"),
        ("Time left", left),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    return f'<dl class="facts">{rows}</dl>'


def _folds(progress: Progress) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{x.fold}</th><td>{x.epoch} of {progress.epochs}</td>"
        f"<td>{_number(x.loss)}</td><td>{_number(x.val_loss)}</td></tr>"
        for x in progress.folds
    )
    head = "".join(f"<th scope='col'>{n}</th>" for n in ("Fold", "Epoch", "Loss", "Validation"))
    return (
        f'<table class="folds"><caption>Folds</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def moment(text: str) -> str:
    """Such as ``2026-01-31 12:00 UTC``."""
    return f"{text[:10]} {text[11:16]} UTC"


def duration(seconds: float) -> str:
    """Such as ``3 h 20 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
