import base64
import re
import struct

import numpy as np
import pandas as pd
import pytest
from evaluation_kit import RHO, TG, champion, gates, metrics, predictions
from rich.console import Console

from trainer.changes import LabelChange, label_changes, param_changes
from trainer.gate import judge
from trainer.report import write_report
from trainer.view import property_views, summary_table

PARAMS = {"recipe": "quick", "folds": {"count": 5, "seed": 7}, "training": {"epochs": 9}}
RECORD = {"code": {"commit": "abc1234"}, "seeds": {"member_0": 11}, "hours": 0.1}
HISTORY = pd.DataFrame(
    {
        "member": np.repeat([0, 1], 4),
        "epoch": [1, 2, 3, 4] * 2,
        "loss": [0.9, 0.5, 0.3, 0.02] * 2,
        "val_loss": [1.0, 0.6, 0.4, 0.3] * 2,
        "learning_rate": 1e-3,
        "seconds": 1.0,
    }
)


def write(folder, table=None, *, split="grouped", rival=None, **changes):
    table = predictions() if table is None else table
    scored = metrics(table, split=split)
    verdict = judge(scored, gates(), [TG, RHO], predictions=table, champion=rival)
    arguments = {
        "metrics": scored,
        "gate": verdict.as_json(),
        "predictions": table,
        "history": HISTORY,
        "params": PARAMS,
        "record": RECORD,
        "champion": rival,
    }
    write_report(folder, **(arguments | changes))
    html = (folder / "report.html").read_text(encoding="utf-8")
    return html, (folder / "report.md").read_text(encoding="utf-8")


def test_a_report_with_verdict_first_scores_plots_and_origin(tmp_path):
    html, md = write(tmp_path)
    for text in (html, md):
        assert text.index("The gate passes") < text.index("Scores") < text.index("Glass transition")
        for part in ("f" * 64, "d" * 64, "a" * 16, "folds.seed 7", "seeds.member_0 11", "abc1234"):
            assert part in text
    assert re.findall(r"!\[.{20,}\]\((.*)\)", md) == [
        "plots/parity-Glass_Transition.png",
        "plots/parity-Density.png",
        "plots/learning-curves.png",
        "plots/coverage.png",
    ]
    assert "memory test" not in html + md


def test_the_page_needs_no_network_and_its_images_have_alternative_texts(tmp_path):
    html, _ = write(tmp_path)
    assert not re.findall(r"""(?:src|href|srcset)=["'](?!data:)""", html)
    assert "http" not in re.sub(r"base64,[^\"]+", "", html)
    images = re.findall(r"<img[^>]*>", html)
    assert len(images) == 4
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)
    assert html.count("prefers-color-scheme: dark") >= 5
    encoded = re.findall(r'base64,([^"]+)"', html)
    for data in encoded:
        raw = base64.b64decode(data)
        assert raw.startswith(b"\x89PNG")
        assert struct.unpack(">I", raw[16:20])[0] >= 400


def test_markdown_tables_have_as_many_cells_in_every_row(tmp_path):
    _, md = write(tmp_path, rival=champion(predictions(4)))
    tables = re.findall(r"(?:^\|.*\n)+", md, flags=re.MULTILINE)
    assert len(tables) >= 3
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1


def test_a_random_split_is_warned_of(tmp_path):
    html, md = write(tmp_path, split="random")
    for text in (html, md):
        assert "Scores of a random split are a memory test" in text
    assert "> [!WARNING]" in md


def test_the_warning_does_not_depend_on_the_gate(tmp_path):
    html, _ = write(tmp_path, split="random", gate={**judged(), "warnings": []})
    assert "memory test" in html


def judged(**changes):
    return judge(metrics(predictions()), gates(**changes), [TG, RHO]).as_json()


def test_a_failing_gate_says_why(tmp_path):
    html, md = write(tmp_path, predictions(error=2.0))
    for text in (html, md):
        assert "The gate fails" in text
        assert "is above the floor of 35 °C" in text


def test_a_dry_run_is_marked(tmp_path):
    html, md = write(tmp_path, gate=judged(mode="dry_run"))
    assert "Dry run: the gate would pass" in html
    assert "Dry run: the gate would pass" in md


