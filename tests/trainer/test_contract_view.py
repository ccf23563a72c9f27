from io import StringIO

from contract_cases import Spec, rows, write
from rich.console import Console

from trainer.contract import check_data
from trainer.contract_view import render, shown


def printed(report, **options) -> str:
    console = Console(file=StringIO(), width=160)
    render(report, console, **options)
    return console.file.getvalue()


def test_clean_report_ends_with_ready(tmp_path):
    text = printed(check_data(write(tmp_path), Spec()))
    assert "0 errors, 0 warnings" in text
    assert "(10 rows): ready to train." in text


def test_faults_are_grouped_and_cut(tmp_path):
    bad = {f"Tg_{line}": f"x{line}" for line in range(2, 12)}
    text = printed(check_data(write(tmp_path, rows(**bad, mechanism_3="[red]")), Spec()), limit=3)
    assert "error text in a number column (10)" in text
    assert "x4" in text
    assert "x5" not in text
    assert "… and 7 more (see --json)" in text
    assert "[red]" in text, "cells are shown as they are, never read as markup"
    assert " ".join(text.split()).endswith("`trainer check` again."), "wherever the line breaks"
    assert "12 errors" in text


def test_columns_that_are_there_are_named_once(tmp_path):
    path = write(tmp_path, header=["a", "b", "smiles_polymer", "d", "e"])
    text = printed(check_data(path, Spec()))
    assert text.count("columns: a, b, smiles_polymer, d, e") == 1


def test_long_values_keep_both_ends():
    text = shown("C" * 500 + "O")
    assert len(text) < 90
    assert text.endswith("O")
    assert shown("") == "(empty)"
