"""The model card: what it says, and that Hugging Face's client reads it."""

import re
from pathlib import Path

import pytest
from huggingface_hub import EvalResult, ModelCard, metadata_load
from registry_kit import Run, sha, write_json

from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES
from trainer.card import number_text, render_card, write_card
from trainer.record import write_record


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run", units={p.name: p.unit for p in PROPERTIES.values()}).write()


def test_the_hub_client_reads_it(run: Run) -> None:
    path = write_card(run.folder, name="polyid-demo")
    assert path == run.folder / "README.md"
    assert not list(run.folder.glob(".*"))
    card = ModelCard.load(path)  # strict: errors in the metadata raise
    assert card.data.license == "bsd-3-clause"
    assert card.data.library_name == "polyid"
    assert "polymers" in card.data.tags
    results = card.data.eval_results
    assert len(results) == 3 * len(PROPERTIES)
    assert all(isinstance(result, EvalResult) for result in results)
    tg = {r.metric_type: r for r in results if r.dataset_config == "Glass_Transition"}
    assert {kind: r.metric_value for kind, r in tg.items()} == {
        "mae": 23.4,
        "rmse": 31.0,
        "r_squared": 0.91,
    }
    assert tg["mae"].metric_name == "Glass transition MAE (°C)"
    assert tg["mae"].dataset_split == "out of fold, grouped"
    assert tg["mae"].dataset_revision == sha("data")
    metadata = metadata_load(path)
    assert metadata is not None
    [index] = metadata["model-index"]
    assert index["name"] == "polyid-demo"
    assert [r["dataset"]["config"] for r in index["results"]] == list(PROPERTIES)
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()


def test_a_broken_index_would_be_noticed(run: Run) -> None:
    path = write_card(run.folder)
    path.write_text(path.read_text().replace("    dataset:\n", "    dataest:\n"))
    with pytest.raises(ValueError, match="model_index"):
        ModelCard.load(path)


def test_it_says_what_a_reader_needs(run: Run) -> None:
    text = write_card(run.folder).read_text()
    record = run.record()
    for wanted in (
        "This model passed its gate",
        "| Glass transition | °C | 100 | 23.4 | 31.0 | 0.910 | 97.7 | 25.1 |",
        "| Glass transition | 90 % | 91.2 % | 93.6 °C |",
        'polyid predict --model hf://namespace/name@v1.0.0 "CC(O)C(=O)O"',
        "polyid predict --model registry@v1.0.0",
        'polyid predict --model . "',
        'MultiModel.from_pretrained("namespace/name", revision="v1.0.0")',
        f'revision="candidate/{run.fingerprint}")',
        'MultiModel.from_pretrained(".")',
        "licence: MIT",
        "GPa",
        "not billed",
        "member_0: 11",
        "numpy 2.4.6",
        "split: grouped, seed 7",
        record.data.hash,
        record.params_hash,
        record.code.hash,
        record.folds.hash,
        "ab" * 20,
        "| outside | 0.0 |",
    ):
        assert wanted in text, wanted
    assert "not honest" not in text
    assert "nfp None" not in text
    assert "None" not in text


def test_the_hub_accepts_it(run: Run, hub_home: Path) -> None:
    card = ModelCard.load(write_card(run.folder))
    card.validate(repo_type="model")
    card.content = card.content.replace("license: bsd-3-clause", "license: nobody-s")
    with pytest.raises(ValueError, match="license"):
        card.validate(repo_type="model")


def test_it_shows_the_plots_that_are_there(run: Run) -> None:
    assert "![" not in write_card(run.folder).read_text()
    (run.folder / "plots").mkdir()
    for name in ("parity-Density", "learning-curves", "coverage", "something-else"):
        (run.folder / "plots" / f"{name}.png").write_bytes(b"\x89PNG")
    text = write_card(run.folder).read_text()
    shown = re.findall(r"^!\[(.{20,})\]\((.*)\)$", text, re.MULTILINE)
    assert [file for _, file in shown] == [
        "plots/parity-Density.png",
        "plots/learning-curves.png",
        "plots/coverage.png",
    ]
    assert "MAE 0.050 g/cm³" in shown[0][0]
    assert text.index("How good it is") < text.index("parity-") < text.index("## Intervals")
    assert text.index("## Intervals") < text.index("coverage.png") < text.index("## Intended use")


