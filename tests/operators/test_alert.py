"""Tests of `alert`."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators.alert import Alert
from operators.alert_title import Title
from operators.base import SpecError
from operators.batch import Column, Schema, Type
from operators.clock import FORGET
from operators.duration import parse_duration
from operators.window.tumbling import Tumbling
from tests.operators.rows import (
    AT_THE_END,
    MINUTE,
    NINE,
    PIPELINE,
    SCHEMA,
    SECOND,
    STEP,
    Row,
    clocked,
    run,
)

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
    "score > 1": above("score", 1),
    "score > 2": above("score", 2),
    "score < 1": below("score", 1),
    "NOT ok": lambda row: None if row["ok"] is None else not row["ok"],
    "CAST(status AS DOUBLE) > 0": lambda row: None if row["status"] is None else float(row["status"]) > 0,
}
LEVELS = {"warning": "temperature > 74", "critical": "temperature > 80"}
SPECS = [
    {"raise": "temperature > 80", "clear": "temperature < 75", "for": "10s", "severity": "critical"},
    {"raise": "temperature > 74"},
    {"raise": "NOT ok", "for": "3s"},
    {"raise": "NOT ok", "clear": "humidity < 30", "for": "1us", "peak": "n"},
    {"raise": "temperature > 74", "clear": "temperature > 74", "cooldown": "2s"},
    {"raise": "CAST(status AS DOUBLE) > 0", "clear": "temperature < 75", "for": "1s"},
    {"raise": "temperature > 74", "clear": "CAST(status AS DOUBLE) > 0", "peak": "temperature"},
    {"raise": "NOT ok", "severity": LEVELS, "cooldown": "10s", "for": "1s", "peak": "ok"},
    {"raise": "score > 1", "clear": "score < 1", "flapping": {"changes": 3, "within": "10s"}},
    {
        "raise": "score > 1",
        "flapping": {"changes": 4, "within": "20s"},
        "for": "1s",
        "cooldown": "3s",
        "severity": LEVELS,
    },
    {"missing": "5s"},
    {"missing": "1s", "cooldown": "10s", "title": "{device} {state} since {since}"},
    {
        "raise": "score > 1",
        "clear": "score < 1",
        "severity": {"low": "score > 1", "odd": "CAST(status AS DOUBLE) > 0", "high": "score > 2"},
        "cooldown": "3s",
        "missing": "10s",
        "flapping": {"changes": 2, "within": "10s"},
        "title": "{device} ({severity}): {temperature:.3f}, {n}, {ok}, {status}, at most {peak:.1e} of {count} at {at} {{}}",
    },
    {"raise": "temperature > 74", "missing": "10m", "severity": LEVELS, "for": "2s"},
]


def alert_id(pipeline: str, step: str, device: bytes, since: int, offset: int, before: int = 0) -> str:
    numbers = [str(number).encode() for number in (since, offset, before)]
    named = b"\0".join([pipeline.encode(), step.encode(), device, *numbers])
    return hashlib.blake2b(named, digest_size=8).hexdigest()


@dataclass
class Told:
    """An alert as the oracle has it: what its rows say, and how its condition began."""

    id: tuple[int, int, int]
    reason: str = "condition"
    readings: list[tuple[bool, float | None]] = field(default_factory=list)
    """For each reading since `since`: whether `raise` held, and its score."""
    level: int = 0

    def says(self, state: str, severities: Sequence[str], at: int) -> dict[str, Any]:
        """Give what a row of it says."""
        silent = self.reason == "missing"
        scores = [score for _, score in self.readings if score is not None]
        return {
            "id": self.id,
            "at": at,
            "state": state,
            "severity": severities[self.level],
            "reason": self.reason,
            "since": self.id[0],
            "peak": max(scores, default=None),
            "count": None if silent else sum(held for held, _ in self.readings),
        }


@dataclass
class Device:
    """Everything that happened to a device; nothing is worked out before it is asked for."""

    readings: list[tuple[int, int]] = field(default_factory=list)
    """Time and offset of each."""
    held: int | None = None
    """Since when `raise` has held."""
    on: bool = False
    changes: list[int] = field(default_factory=list)
    """When the condition came on or went off."""
    began: list[int] = field(default_factory=list)
    """The offset of every alert that began, told or not."""
    pending: Told | None = None
    open: Told | None = None
    cleared: int | None = None
    silence: Told | None = None
    silences: list[int] = field(default_factory=list)
    """The offset of the last reading before each silence."""
    missed: int = 0
    back: int | None = None


def judge(  # noqa: C901  # the state machine, whole
    spec: Alert, device: Device, row: Row, raises: bool, clears: bool, level: int, peak: float | None
) -> tuple[Told, str] | None:
    """Say which alert of a condition becomes what by a reading."""
    if raises and device.held is None:
        device.held = row.ts
        if device.open is None:
            device.pending = Told((row.ts, row.offset, device.began.count(row.offset)))
            device.began.append(row.offset)
    of = device.open or device.pending
    if of is not None:
        of.readings.append((raises, peak))
    was = device.on
    if device.on:
        device.on = not clears
    elif raises and device.held is not None:
        device.on = row.ts - device.held >= spec.for_
    if not (device.on if was else raises):
        device.held = None
    if device.on != was:
        device.changes.append(row.ts)

    often = False
    if spec.flapping is not None and len(device.changes) >= spec.flapping.changes:
        often = device.changes[-spec.flapping.changes] > row.ts - spec.flapping.within
    told = device.open
    if told is None:
        ready = device.cleared is None or row.ts - device.cleared >= spec.cooldown
        if not (device.on and ready):
            return None
        device.open = told = of
        assert told is not None
        told.reason, told.level = "flapping" if often else "condition", max(level, 0)
        return told, "raised"
    if not device.on and device.held is None and not (told.reason == "flapping" and often):
        device.open, device.pending, device.cleared = None, None, row.ts
        return told, "cleared"
    if device.on and level > told.level:
        told.level = level
        return told, "escalated"
    return None


def silent(spec: Alert, device: Device, time: int) -> Told | None:
    """Say whether a device is missing, and since when."""
    if spec.missing is None or not device.readings or device.silence is not None or time >= AT_THE_END:
        return None
    newest, offset = device.readings[-1]
    due = newest + spec.missing
    if device.back is not None:
        due = max(due, device.back + spec.cooldown)
    if time < due:
        return None
    again = 0
    while device.silences[::-1][again : again + 1] == [offset]:
        again += 1
    device.silences.append(offset)
    device.silence, device.missed = Told((newest, offset, -1 - again), "missing"), due
    return device.silence


def oracle(spec: Alert, schema: Schema, rows: Sequence[Row], pipeline: str, step: str) -> dict[str, list[Row]]:
    """Follow the newest reading of each device; what changes nothing goes on as a punctuation."""
    out: dict[str, list[Row]] = {"": [], "late": [], "rejects": []}
    devices: dict[bytes, Device] = defaultdict(Device)
    severities = list(spec.severity) if isinstance(spec.severity, dict) else [spec.severity]
    levels = list(spec.severity.values()) if isinstance(spec.severity, dict) else []
    for row in rows:
        if row.watermark == FORGET:
            devices.pop(row.device, None)
        device = devices[row.device]
        said: list[dict[str, Any]] = []
        if not row.live:
            missed = silent(spec, device, min(row.ts, row.watermark))
            if missed is not None:
                said.append(missed.says("raised", severities, device.missed))
        else:
            try:
                raises = spec.raise_ is not None and CONDITIONS[spec.raise_](row.values) is True
                clears = not raises if spec.clear is None else CONDITIONS[spec.clear](row.values) is True
                level = max([at for at, text in enumerate(levels) if CONDITIONS[text](row.values) is True], default=-1)
            except ValueError:
                out["rejects"].append(row)
            else:
                if device.readings and row.ts < device.readings[-1][0]:
                    out["late"].append(row)
                else:
                    device.readings.append((row.ts, row.offset))
                    if device.silence is not None:
                        device.back = max(row.ts, device.missed)
                        said.append(device.silence.says("cleared", severities, device.back))
                        device.silence = None
                    peak = row[spec.peak or "score"]
                    judged = judge(spec, device, row, raises, clears, level, None if peak is None else float(peak))
                    if judged is not None:
                        said.append(judged[0].says(judged[1], severities, row.ts))
        out[""] += [alert(spec, schema, row, says, pipeline, step) for says in said] or [
            replace(row, live=False, values={})
        ]
    return out


def alert(spec: Alert, schema: Schema, row: Row, says: dict[str, Any], pipeline: str, step: str) -> Row:
    """Make the row of an alert, with the columns that the options ask for."""
    values = dict(row.values) if row.live else dict.fromkeys(schema.columns)
    says |= {"alert_id": alert_id(pipeline, step, row.device, *says.pop("id")), "pipeline": pipeline, "alert": step}
    at = says.pop("at")
    if spec.title is not None:
        says["title"] = titled(
            spec.title, {**values, **says, "at": at, "device": row.device.decode(errors="backslashreplace")}
        )
    wanted = spec.outputs(schema)[""].columns
    return replace(row, ts=at, live=True, values={**values, **{name: says[name] for name in says if name in wanted}})


def titled(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a title, column by column."""

    def shown(found: re.Match[str]) -> str:
        name, _, spec = found[1].partition(":")
        value = values[name]
        if name in {"since", "at"}:
            return f"{np.datetime64(value, 'us').astype('M8[s]')}Z"
        return "?" if value is None else str(value).lower() if isinstance(value, bool) else format(value, spec)

    return re.sub(r"\{(\w+(?::[^}]*)?)\}", shown, template).replace("{{}}", "{}")


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


