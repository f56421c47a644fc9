"""What the loops over rows are compiled with.

A kernel is compiled once and cached beside its file, lets other threads run, and allocates nothing: numba's runtime for
memory is off in it, so one that allocates doesn't compile. That also frees it from counting references: with a view of
a row for each reading (`slot = slots[device]`), counting took four fifths of the time that a window's kernel took.

A kernel may call kernels of other modules. numba's cache looks at the file of a kernel alone, and would go on using what
was compiled with an older version of another; so the cache here looks at the files of all that a kernel's module uses. It
looks at what stands in them and not at their dates, which change where an image of a container is made.

Where no folder can be written to, neither beside the files nor in the user's own, kernels are compiled in each process anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

_njit: Any = njit
_UNKEPT: set[str] = set()
"""Modules whose kernels can't be kept."""


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function of arrays and numbers: `@kernel`, or `@kernel(forceinline=True)`."""
    if function is None:
        return lambda function: kernel(function, **options)
    made: Any = _njit(nogil=True, _nrt=False, **options)(function)
    try:
        made._cache = _Cache(function)  # noqa: SLF001  # numba has no other way in; without it, the cache is numba's own
    except RuntimeError:  # numba's word for a folder that it can't find
        _UNKEPT.add(function.__module__)
    return made


def are_kept() -> bool:
    """Say whether what is compiled is kept for the next process; not where no folder for it can be written to."""
    return not _UNKEPT


class _Cache(FunctionCache):
    """A cache that is out of date when any file is that the kernel was compiled from."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]  # numba has no types there
        files = sorted({__file__, *_files(function.__module__)})
        self._cache_file._source_stamp = tuple(map(_digest, files))  # noqa: SLF001  # as above

    # A full disk, or files that belong to somebody else, must not end a run: what isn't kept is compiled again.

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with contextlib.suppress(OSError):
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # as above
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]  # as above


@cache
def _digest(file: str) -> bytes:
    return hashlib.sha256(Path(file).read_bytes()).digest()


@cache
def _files(module: str) -> frozenset[str]:
    """Give the files of a module and of the modules whose kernels it has in its names."""
    names: Mapping[str, Any] = vars(sys.modules[module])
    used = {value.py_func.__module__ for value in names.values() if isinstance(value, Dispatcher)}
    used |= {value.__name__ for value in names.values() if isinstance(value, ModuleType)}
    package = module.split(".", maxsplit=1)[0]
    ours = {name for name in used - {module} if name.split(".", maxsplit=1)[0] in {package, "operators", "connectors"}}
    return frozenset({str(sys.modules[module].__file__)}.union(*map(_files, ours)))


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


@intrinsic
def _multiply_high(typing: Any, one: Any, other: Any) -> Any:
    del typing, one, other

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


def _recast(target: Any, source: Any, made: Any) -> Any:
    @intrinsic
    def recast(typing: Any, value: Any) -> Any:
        del typing, value

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            return builder.bitcast(arguments[0], made)

        return target(source), generate

    return recast


float_of: Any = _recast(types.float64, types.uint64, ir.DoubleType())
"""`float_of(bits)` in a kernel: the float64 of these bits, a uint64."""
float32_of: Any = _recast(types.float32, types.uint32, ir.FloatType())
"""`float32_of(bits)` in a kernel: the float32 of these bits, a uint32."""
bits_of: Any = _recast(types.uint64, types.float64, ir.IntType(64))
"""`bits_of(value)` in a kernel: the bits of a float64, as uint64."""
multiply_high: Any = _multiply_high
"""`multiply_high(one, other)` in a kernel: the upper 64 bits of the product of two uint64."""
word: Any = _word
"""`word(data, at)` in a kernel: 8 bytes of `data`, a contiguous uint8 array, from `at` on as a little-endian uint64. The
caller sees to the bounds."""
put_word: Any = _put_word
"""`put_word(data, at, value)` in a kernel: write a uint64 as 8 bytes. As with `word`."""