def test_a_random_split_is_warned_of(run: Run) -> None:
    record = run.record()
    folds = record.folds.model_copy(update={"split": "random"})
    text = render_card(record.model_copy(update={"folds": folds}), run.metrics(), run.gate())
    assert "These scores are not honest for new polymers" in text
    assert "nor any other" not in text
    results = ModelCard(text).data.eval_results
    assert {r.dataset_split for r in results} == {"out of fold, random"}


def test_a_failed_model_says_so_first(run: Run) -> None:
    run.verdict = "fail"
    text = write_card(run.write().folder).read_text()
    assert "The verdict of its gate is **fail**" in text
    assert "> - Density: MAE 0.05 g/cm³ above 0.04" in text
    assert text.index("**fail**") < text.index("## What it predicts")
    assert "passed" not in text


def test_a_model_that_was_never_judged(run: Run) -> None:
    (run.folder / "gate.json").unlink()
    record = run.record().model_copy(update={"gate": None})
    write_record(record, run.folder)
    assert "has not been judged" in write_card(run.folder).read_text()


def test_champion_dirty_checkout_image_and_cost(run: Run) -> None:
    run.champion = "v1.2.0"
    record = run.record()
    code = record.code.model_copy(update={"dirty": True, "image": "sha256:" + "0" * 64})
    machine = record.hardware.model_copy(update={"gpus": ["a processor for graphics"]})
    changes = {"code": code, "hardware": machine, "cost_usd": 1.25}
    text = render_card(record.model_copy(update=changes), run.metrics(), run.gate())
    for wanted in ("against v1.2.0", "not committed", "sha256:000", "for graphics", "1.25 US"):
        assert wanted in text
    bare = record.code.model_copy(update={"commit": None, "dirty": None})
    text = render_card(record.model_copy(update={"code": bare}), run.metrics(), None)
    assert "not a git checkout" in text


def test_scores_that_are_no_numbers_are_left_out(run: Run) -> None:
    metrics = run.metrics()
    metrics["properties"]["Density"]["model"] = {"mae": float("nan"), "rmse": None, "r2": 0.5}
    del metrics["properties"]["Density"]["interval"]
    text = render_card(run.record(), metrics, run.gate())
    assert "| Density | g/cm³ | 100 | – | – | 0.500 |" in text
    assert "| Density | – | not measured | – |" in text
    kinds = [
        r.metric_type for r in ModelCard(text).data.eval_results if r.dataset_config == "Density"
    ]
    assert kinds == ["r_squared"]


def test_what_does_not_fit_is_refused(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "other", data="other")
    with pytest.raises(PolyIDError, match="belong to the run"):
        render_card(run.record(), other.metrics())
    metrics = run.metrics()
    metrics["properties"]["Colour"] = metrics["properties"]["Density"]
    with pytest.raises(PolyIDError, match="Colour"):
        render_card(run.record(), metrics)
    write_json(run.folder / "metrics.json", {**run.metrics(), "properties": {}})
    with pytest.raises(PolyIDError, match="received none"):
        write_card(run.folder)
    (run.folder / "metrics.json").unlink()
    with pytest.raises(PolyIDError, match="trainer evaluate"):
        write_card(run.folder)


@pytest.mark.parametrize(
    ("value", "text"),
    [(23.44, "23.4"), (0.0512, "0.0512"), (1234.5, "1234"), (-0.5, "-0.500"), (0, "0"),
     (float("inf"), "–"), (None, "–"), (True, "–"), ("1", "–")],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert number_text(value) == text
