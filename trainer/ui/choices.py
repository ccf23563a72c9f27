"""What can be chosen on the page: recipes, data files, and the run that a choice makes."""

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from polyid.errors import PolyIDError
from trainer.config import DataConfig, Params, load_params, recipes
from trainer.contract import check_data
from trainer.contract_report import Report
from trainer.gates_config import load_gates, require_floors
from trainer.plan import Plan, make_plan
from trainer.strict import ConfigError, suggest

#: Name of the recipe that ``--params`` names, whatever its file is called.
OWN = "params"


class Choice(NamedTuple):
    """What a visitor chose."""

    recipe: str
    data: str
    """Name of a data file."""
    epochs: int
    folds: int
    properties: tuple[str, ...]


class Chosen(NamedTuple):
    """The run that a choice makes, before it is started."""

    plan: Plan
    gates: Path
    report: Report
    """Of the data check."""
    staged: Path
    """The whole recipe as one file."""


@dataclass(frozen=True)
class Offer:
    """Recipes and data files that this page offers.

    Parameters
    ----------
    params
        Recipe beside those that ship with the package; absent is fine.
    data
        A data file, or a folder of them.
    gates
        The gate of every recipe that does not ship with one of its own.
    work
        Folder of all runs.
    """

    params: Path
    data: Path
    gates: Path
    work: Path

    def recipes(self) -> list[str]:
        """Names of the recipes, the page's own first."""
        return [*([OWN] if self.params.is_file() else []), *recipes()]

    def files(self) -> dict[str, Path]:
        """Return the data files by their names."""
        found = sorted(self.data.glob("*.csv")) if self.data.is_dir() else [self.data]
        return {path.name: path for path in found if path.is_file()}

    def recipe(self, name: str) -> Params:
        """Read a recipe.

        Raises
        ------
        ConfigError
            If it is not offered, or faulty.
        """
        if name not in self.recipes():
            raise ConfigError(
                f"recipe {name!r} is not offered{suggest(name, self.recipes())}; expected one of "
                f"{self.recipes()}."
            )
        return load_params(self.params if name == OWN else name)

    def gates_of(self, name: str) -> Path:
        """Return the gate of a recipe."""
        own = Path(str(resources.files("trainer") / "recipes" / "gates" / f"{name}.yaml"))
        return own if name != OWN and own.is_file() else self.gates

    def first_choice(self, recipe: str) -> Choice:
        """Return what a recipe says itself, on the first data file with its columns."""
        params = self.recipe(recipe)
        needed = {c for c in params.data.columns.model_dump().values() if c}
        needed |= {p.column for p in params.data.properties.values()}
        files = self.files()
        fitting = [name for name, path in files.items() if needed <= _columns(path)]
        return Choice(
            recipe,
            next(iter(fitting or files), ""),
            params.training.epochs,
            params.folds.count,
            tuple(params.data.properties),
        )

    def choose(self, choice: Choice, staged: Path) -> Chosen:
        """Write a choice as one whole recipe to ``staged``, and return the run that it makes.

        Raises
        ------
        PolyIDError
            If it cannot be trained; the message says what to choose instead.
        """
        files = self.files()
        if choice.data not in files:
            raise PolyIDError(
                f"data file {choice.data!r} is not there; expected one of {list(files)}. Put a CSV "
                f"file at {self.data}, or start the page with --data."
            )
        plain = self.recipe(choice.recipe).plain()
        known: dict[str, Any] = plain["data"]["properties"]
        if not choice.properties or not set(choice.properties) <= set(known):
            raise PolyIDError(
                f"properties: received {list(choice.properties)}; choose at least one of "
                f"{list(known)}."
            )
        # in the recipe's order: the order of a click is not another run
        plain["data"]["properties"] = {k: v for k, v in known.items() if k in choice.properties}
        plain["training"]["epochs"], plain["folds"]["count"] = choice.epochs, choice.folds
        staged.parent.mkdir(parents=True, exist_ok=True)
        part = staged.with_suffix(".part")
        part.write_text(
            yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        part.replace(staged)
        plan = make_plan(files[choice.data], staged, self.work)
        gates = self.gates_of(choice.recipe)
        require_floors(load_gates(gates), plan.properties)
        return Chosen(plan, gates, _checked(plan), staged)


def _columns(path: Path) -> set[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return set(next(csv.reader(file), []))


def _checked(plan: Plan) -> Report:
    """Hold the data to the contract; the same question is answered once."""
    f = plan.params.folds
    return _check(plan.data, plan.data_hash, plan.params.data.model_dump_json(), f.count, f.split)


@lru_cache(maxsize=32)
def _check(
    path: Path, content: str, config: str, count: int, split: Literal["grouped", "random"]
) -> Report:
    return check_data(path, DataConfig.model_validate_json(config), folds=count, split=split)
