"""Tests of how floats and whole numbers are written: as orjson and Python write them."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.codec.shortest import LONGEST, TENS, write_float, write_whole
from operators.kernel import kernel


@kernel
def _floats(values, tens, data, ends):  # type: ignore[no-untyped-def]  # compiled: numba infers
    at = 0
    for row in range(len(values)):
        at = write_float(data, at, values[row], tens)
        ends[row] = at


@kernel
def _wholes(values, data, ends):  # type: ignore[no-untyped-def]  # compiled: numba infers
    at = 0
    for row in range(len(values)):
        at = write_whole(data, at, values[row])
        ends[row] = at


def written(values: NDArray[np.float64]) -> list[bytes]:
    data, ends = np.zeros(LONGEST * len(values) + 8, np.uint8), np.zeros(len(values), np.int64)
    _floats(values, TENS, data, ends)
    begins = [0, *ends[:-1].tolist()]
    return [data[begin:end].tobytes() for begin, end in zip(begins, ends.tolist(), strict=True)]


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=50))
@example(
    [0.0, -0.0, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 9007199254740993.0, 1e16, 1e15, 1e-5, 1e-6]
)
@example([2.0**power for power in range(-1074, 1024)])
@example([10.0**power for power in range(-323, 309)])
@example([9.5367431640625e-07, 1.2345e-4, 123456789012345680.0, 4.35, 0.3, 0.1 + 0.2, 5e-5, 9.999999999999999e22])
def test_a_float_is_written_as_orjson_writes_it(values: list[float]) -> None:
    assert written(np.array(values)) == [orjson.dumps(value) for value in values]


@pytest.mark.parametrize("seed", range(4))
def test_floats_of_any_bits_are_written_as_orjson_writes_them(seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 1 << 64, 50_000, np.uint64)
    values = words.view(np.float64)
    values = values[np.isfinite(values)]
    assert written(values) == list(map(orjson.dumps, values.tolist()))


def test_neighbours_of_powers_of_two_and_ten_are_written_as_orjson_writes_them() -> None:
    near = [2.0**power for power in range(-1074, 1024)] + [10.0**power for power in range(-323, 309)]
    values = np.array([*near, *(math.nextafter(x, 0) for x in near), *(math.nextafter(x, math.inf) for x in near)])
    values = values[np.isfinite(values)]
    assert written(values) == list(map(orjson.dumps, values.tolist()))


def test_the_shortest_decimal_is_the_one_that_python_gives() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(100, 5, 20_000), np.round(rng.normal(100, 5, 20_000), 2), rng.random(20_000)])
    assert [float(text) for text in written(values)] == values.tolist()
    assert max(map(len, written(-values))) <= LONGEST
    assert [len(text) for text in written(values)] == [len(repr(value)) for value in values.tolist()]


def test_no_float_is_longer_than_is_said() -> None:
    assert (
        max(map(len, written(np.array([-2.2250738585072014e-308, -1.7976931348623157e308, -1.234567890123456e-5]))))
        <= LONGEST
    )


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
@example([0, -1, 9, 10, 99, 100, 2**63 - 1, -(2**63), 10**18, 10**18 - 1, -(10**18)])
def test_a_whole_number_is_written_as_python_writes_it(values: list[int]) -> None:
    data, ends = np.zeros(20 * len(values), np.uint8), np.zeros(len(values), np.int64)
    _wholes(np.array(values, np.int64), data, ends)
    assert data[: ends[-1]].tobytes() == "".join(map(str, values)).encode()
