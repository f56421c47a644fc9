"""Memory that isn't numpy's, in a kernel: read it, copy it, call a function of a C library. As safe as in C: not at all."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _reader(type_: Any, bits: int) -> Any:
    @intrinsic
    def read(typing: Any, address: Any) -> Any:
        del typing, address

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            return builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()), align=1)

        return type_(types.int64), generate

    return read


@intrinsic
def _address(typing: Any, array: Any) -> Any:
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), generate


@intrinsic
def _copy(typing: Any, address: Any, size: Any, out: Any, at: Any) -> Any:
    del typing, address, size, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, count, array, place = arguments
        data = context.make_array(signature.args[2])(context, builder, array).data
        target = builder.gep(data, [place])
        memcpy: Any = cgutils.raw_memcpy
        memcpy(builder, target, builder.inttoptr(source, target.type), count, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, out, types.int64), generate


def _generate_call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    del context, signature
    function, *words = arguments
    word = ir.IntType(64)
    pointer = builder.inttoptr(function, ir.FunctionType(word, [word] * len(words)).as_pointer())
    return builder.call(pointer, words)


@intrinsic
def _call(typing: Any, function: Any, first: Any, second: Any) -> Any:
    del typing, function, first, second
    return types.int64(*[types.int64] * 3), _generate_call


@intrinsic
def _call_of_four(typing: Any, function: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    del typing, function, first, second, third, fourth
    return types.int64(*[types.int64] * 5), _generate_call


int32: Any = _reader(types.int32, 32)
"""`int32(address)`: 4 bytes as a signed number."""
int64: Any = _reader(types.int64, 64)
"""`int64(address)`: 8 bytes as a signed number."""
address: Any = _address
"""`address(array)`: where the data of an array stands."""
copy: Any = _copy
"""`copy(address, size, out, at)`: copy bytes into a uint8 array. The caller sees to the room."""
call: Any = _call
"""`call(function, first, second)`: call a C function of up to two words; what it gives, as a word, if it gives one. Of an int
the lower 32 bits are what it gives."""
call_of_four: Any = _call_of_four
"""`call_of_four(function, first, second, third, fourth)`: the same for a C function of four words."""