def told(spec: Alert, rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    """Give second, state and these columns of the alerts on rows."""
    return [((row.ts - NINE) / SECOND, row["state"], *(row[name] for name in names)) for row in run(spec, rows).main]


def scored(*readings: tuple[float, float | None], **clock: Any) -> list[Row]:
    """Make rows of one device with scores, each with its second."""
    return clocked([(b"a", NINE + int(at * SECOND), {"score": score}) for at, score in readings], **clock)


def test_none_is_raised_in_the_cooldown_after_one_is_cleared() -> None:
    #     0s       1s        2s  3s     ...   11s
    #     raised   cleared   [---- cooldown ---)
    spec = Alert.model_validate({"raise": "score > 1", "cooldown": "10s"})
    assert told(spec, scored((0, 2), (1, 0), (2, 2), (3, 0), (11, 2))) == [
        (0, "raised"),
        (1, "cleared"),
        (11, "raised"),
    ]
    assert told(spec, scored((0, 2), (1, 0), (2, 2), (3, 0), (10.999999, 2))) == [(0, "raised"), (1, "cleared")]


def test_what_still_holds_at_the_end_of_the_cooldown_is_raised_then_with_its_beginning() -> None:
    spec = Alert.model_validate({"raise": "score > 1", "cooldown": "10s"})
    rows = scored((0, 2), (1, 0), (5, 2), (8, 4), (12, 2), (13, 0))
    assert told(spec, rows, "since", "count", "peak")[2:] == [
        (12, "raised", NINE + 5 * SECOND, 3, 4.0), (13, "cleared", NINE + 5 * SECOND, 3, 4.0),
    ]  # fmt: skip


def test_an_open_alert_escalates_to_each_higher_level_and_never_falls() -> None:
    spec = Alert.model_validate(
        {"raise": "score > 1", "severity": {"low": "score > 1", "mid": "score > 3", "high": "score > 6"}}
    )
    assert told(spec, scored((0, 2), (1, 4), (2, 2), (3, 4), (4, 7), (5, 5), (6, 0)), "severity") == [
        (0, "raised", "low"), (1, "escalated", "mid"), (4, "escalated", "high"), (6, "cleared", "high"),
    ]  # fmt: skip


def test_an_alert_is_raised_with_the_highest_level_that_holds_or_the_lowest_if_none_does() -> None:
    spec = Alert.model_validate(
        {"raise": "score > 1", "severity": {"low": "score > 3", "mid": "score > 5", "high": "score > 6"}}
    )
    assert told(spec, scored((0, 9)), "severity") == [(0, "raised", "high")]
    assert told(spec, scored((0, 2)), "severity") == [(0, "raised", "low")]


def test_peak_and_count_are_of_the_readings_since_the_condition_began_to_hold() -> None:
    #    0s 2   1s 9   2s 1.5   3s 1.2 (raise isn't true)   4s 0
    spec = Alert.model_validate({"raise": "score > 1.3", "clear": "score < 1", "for": "2s"})
    assert told(spec, scored((0, 2), (1, 9), (2, 1.5), (3, 1.2), (3.5, None), (4, 0)), "peak", "count") == [
        (2, "raised", 9.0, 3), (4, "cleared", 9.0, 3),
    ]  # fmt: skip


def test_the_peak_is_of_the_column_that_is_named_and_is_missing_where_that_has_no_value() -> None:
    spec = Alert.model_validate({"raise": "score > 1", "peak": "n"})
    rows = clocked([(b"a", NINE + at, {"score": 2.0, "n": n}) for at, n in enumerate([None, 3, 5])])
    rows += [replace(row, offset=row.offset + 3, ts=row.ts + 3, values={"score": 0.0, "n": 4}) for row in rows[:1]]
    assert [row["peak"] for row in run(spec, rows).main] == [None, 5.0]


def test_rows_without_a_score_have_no_peak_unless_a_column_is_named() -> None:
    schema = Schema({"temperature": Type.FLOAT}, ("device",), "ts")
    assert "peak" not in Alert.model_validate({"raise": "temperature > 1"}).outputs(schema)[""].columns
    named = Alert.model_validate({"raise": "temperature > 1", "peak": "temperature"}).outputs(schema)[""]
    assert named.columns["peak"] is Type.FLOAT


def gone(after: str = "5s", **options: Any) -> Alert:
    return Alert.model_validate({"missing": after, **options})


def test_a_device_that_falls_silent_is_missing_until_its_next_reading() -> None:
    #  a     0s   1s                                20s
    #  b     0s   1s  2s ... 8s
    #             [-- missing 5s --)6s: raised      cleared
    spec = gone()
    readings = [(b"a", 0), (b"a", 1), *((b"b", at) for at in range(9)), (b"a", 20)]
    rows = clocked(
        [(device, NINE + at * SECOND, {"score": float(at)}) for device, at in readings], idle=SECOND, reach=spec.reach()
    )
    made = [row for row in run(spec, rows).main if row.device == b"a"]
    assert [(row["state"], row["reason"], (row.ts - NINE) / SECOND, row["since"]) for row in made] == [
        ("raised", "missing", 6, NINE + SECOND), ("cleared", "missing", 20, NINE + SECOND),
    ]  # fmt: skip
    assert (made[0]["alert_id"], made[0]["score"]) == (made[1]["alert_id"], None)
    assert made[1]["score"] == 20


def test_a_whole_shard_that_is_silent_misses_its_devices_by_the_wall_clock() -> None:
    rows = scored((0, 0), (1, 0), (100, 0), idle=SECOND, reach=gone().reach(), idles={2: 30 * SECOND})
    assert told(gone(), rows) == [(6, "raised"), (100, "cleared")]


def test_the_end_of_a_run_is_no_silence_and_one_who_is_forgotten_is_not_missed() -> None:
    rows = clocked([(b"a", NINE, {})], idle=SECOND, reach=gone().reach(), close=True)
    assert run(gone(), rows).main == []
    assert run(gone(), [*rows[:1], Row(b"a", int(FORGET), int(FORGET), 0, live=False)]).main == []


def test_a_device_that_sends_what_it_had_kept_is_back_no_earlier_than_it_was_missed() -> None:
    # missed at 5s; then come the readings of 1s, 2s and 3s
    rows = scored((0, 0), (1, 0), (2, 0), (3, 0), idle=SECOND, reach=gone().reach(), idles={1: 30 * SECOND})
    assert told(gone(), rows) == [(5, "raised"), (5, "cleared")]


def test_readings_that_a_filter_takes_out_while_a_device_catches_up_tell_of_no_silence() -> None:
    rows = scored((0, 0), (1, 0), (2, 0), (3, 0), idle=SECOND, reach=gone().reach(), idles={1: 30 * SECOND})
    rows[-1] = replace(rows[-1], live=False)
    assert told(gone(), rows) == [(5, "raised"), (5, "cleared")]


def test_a_reading_may_end_a_silence_and_raise_another_alert() -> None:
    spec = gone(**{"raise": "score > 1"})
    rows = scored((0, 0), (20, 2), idle=SECOND, reach=spec.reach(), idles={1: 10 * SECOND})
    assert told(spec, rows, "reason", "count") == [
        (5, "raised", "missing", None), (20, "cleared", "missing", None), (20, "raised", "condition", 1),
    ]  # fmt: skip


def test_a_device_may_be_missing_while_an_alert_of_it_is_open() -> None:
    spec = gone(**{"raise": "score > 1"})
    rows = scored((0, 2), (20, 2), (21, 0), idle=SECOND, reach=spec.reach(), idles={1: 10 * SECOND})
    made = run(spec, rows).main
    assert [(row["state"], row["reason"]) for row in made] == [
        ("raised", "condition"), ("raised", "missing"), ("cleared", "missing"), ("cleared", "condition"),
    ]  # fmt: skip
    assert made[0]["alert_id"] == made[3]["alert_id"] != made[1]["alert_id"] == made[2]["alert_id"]


def test_a_cooldown_keeps_back_the_next_silence_until_it_is_over() -> None:
    spec = gone(cooldown="30s")
    rows = scored((0, 0), (10, 0), idle=SECOND, reach=spec.reach(), idles={1: 10 * SECOND, 2: 100 * SECOND})
    assert told(spec, rows) == [(5, "raised"), (10, "cleared"), (40, "raised")]


def test_a_window_behind_counts_a_device_that_is_missing_in_its_own_time() -> None:
    spec = gone("1m")
    rows = scored((0, 0), idle=SECOND, reach=spec.reach() + MINUTE + 1, idles={1: 10 * MINUTE}, close=True)
    count = Tumbling.model_validate({"size": "1m", "aggregate": {"alerts": "count()"}})
    made = run(count, run(spec, rows).rows[""], spec.outputs(SCHEMA)[""])
    assert [(row["alerts"], row["window_start"]) for row in made.main] == [(1, NINE + MINUTE)]
    assert made.rows["late"] == []


def flaps(changes: int = 4, within: str = "1m", **options: Any) -> Alert:
    return Alert.model_validate({"raise": "score > 1", "flapping": {"changes": changes, "within": within}, **options})


def test_where_a_condition_comes_and_goes_too_often_one_alert_stands_for_many() -> None:
    # 0s r   10s c   20s r   30s c   40s r, flapping   50s 60s 70s off          100s
    readings = [(at, 2 if at % 20 == 0 else 0) for at in range(0, 80, 10)] + [(99.9, 0), (100, 0), (101, 0)]
    assert told(flaps(), scored(*readings), "reason") == [
        (0, "raised", "condition"), (10, "cleared", "condition"), (20, "raised", "condition"),
        (30, "cleared", "condition"), (40, "raised", "flapping"), (100, "cleared", "flapping"),
    ]  # fmt: skip


def test_an_alert_that_flapped_stays_open_while_its_condition_holds() -> None:
    readings = [(at, 2 if at % 20 == 0 else 0) for at in range(0, 50, 10)] + [(200, 2), (201, 0)]
    assert told(flaps(), scored(*readings), "reason")[-2:] == [(40, "raised", "flapping"), (201, "cleared", "flapping")]


def test_changes_in_a_cooldown_count_for_flapping() -> None:
    readings = [(at, 2 if at % 20 == 0 else 0) for at in range(0, 70, 10)]
    assert told(flaps(cooldown="35s"), scored(*readings), "reason") == [
        (0, "raised", "condition"), (10, "cleared", "condition"), (60, "raised", "flapping"),
    ]  # fmt: skip


def test_a_title_is_written_from_the_row_and_the_alert() -> None:
    spec = Alert.model_validate(
        {"raise": "score > 1", "title": "{device} {state}: {score:.1f} at {at}, {alert} {severity}"}
    )
    assert told(spec, scored((1, 2), (2, 0)), "title") == [
        (1, "raised", "a raised: 2.0 at 2023-03-16T09:00:01Z, step warning"),
        (2, "cleared", "a cleared: 0.0 at 2023-03-16T09:00:02Z, step warning"),
    ]  # fmt: skip


def test_titles_are_written_for_rows_that_go_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    texts = Title.texts

    def counting(self: Title, columns: Mapping[str, Column], rows: int) -> list[str]:
        asked.append(rows)
        return texts(self, columns, rows)

    monkeypatch.setattr(Title, "texts", counting)
    spec = Alert.model_validate({"raise": "score > 1", "title": "{score}"})
    run(spec, scored(*((at, 0) for at in range(100)), (100, 2)))
    assert asked == [1]


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, ""), ({"missing": "5m", "clear": "score < 1"}, "clear"), ({"missing": "5m", "for": "1s"}, "for"),
        ({"missing": "5m", "severity": {"low": "score > 1"}}, "severity"), ({"missing": "5m", "peak": "n"}, "peak"),
        ({"missing": "5m", "flapping": {"changes": 2, "within": "1m"}}, "flapping"),
    ],
)  # fmt: skip
def test_what_needs_a_condition_is_refused_without_one(options: Mapping[str, Any], at: str) -> None:
    with pytest.raises(ValidationError, match="raise") as caught:
        Alert.model_validate(options)
    assert caught.value.errors()[0]["ctx"].get("at", "") == at


