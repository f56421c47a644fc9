"""What the loops over rows are compiled with.

A kernel is compiled once and cached beside its file, lets other threads run, and allocates nothing: numba's runtime for
memory is off in it, so one that allocates doesn't compile. That also frees it from counting references: with a view of
a row for each reading (`slot = slots[device]`), counting took four fifths of the time that a window's kernel took. numba's cache doesn't notice a change of the options
here: empty it after one (`make clean`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

kernel: Any = partial(njit, cache=True, nogil=True, _nrt=False)
"""Compile a function of arrays and numbers: `@kernel`, or `@kernel(inline="always")`."""


@intrinsic
def _word(typing: Any, data: Any, at: Any) -> Any:
    """Read 8 bytes of a contiguous uint8 array from `at` on, as a little-endian uint64. The caller sees to the bounds."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = builder.bitcast(builder.gep(array.data, [place]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, at), generate


@intrinsic
def _put_word(typing: Any, data: Any, at: Any, value: Any) -> Any:
    """Write a uint64 as 8 little-endian bytes into a contiguous uint8 array. The caller sees to the bounds."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        whole = context.cast(builder, arguments[2], signature.args[2], types.uint64)
        pointer = builder.bitcast(builder.gep(array.data, [place]), ir.IntType(64).as_pointer())
        builder.store(whole, pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, at, value), generate


word: Any = _word
"""`word(data, at)` in a kernel: 8 bytes of `data`, a contiguous uint8 array, from `at` on as a little-endian uint64. The
caller sees to the bounds."""
put_word: Any = _put_word
"""`put_word(data, at, value)` in a kernel: write a uint64 as 8 bytes. As with `word`."""
