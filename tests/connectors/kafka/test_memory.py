"""Memory that isn't numpy's is read, copied and called by kernels, byte for byte."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import memory
from operators.kernel import kernel


@kernel
def _read(begin, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(out.shape[1]):
        out[0, row], out[1, row] = memory.int32(begin + row), memory.int64(begin + row)


@kernel
def _copy(begin, size, out, at):  # type: ignore[no-untyped-def]  # compiled: numba infers
    memory.copy(begin, size, out, at)


@kernel
def _address_of(array):  # type: ignore[no-untyped-def]  # compiled: numba infers
    return memory.address(array)


@kernel
def _call_each(function, firsts, seconds, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(out)):
        out[row] = memory.call(function, firsts[row], seconds[row])


@kernel
def _call_each_of_four(function, words, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(out)):
        out[row] = memory.call_of_four(function, words[row, 0], words[row, 1], words[row, 2], words[row, 3])


@given(st.binary(min_size=8, max_size=100))
def test_numbers_are_read_wherever_they_stand(data: bytes) -> None:
    held = ctypes.create_string_buffer(data, len(data))
    out = np.empty((2, len(data) - 7), np.int64)
    _read(ctypes.addressof(held), out)
    assert out[0].tolist() == [struct.unpack_from("<i", data, at)[0] for at in range(out.shape[1])]
    assert out[1].tolist() == [struct.unpack_from("<q", data, at)[0] for at in range(out.shape[1])]


@given(st.binary(max_size=100), st.integers(0, 9), st.data())
def test_bytes_are_copied_and_no_others_are_written(data: bytes, at: int, draw: st.DataObject) -> None:
    size = draw.draw(st.integers(0, len(data)))
    held = ctypes.create_string_buffer(data, len(data) + 1)
    out = np.full(at + size + 9, 0xAA, np.uint8)
    _copy(ctypes.addressof(held), size, out, at)
    assert out.tobytes() == b"\xaa" * at + data[:size] + b"\xaa" * 9


def test_a_function_gets_four_words_and_gives_one() -> None:
    kind = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 5)
    made = kind(lambda first, second, third, fourth: first - 3 * second + 5 * third - 7 * fourth)
    words = np.array([[1, 2, 3, 4], [-(2**40), 2**40, 0, 9], [2**62, 0, 0, 0]])
    out = np.empty(3, np.int64)
    _call_each_of_four(ctypes.cast(made, ctypes.c_void_p).value, words, out)
    assert out.tolist() == (words @ [1, -3, 5, -7]).tolist()


@pytest.mark.parametrize("array", [np.arange(9), np.arange(9)[3:], np.zeros((2, 3), np.uint8), np.empty(0, np.int32)])
def test_the_address_of_an_array_is_where_its_data_stands(
    array: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> None:
    assert _address_of(array) == array.ctypes.data


def test_a_function_gets_two_words_and_gives_one() -> None:
    made = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(lambda first, second: first - 3 * second)
    firsts, seconds = np.array([0, 1, -(2**62), 2**62]), np.array([0, -1, 5, 2**40])
    out = np.empty(4, np.int64)
    _call_each(ctypes.cast(made, ctypes.c_void_p).value, firsts, seconds, out)
    assert out.tolist() == (firsts - 3 * seconds).tolist()


def test_a_function_of_a_library_is_called() -> None:
    function = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value
    out = np.empty(3, np.int64)
    _call_each(function, np.array([-5, 0, 2**40]), np.zeros(3, np.int64), out)
    assert out.tolist() == [5, 0, 2**40]
