"""Nothing per event: what Python does for a batch doesn't depend on how many rows it has."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from operators.base import kinds
from operators.batch import Batch
from operators.binary import Binary
from operators.clock import Clock
from operators.devices import DeviceTable
from tests.calls import calls
from tests.operators.rows import DEVICES, HOUR, NINE, SCHEMA, SECOND, Row, Runner, test_module, to_batch, to_column


def batch_of(rows: int, start: int, devices: DeviceTable) -> Batch:
    """Make a batch with a bit of everything: disorder, punctuations, windows that close, late rows, missing values, and
    a change of level for eight rows: an alert may cost something.
    """

    def values(at: int) -> dict[str, Any]:
        if 0.3 < at / rows < 0.4:
            return {}
        high = 0 <= at - rows // 2 < 8
        level = 90.0 if high else 20.0
        return {
            "temperature": level,
            "humidity": level / 2,
            "score": 5.0 if high else 0.0,
            "n": int(level),
            "ok": not high,
            "status": "3" if high else "-2.5",
        }

    made = []
    for at in range(rows):
        now = start + at * HOUR // rows + 10 * SECOND * min(max(at - rows // 2, 0), 8)
        late = 300 * SECOND if at % 10 == 7 else 0
        made.append(
            Row(
                DEVICES[at % 4],
                now - late,
                now - 5 * SECOND,
                start // SECOND + at,
                live=at % 20 != 3,
                values=values(at),
            )
        )
    return to_batch(made, SCHEMA, devices)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    devices = DeviceTable(("device",))
    devices.slots(Binary.of(DEVICES))
    sizes = (10_000, 10_000, 10_000, 1_000, 10_000)  # the first ones make room
    return [batch_of(size, NINE + 2 * HOUR * at, devices) for at, size in enumerate(sizes)]


@pytest.mark.parametrize("kind", sorted(kinds()), ids=".".join)
def test_a_batch_of_ten_thousand_rows_takes_no_more_calls_than_one_of_a_thousand(
    kind: tuple[str, ...], batches: list[Batch]
) -> None:
    for options in test_module("tests.operators", kind, ("SPECS",)).SPECS:
        runner = Runner(kinds()[kind].model_validate(options))
        runner.devices.slots(Binary.of(DEVICES))
        *_, few, many = [calls(partial(runner.state.on_batch, batch)) for batch in batches]
        # A table or a heap that has to grow takes a few calls more; a call an event would be 9,000.
        assert max((many - few).values(), default=0) < 100, f"{options}: {many - few}"
        assert few


def test_the_clock_takes_as_many_calls_for_ten_thousand_rows_as_for_a_thousand() -> None:
    clock = Clock(5 * SECOND, SECOND, HOUR)

    def put(rows: int, start: int) -> None:
        device = (np.arange(rows) * 7 // rows % 4).astype(np.uint32)
        ts = start + np.arange(rows) * HOUR // rows
        clock.on_rows(device, ts, np.arange(rows), {"n": np.arange(rows)}, {"n": SCHEMA.columns["n"]})

    put(10_000, NINE)
    put(10_000, NINE + HOUR)
    few = calls(lambda: put(1_000, NINE + 2 * HOUR))
    many = calls(lambda: put(10_000, NINE + 3 * HOUR))
    assert many == few, f"{many - few} {few - many}"


def test_the_device_table_takes_as_many_calls_for_ten_thousand_rows_as_for_a_thousand() -> None:
    devices = DeviceTable(("device",))
    ids = DEVICES * 2_500
    devices.slots(Binary.of(ids))
    few, many = (calls(partial(devices.slots, Binary.of(ids[:rows]))) for rows in (1_000, 10_000))
    assert many == few


def test_the_counter_counts() -> None:
    counted = calls(lambda: [to_column([1], SCHEMA.columns["n"]) for _ in range(3)])
    assert sum(number for name, number in counted.items() if name.endswith(":to_column")) == 3
