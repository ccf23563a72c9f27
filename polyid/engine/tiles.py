"""Tiles of a matrix product in registers, written for this processor.

A tile of the result stays in registers while one row of the right factor after the other passes by;
nothing is copied beforehand. Numba cannot be told to keep a tile in registers, so these loops are
given to LLVM as they are. They are compiled once and called by name: every function that they were
inlined in would take a second more to compile.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from polyid.engine.jit import callback


def _shape() -> tuple[int, int, int]:
    """Bytes of a register, and registers and rows of a tile, as many as this processor holds."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 2, 14
    return (32, 2, 6) if features.get("avx") else (16, 4, 6)


BYTES, WIDE, ROWS = _shape()
#: Whether a product and a sum are one instruction, rounded once: so on all but old x86 processors.
_FUSED = "x86_64" not in binding.get_default_triple() or binding.get_host_cpu_features().get("fma")

_WORD, _FLAG = ir.IntType(64), ir.IntType(32)
_BYTE = ir.IntType(8).as_pointer()
#: Height of a tile; registers beside each other, 1 or `WIDE`; address of the left factor's first
#: number, and bytes from row to row and from term to term; address of the right one's, and bytes
#: from term to term; address of the result's, and bytes from row to row; terms; bytes ahead to
#: what is fetched into the cache; whether to add to the result.
_ARGUMENTS = [types.intp] * 12


