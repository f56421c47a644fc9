"""Rows of any columns, to hold what a kernel writes against what the library does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from operators.batch import MISSING_BOOL, MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable, join_id

NUMBERS = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, 21.25, 0.1 + 0.2, 5e-324, 1e16, 1e-5, math.inf]), st.floats(-100, 100)
)
WHOLE = st.one_of(st.integers(MISSING_INT, -MISSING_INT - 1), st.sampled_from([0, -1, MISSING_INT, -MISSING_INT - 1]))
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TIMES = st.one_of(
    st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    st.sampled_from([0, 1, 999_999, -1, 951_782_399_999_999, 951_782_400_000_000, 1_767_225_600_000_000]),
)
NAMES = st.one_of(
    st.text("abc-019", min_size=1, max_size=6),
    st.sampled_from(["a/b", "50%", 'quo"te', "back\\slash", "grün", "tab\t", "/"]),
)
_OF = {
    Type.FLOAT: NUMBERS,
    Type.INT: WHOLE,
    Type.BOOL: st.sampled_from([0, 1, int(MISSING_BOOL)]),
    Type.TEXT: st.none() | LETTERS,
    Type.TIME: TIMES | st.just(MISSING_INT),
}
_DTYPES: dict[Type, Any] = {Type.FLOAT: np.float64, Type.INT: np.int64, Type.BOOL: np.int8, Type.TIME: np.int64}


@dataclass(frozen=True)
class Case:
    """Rows, with what they look like and who names their devices."""

    schema: Schema
    batch: Batch
    devices: DeviceTable


@st.composite
def cases(draw: st.DrawFn, times: st.SearchStrategy[int] = TIMES) -> Case:
    """Draw some rows."""
    types = draw(st.lists(st.sampled_from(list(_OF)), max_size=5))
    parts = draw(st.integers(1, 2))
    schema = Schema(
        {f"column {at}": type_ for at, type_ in enumerate(types)},
        ("device", "site")[:parts],
        draw(st.sampled_from(["ts", None])),
    )
    count = draw(st.integers(1, 6))
    columns: dict[str, Column] = {}
    for name, type_ in schema.columns.items():
        values: Any = draw(st.lists(_OF[type_], min_size=count, max_size=count))
        columns[name] = Text.of(values) if type_ is Type.TEXT else np.array(values, _DTYPES[type_])
    ids = [join_id(draw(st.lists(NAMES, min_size=parts, max_size=parts))) for _ in range(count)]
    if draw(st.booleans()) and parts == 1:
        ids[0] = draw(st.binary(max_size=4))  # the key of a record may be any bytes
    devices = DeviceTable(schema.device)
    at = np.array(draw(st.lists(times, min_size=count, max_size=count)), np.int64)
    slots = devices.slots(Binary.of(ids))
    return Case(schema, Batch(slots, at, at, np.arange(count), np.ones(count, np.bool_), columns), devices)
