"""Tests of reading memory that isn't numpy's, and calling C functions, from kernels."""

from __future__ import annotations

import ctypes
import struct

import numpy as np

from connectors.kafka import memory
from operators.kernel import kernel


@kernel
def _read(address, out, data):  # type: ignore[no-untyped-def]  # compiled: numba infers
    out[0], out[1] = memory.int32(address), memory.int64(address + 4)
    memory.copy(address + 12, 5, data, 2)
    out[2] = memory.address(data)


@kernel
def _call(function, first, second):  # type: ignore[no-untyped-def]  # compiled: numba infers
    return memory.call(function, first, second)


def test_numbers_and_bytes_are_read_at_any_address() -> None:
    buffer = ctypes.create_string_buffer(struct.pack("<iq5s", -7, -(2**40), b"hello"))
    out, data = np.zeros(3, np.int64), np.zeros(9, np.uint8)
    _read(ctypes.addressof(buffer), out, data)
    assert out.tolist() == [-7, -(2**40), data.ctypes.data]
    assert data.tobytes() == b"\0\0hello\0\0"


def test_a_c_function_is_called_with_two_words() -> None:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    subtract = kind(lambda first, second: first - second)
    assert _call(ctypes.cast(subtract, ctypes.c_void_p).value, 5, 2**40) == 5 - 2**40