def test_what_changed_against_the_champion(tmp_path):
    old = predictions(3)
    html, md = write(tmp_path, rival=champion(old))
    for text in (html, md):
        assert "What changed against v1.0.0" in text
        assert "none added, removed or changed" in text
        assert "training.epochs" in text
        assert "95% interval" in text


def test_a_champion_on_other_folds_is_shown_as_not_comparable(tmp_path):
    html, md = write(tmp_path, rival=champion(predictions(), folds_hash="e" * 64))
    for text in (html, md):
        assert "Not comparable" in text
        assert "the folds differ" in text


def test_grouped_against_random_folds(tmp_path):
    other = metrics(predictions(error=0.01), split="random")
    html, md = write(tmp_path, other_split=other)
    for text in (html, md):
        assert "Grouped against random folds" in text
        assert "(1.00)" in text  # the random folds' R²
        assert "memory test" not in text


def test_the_other_split_must_be_another(tmp_path):
    with pytest.raises(ValueError, match="one of 'random' folds"):
        write(tmp_path, other_split=metrics(predictions()))


def test_texts_from_outside_are_escaped(tmp_path):
    params = {"recipe": "<script>alert(1)</script> | x"}
    html, md = write(tmp_path, params=params)
    assert "<script>" not in html + md
    assert r"\| x" in md


def test_a_report_without_history_intervals_record_or_a_property(tmp_path):
    table = predictions().query("property == @TG").drop(columns=["low", "high"])
    html, md = write(tmp_path, table, history=None, record=None)
    assert "Learning curves" not in html
    assert "Interval calibration" not in html
    assert "Density: no metrics; it was to be trained." in md


def test_predictions_that_are_no_numbers_still_give_a_report(tmp_path):
    table = predictions()
    table.loc[table["property"] == TG, "y_pred"] = np.nan
    html, _ = write(tmp_path, table)
    assert "missing or not a finite number" in html


def test_plots_may_lie_elsewhere(tmp_path):
    _, md = write(tmp_path, plots_url="https://example.org/run/")
    assert "(https://example.org/run/parity-Density.png)" in md


def test_label_changes_are_found_by_chain():
    old = predictions().query("property == @TG")
    new = old.assign(sample=old["sample"].iloc[::-1].to_numpy()).iloc[2:].copy()
    new.iloc[0, new.columns.get_loc("y_true")] += 1.0
    extra = new.tail(1).assign(smiles_polymer="CCOC")
    found = label_changes(pd.concat([new, extra]), old)
    assert found == [LabelChange(TG, added=1, removed=2, changed=1)]
    assert label_changes(old, old.iloc[::-1]) == []


def test_replicates_that_come_and_go():
    old = predictions().query("property == @TG")
    twice = pd.concat([old, old.head(1)])
    assert label_changes(twice, old) == [LabelChange(TG, 1, 0, 0)]
    assert label_changes(old, twice) == [LabelChange(TG, 0, 1, 0)]


def test_param_changes_by_dotted_key():
    changes = param_changes({"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 2}, "d": None})
    assert changes == [("a.b", "2", "1"), ("a.c", "—", "1, 2"), ("d", "none", "—")]


def test_the_console_table(tmp_path):
    table = predictions(error=0.25)
    table.loc[table["property"] == RHO, "y_pred"] += 0.1
    found = metrics(table)
    verdict = judge(found, gates(), [TG, RHO], predictions=table).as_json()
    console = Console(width=140, record=True, file=(tmp_path / "out").open("w"))
    console.print(summary_table(found, verdict))
    text = console.export_text()
    for part in ("Glass transition", "°C", "150", "Gaussian process", "✓ pass", "✗ fail"):
        assert part in text
    assert "Verdict: fail" in text


def test_a_view_of_an_unclear_comparison():
    other = predictions(0, error=0.1)
    mine = other.copy()
    mine.loc[(mine["fold"] == 2) & (mine["property"] == TG), "y_pred"] += 60.0
    scored = metrics(mine)
    verdict = judge(scored, gates(), [TG, RHO], predictions=mine, champion=champion(other))
    views = {view.name: view for view in property_views(scored, verdict.as_json())}
    assert (views[TG].word, views[TG].mark, views[RHO].word) == ("inconclusive", "?", "pass")
