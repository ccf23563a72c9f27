"""The model card, ``README.md``: what a model predicts, how well, and for which polymers.

Its front matter holds a ``model-index`` that Hugging Face's tools read; its text is rendered from
``templates/card.md.j2``. Everything in it comes from the record, the metrics and the gate.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from polyid.domain import UNSEEN_EDGE, UNSEEN_OUTSIDE, WORDS
from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES
from polyid.registry import read_json
from trainer.plot_files import FOLDER, Caption, Kind, captions_in
from trainer.record import Record, read_record

CARD = "README.md"

LICENCE = "bsd-3-clause"
TAGS = ["chemistry", "polymers", "polymer-properties", "graph-neural-network", "polyid"]

_TASK = "tabular-regression"
_TEMPLATES = Path(__file__).parent / "templates"
#: Metric in metrics.json, its name on the Hub, whether it carries the property's unit.
_METRICS = (("mae", "mae", True), ("rmse", "rmse", True), ("r2", "r_squared", False))
_TITLES = {"mae": "MAE", "rmse": "RMSE", "r2": "R²"}


def write_card(folder: Path, *, name: str = "polyid", licence: str = LICENCE) -> Path:
    """Write ``README.md`` from the files of a run.

    Parameters
    ----------
    folder : Path
        Holds ``record.yaml``, ``metrics.json`` and, once judged, ``gate.json``.
    name : str
        The model's name in its card.
    licence : str
        Licence of the model, as the Hub spells it; the data's own is in the record.

    Raises
    ------
    PolyIDError
        If a file is missing, or the metrics belong to another run than the record.
    """
    record = read_record(folder)
    if not (folder / "metrics.json").is_file():
        raise PolyIDError(f"{folder} has no metrics.json: run `trainer evaluate` first.")
    gate = read_json(folder / "gate.json") if (folder / "gate.json").is_file() else None
    metrics = read_json(folder / "metrics.json")
    plots = captions_in(folder, metrics) if metrics.get("properties") else []
    text = render_card(record, metrics, gate, name=name, licence=licence, plots=plots)
    partial = folder / f".{CARD}.partial"
    partial.write_text(text, encoding="utf-8")
    return partial.replace(folder / CARD)


def render_card(
    record: Record,
    metrics: Mapping[str, Any],
    gate: Mapping[str, Any] | None = None,
    *,
    name: str = "polyid",
    licence: str = LICENCE,
    plots: Sequence[Caption] = (),
) -> str:
    """Render the card's text; see `write_card`.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``; scores in the units it names.
    gate : mapping or None
        The content of ``gate.json``, None before the gate was asked.
    plots : sequence of Caption
        Those that stand in ``plots/`` beside the card.
    """
    if metrics.get("fingerprint") != record.fingerprint:
        raise PolyIDError(
            f"The metrics belong to the run {metrics.get('fingerprint')!r}, the record to "
            f"{record.fingerprint!r}. Run `trainer evaluate` again."
        )
    properties = _properties(metrics)
    data = ModelCardData(
        model_name=name,
        license=licence,
        library_name="polyid",
        pipeline_tag=_TASK,
        tags=TAGS,
        metrics=[hub_name for _, hub_name, _ in _METRICS],
        eval_results=_results(record, properties),
    )
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, and every value is our own or in code quotes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = number_text
    body = environment.get_template("card.md.j2").render(
        name=name,
        record=record,
        properties=properties,
        gate=gate,
        verdict=gate.get("verdict") if gate else record.gate,
        words=WORDS,
        unseen_edge=UNSEEN_EDGE,
        unseen_outside=UNSEEN_OUTSIDE,
        radius=_radius(record),
        licence=licence,
        plots={kind: [p for p in plots if p.kind == kind] for kind in get_args(Kind)},
        plots_folder=FOLDER,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def number_text(value: object, digits: int = 3) -> str:
    """Write a number with ``digits`` significant digits, or an en dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def _properties(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores of each property with its title and symbol, in the product's order."""
    scores = metrics.get("properties") or {}
    unknown = sorted(set(scores) - set(PROPERTIES))
    if unknown or not scores:
        raise PolyIDError(
            f"metrics.json: expected scores of some of {', '.join(PROPERTIES)}; received "
            f"{', '.join(unknown) or 'none'}."
        )
    return [
        {
            "name": name,
            "title": known.title,
            "symbol": known.symbol,
            "interval": None,
            **scores[name],
        }
        for name, known in PROPERTIES.items()
        if name in scores
    ]


def _results(record: Record, properties: list[dict[str, Any]]) -> list[EvalResult]:
    """Entries of the ``model-index``: one result per property, each with its metrics."""
    found = []
    for entry in properties:
        for key, hub_name, has_unit in _METRICS:
            value = entry["model"].get(key)
            if number_text(value) == "–":
                continue
            title = f"{entry['title']} {_TITLES[key]}"
            found.append(
                EvalResult(
                    task_type=_TASK,
                    task_name=f"{entry['title']} of polymers",
                    dataset_type="polymer-properties",
                    dataset_name=record.data.name,
                    dataset_config=entry["name"],
                    dataset_split=f"out of fold, {record.folds.split}",
                    dataset_revision=record.data.hash,
                    metric_type=hub_name,
                    metric_name=f"{title} ({entry['unit']})" if has_unit else title,
                    metric_value=float(value),
                )
            )
    return found


def _radius(record: Record) -> object:
    """Radius of the fingerprints of the domain of validity, where the recipe says it."""
    domain = record.params.get("domain")
    return domain.get("radius") if isinstance(domain, dict) else None
