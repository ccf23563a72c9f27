"""The command line teaches, and answers bad input with one clear message and exit code 2."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from road_kit import GATES, ROOT, TG, TINY, TM, Road, changed

from polyid.errors import PolyIDError
from trainer.cli import app, guarded


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def road(tiny_table: pd.DataFrame, tmp_path: Path) -> Road:
    return Road.laid(tmp_path / "road", tiny_table)


@pytest.fixture
def call(road: Road, capsys: pytest.CaptureFixture[str]):
    """Call a verb in this process; an exception that gets through would be a traceback."""

    def run(verb: str, *more: str) -> Answer:
        arguments = road.arguments(verb, *more)[3:]
        code = guarded(lambda: app(arguments))
        said = capsys.readouterr()
        return Answer(code, " ".join(said.out.split()), " ".join(said.err.split()))

    return run


def edit(road: Road, column: str, value: str, row: int = 4) -> None:
    table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(road.data, index=False)


def expect(answer: Answer, *words: str) -> None:
    assert answer.code == 2, answer
    said = answer.out + answer.err
    for word in words:
        assert word in said, (word, said)


@pytest.mark.parametrize("verb", ["run", "check"])
class TestBadData:
    def test_empty_file(self, road: Road, call, verb: str) -> None:
        road.data.write_text("")
        expect(call(verb), str(road.data), "empty")

    def test_no_file(self, road: Road, call, verb: str) -> None:
        road.data.unlink()
        expect(call(verb), str(road.data))

    def test_wrong_delimiter(self, road: Road, call, verb: str) -> None:
        table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
        table.to_csv(road.data, index=False, sep=";")
        expect(call(verb), "';'", "','")

    def test_missing_column(self, road: Road, call, verb: str) -> None:
        table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
        table.rename(columns={TG: "Tg"}).to_csv(road.data, index=False)
        expect(call(verb), TG, "Tg", TM)

    def test_text_in_a_number_column(self, road: Road, call, verb: str) -> None:
        edit(road, TG, "about 80")
        expect(call(verb), TG, "about 80", "6", "number")

    def test_unparsable_smiles(self, road: Road, call, verb: str) -> None:
        edit(road, "smiles_polymer", "C1CC((")
        expect(call(verb), "smiles_polymer", "C1CC((", "6")

    @pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
    def test_infinite_value(self, road: Road, call, verb: str, value: str) -> None:
        edit(road, TG, value)
        expect(call(verb), TG, value, "finite")

    def test_one_group_only(self, road: Road, call, verb: str) -> None:
        table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
        table["smiles_monomer"] = "C=CC"
        table.to_csv(road.data, index=False)
        expect(call(verb), "monomer set", "1")

    def test_more_folds_than_groups(self, road: Road, call, verb: str) -> None:
        table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
        table.iloc[[0, 1, 17, 18, 33, 34]].to_csv(road.data, index=False)
        expect(call(verb, "--set", "folds.count=7"), "7", "6", "monomer sets")

    def test_a_property_without_a_label_in_a_training_part(
        self, road: Road, call, verb: str
    ) -> None:
        table = pd.read_csv(road.data, dtype=str, keep_default_na=False)
        there = table.index[table[TM] != ""]
        table.loc[there[1:], TM] = ""  # the one that is left is held out by some fold
        table.to_csv(road.data, index=False)
        expect(call(verb), TM, "label")


class TestBadRecipe:
    def test_unknown_key(self, road: Road, call) -> None:
        params = changed(TINY)
        params["training"]["epoch"] = params["training"].pop("epochs")
        road.write(road.params, params)
        expect(call("run"), str(road.params), "training.epoch", "did you mean 'epochs'?")

    def test_unknown_override(self, call) -> None:
        expect(call("run", "--set", "training.epohcs=3"), "epohcs", "did you mean 'epochs'?")

    def test_unknown_gate_key(self, road: Road, call) -> None:
        road.write(road.gates, GATES | {"flors": {}})
        expect(call("run"), str(road.gates), "flors", "did you mean 'floors'?")

    def test_property_without_a_floor(self, road: Road, call) -> None:
        gates = changed(GATES)
        del gates["floors"][TM]
        road.write(road.gates, gates)
        expect(call("run"), f"floors.{TM}", "missing", "unit: °C")

    def test_no_recipe(self, road: Road, call) -> None:
        road.params.unlink()
        expect(call("run"), str(road.params), "publication", "stereo")


class TestMessages:
    def test_brackets_are_not_taken_for_colours(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail() -> None:
            raise PolyIDError("received c1cc[nH]c1, expected one of [/tmp/x]")

        assert guarded(fail) == 2
        assert "c1cc[nH]c1, expected one of [/tmp/x]" in capsys.readouterr().err

    def test_a_full_disk_is_no_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail() -> None:
            with Path("/dev/full").open("wb", buffering=0) as file:
                file.write(b"x")

        assert guarded(fail) == 2
        assert "No space left on device" in capsys.readouterr().err

    def test_help_teaches(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "trainer.cli", "--help"], cwd=ROOT, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0
        for word in ("run", "check", "train", "evaluate", "gate", "publish", "rollback", "list"):
            assert f" {word} " in done.stdout
        assert "75" in done.stdout
        assert "interrupted" in done.stdout

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_outside_training(self, road: Road, number: signal.Signals) -> None:
        """Whatever the command is doing, it leaves with the code that says: run me again."""
        code = (
            "import signal, sys, time\n"
            "from trainer import cli\n"
            "cli.app = lambda: (print('begun', flush=True), time.sleep(60))\n"
            "cli.main()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 75
        assert "same command resumes" in said
        assert "Traceback" not in said

    def test_no_arguments_at_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert guarded(lambda: app([])) == 2
        assert "Usage" in "".join(capsys.readouterr())

    def test_an_unknown_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert guarded(lambda: app(["trian"])) == 2
        assert "trian" in capsys.readouterr().err


def test_check_says_all_at_once_as_json(road: Road, call) -> None:
    edit(road, TG, "hot", row=2)
    edit(road, "mechanism", "magic", row=3)
    answer = call("check", "--json")
    assert answer.code == 2
    assert '"hot"' in answer.out
    assert '"magic"' in answer.out


def test_check_of_good_data(road: Road, call) -> None:
    assert call("check").code == 0


def test_nothing_trained_yet(road: Road, call) -> None:
    expect(call("evaluate"), "not finished", "trainer train")


def test_publish_of_an_unknown_candidate(road: Road, call) -> None:
    expect(call("publish", "--candidate", "0123456789abcdef"), str(road.registry))


def test_the_table_is_what_it_is_said_to_be(road: Road) -> None:
    with road.data.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    assert {row["mechanism"] for row in rows} == {"vinyl", "ester", "amide"}
