from pathlib import Path

import pytest

from polyid.properties import PROPERTIES
from trainer.gates_config import load_gates, require_floors
from trainer.strict import ConfigError

ROOT = Path(__file__).parents[2]
TEXT = """
owner: us
rationale: because
floors:
  Glass_Transition: {max_mae: 30.0, min_r2: 0.8, unit: °C}
  Density: {max_mae: 0.1, min_r2: 0.4, unit: g/cm3}
"""


def fault(folder: Path, text: str) -> str:
    path = folder / "gates.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_gates(path)
    return str(caught.value)


def test_the_repository_gates_load_and_cover_every_property():
    gates = load_gates(ROOT / "gates.yaml")
    assert gates.mode == "enforce"
    require_floors(gates, list(PROPERTIES))


def test_defaults_and_other_spellings_of_a_unit(tmp_path):
    path = tmp_path / "gates.yaml"
    path.write_text(TEXT, encoding="utf-8")
    gates = load_gates(path)
    assert gates.must_beat_mean
    assert gates.champion.confidence == 0.95
    assert gates.floors["Density"].unit == "g/cm³"


def test_a_floor_in_another_unit_of_the_product(tmp_path):
    message = fault(tmp_path, TEXT.replace("unit: g/cm3", "unit: °C"))
    assert "floors.Density.unit: received '°C', expected 'g/cm³'" in message


def test_a_floor_in_a_unit_of_the_file(tmp_path):
    message = fault(tmp_path, TEXT.replace("unit: °C", "unit: K"))
    assert "floors.Glass_Transition.unit: received 'K'" in message
    assert "convert max_mae, too" in message


def test_misspelt_property_and_key_are_named_together(tmp_path):
    text = TEXT.replace("Glass_Transition", "GlasTransition").replace("owner", "ownr")
    message = fault(tmp_path, text.replace("min_r2: 0.4", "min_r: 0.4"))
    assert "unknown property; did you mean 'Glass_Transition'?" in message
    assert "ownr: unknown key; did you mean 'owner'?" in message
    assert "floors.Density.min_r: unknown key; did you mean 'min_r2'?" in message


def test_a_duplicate_floor(tmp_path):
    twice = TEXT + "  Density: {max_mae: 9.0, min_r2: 0.1, unit: g/cm3}\n"
    assert "'Density' is already given" in fault(tmp_path, twice)


@pytest.mark.parametrize(
    "change",
    [("0.8", "1.2"), ("0.8", "-0.5"), ("30.0", "-30"), ("30.0", ".inf"), ("30.0", ".nan")],
)
def test_floors_that_hold_nothing_up(tmp_path, change):
    assert "floors.Glass_Transition" in fault(tmp_path, TEXT.replace(*change))


def test_an_unknown_mode(tmp_path):
    assert "did you mean 'dry_run'?" in fault(tmp_path, TEXT + "mode: dryrun\n")


def test_a_trained_property_without_a_floor(tmp_path):
    path = tmp_path / "gates.yaml"
    path.write_text(TEXT, encoding="utf-8")
    gates = load_gates(path)
    require_floors(gates, ["Density"])
    with pytest.raises(ConfigError, match=r"floors\.YoungMod: missing.*unit: GPa"):
        require_floors(gates, ["Density", "YoungMod"])


@pytest.mark.parametrize("name", ["gates.yaml", "trainer/recipes/gates/stereo.yaml"])
def test_gates_that_ship_are_sound(name: str) -> None:
    assert load_gates(Path(__file__).parents[2] / name).floors
