"""Tests of the rows of alerts: where they stand, and what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators import alert_machine as machine
from operators.alert import Alert
from operators.alert_rows import Rows
from operators.base import Inputs
from operators.batch import Text
from operators.binary import Binary
from operators.devices import DeviceTable
from tests.operators.rows import NINE, PIPELINE, SCHEMA, SECOND, STEP, Row, clocked, from_batch, to_batch

SPEC = Alert.model_validate(
    {"raise": "score > 1", "missing": "5s", "severity": {"low": "score > 1", "high": "score > 2"}}
)


def event(row: int, at: int, **fields: Any) -> list[int]:
    """Make an event; what isn't named is 0."""
    made = [0] * 10
    made[machine.ROW], made[machine.AT] = row, NINE + at * SECOND
    for name, value in fields.items():
        made[getattr(machine, name)] = value
    return made


def made(*events: list[int], punctuated: bool = True) -> list[Row]:
    """Make rows of events over three readings, the second of which a filter took out."""
    rows = clocked([(b"a", NINE + at * SECOND, {"score": float(at), "status": "on"}) for at in range(3)])
    devices = DeviceTable(SCHEMA.device)
    devices.slots(Binary.of([b"a"]))
    batch = to_batch(rows, SCHEMA, devices)
    batch.live[1] = False
    out = SPEC.outputs(SCHEMA)[""]
    table = np.array(events, np.int64).reshape(-1, 10)
    given = Rows(Inputs(SCHEMA, devices, PIPELINE, STEP, punctuated), out, ["low", "high"], None).of(batch, table)
    assert all(
        len(column.codes if isinstance(column, Text) else column) == len(given) for column in given.columns.values()
    )
    return from_batch(given, out, devices)


def test_rows_in_which_nothing_happens_go_on_as_punctuations_where_these_are_wanted() -> None:
    assert [(row.offset, row.live) for row in made(event(2, 2))] == [(0, False), (1, False), (2, True)]
    assert [(row.offset, row.live) for row in made()] == [(0, False), (1, False), (2, False)]
    assert [(row.offset, row.live) for row in made(event(2, 2), punctuated=False)] == [(2, True)]
    assert made(punctuated=False) == []


@pytest.mark.parametrize("punctuated", [True, False])
def test_of_a_row_in_which_two_things_happen_there_are_two_in_their_order(punctuated: bool) -> None:
    back = event(0, 0, STATE=machine.CLEARED_STATE, REASON=machine.MISSING, READINGS=0)
    up, high = event(0, 0, READINGS=1), event(2, 2, STATE=machine.ESCALATED, LEVEL=1, READINGS=2)
    live = [row for row in made(back, up, high, punctuated=punctuated) if row.live]
    assert [(row.offset, row["state"], row["reason"], row["severity"], row["count"], row["score"]) for row in live] == [
        (0, "cleared", "missing", "low", None, 0.0), (0, "raised", "condition", "low", 1, 0.0),
        (2, "escalated", "condition", "high", 2, 2.0),
    ]  # fmt: skip


def test_a_row_that_was_no_reading_has_its_own_time_and_nothing_else_of_the_row() -> None:
    (row,) = [row for row in made(event(1, 7, REASON=machine.MISSING)) if row.live]
    assert (row.ts, row.watermark, row["score"], row["status"]) == (NINE + 7 * SECOND, NINE + SECOND, None, None)
