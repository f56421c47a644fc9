"""Tests of `fill`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema, Text, Type
from operators.clock import FORGET
from operators.fill import Fill, Texts
from operators.window.tumbling import Tumbling
from tests.operators.rows import DEVICES, MINUTE, NINE, SCHEMA, SECOND, Reading, Row, Runner, clocked, run

SPECS: list[dict[str, Any]] = [
    {},
    {"columns": ["temperature", "humidity"], "within": "10m"},
    {"columns": ["status"], "within": "3s"},
    {"columns": ["n", "ok", "status"]},
    {"within": "0s"},
]


def oracle(spec: Fill, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Look through all that a device ever sent; of rows out of order the four newest values of a column are known."""
    out: list[Row] = []
    sent: dict[bytes, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        values = dict(row.values)
        for name in (spec.columns or schema.columns) if row.live else ():
            told = sent[row.device][name]
            if values.get(name) is not None:
                told[row.ts] = values[name]
                continue
            known = [ts for ts in sorted(told)[-4:] if ts <= row.ts]
            if known and (spec.within is None or row.ts - known[-1] <= spec.within):
                values[name] = told[known[-1]]
        out.append(replace(row, values=values if row.live else {}))
        if row.watermark >= FORGET:
            sent.pop(row.device, None)
    return {"": out}


def filled(spec: Fill, name: str, *readings: tuple[float, Any]) -> list[Any]:
    """Give a column of one device's readings (second, value) after the step."""
    rows = clocked([(b"a", NINE + round(at * SECOND), {name: value}) for at, value in readings])
    return [row[name] for row in run(spec, rows).main]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("temperature", -0.0, float("inf")),
        ("n", 2**53 + 1, 1 - 2**63),
        ("ok", False, True),
        ("status", "on", ""),
    ],
)
def test_a_missing_value_becomes_the_last_known_one_whatever_its_type(name: str, value: Any, other: Any) -> None:
    # 0s     1s   2s       3s       4s   5s
    # value  .    (value)  other    .    (other)
    got = filled(Fill(), name, (-1, None), (0, value), (1, None), (2, None), (3, other), (4, None))
    assert got == [None, value, value, value, other, other]
    assert str(got[2]) == str(value), "to the sign of a zero"


def test_a_time_is_filled_too() -> None:
    schema = Schema({"seen": Type.TIME}, ("device",), "ts")
    rows = clocked([(b"a", NINE, {"seen": -1}), (b"a", NINE + 1, {"seen": None})])
    assert [row["seen"] for row in run(Fill(), rows, schema).main] == [-1, -1]


def test_each_device_has_values_of_its_own() -> None:
    readings = [(b"a", 1.0), (b"b", None), (b"b", 2.0), (b"a", None), (b"b", None)]
    rows = clocked([(device, NINE + at, {"temperature": value}) for at, (device, value) in enumerate(readings)])
    assert [row["temperature"] for row in run(Fill(), rows).main] == [1.0, None, 2.0, 1.0, 2.0]


def test_each_column_has_values_of_its_own() -> None:
    values = [{"temperature": 1.0}, {"humidity": 5.0}, {"temperature": 2.0}, {}]
    made = run(Fill(), clocked([(b"a", NINE + at, row) for at, row in enumerate(values)])).main
    assert [(row["temperature"], row["humidity"]) for row in made] == [(1.0, None), (1.0, 5.0), (2.0, 5.0), (2.0, 5.0)]


def test_the_columns_that_arent_named_stay_as_they_came() -> None:
    values = [{"temperature": 1.0, "humidity": 5.0}, {}]
    made = run(Fill(columns=["humidity"]), clocked([(b"a", NINE + at, row) for at, row in enumerate(values)])).main
    assert [(row["temperature"], row["humidity"]) for row in made] == [(1.0, 5.0), (None, 5.0)]


def test_a_value_older_than_within_isnt_used() -> None:
    # 0s                10s               10.000001s
    # 20                just so           too old
    spec = Fill.model_validate({"within": "10s"})
    assert filled(spec, "temperature", (0, 20.0), (10, None), (10.000001, None)) == [20.0, 20.0, None]


def test_a_filled_value_doesnt_become_younger() -> None:
    # 0s    6s     12s
    # 20    (20)   the value is of 0s still
    spec = Fill.model_validate({"within": "10s"})
    assert filled(spec, "temperature", (0, 20.0), (6, None), (12, None)) == [20.0, 20.0, None]


