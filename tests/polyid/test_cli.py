"""The command `polyid predict`, from its help to a CSV round trip."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from disk_kit import mounted
from typer.testing import CliRunner, Result

from polyid.cli import app
from polyid.cli_view import number

ROOT = Path(__file__).parents[2]
PLA, NYLON, PMMA = "CC(O)C(=O)O", "NCCCCCCN.O=C(O)CCCCC(=O)O", "*CC(*)(C)C(=O)OC"


def console(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "polyid.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300, check=False
    )


def call(*arguments: object) -> Result:
    """Run the command in this process, where TensorFlow is loaded already."""
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "80"})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_help_teaches_at_once():
    console("--help")  # the first run may have to compile
    done = console("--help")
    assert done.returncode == 0
    assert "polyid predict --model registry" in done.stdout
    told = console("predict", "--help").stdout
    for word in ("Exit codes", "--file", "nylon 6,6", "--json", "registry@v1.0.0"):
        assert word in told
    code = "import sys, polyid.cli; print({'tensorflow', 'keras', 'm2p', 'rdkit'} & {*sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_four_polymers_in_one_call(registry):
    done = console("predict", "--model", f"{registry}@v1.0.0", PLA, NYLON, PMMA, "not-a-polymer")
    assert done.returncode == 1
    assert done.stderr == "1 of 4 could not be predicted.\n"  # and no log noise
    out = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    assert max(len(line) for line in out.splitlines()) <= 80
    assert out.count("Glass transition") == 3
    assert out.count("g/cm³") >= 3
    assert out.count("90 % interval") == 3
    assert out.count("Validity: ") == 3
    assert "1.00  CC(O)C(=O)O\n          Tg 57 °C, ρ 1.25 g/cm³" in out
    assert "✗ 'not-a-polymer' is not SMILES" in out
    assert "@v1.0.0 · commit abababababab" in out.replace("\n", "")


def test_json_is_all_there_is_on_stdout(registry):
    done = console("predict", "--model", registry, "--json", PLA, "C[nH", PMMA)
    assert done.returncode == 1
    answers = json.loads(done.stdout)
    assert [a["ok"] for a in answers] == [True, False, True]
    assert [a["input"] for a in answers] == [PLA, "C[nH", PMMA]
    assert answers[0]["properties"]["Glass_Transition"]["unit"] == "°C"
    assert answers[0]["model"]["revision"] == "v1.0.0"
    assert answers[1]["properties"] is None
    assert done.stderr == "1 of 3 could not be predicted.\n"


def test_all_predicted_is_exit_0_and_a_candidate_can_be_asked(registry):
    done = call("predict", "--model", f"{registry}@candidate/0123", PLA)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "candidate/0123456789abcdef" in done.stdout.replace("\n", "")


def test_csv_round_trip(registry, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(
        "\ufeffname,SMILES,mechanism,remark\n"
        f'"lactic, poly",{PLA},ester,"said ""good"""\n'
        f"PMMA,{PMMA},,\n"
        "\n"
        "bad,c1cc,,\n"
        "empty,,,x\n"
        f"twice,{PMMA},,\n",
        encoding="utf-8",
    )
    done = console("predict", "--model", registry, "--file", source, "--out", out)
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"3 of 5 rows predicted: {out}\n"
    assert done.stderr == "2 of 5 could not be predicted.\n"
    table = rows(out)
    properties = ("Glass_Transition", "Density")
    added = [f"{p}{end}" for p in properties for end in ("", "_low", "_high", "_unit")]
    assert list(table[0]) == [
        *("name", "SMILES", "mechanism", "remark"),
        *added,
        *("validity", "note", "error"),
    ]
    assert [row["name"] for row in table] == ["lactic, poly", "PMMA", "bad", "empty", "twice"]
    assert table[0]["remark"] == 'said "good"'
    first = table[0]
    assert float(first["Density_low"]) < float(first["Density"]) < float(first["Density_high"])
    assert first["Density_unit"] == "g/cm³"
    assert first["validity"] == "well inside"
    assert first["error"] == ""
    assert "'c1cc'" in table[2]["error"]
    assert table[2]["Density"] == table[2]["validity"] == ""
    assert "empty" in table[3]["error"]
    assert table[4] == table[1] | {"name": "twice"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    # what was written can be read again, and no column is lost
    again = tmp_path / "again.csv"
    assert call("predict", "--model", registry, "--file", out, "--out", again).exit_code == 1
    second = rows(again)
    assert second[0]["predicted_Density"] == second[0]["Density"] == first["Density"]
    assert list(second[0])[: len(first)] == list(first)


@pytest.mark.parametrize(
    ("header", "cells", "kind"),
    [
        ("smiles_polymer,mechanism", "*CC(*)C,vinyl", "repeat_unit"),
        ("repeat_unit", "*CC(*)C", "repeat_unit"),
        ("smiles_monomer,mechanism", "C=CC,vinyl", "monomers"),
        ("monomers,Mechanism,pm", "C=CC,,", "monomers"),
        ("smiles_polymer,smiles_monomer", "*CC(*)C,no", "repeat_unit"),
    ],
)
def test_columns_are_recognised(registry, tmp_path, header, cells, kind):
    source = tmp_path / "in.csv"
    source.write_text(f"{header}\n{cells}\n")
    done = call("predict", "--model", registry, "--file", source, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["kind"] == kind


def test_a_column_can_be_chosen_and_read_as(registry, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("smiles,Mine\nCCC,OCC(=O)O\n")
    done = call(
        *("predict", "--model", registry, "--file", source, "--json"),
        *("--column", "Mine", "--as", "monomers", "--mechanism", "ester"),
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["kind"] == "monomers"
    assert json.loads(done.stdout)[0]["input"] == "OCC(=O)O"


def test_tacticity_from_option_and_column(pm_folder, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text(f"monomers,pm\n{PLA},0.1\n{PLA},\n{PLA},isotactic\n")
    done = call("predict", "--model", pm_folder, "--file", source, "--json", "--pm", "0.9")
    assert done.exit_code == 1
    low, high, bad = json.loads(done.stdout)
    assert low["properties"] != high["properties"]
    assert "pm is 'isotactic'" in bad["error"]
    lost = call("predict", "--model", pm_folder, PLA)
    assert lost.exit_code == 1
    assert "--pm 0.5" in lost.stdout


def test_many_rows_show_progress_on_stderr(registry, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("smiles\n" + "*CC(*)C\n" * 60)
    done = call("predict", "--model", registry, "--file", source, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Predicting" in done.stderr
    assert "100%" in done.stderr
    assert len({tuple(row.values()) for row in rows(out)}) == 1
    assert len(rows(out)) == 60


@pytest.mark.parametrize(
    ("content", "options", "fault"),
    [
        (b"", [], "in.csv is empty"),
        (b"\n \n", [], "in.csv is empty"),
        (b"smiles\n", [], "a header (smiles) but no rows"),
        (b"name;smiles\na;CC\n", [], "separated by semicolons"),
        (b"name\tsmiles\na\tCC\n", [], "separated by tabs"),
        (b"name,structure\na,CC\n", [], "its columns are name, structure. Expected one of smiles"),
        (b"name,smiles\na,CC\n", ["--column", "psmiles"], "has no column 'psmiles'; its columns"),
        (b"name,smiles\na,CC\nb,CC,CC\nc\n", [], "2 columns, but line 3 has 3; line 4 has 1"),
        (b"name,smiles\n\xff,CC\n", [], "is not text in UTF-8 (byte 12)"),
        (b'name,smiles\n"a,CC\n', [], "unexpected end of data"),
        (b"smiles\nCC\n", ["--mechanism", "vinil"], "Did you mean 'vinyl'"),
        (b"smiles\nCC\n", ["--pm", "1.2"], "pm is '1.2'"),
        (b"smiles\nCC\n", ["--out", "IN"], "is the input file, which is never overwritten"),
        (b"smiles\nCC\n", ["--out", "LINK"], "is the input file, which is never overwritten"),
        (b"smiles\nCC\n", ["--out", "DIR"], "is a folder"),
        (b"smiles\nCC\n", ["--out", "DIR/no/out.csv"], "make it first"),
        (b"smiles\nCC\n", ["CC"], "not both: received 'CC'"),
    ],
)
def test_bad_files(tmp_path, registry, content, options, fault):
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    (tmp_path / "link.csv").hardlink_to(source)
    places = {"IN": source, "LINK": tmp_path / "link.csv", "DIR": tmp_path}
    given = [str(places.get(o, o)).replace("DIR/", f"{tmp_path}/") for o in options]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "out.csv")]
    done = call("predict", "--model", registry, "--file", source, *given)
    assert done.exit_code == 2, done.output
    assert fault in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.output
    assert source.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "link.csv"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--model", "REG"], "Nothing to predict"),
        (["--model", "REG", "--file", "no.csv", "--json"], "Cannot read no.csv: No such file"),
        (["--model", "REG", "--out", "out.csv", "CC"], "go with --file"),
        (["--model", "REG", "--file", "in.csv"], "needs --out out.csv"),
        (["--model", "REG@v9.0.0", PLA], "has no release 'v9.0.0'"),
        (["--model", "nowhere", PLA], "No model at nowhere"),
        (["--model", "REG", "--as", "polymer", PLA], "--as"),
        ([PLA], "--model"),
    ],
)
def test_bad_calls(registry, arguments, fault):
    done = call("predict", *[a.replace("REG", str(registry)) for a in arguments])
    assert done.exit_code == 2, done.output
    assert fault in done.stderr
    assert done.stdout == ""


def test_exit_code_2_without_traceback_from_the_real_command(tmp_path):
    done = console("predict", "--model", "nowhere", PLA, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: No model at nowhere")
    assert "Traceback" not in done.stderr


def test_a_tampered_model_is_not_used(registry, tmp_path, model_folder):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    path = folder / "intervals.json"
    path.write_text(path.read_text().replace("0.9", "0.8", 1))
    done = call("predict", "--model", folder, PLA)
    assert done.exit_code == 2
    assert "changed: intervals.json" in done.stderr


def test_a_full_disk_leaves_no_half_file(registry, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("smiles,remark\n" + f"*CC(*)C,{'x' * 1000}\n" * 40)
    with mounted(tmp_path / "small", "size=16k") as place:
        out = place / "out.csv"
        done = call("predict", "--model", registry, "--file", source, "--out", out)
        assert done.exit_code == 2, done.output
        assert "No space left on device" in done.stderr
        assert list(place.iterdir()) == []


def test_square_brackets_are_not_markup(registry):
    done = call("predict", "--model", registry, "--as", "oligomer", "[CH3][CH2]OC(=O)C", "[bold]")
    assert "[CH3][CH2]OC(=O)C" in done.stdout
    assert "[bold]" in done.stdout


def test_numbers_for_reading():
    assert number(-0.4, "°C") == "0"
    assert number(105.6, "°C") == "106"
    assert number(-0.004, "GPa") == "0.00"
    assert number(-0.014, "GPa") == "-0.01"
