"""Products of small matrices: the heart of the engine on a CPU.

The matrices of one polymer are too small for a BLAS, which first copies either factor into an
order of its own: `polyid.engine.tiles` takes them as they lie. Every element is one sum in one
order, so a row of a product has the same bits whatever rows stand beside it, on any processor.
"""

from typing import Any

from polyid.engine.jit import kernel
from polyid.engine.tiles import BYTES, ROWS, WIDE, tile, turn_square


@kernel
def product(a: Any, b: Any, out: Any) -> None:
    """Give ``a @ b``, ``(rows, terms)`` by ``(terms, columns)``, of rows that lie in one piece."""
    _product(a, b, out, 0, 0)


@kernel
def product_onto(a: Any, b: Any, out: Any) -> None:
    """Add ``a @ b`` to ``out``."""
    _product(a, b, out, 0, 1)


@kernel
def turned_product(a: Any, b: Any, out: Any) -> None:
    """Give ``a.T @ b``, ``(terms, rows)`` by ``(terms, columns)``."""
    _product(a, b, out, 1, 0)


@kernel
def _product(a: Any, b: Any, c: Any, turned: int, onto: int) -> None:
    rows, columns = c.shape
    terms, size, zero = len(b), c.itemsize, c.dtype.type(0)
    if terms == 0:
        if not onto:
            c[:] = zero
        return
    lanes = BYTES // size
    row, step = (size, a.strides[0]) if turned else (a.strides[0], size)
    left, right, place = a.ctypes.data, b.ctypes.data, c.ctypes.data
    line, width = b.strides[0], c.strides[0]
    j = 0
    while j + lanes <= columns:
        registers = WIDE if j + WIDE * lanes <= columns else 1
        # the next columns, or behind the last ones the factor that lies behind this one
        more = j + 2 * WIDE * lanes <= columns
        ahead = WIDE * BYTES if more else terms * line - j * size
        i, tiles = 0, (rows + ROWS - 1) // ROWS
        while tiles > 0:
            height = (rows - i + tiles - 1) // tiles  # all of about one height
            x, y, z = left + i * row, right + j * size, place + i * width + j * size
            tile(height, registers, x, row, step, y, line, z, width, terms, ahead, onto, zero)
            i += height
            tiles -= 1
        j += registers * lanes
    if j == columns:
        return
    for i in range(rows):
        if not onto:
            c[i, j:] = zero
        for t in range(terms):
            one = a[t, i] if turned else a[i, t]
            for n in range(j, columns):
                c[i, n] += one * b[t, n]


@kernel
def turn(a: Any, out: Any) -> None:
    """Give ``a.T``."""
    rows, columns = a.shape
    zero = a.dtype.type(0)
    lanes = BYTES // a.itemsize
    n, m = rows // lanes * lanes, columns // lanes * lanes
    source, place = a.ctypes.data, out.ctypes.data
    for i in range(0, n, lanes):
        for j in range(0, m, lanes):
            x = source + i * a.strides[0] + j * a.itemsize
            y = place + j * out.strides[0] + i * a.itemsize
            turn_square(x, a.strides[0], y, out.strides[0], lanes * a.strides[0], zero)
    for i in range(rows):
        for j in range(m if i < n else 0, columns):
            out[j, i] = a[i, j]