def test_without_within_a_value_of_long_ago_is_used() -> None:
    assert filled(Fill(), "temperature", (0, 20.0), (10 * 366 * 86400, None)) == [20.0, 20.0]


def test_a_row_out_of_order_gets_the_value_of_its_own_time() -> None:
    # arrival   0s    5s    3s     7s
    #           20    21    (20)   (21)
    assert filled(Fill(), "temperature", (0, 20.0), (5, 21.0), (3, None), (7, None)) == [20.0, 21.0, 20.0, 21.0]


def test_a_row_never_gets_a_value_that_is_newer_than_itself() -> None:
    assert filled(Fill(), "temperature", (5, 21.0), (3, None)) == [21.0, None]


def test_a_value_out_of_order_doesnt_take_the_place_of_a_newer_one() -> None:
    # arrival   0s   5s   3s   4s     6s
    #           20   21   22   (22)   (21)
    got = filled(Fill(), "temperature", (0, 20.0), (5, 21.0), (3, 22.0), (4, None), (6, None), (2, None))
    assert got == [20.0, 21.0, 22.0, 22.0, 21.0, 20.0]


def test_of_values_at_one_time_the_last_to_arrive_counts() -> None:
    assert filled(Fill(), "temperature", (0, 20.0), (0, 21.0), (1, None)) == [20.0, 21.0, 21.0]
    assert filled(Fill(), "temperature", (0, 20.0), (5, 1.0), (0, 21.0), (1, None)) == [20.0, 1.0, 21.0, 21.0]


def test_values_at_one_time_take_one_place() -> None:
    # 0s  1s  2s  3s, 3s, 3s | 0.5s
    # 0   1   2   3          | (0)
    known = [(float(at), float(at)) for at in (0, 1, 2, 3, 3, 3)]
    assert filled(Fill(), "temperature", *known, (0.5, None))[-1] == 0.0


def test_a_row_older_than_the_four_newest_values_is_left_as_it_came() -> None:
    # 0s  1s  2s  3s  4s | 1s   0.5s
    # 0   1   2   3   4  | (1)  0 was dropped for 4
    known = [(float(at), float(at)) for at in range(5)]
    assert filled(Fill(), "temperature", *known, (1, None), (0.5, None))[5:] == [1.0, None]


def test_a_value_older_than_the_four_newest_isnt_kept() -> None:
    known = [(float(at), float(at)) for at in (1, 2, 3, 4)]
    assert filled(Fill(), "temperature", *known, (0, 7.0), (0.5, None), (1, None))[4:] == [7.0, None, 1.0]


def test_a_punctuation_is_neither_filled_nor_known() -> None:
    readings: list[tuple[bytes, int, Mapping[str, Any]]] = [
        (b"a", NINE + at, {"temperature": value}) for at, value in enumerate([20.0, 99.0, None])
    ]
    rows = clocked(readings)
    rows[1] = replace(rows[1], live=False)
    made = run(Fill(), rows).rows[""]
    assert [(row.live, row.values.get("temperature"), row.watermark) for row in made] == [
        (True, 20.0, NINE), (False, None, NINE + 1), (True, 20.0, NINE + 2),
    ]  # fmt: skip


def test_a_device_that_is_forgotten_begins_anew() -> None:
    readings: list[Reading] = [(b"a", NINE, {"n": 1, "status": "on"}), (b"a", NINE + 1, {})]
    rows = clocked(readings)
    end = Row(b"a", int(FORGET), int(FORGET), 1, live=False)
    made = run(Fill(), [*rows, end, *clocked([(b"a", NINE + 2, {})])]).rows[""]
    assert (made[1]["n"], made[1]["status"]) == (1, "on")
    assert (made[2].live, made[2].watermark) == (False, FORGET)
    assert (made[3]["n"], made[3]["status"]) == (None, None)


def test_a_text_outlives_its_batch_and_its_state() -> None:
    # Each batch has a table of its own, in which a code means something else.
    runner = Runner(Fill())
    put: list[list[tuple[bytes, str | None]]] = [
        [(b"a", "on"), (b"b", "off")],
        [(b"c", "é%")],
        [(b"b", None), (b"a", None)],
        [(b"c", None)],
    ]
    got = []
    for at, piece in enumerate(put):
        made = runner.put(clocked([(device, NINE + at, {"status": text}) for device, text in piece]))
        got += [row["status"] for row in made.main]
        runner.resume()
    assert got == ["on", "off", "é%", "off", "on", "é%"]