def _word(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _number(zero: Any) -> Any:
    return ir.FloatType() if zero.bitwidth == 32 else ir.DoubleType()


@intrinsic
def tile(
    typing: Any, height: Any, registers: Any, a: Any, row: Any, k: Any, b: Any, line: Any, c: Any,
    width: Any, terms: Any, ahead: Any, onto: Any, zero: Any,
) -> Any:  # fmt: skip
    """Compute one tile; see `_ARGUMENTS`, after which stands a zero of the kind of number."""
    return types.void(*_ARGUMENTS, zero), by_name("tile", len(_ARGUMENTS), zero)


def by_name(name: str, count: int, zero: Any) -> Any:
    """Emit a call of what `known` made known, with ``count`` numbers as wide as an address."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_WORD] * count)
        code = cgutils.get_or_insert_function(builder.module, kind, _symbol(name, zero))
        builder.call(code, values[:count])
        return context.get_dummy_value()

    return emit


def known(name: str, *functions: Any) -> None:
    """Let compiled code call functions of numbers of 32 and of 64 bits by their name."""
    for zero, function in zip((types.float32, types.float64), functions, strict=True):
        binding.add_symbol(_symbol(name, zero), function.address)


def _symbol(name: str, zero: Any) -> str:
    return f"polyid_{name}_{zero.bitwidth}"


@intrinsic
def numbers_at(typing: Any, address: Any, zero: Any) -> Any:
    """Give the numbers that lie at an address."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], _number(zero).as_pointer())

    return types.CPointer(zero)(types.intp, zero), emit


@intrinsic
def _code(
    typing: Any, height: Any, registers: Any, a: Any, row: Any, k: Any, b: Any, line: Any, c: Any,
    width: Any, terms: Any, ahead: Any, onto: Any, zero: Any,
) -> Any:  # fmt: skip
    """Write the loops of all tiles."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        height, registers, *rest, _ = values
        end = builder.append_basic_block("end")
        which = builder.add(height, builder.mul(registers, _word(ROWS)))
        chosen = builder.switch(which, end)
        for wide in (1, WIDE):
            for rows in range(1, ROWS + 1):
                block = builder.append_basic_block(f"tile{rows}x{wide}")
                chosen.add_case(_word(rows + wide * ROWS), block)
                builder.position_at_end(block)
                _loop(builder, rows, wide, zero, *rest)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(*_ARGUMENTS, zero), emit


def _loop(
    builder: Any, rows: int, registers: int, zero: Any, a: Any, row: Any, k: Any, b: Any, line: Any,
    c: Any, width: Any, terms: Any, ahead: Any, onto: Any,
) -> None:  # fmt: skip
    """Write the loop over the terms of one tile."""
    size, number = zero.bitwidth // 8, _number(zero)
    lanes = BYTES // size
    vector = ir.VectorType(number, lanes)
    name = f"llvm.fma.v{lanes}f{zero.bitwidth}"
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), name
    )

    def multiply(one: Any, two: Any, total: Any) -> Any:
        if _FUSED:
            return builder.call(fused, [one, two, total])
        return builder.fadd(builder.fmul(one, two), total)

    start, old, loop, done = (builder.append_basic_block(x) for x in ("new", "old", "k", "done"))

    def load(address: Any, kind: Any) -> Any:
        return builder.load(builder.inttoptr(address, kind.as_pointer()), align=size)

    def places() -> list[Any]:
        lines = [builder.add(c, builder.mul(width, _word(i))) for i in range(rows)]
        return [builder.add(x, _word(j * BYTES)) for x in lines for j in range(registers)]

    builder.cbranch(builder.icmp_signed("!=", onto, _word(0)), old, start)
    builder.position_at_end(start)
    for place in places():
        _fetch(builder, place, write=True)
    builder.branch(loop)
    builder.position_at_end(old)
    already = [load(place, vector) for place in places()]
    builder.branch(loop)

    builder.position_at_end(loop)
    step = builder.phi(_WORD)
    sums = [builder.phi(vector) for _ in already]
    right = builder.add(b, builder.mul(step, line))
    wide = [load(builder.add(right, _word(j * BYTES)), vector) for j in range(registers)]
    for byte in range(0, registers * BYTES, 64):
        _fetch(builder, builder.add(right, builder.add(ahead, _word(byte))))
    left = builder.add(a, builder.mul(step, k))
    more = []
    for i in range(rows):
        one = load(builder.add(left, builder.mul(row, _word(i))), number)
        nothing = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(nothing, one, ir.Constant(_FLAG, 0))
        same = ir.Constant(ir.VectorType(_FLAG, lanes), [0] * lanes)
        spread = builder.shuffle_vector(first, nothing, same)
        more += [multiply(spread, wide[j], sums[i * registers + j]) for j in range(registers)]
    following = builder.add(step, _word(1))
    for value, block in ((_word(0), start), (_word(0), old), (following, loop)):
        step.add_incoming(value, block)
    for total, before, after in zip(sums, already, more, strict=True):
        total.add_incoming(ir.Constant(vector, [0.0] * lanes), start)
        total.add_incoming(before, old)
        total.add_incoming(after, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, done)

    builder.position_at_end(done)
    for place, total in zip(places(), more, strict=True):
        builder.store(total, builder.inttoptr(place, vector.as_pointer()), align=size)


def _fetch(builder: Any, address: Any, write: bool = False) -> None:
    """Let the processor bring an address into its second cache, meanwhile."""
    code = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [_BYTE, *[_FLAG] * 3]), "llvm.prefetch.p0"
    )
    how = (ir.Constant(_FLAG, x) for x in (int(write), 2, 1))
    builder.call(code, [builder.inttoptr(address, _BYTE), *how])


@intrinsic
def turn_square(typing: Any, a: Any, row: Any, c: Any, width: Any, ahead: Any, zero: Any) -> Any:
    """Turn a square as wide as a register; addresses and strides in bytes."""
    size = zero.bitwidth // 8
    lanes = BYTES // size
    vector, order = ir.VectorType(_number(zero), lanes), ir.VectorType(_FLAG, lanes)

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a, row, c, width, ahead, _ = values

        def place(base: Any, stride: Any, i: int) -> Any:
            at = builder.add(base, builder.mul(stride, _word(i)))
            return builder.inttoptr(at, vector.as_pointer())

        lines = [builder.load(place(a, row, i), align=size) for i in range(lanes)]
        for i in range(lanes):
            _fetch(builder, builder.add(builder.add(a, ahead), builder.mul(row, _word(i))))
        apart = 1
        while apart < lanes:  # exchange ever larger blocks beside the diagonal
            upper = [lane if not lane & apart else lanes + lane - apart for lane in range(lanes)]
            lower = [lane + apart if not lane & apart else lanes + lane for lane in range(lanes)]
            for i in range(lanes):
                if not i & apart:
                    one, two = lines[i], lines[i + apart]
                    lines[i] = builder.shuffle_vector(one, two, ir.Constant(order, upper))
                    lines[i + apart] = builder.shuffle_vector(one, two, ir.Constant(order, lower))
            apart *= 2
        for i, line in enumerate(lines):
            builder.store(line, place(c, width, i), align=size)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, zero), emit


@callback(types.void(*_ARGUMENTS))
def _tile_32(h, n, a, row, k, b, line, c, width, terms, ahead, onto):
    _code(h, n, a, row, k, b, line, c, width, terms, ahead, onto, np.float32(0))


@callback(types.void(*_ARGUMENTS))
def _tile_64(h, n, a, row, k, b, line, c, width, terms, ahead, onto):
    _code(h, n, a, row, k, b, line, c, width, terms, ahead, onto, np.float64(0))


known("tile", _tile_32, _tile_64)
