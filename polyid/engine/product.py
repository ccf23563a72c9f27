"""Products of small matrices: the heart of the engine on a CPU.

The matrices of one polymer are too small for a BLAS, which first copies either factor into an
order of its own: `polyid.engine.tiles` takes them as they lie. Every element is one sum in one
order, so a row of a product has the same bits whatever rows stand beside it, on any processor.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from polyid.engine.jit import callback, inner, kernel
from polyid.engine.tiles import (
    BYTES,
    ROWS,
    WIDE,
    by_name,
    known,
    numbers_at,
    tile,
    turn_square,
)


@kernel
def product(a: Any, b: Any, out: Any) -> None:
    """Give ``a @ b``, ``(rows, terms)`` by ``(terms, columns)``, of rows that lie in one piece."""
    _product(_address(a), a.strides[0], a.itemsize, b, out, 0)


@kernel
def product_onto(a: Any, b: Any, out: Any) -> None:
    """Add ``a @ b`` to ``out``."""
    _product(_address(a), a.strides[0], a.itemsize, b, out, 1)


@kernel
def turned_product(a: Any, b: Any, out: Any) -> None:
    """Give ``a.T @ b``, ``(terms, rows)`` by ``(terms, columns)``."""
    _product(_address(a), a.itemsize, a.strides[0], b, out, 0)


@inner
def _product(a: int, row: int, k: int, b: Any, c: Any, onto: int) -> None:
    (terms, columns), rows, zero = b.shape, len(c), c.dtype.type(0)
    right, line, place, width = _address(b), b.strides[0], _address(c), c.strides[0]
    _whole(a, row, k, right, line, place, width, rows, terms, columns, onto, zero)


@kernel
def turn(a: Any, out: Any) -> None:
    """Give ``a.T``."""
    rows, columns = a.shape
    zero = a.dtype.type(0)
    _turn(_address(a), a.strides[0], _address(out), out.strides[0], rows, columns, zero)


@inner
def _address(a: Any) -> Any:
    return np.intp(a.ctypes.data)


#: Address of the left factor, bytes from row to row and from term to term; of the right one, and
#: from term to term; of the result, and from row to row; rows, terms, columns; whether to add to
#: the result.
_PRODUCT = [types.intp] * 11
#: Address of the matrix, bytes from row to row; of the result, from row to row; rows and columns.
_TURN = [types.intp] * 6


# They are called by name, as tiles are: some thirty calls would each hold a copy.
@intrinsic
def _whole(
    typing: Any, left: Any, row: Any, step: Any, right: Any, line: Any, place: Any, width: Any,
    rows: Any, terms: Any, columns: Any, onto: Any, zero: Any,
) -> Any:  # fmt: skip
    """Compute a product; see `_PRODUCT`, after which stands a zero of the kind of number."""
    return types.void(*_PRODUCT, zero), by_name("product", len(_PRODUCT), zero)


@intrinsic
def _turn(
    typing: Any, a: Any, row: Any, out: Any, width: Any, rows: Any, columns: Any, zero: Any
) -> Any:
    """Turn a matrix; see `_TURN`, after which stands a zero of the kind of number."""
    return types.void(*_TURN, zero), by_name("turn", len(_TURN), zero)


@inner
def _product_code(
    left: int, row: int, step: int, right: int, line: int, place: int, width: int,
    rows: int, terms: int, columns: int, onto: int, size: int, zero: Any,
) -> None:  # fmt: skip
    lanes = BYTES // size
    wide = WIDE * lanes
    down = (rows + ROWS - 1) // ROWS
    j = 0
    while j + lanes <= columns and terms > 0:
        registers = WIDE if j + wide <= columns else 1
        # the next columns, or behind the last ones the factor that lies behind this one
        more = j + 2 * wide <= columns
        ahead = WIDE * BYTES if more else terms * line - j * size
        i, tiles = 0, down
        while tiles > 0:
            height = (rows - i + tiles - 1) // tiles  # all of about one height
            x, y, z = left + i * row, right + j * size, place + i * width + j * size
            tile(height, registers, x, row, step, y, line, z, width, terms, ahead, onto, zero)
            i += height
            tiles -= 1
        j += registers * lanes
    a, b = numbers_at(left, zero), numbers_at(right, zero)
    c = numbers_at(place, zero)
    row, step, line, width = row // size, step // size, line // size, width // size
    for i in range(rows if j < columns else 0):
        if not onto:
            for n in range(j, columns):
                c[i * width + n] = zero
        for t in range(terms):
            factor = a[i * row + t * step]
            for n in range(j, columns):
                c[i * width + n] += factor * b[t * line + n]


@inner
def _turn_code(
    source: int, row: int, place: int, width: int, rows: int, columns: int, size: int, zero: Any
) -> None:
    lanes = BYTES // size
    n, m = rows // lanes * lanes, columns // lanes * lanes
    for i in range(0, n, lanes):
        for j in range(0, m, lanes):
            x, y = source + i * row + j * size, place + j * width + i * size
            turn_square(x, row, y, width, lanes * row, zero)
    a, out = numbers_at(source, zero), numbers_at(place, zero)
    row, width = row // size, width // size
    for i in range(rows):
        for j in range(m if i < n else 0, columns):
            out[j * width + i] = a[i * row + j]


@callback(types.void(*_PRODUCT))
def _product_32(a, row, k, b, line, c, width, rows, terms, columns, onto):
    zero = np.float32(0)
    _product_code(a, row, k, b, line, c, width, rows, terms, columns, onto, 4, zero)


@callback(types.void(*_PRODUCT))
def _product_64(a, row, k, b, line, c, width, rows, terms, columns, onto):
    zero = np.float64(0)
    _product_code(a, row, k, b, line, c, width, rows, terms, columns, onto, 8, zero)


@callback(types.void(*_TURN))
def _turn_32(a, row, out, width, rows, columns):
    _turn_code(a, row, out, width, rows, columns, 4, np.float32(0))


@callback(types.void(*_TURN))
def _turn_64(a, row, out, width, rows, columns):
    _turn_code(a, row, out, width, rows, columns, 8, np.float64(0))


known("product", _product_32, _product_64)
known("turn", _turn_32, _turn_64)
