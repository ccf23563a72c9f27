"""What changes a run's fingerprint, and what does not."""

import shutil
from pathlib import Path

import pytest
import yaml
from registry_kit import sha

from polyid.errors import PolyIDError
from trainer.fingerprint import code_hash, data_hash, fingerprint, params_hash

PARAMS = """
recipe: quick
model: {messages: 6, features: 64}
training: {learning_rate: 0.0001, epochs: 30}
"""


def test_every_input_changes_it() -> None:
    base = {"data": sha("d"), "params": sha("p"), "code": sha("c")}
    prints = {fingerprint(**base), *(fingerprint(**{**base, n: sha("other")}) for n in base)}
    assert len(prints) == 4
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)
    assert fingerprint(**base) == fingerprint(**base)


def test_swapped_hashes_are_another_run() -> None:
    a, b, c = sha("a"), sha("b"), sha("c")
    assert fingerprint(data=a, params=b, code=c) != fingerprint(data=b, params=a, code=c)


@pytest.mark.parametrize("bad", ["", "abc", "A" * 64])
def test_an_empty_hash_is_refused(bad: str) -> None:
    with pytest.raises(PolyIDError, match="SHA-256"):
        fingerprint(data=bad, params=sha("p"), code=sha("c"))


def test_data_by_bytes_not_by_place(tmp_path: Path) -> None:
    first, moved, changed = tmp_path / "a.csv", tmp_path / "sub" / "b.csv", tmp_path / "c.csv"
    moved.parent.mkdir()
    first.write_bytes(b"x,y\n1,2\n")
    shutil.copy(first, moved)
    changed.write_bytes(b"x,y\n1,3\n")
    assert data_hash(first) == data_hash(moved)
    assert data_hash(first) != data_hash(changed)
    with pytest.raises(PolyIDError, match="dvc pull"):
        data_hash(tmp_path / "gone.csv")


def test_params_by_meaning() -> None:
    base = params_hash(yaml.safe_load(PARAMS))
    commented = PARAMS.replace("recipe: quick", "# why\nrecipe:   'quick'  # the default")
    reordered = """
training: {epochs: 30.0, learning_rate: 1.0e-4}
model:
  features: 64
  messages: 6
recipe: quick
"""
    assert params_hash(yaml.safe_load(commented)) == base
    assert params_hash(yaml.safe_load(reordered)) == base
    for old, new in [("6,", "7,"), ("0.0001", "0.0002"), ("quick", "other"), ("epochs", "epoch")]:
        assert params_hash(yaml.safe_load(PARAMS.replace(old, new))) != base


def test_params_keep_order_of_lists_and_kinds_apart() -> None:
    assert params_hash({"a": [1, 2]}) != params_hash({"a": [2, 1]})
    assert params_hash({"a": (1, 2)}) == params_hash({"a": [1, 2]})
    kinds = [params_hash({"a": value}) for value in (1, "1", True, None, [1], {"b": 1}, 1.5)]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2}, b"x", {1, 2}])
def test_params_that_have_no_meaning_are_refused(value: object) -> None:
    with pytest.raises(PolyIDError, match="params"):
        params_hash({"training": {"x": value}})


def test_code(tmp_path: Path) -> None:
    def package(name: str) -> Path:
        folder = tmp_path / name
        (folder / "sub").mkdir(parents=True)
        (folder / "a.py").write_bytes(b"x = 1\ny = 2\n")
        (folder / "sub" / "b.py").write_bytes(b"")
        return folder

    one, two = package("one"), package("two")
    base = code_hash({"p": one})
    assert code_hash({"p": two}) == base  # the place does not count
    (two / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    (two / "notes.txt").write_text("not code")
    assert code_hash({"p": two}) == base  # nor line endings, nor other files
    (two / "a.py").write_bytes(b"x = 1\ny = 3\n")
    assert code_hash({"p": two}) != base
    shutil.rmtree(two)
    two = package("two")
    (two / "sub" / "b.py").rename(two / "b.py")
    assert code_hash({"p": two}) != base  # the path within the package does
    assert code_hash({"q": one}) != base
    (one / "new.py").write_bytes(b"")
    assert code_hash({"p": one}) != base


def test_code_of_the_installed_packages() -> None:
    assert len(code_hash()) == 64
    assert code_hash() == code_hash()
