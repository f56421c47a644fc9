"""Tests of rows that a kernel writes as JSON: letter by letter what orjson writes."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.json import Json, TimeText
from operators.batch import Batch, Schema, Type
from operators.binary import Binary
from operators.devices import DeviceTable
from tests.connectors.codec.agreement import compare_rows
from tests.connectors.codec.writing import Cases


@pytest.mark.parametrize("time", TimeText)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(1, 6))
def test_rows_are_what_orjson_makes_of_them(time: TimeText, random_: Random, far: bool, count: int) -> None:
    case = Cases(random_, 'a "column" ', far=far).drawn(count)
    assert not compare_rows(Json(time=time).encoder(case.schema, "rows"), case).differences


def test_only_odd_devices_are_left_to_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema({"t": Type.FLOAT}, ("device",), "ts")
    encoder: Any = Json(time=TimeText.ISO).encoder(schema, "rows")
    devices = DeviceTable(("device",))
    slots = devices.slots(Binary.of([b"a", b'"', b"\xff", "grün".encode()]))
    at = np.arange(4)
    left = []
    whole = encoder._by_document

    def by_document(batch: Batch, devices: DeviceTable) -> Binary:
        left.append(len(batch))
        rows: Binary = whole(batch, devices)
        return rows

    monkeypatch.setattr(encoder, "_by_document", by_document)
    made = encoder.encode(Batch(slots, at, at, at, np.ones(4, np.bool_), {"t": at * 0.5}), devices).values()
    assert left == [2]
    assert made[0] == b'{"device":"a","ts":"1970-01-01T00:00:00Z","t":0.0}'
    assert made[1] == b'{"device":"\\"","ts":"1970-01-01T00:00:00.000001Z","t":0.5}'
    assert made[3] == '{"device":"grün","ts":"1970-01-01T00:00:00.000003Z","t":1.5}'.encode()
