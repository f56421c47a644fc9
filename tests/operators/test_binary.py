"""Tests of columns of byte strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.binary import Binary, equal, first_bytes, gather, hash_bytes
from operators.kernel import kernel

VALUES = st.lists(st.none() | st.binary(max_size=40), max_size=30)


@given(VALUES)
def test_values_come_out_as_they_went_in(values: list[bytes | None]) -> None:
    column = Binary.of(values)
    assert len(column) == len(values)
    assert column.to_list() == values
    assert column.values() == [value or b"" for value in values]
    assert [column[row] for row in range(len(values))] == values


def test_many_values_come_out_as_they_went_in() -> None:
    values = [None if row % 7 == 0 else b"%d" % row * (row % 5) for row in range(1_000)]
    assert Binary.of(values).to_list() == values


@given(VALUES, st.data())
def test_rows_are_picked_by_indices_masks_and_slices(values: list[bytes | None], data: st.DataObject) -> None:
    column = Binary.of(values)
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=20)) if values else []
    assert column.take(np.array(rows, np.int64)).to_list() == [values[row] for row in rows]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), np.bool_)
    assert column.take(mask).to_list() == [value for value, kept in zip(values, mask, strict=True) if kept]
    assert column.take(slice(1, 5)).to_list() == values[1:5]


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_columns_are_put_behind_each_other(parts: list[list[bytes | None]]) -> None:
    column = Binary.concat([Binary.of(part) for part in parts])
    assert column.to_list() == [value for part in parts for value in part]


@given(VALUES)
def test_packing_leaves_out_what_no_row_uses(values: list[bytes | None]) -> None:
    picked = Binary.of([b"left out", *values, b"too"]).take(slice(1, len(values) + 1))
    packed = picked.packed()
    assert packed.to_list() == values
    assert len(packed.data) == sum(len(value or b"") for value in values)


def test_a_missing_column_has_no_values() -> None:
    assert Binary.missing(2).to_list() == [None, None]


@kernel
def _call(data, begin, size, other, place, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    out[0] = first_bytes(data, begin, size)
    out[1] = equal(data, begin, other, place, size)
    out[2] = hash_bytes(data, begin, size)


@pytest.mark.parametrize("size", range(40))
def test_kernels_compare_and_hash_the_bytes_of_the_value_alone(size: int) -> None:
    rng = np.random.default_rng(size)
    value = rng.integers(0, 256, size, np.uint8)
    seen = set()
    for before, behind in [(0, 0), (3, 0), (0, 9), (5, 20)]:
        data = np.concatenate([rng.integers(0, 256, before, np.uint8), value, rng.integers(0, 256, behind, np.uint8)])
        out = np.zeros(3, np.uint64)
        _call(data, before, size, value, 0, out)
        assert int(out[0]) == int.from_bytes(value[:8].tobytes(), "little")
        assert out[1] == 1
        seen.add(int(out[2]))
        for at in range(size):
            other = value.copy()
            other[at] ^= 1
            _call(data, before, size, other, 0, out)
            assert out[1] == 0
    assert len(seen) == 1


def test_hashes_of_ids_that_count_up_are_spread() -> None:
    out = np.zeros(3, np.uint64)
    places = np.zeros(1 << 14, np.int64)
    for number in range(1 << 13):
        data = np.frombuffer(b"sensor-%06d" % number, np.uint8)
        _call(data, 0, len(data), data, 0, out)
        places[int(out[2]) & (len(places) - 1)] += 1
    assert places.max() < 8, "a table half full has short runs"


@given(VALUES)
def test_gathering_writes_nothing_outside_of_the_places_given(values: list[bytes | None]) -> None:
    column = Binary.of(values)
    at = np.cumsum(np.maximum(column.size, 0) + 3) - np.maximum(column.size, 0)
    out = np.full(int(at[-1] + len(values[-1] or b"")) + 3 if values else 3, 7, np.uint8)
    gather(column.data, column.begin, column.size, out, at)
    for place, value in zip(at.tolist(), values, strict=True):
        assert out[place : place + len(value or b"")].tobytes() == (value or b"")
        out[place : place + len(value or b"")] = 7
    assert (out == 7).all()
