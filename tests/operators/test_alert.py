"""Tests of `alert`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from operators.alert import Alert
from operators.base import SpecError
from operators.batch import Schema, Type
from operators.clock import FORGET
from operators.duration import parse_duration
from operators.window.tumbling import Tumbling
from tests.operators.rows import MINUTE, NINE, PIPELINE, SCHEMA, SECOND, STEP, Row, clocked, run

Values = Mapping[str, Any]


def above(name: str, limit: float) -> Callable[[Values], bool | None]:
    return lambda row: None if row[name] is None else row[name] > limit


def below(name: str, limit: float) -> Callable[[Values], bool | None]:
    return lambda row: None if row[name] is None else row[name] < limit


CONDITIONS: dict[str, Callable[[Values], bool | None]] = {
    "temperature > 80": above("temperature", 80),
    "temperature > 74": above("temperature", 74),
    "temperature < 75": below("temperature", 75),
    "humidity < 30": below("humidity", 30),
    "NOT ok": lambda row: None if row["ok"] is None else not row["ok"],
    "CAST(status AS DOUBLE) > 0": lambda row: None if row["status"] is None else float(row["status"]) > 0,
}
SPECS = [
    {"raise": "temperature > 80", "clear": "temperature < 75", "for": "10s", "severity": "critical"},
    {"raise": "temperature > 74"},
    {"raise": "NOT ok", "for": "3s"},
    {"raise": "NOT ok", "clear": "humidity < 30", "for": "1us"},
    {"raise": "temperature > 74", "clear": "temperature > 74"},
    {"raise": "CAST(status AS DOUBLE) > 0", "clear": "temperature < 75", "for": "1s"},
    {"raise": "temperature > 74", "clear": "CAST(status AS DOUBLE) > 0"},
]


def alert_id(pipeline: str, step: str, device: bytes, since: int, offset: int, before: int = 0) -> str:
    numbers = [str(number).encode() for number in (since, offset, before)]
    named = b"\0".join([pipeline.encode(), step.encode(), device, *numbers])
    return hashlib.blake2b(named, digest_size=8).hexdigest()


@dataclass
class Follower:
    """What an alert knows of a device."""

    newest: int | None = None
    since: tuple[int, int, int] | None = None
    raised: bool = False
    began: list[int] = field(default_factory=list)

    def follow(
        self, ts: int, offset: int, raises: bool, clears: bool, hold: int
    ) -> tuple[str, tuple[int, int, int]] | None:
        """Go from ok through pending to raised, and back; say what the alert becomes, since when and which offset, and how
        often the condition began to hold there before.
        """
        self.newest = ts
        if self.raised:
            if not clears or self.since is None:
                return None
            told = ("cleared", self.since)
            self.raised, self.since = False, None
            return told
        if not raises:
            self.since = None
            return None
        if self.since is None:
            self.since = (ts, offset, self.began.count(offset))
            self.began.append(offset)
        self.raised = ts - self.since[0] >= hold
        return ("raised", self.since) if self.raised else None


def oracle(spec: Alert, _schema: Schema, rows: Sequence[Row], pipeline: str, step: str) -> dict[str, list[Row]]:
    """Follow the newest reading of each device; what changes nothing goes on as a punctuation."""
    out: dict[str, list[Row]] = {"": [], "late": [], "rejects": []}
    devices: dict[bytes, Follower] = defaultdict(Follower)
    for row in rows:
        told = None
        if row.watermark == FORGET:
            devices.pop(row.device, None)
        newest = devices[row.device].newest
        try:
            raises = row.live and CONDITIONS[spec.raise_](row.values) is True
            clears = row.live and (not raises if spec.clear is None else CONDITIONS[spec.clear](row.values) is True)
        except ValueError:
            out["rejects"].append(row)
        else:
            if row.live and newest is not None and row.ts < newest:
                out["late"].append(row)
            elif row.live:
                told = devices[row.device].follow(row.ts, row.offset, raises, clears, spec.for_)
        out[""].append(replace(row, live=False, values={}) if told is None else alert(spec, row, *told, pipeline, step))
    return out


def alert(spec: Alert, row: Row, state: str, since: tuple[int, int, int], pipeline: str, step: str) -> Row:
    """Make the row of an alert."""
    added = {
        "alert_id": alert_id(pipeline, step, row.device, *since),
        "pipeline": pipeline,
        "alert": step,
        "state": state,
        "severity": spec.severity,
        "since": since[0],
    }
    return replace(row, values={**row.values, **added})


def alerts(spec: Alert, *readings: tuple[float, float | None]) -> list[tuple[str, float]]:
    """Give state and second of the alerts on temperatures, each with its second."""
    rows = clocked([(b"a", NINE + int(at * SECOND), {"temperature": value}) for at, value in readings])
    return [(row["state"], (row.ts - NINE) / SECOND) for row in run(spec, rows).main]


def hot(hold: str = "0s", clear: str | None = "temperature < 75") -> Alert:
    return Alert.model_validate({"raise": "temperature > 80", "clear": clear, "for": hold})


def test_an_alert_is_raised_once_and_cleared_once() -> None:
    #     81 82 78 81 74 74
    #     r           c
    assert alerts(hot(), (0, 81.0), (1, 82.0), (2, 78.0), (3, 81.0), (4, 74.0), (5, 74.0)) == [
        ("raised", 0),
        ("cleared", 4),
    ]


def test_without_a_clear_condition_it_clears_when_the_other_isnt_true() -> None:
    assert alerts(hot(clear=None), (0, 81.0), (1, 80.0), (2, 81.0), (3, None)) == [
        ("raised", 0), ("cleared", 1), ("raised", 2), ("cleared", 3),
    ]  # fmt: skip


def test_the_condition_must_hold_for_a_while() -> None:
    #   0s        5s        9.999s
    #   [---------for-------------)10s
    hold = hot("10s")
    assert alerts(hold, (0, 81.0), (5, 82.0), (9.999999, 81.0)) == []
    assert alerts(hold, (0, 81.0), (5, 82.0), (10, 81.0)) == [("raised", 10)]


def test_a_break_begins_the_while_again() -> None:
    #   0s   6s x  7s              17s
    #              [------for------)
    assert alerts(hot("10s"), (0, 81.0), (6, 79.0), (7, 81.0), (10, 81.0), (16, 81.0), (17, 81.0)) == [("raised", 17)]
    assert alerts(hot("10s"), (0, 81.0), (6, None), (7, 81.0), (10, 81.0), (17, 81.0)) == [("raised", 17)]


def test_since_says_when_the_condition_began_to_hold() -> None:
    rows = clocked([(b"a", NINE + at * SECOND, {"temperature": 81.0 if at < 20 else 1.0}) for at in (0, 5, 10, 20)])
    raised, cleared = run(hot("10s"), rows).main
    assert (raised["since"], cleared["since"]) == (NINE, NINE)
    assert raised["alert_id"] == cleared["alert_id"] == alert_id(PIPELINE, STEP, b"a", NINE, 0)
    assert (raised.offset, raised.ts, cleared.offset, cleared.ts) == (2, NINE + 10 * SECOND, 3, NINE + 20 * SECOND)


def test_alerts_of_one_device_at_one_time_have_ids_of_their_own() -> None:
    rows = clocked([(b"a", NINE, {"temperature": value}) for value in (81.0, 1.0, 81.0)])
    first, cleared, second = run(hot(), rows).main
    assert first["alert_id"] == cleared["alert_id"] != second["alert_id"]


def test_so_have_alerts_of_readings_in_one_record() -> None:
    temperatures = (81.0, 1.0, 81.0, 1.0, 81.0)
    rows = [replace(row, offset=7) for row in clocked([(b"a", NINE, {"temperature": value}) for value in temperatures])]
    made = run(hot(), rows).main
    assert [row["alert_id"] for row in made] == [alert_id(PIPELINE, STEP, b"a", NINE, 7, at) for at in (0, 0, 1, 1, 2)]


def test_a_row_older_than_the_newest_changes_nothing_and_goes_to_the_side() -> None:
    #   0s      2s      3s
    #   81      81      74 (1s, late)   81
    rows = clocked(
        [(b"a", NINE + at * SECOND, {"temperature": value}) for at, value in ((0, 81.0), (2, 81.0), (1, 74.0))]
    )
    made = run(hot(), rows)
    assert [row["state"] for row in made.main] == ["raised"]
    assert [(row.offset, row["temperature"]) for row in made.rows["late"]] == [(2, 74.0)]


def test_a_row_of_the_same_time_as_the_newest_isnt_late() -> None:
    assert alerts(hot(), (0, 81.0), (0, 74.0)) == [("raised", 0), ("cleared", 0)]


def test_each_device_has_its_own_alert() -> None:
    readings = [(b"a", NINE, 81.0), (b"b", NINE - MINUTE, 81.0), (b"a", NINE + 1, 74.0)]
    made = run(hot(), clocked([(device, ts, {"temperature": value}) for device, ts, value in readings]))
    assert [(row.device, row["state"]) for row in made.main] == [(b"a", "raised"), (b"b", "raised"), (b"a", "cleared")]
    assert made.main[0]["alert_id"] != made.main[1]["alert_id"]


def test_an_alert_carries_the_columns_of_the_row_that_did_it() -> None:
    rows = clocked([(b"a", NINE, {"temperature": 81.0, "status": "on", "ok": None})])
    (row,) = run(hot(), rows).main
    assert (row["temperature"], row["status"], row["ok"], row["humidity"]) == (81.0, "on", None, None)


def test_a_row_whose_condition_fails_is_rejected_once_and_changes_nothing() -> None:
    spec = Alert.model_validate({"raise": "CAST(status AS DOUBLE) > 1", "clear": "CAST(status AS DOUBLE) < 1"})
    rows = clocked([(b"a", NINE + at, {"status": status}) for at, status in enumerate(["2", "x", "2"])])
    made = run(spec, rows)
    assert [row["state"] for row in made.main] == ["raised"]
    assert [offset for offset, _ in made.rejects] == [1]


def test_a_window_behind_an_alert_counts_it_without_waiting_for_the_next() -> None:
    #   0s 81: raised                     60s 20
    #   [---------------1m--------------)
    rows = clocked([(b"a", NINE, {"temperature": 81.0}), (b"a", NINE + MINUTE, {"temperature": 81.0})], close=True)
    spec = hot()
    count = Tumbling.model_validate({"size": "1m", "aggregate": {"alerts": "count()"}})
    made = run(count, run(spec, rows).rows[""], spec.outputs(SCHEMA)[""])
    assert [(row["alerts"], row["window_start"]) for row in made.main] == [(1, NINE)]


def test_what_comes_out_is_the_alert_and_then_the_row() -> None:
    schema = hot().outputs(SCHEMA)[""]
    assert list(schema.columns) == ["alert_id", "pipeline", "alert", "state", "severity", "since", *SCHEMA.columns]
    assert schema.columns["since"] is Type.TIME
    assert schema.time == "at"


def test_a_column_that_the_alert_has_too_is_refused() -> None:
    with pytest.raises(SpecError, match="`at`, `state`"):
        hot().outputs(SCHEMA.adding({"state": Type.TEXT, "at": Type.TIME}))


def test_the_mistakes_of_both_conditions_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        Alert.model_validate({"raise": "temperature", "clear": "humid > 3"}).outputs(SCHEMA)
    assert [problem.at for problem in caught.value.problems] == [("raise",), ("clear",)]


def test_the_options_are_named_as_in_yaml_and_written_back_so() -> None:
    spec = hot("10s")
    assert spec.for_ == parse_duration("10s")
    written = spec.model_dump(by_alias=True)
    assert written["raise"] == "temperature > 80"
    assert written["for"] == "10s"
    assert Alert.model_validate(written) == spec
