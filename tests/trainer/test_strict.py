from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from trainer.strict import ConfigError, apply_overrides, load_strict, parse_yaml


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Training(Strict):
    epochs: int = Field(ge=1)
    learning_rate: float = 1e-4
    optimizer: Literal["adam", "sgd"] = "adam"


class Column(Strict):
    column: str
    unit: str


class Config(Strict):
    recipe: str
    training: Training
    columns: dict[str, Column] = {}
    extra: Training | None = None


GOOD = "recipe: quick\ntraining: {epochs: 3}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_strict(write(folder, text), Config, overrides)
    return str(caught.value)


def test_a_good_file_loads(tmp_path):
    config = load_strict(write(tmp_path, GOOD), Config)
    assert config.training.epochs == 3


def test_every_fault_is_listed_with_key_received_expected_and_suggestion(tmp_path):
    text = "recipe: 5\ntraining: {epoch: 3, optimizer: adma, learning_rate: fast}\n"
    message = fault(tmp_path, text)
    assert "params.yaml: 5 faults" in message
    assert "recipe: received 5, expected a valid string" in message
    assert "training.epochs: missing" in message
    assert "training.epoch: unknown key; did you mean 'epochs'?" in message
    assert "training.optimizer: received 'adma'" in message
    assert "did you mean 'adam'?" in message
    assert "training.learning_rate: received 'fast', expected a valid number" in message


def test_a_misspelt_key_inside_a_dict_of_models(tmp_path):
    message = fault(tmp_path, GOOD + "columns: {Tg: {colum: a, unit: K}}\n")
    assert "columns.Tg.colum: unknown key; did you mean 'column'?" in message


def test_a_number_out_of_range(tmp_path):
    message = fault(tmp_path, "recipe: a\ntraining: {epochs: 0}\n")
    assert "training.epochs: received 0, expected greater than or equal to 1" in message


def test_a_duplicate_key_names_both_lines(tmp_path):
    message = fault(tmp_path, "recipe: a\ntraining: {epochs: 3}\nrecipe: b\n")
    assert "line 3: key 'recipe' is already given in line 1" in message


def test_a_duplicate_key_deep_inside(tmp_path):
    assert "line 4" in fault(tmp_path, "recipe: a\ntraining:\n  epochs: 3\n  epochs: 4\n")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "received nothing"),
        ("- a\n", "received a list"),
        ("a: [1\n", "it is no YAML"),
        ("? [a]\n: 1\n", "a key must be a text"),
    ],
)
def test_files_that_are_no_mapping(tmp_path, text, part):
    assert part in fault(tmp_path, text)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_strict(tmp_path / "none.yaml", Config)


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"recipe: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_strict(path, Config)


def test_values_follow_yaml_1_2():
    text = "[1e-4, 1.5E3, -2, no, on, 2026-01-01, 1:30, true, null, ~, '', 0x1f, .5, 12e03]"
    expected = [1e-4, 1500.0, -2, "no", "on", "2026-01-01", "1:30", True, None, None, ""]
    assert parse_yaml(text) == [*expected, "0x1f", 0.5, 12000.0]
    assert parse_yaml("a:") == {"a": None}


def test_overrides_are_typed_and_leave_the_input_alone():
    data = {"recipe": "quick", "training": {"epochs": 3}}
    found = apply_overrides(data, ["training.epochs=5", "training.learning_rate=1e-3"], Config)
    assert found["training"] == {"epochs": 5, "learning_rate": 1e-3}
    assert data["training"] == {"epochs": 3}


def test_overrides_without_a_model_know_the_file_only():
    assert apply_overrides({"a": {"b": 1}}, ["a.b=null"]) == {"a": {"b": None}}
    with pytest.raises(ConfigError, match="unknown key 'c' in a"):
        apply_overrides({"a": {"b": 1}}, ["a.c=2"])


def test_all_faulty_overrides_are_named_with_a_suggestion():
    with pytest.raises(ConfigError) as caught:
        apply_overrides(
            {"training": {"epochs": 3}},
            ["training.epoch=5", "traning.epochs=5", "training.epochs", "training.epochs.x=1"],
            Config,
        )
    message = str(caught.value)
    assert "unknown key 'epoch' in training; did you mean 'epochs'?" in message
    assert "unknown key 'traning'; did you mean 'training'?" in message
    assert "received 'training.epochs', expected key=value" in message
    assert "training.epochs is the value 3 and has no keys" in message


def test_an_override_may_add_an_entry_to_an_open_mapping():
    found = apply_overrides({"columns": {}}, ["columns.Tg.unit=K"], Config)
    assert found["columns"] == {"Tg": {"unit": "K"}}


def test_an_override_with_a_value_of_the_wrong_type(tmp_path):
    message = fault(tmp_path, GOOD, "training.epochs=many")
    assert "training.epochs: received 'many', expected a valid integer" in message
