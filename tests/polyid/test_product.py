"""Products in registers are those of NumPy; a row has the same bits whatever rows are beside it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from polyid.engine import jit
from polyid.engine.product import product, product_onto, turn, turned_product

#: Rows, terms and columns: of tiles and beside them, none of a kind, one of a kind.
SHAPES = [
    (1, 1, 1), (5, 3, 7), (13, 8, 16), (12, 128, 256), (68, 33, 48), (25, 9, 40), (3, 0, 17),
    (0, 4, 33), (37, 20, 55), (7, 5, 8), (1, 300, 130),
]  # fmt: skip
DTYPES = [np.float32, np.float64]


def numbers(*shape: int, dtype: type = np.float32) -> NDArray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "terms", "columns"), SHAPES)
def test_products(rows: int, terms: int, columns: int, dtype: type) -> None:
    a, b = numbers(rows, terms, dtype=dtype), numbers(terms, columns, dtype=dtype)
    expected = a.astype(float) @ b.astype(float)
    near = {"rtol": 0, "atol": 40 * np.finfo(dtype).eps * max(terms, 1)}
    out = np.full((rows, columns), np.nan, dtype)
    product(a, b, out)
    np.testing.assert_allclose(out, expected, **near)
    out[:] = 1
    product_onto(a, b, out)
    np.testing.assert_allclose(out, expected + 1, **near)
    turned_product(np.ascontiguousarray(a.T), b, out)
    np.testing.assert_allclose(out, expected, **near)


def test_a_product_is_of_these_numbers() -> None:
    a, b, out = numbers(5, 4), numbers(4, 20), np.zeros((5, 20), np.float32)
    product(a, b, out)
    a[3, 2] += 0.01
    assert np.abs(out - a @ b).max() > 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(16, 16), (20, 37), (128, 256), (5, 3), (48, 8), (0, 3), (1, 70)]
)
def test_turning(shape: tuple[int, int], dtype: type) -> None:
    a = numbers(*shape, dtype=dtype)
    out = np.full(shape[::-1], np.nan, dtype)
    turn(a, out)
    np.testing.assert_array_equal(out, a.T)


def test_a_rows_bits_do_not_depend_on_the_rows_beside_it() -> None:
    b, whole = numbers(64, 80), numbers(50, 64)
    together = np.empty((50, 80), np.float32)
    product(whole, b, together)
    for start, stop in ((0, 1), (3, 17), (10, 50)):
        some = np.empty((stop - start, 80), np.float32)
        product(np.ascontiguousarray(whole[start:stop]), b, some)
        np.testing.assert_array_equal(some, together[start:stop])


def test_compiled_code_is_kept_under_the_content_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder() -> str:
        jit.folder.cache_clear()
        return jit.folder()

    monkeypatch.delenv("POLYID_KERNELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        first = folder()
        assert Path(first).parent == tmp_path / "polyid"
        assert folder() == first
        monkeypatch.setenv("POLYID_KERNELS", str(tmp_path / "here"))
        assert folder() == str(tmp_path / "here" / Path(first).name)
        (Path(first) / "loop").touch()  # compiled ahead, and copied to where it is wanted
        monkeypatch.setenv("POLYID_KERNELS_AHEAD", str(Path(first).parent))
        monkeypatch.setenv("POLYID_KERNELS", str(tmp_path / "there"))
        assert [path.name for path in Path(folder()).iterdir()] == ["loop"]
        monkeypatch.delenv("POLYID_KERNELS")
        monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))  # other files than these
        assert folder() != first
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # nothing can be made there
        assert folder() == ""
    finally:
        jit.folder.cache_clear()


def test_without_a_place_for_compiled_code_it_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = (
        "import numpy as np; from polyid.engine.product import product;"
        "a = np.ones((2, 3), np.float32); out = np.empty((2, 2), np.float32);"
        "product(a, np.ones((3, 2), np.float32), out); print(out.sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"POLYID_KERNELS": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "12.0"
