"""The recipe is complete and strict: what it does not say plainly is an error."""

from pathlib import Path
from typing import Any

import pytest
from road_kit import ROOT, TG, TINY, changed
from yaml import safe_dump

from trainer.config import Params, load_params, recipes
from trainer.strict import ConfigError


def load(tmp_path: Path, content: dict[str, Any], *overrides: str) -> Params:
    path = tmp_path / "params.yaml"
    path.write_text(safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_params(path, overrides)


def refused(tmp_path: Path, *words: str, overrides: tuple[str, ...] = (), **changes: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, changed(TINY, **changes), *overrides)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


class TestShipped:
    def test_the_default_recipe(self) -> None:
        params = load_params(ROOT / "params.yaml")
        assert params.recipe == "quick"
        assert len(params.data.properties) == 7
        assert params.folds.split == "grouped"
        assert params.data.properties["YoungMod"].unit == "MPa"

    @pytest.mark.parametrize("name", recipes())
    def test_by_name(self, name: str) -> None:
        assert load_params(name).recipe == name

    def test_the_publication(self) -> None:
        params = load_params("publication")
        training, model = params.training, params.model
        assert (training.batch_size, training.epochs, params.folds.count) == (1, 500, 10)
        assert (training.learning_rate, training.decay) == (1e-4, 1e-5)
        assert (model.features, model.num_messages) == (128, 12)

    def test_the_stereo_set_shows_both_splits(self) -> None:
        params = load_params("stereo")
        assert (params.folds.split, params.folds.also) == ("grouped", "random")
        assert (params.model.name, params.data.columns.pm) == ("pm", "pm")

    def test_no_such_recipe(self) -> None:
        with pytest.raises(ConfigError, match=r"publcation is neither .* \['publication', 'stereo"):
            load_params("publcation")


class TestStrict:
    def test_every_key_must_be_there(self, tmp_path: Path) -> None:
        for section in ("folds", "model", "training", "domain", "intervals"):
            for key in TINY[section]:
                content = changed(TINY)
                del content[section][key]
                with pytest.raises(ConfigError, match=rf"{section}\.{key}: missing"):
                    load(tmp_path, content)

    def test_an_unknown_key_with_the_right_one(self, tmp_path: Path) -> None:
        refused(tmp_path, "model.num_message", "did you mean 'num_messages'?", model__num_message=3)

    def test_all_faults_at_once(self, tmp_path: Path) -> None:
        refused(
            tmp_path, "3 faults", "training.epochs", "folds.seed", "model.dropout",
            training__epochs="many", folds__seed=-1, model__dropout=1.5,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("training__epochs", 0),
            ("training__epochs", 2.5),
            ("training__epochs", True),
            ("training__learning_rate", 0.0),
            ("training__learning_rate", float("nan")),
            ("training__loss", "mse"),
            ("training__buckets", [0.5, 1.5]),
            ("folds__count", 1),
            ("folds__split", "groupd"),
            ("model__name", "global1000"),
            ("intervals__level", 90),
            ("data__properties", {}),
        ],
    )
    def test_a_value_that_will_not_do(self, tmp_path: Path, key: str, value: object) -> None:
        refused(tmp_path, key.replace("__", "."), **{key: value})


class TestProperties:
    def test_an_unknown_property(self, tmp_path: Path) -> None:
        wrong = {"Glass_Trans": {"column": "Tg", "unit": "°C"}}
        refused(tmp_path, "Glass_Trans", f"did you mean '{TG}'?", data__properties=wrong)

    @pytest.mark.parametrize("unit", ["GPa", "C°", "", "F"])
    def test_a_unit_the_property_cannot_have(self, tmp_path: Path, unit: str) -> None:
        wrong = {TG: {"column": TG, "unit": unit}}
        refused(tmp_path, f"{TG} cannot be in {unit!r}", "'K'", data__properties=wrong)

    @pytest.mark.parametrize("unit", ["°C", "C", "degC", "K"])
    def test_units_it_can_have(self, tmp_path: Path, unit: str) -> None:
        load(tmp_path, changed(TINY, data__properties={TG: {"column": TG, "unit": unit}}))


class TestRules:
    def test_the_pm_model_needs_a_column(self, tmp_path: Path) -> None:
        refused(tmp_path, "the pm model needs a pm column", model__name="pm")

    def test_only_the_pm_model_takes_one(self, tmp_path: Path) -> None:
        refused(tmp_path, "'global100'", "only it takes one", data__columns__pm="pm")

    def test_the_best_epoch_is_not_chosen_on_the_held_out_fold(self, tmp_path: Path) -> None:
        refused(tmp_path, "training.holdout", training__select="best")

    def test_patience_needs_a_choice(self, tmp_path: Path) -> None:
        refused(tmp_path, "training.select: best", training__patience=5)

    def test_the_other_split_is_another(self, tmp_path: Path) -> None:
        refused(tmp_path, "folds.also", "the split itself", folds__also="grouped")


class TestOverrides:
    def test_set(self, tmp_path: Path) -> None:
        params = load(tmp_path, TINY, "training.epochs=3", "training.learning_rate=1e-4")
        assert (params.training.epochs, params.training.learning_rate) == (3, 1e-4)

    def test_nested_and_null(self, tmp_path: Path) -> None:
        params = load(tmp_path, TINY, f"data.properties.{TG}.unit=K", "folds.also=random")
        assert params.data.properties[TG].unit == "K"
        assert load(tmp_path, TINY, "folds.also=null").folds.also is None

    @pytest.mark.parametrize(
        ("override", "word"),
        [
            ("training.epoch=3", "did you mean 'epochs'?"),
            ("epochs=3", "unknown key 'epochs'"),
            ("training.epochs", "expected key=value"),
            ("training.epochs=soon", "training.epochs"),
            ("training.epochs.more=1", "has no keys"),
        ],
    )
    def test_wrong(self, tmp_path: Path, override: str, word: str) -> None:
        refused(tmp_path, word, overrides=(override,))


def test_the_plain_form_is_the_recipe(tmp_path: Path) -> None:
    assert load(tmp_path, TINY).plain() == TINY