def test_texts_that_no_device_holds_any_more_are_dropped() -> None:
    runner = Runner(Fill(columns=["status"]))
    sizes = []
    for batch in range(30):
        first = batch * 500
        rows = clocked([(b"a", NINE + at, {"status": f"message {at}"}) for at in range(first, first + 500)])
        made = runner.put([*rows, *clocked([(b"a", NINE + first + 500, {"status": None})])])
        assert [row["status"] for row in made.main][-2:] == [f"message {first + 499}"] * 2
        sizes.append(len(runner.state.snapshot()["text_lengths"]))
    assert max(sizes) <= 1024 + 2 * 4 * 8 + 500
    assert sizes[-1] < 30 * 500


def test_a_text_that_is_held_for_long_outlives_the_others() -> None:
    runner = Runner(Fill(columns=["status"]))
    told = [(b"other", f"early {at}") for at in range(50)] + [(device, f"of {device!r}") for device in DEVICES]
    runner.put(clocked([(device, NINE, {"status": text}) for device, text in told]))
    for batch in range(10):
        runner.put(clocked([(b"other", NINE + at, {"status": f"{batch} {at}"}) for at in range(500)]))
        made = runner.put(clocked([(device, NINE + MINUTE, {}) for device in [*DEVICES, b"other"]]))
        assert [row["status"] for row in made.main] == [*(f"of {device!r}" for device in DEVICES), f"{batch} 499"]


def test_the_rows_given_out_keep_their_texts_when_others_are_dropped() -> None:
    pieces = [clocked([(b"a", NINE + at, {"status": f"{batch} {at}"}) for at in range(700)]) for batch in range(5)]
    made = Runner(Fill(columns=["status"])).put_pieces(pieces)
    assert [row["status"] for row in made.main] == [f"{batch} {at}" for batch in range(5) for at in range(700)]


def test_a_table_of_texts_takes_nothing_from_rows_that_arent_live() -> None:
    texts = Texts({})
    texts.codes(Text.of(["on", "off"]), np.array([False, True]))
    assert texts.values == ["off"]


def test_what_a_device_takes_doesnt_grow_with_what_it_sends() -> None:
    runner = Runner(Fill())
    sizes = []
    for batch in range(3):
        rows = clocked(
            [(b"a", NINE + at, {"temperature": 1.0, "n": at}) for at in range(batch * 1000, batch * 1000 + 900)]
        )
        runner.put(rows)
        sizes.append(sum(array.nbytes for array in runner.state.snapshot().values()))
    assert sizes == [6 * 64] * 3, "64 bytes for each of the six columns"


def test_a_window_behind_sees_the_filled_values() -> None:
    # 0s 20      30s (20)    60s 30
    # [-----------1m--------)
    rows = clocked([(b"a", NINE + at * SECOND, {"temperature": v}) for at, v in ((0, 20.0), (30, None), (60, 30.0))])
    spec = Tumbling.model_validate({"size": "1m", "aggregate": {"n": "count(temperature)"}})
    assert [row["n"] for row in run(spec, run(Fill(), rows).rows[""]).main] == [2]


def test_the_columns_that_come_out_are_those_that_went_in() -> None:
    assert Fill().outputs(SCHEMA) == {"": SCHEMA}


def test_columns_that_cant_be_filled_are_all_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        Fill(columns=["temprature", "humidity", "device", "ts"]).outputs(SCHEMA)
    expected = "a column that can be missing: temperature, humidity, score, n, ok, status"
    assert caught.value.problems == [
        (("columns", 0), expected, "`temprature`", "did you mean `temperature`?"),
        (("columns", 2), expected, "`device`, which is the rows' device", None),
        (("columns", 3), expected, "`ts`, which is the rows' time", None),
    ]


@pytest.mark.parametrize("options", [{"columns": []}, {"within": "10"}, {"within": 10}, {"column": ["n"]}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Fill.model_validate(options)


def test_the_options_are_written_back_as_they_were_given() -> None:
    spec = Fill.model_validate({"columns": ["n"], "within": "10m"})
    assert spec.model_dump() == {"columns": ["n"], "within": "10m"}
    assert Fill().model_dump(exclude_defaults=True) == {}
    assert Fill().model_dump() == {"columns": None, "within": None}
