"""A recipe with changes, written out whole, so that every later step reads one file."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from trainer.config import load_params


def write_recipe(params: str | Path, changes: Sequence[str], to: Path) -> None:
    """Write the recipe ``params`` with ``changes`` (``training.epochs=5``) to a file.

    Raises
    ------
    trainer.strict.ConfigError
        If the recipe or a change is faulty.
    """
    recipe = load_params(params, changes)
    text = yaml.safe_dump(recipe.plain(), sort_keys=False, allow_unicode=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, encoding="utf-8")