@pytest.mark.parametrize("severity", [{}, "", 3, {"warning": None}, {"warning": "x > 1", 3: "x > 2"}, ["warning"]])
def test_a_severity_is_a_text_or_levels_with_conditions(severity: object) -> None:
    with pytest.raises(ValidationError, match="levels from low to high"):
        Alert.model_validate({"raise": "score > 1", "severity": severity})


def test_the_mistakes_of_levels_peak_and_title_are_told_at_their_places() -> None:
    spec = Alert.model_validate(
        {
            "raise": "score > 1",
            "severity": {"low": "scor > 1", "high": "score"},
            "peak": "status",
            "title": "{temprature}",
        }
    )
    with pytest.raises(SpecError) as caught:
        spec.outputs(SCHEMA)
    assert [problem.at for problem in caught.value.problems] == [
        ("severity", "low"), ("severity", "high"), ("peak",), ("title",),
    ]  # fmt: skip


def test_how_long_a_watermark_matters_is_told() -> None:
    assert (gone("4m").reach(), gone("4m").grain()) == (4 * MINUTE, MINUTE)
    assert gone("4m", cooldown="1m").reach() == 5 * MINUTE
    assert (hot("10s").reach(), hot("10s").grain(), hot().makes_rows(), gone().makes_rows()) == (0, 0, False, True)


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
    own = ["alert_id", "pipeline", "alert", "state", "severity", "since", "peak", "count"]
    assert list(schema.columns) == [*own, *SCHEMA.columns]
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
