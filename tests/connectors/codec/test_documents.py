"""From documents to columns: what is good, what is dead, and why; by way of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import Decoded, Unit
from connectors.codec.documents import YEAR_1, YEAR_10000
from connectors.codec.json import Json, TimeText
from operators.batch import Type
from operators.devices import split_id
from tests.connectors.codec.records import decoded, plain, reading, records

TEMPERATURE = {"t": Type.FLOAT}


def read(docs: Sequence[Any], fields: Mapping[str, Type] | None = None, **options: Any) -> Decoded:
    """Decode documents; those that are bytes already go as they are."""
    values = [doc if isinstance(doc, bytes) else json.dumps(doc).encode() for doc in docs]
    given_ = {name: options.pop(name) for name in ("keys", "times") if name in options}
    decoder = Json(time=TimeText.ISO).decoder(reading(TEMPERATURE if fields is None else fields, **options))
    return decoded(decoder, records(values, **given_))


def reason(doc: Any, fields: Mapping[str, Type] | None = None, **options: Any) -> str:
    """Give the reason for which the only record is dead."""
    out = read([doc], fields, **options)
    assert [letter.row for letter in out.dead] == [0], out
    return out.dead[0].reason


def ts(doc: Any, unit: Unit = Unit.MS) -> int:
    """Give the time that is read of the only record."""
    out = read([{"dev": "a", "ts": doc}], {}, unit=unit)
    assert out.dead == ()
    (found,) = out.ts.tolist()
    assert isinstance(found, int)
    return found


# Fields


def test_fields_are_read_at_their_paths() -> None:
    docs = [{"id": {"dev": "a"}, "at": {"ts": 1}, "data": {"air": {"t": 20.5}, "n": 3}, "ok": True, "s": "on"}]
    fields = {"data.air.t": Type.FLOAT, "data.n": Type.INT, "ok": Type.BOOL, "s": Type.TEXT}
    out = read(docs, fields, device=["id.dev"], time="at.ts")
    assert out.device.values() == [b"a"]
    assert out.ts.tolist() == [1_000]
    assert {name: plain(column) for name, column in out.columns.items()} == {
        "t": [20.5],
        "n": [3],
        "ok": [True],
        "s": ["on"],
    }


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL, Type.TEXT])
def test_null_absent_and_nothing_on_the_way_are_missing(type_: Type) -> None:
    tails: list[dict[str, Any]] = [{}, {"a": None}, {"a": {}}, {"a": {"x": None}}]
    out = read([{"dev": "d", "ts": 1, **tail} for tail in tails], {"a.x": type_})
    assert out.dead == ()
    assert plain(out.columns["x"]) == [None] * 4


@pytest.mark.parametrize(
    ("type_", "value", "expected", "shown"),
    [
        (Type.FLOAT, "20", "a number", "text: '20'"),
        (Type.FLOAT, True, "a number", "a bool: True"),
        (Type.FLOAT, [1], "a number", "a list: [1]"),
        (Type.FLOAT, {}, "a number", "an object: {}"),
        (Type.INT, 1.5, "a whole number of at most 64 bits", "a number: 1.5"),
        (Type.INT, "1", "a whole number of at most 64 bits", "text: '1'"),
        (Type.INT, False, "a whole number of at most 64 bits", "a bool: False"),
        (Type.INT, 2**63, "a whole number of at most 64 bits", "a number: 9223372036854775808"),
        (Type.INT, 10**20, "a whole number of at most 64 bits", "a number: 1e+20"),
        (Type.INT, -(2**63), "a whole number of at most 64 bits", "a number: -9223372036854775808"),
        (Type.INT, 1e300, "a whole number of at most 64 bits", "a number: 1e+300"),
        (Type.BOOL, 1, "true or false", "a number: 1"),
        (Type.BOOL, "true", "true or false", "text: 'true'"),
        (Type.TEXT, 5, "text", "a number: 5"),
        (Type.TEXT, ["x"], "text", "a list: ['x']"),
        (Type.TEXT, "x", None, None),
        (Type.INT, 3.0, None, None),
        (Type.INT, 2**63 - 1, None, None),
        (Type.FLOAT, 2**64 - 1, None, None),
        (Type.FLOAT, 10**30, None, None),
    ],
)
def test_a_value_of_a_wrong_type_is_dead_with_field_expected_and_given(
    type_: Type, value: object, expected: str | None, shown: str | None
) -> None:
    doc = {"dev": "d", "ts": 1, "a": {"x": value}}
    if expected is None:
        assert isinstance(value, float | int | str)
        good = float(value) if type_ is Type.FLOAT else value
        assert plain(read([doc], {"a.x": type_}).columns["x"]) == [good]
    else:
        assert reason(doc, {"a.x": type_}) == f"field `a.x`: expected {expected}, given {shown}"


def test_something_else_than_an_object_on_the_way_is_dead() -> None:
    assert reason({"dev": "d", "ts": 1, "a": 5}, {"a.x": Type.FLOAT}) == (
        "field `a`: expected an object, given a number: 5"
    )


def test_a_long_value_is_shown_shortened() -> None:
    told = reason({"dev": "d", "ts": 1, "t": "x" * 1_000})
    assert told.startswith("field `t`: expected a number, given text: 'xxx")
    assert told.endswith("…")
    assert len(told) < 150


@pytest.mark.parametrize("doc", [[], [{"dev": "a", "ts": 1}], "text", 5, True, None])
def test_what_is_no_object_is_dead(doc: object) -> None:
    assert reason(doc).startswith("expected an object with fields, given ")


def test_one_bad_record_among_many_good_ones_takes_none_with_it() -> None:
    good = [{"dev": f"d{row % 7}", "ts": row, "t": row / 2, "n": row, "s": str(row % 3)} for row in range(2_000)]
    bad: dict[int, Any] = {
        0: b"",
        17: b"{",
        400: {**good[400], "t": "hot"},
        401: {**good[401], "n": 1.5},
        900: {**good[900], "ts": None},
        1_500: {**good[1_500], "dev": None},
        1_999: [],
    }
    out = read([bad.get(row, doc) for row, doc in enumerate(good)], {"t": Type.FLOAT, "n": Type.INT, "s": Type.TEXT})
    assert [letter.row for letter in out.dead] == list(bad)
    kept = [row for row in range(2_000) if row not in bad]
    assert out.offset.tolist() == kept
    assert out.ts.tolist() == [row * 1_000 for row in kept]
    assert out.device.values() == [f"d{row % 7}".encode() for row in kept]
    assert plain(out.columns["t"]) == [row / 2 for row in kept]
    assert plain(out.columns["n"]) == kept
    assert plain(out.columns["s"]) == [str(row % 3) for row in kept]


def test_of_several_things_wrong_with_a_record_one_is_told() -> None:
    out = read([{"dev": True, "ts": "soon", "t": "hot"}])
    assert len(out.dead) == 1


def test_no_records_are_no_rows() -> None:
    out = read([], {"t": Type.FLOAT, "s": Type.TEXT, "n": Type.INT, "b": Type.BOOL})
    assert len(out.device) == 0
    for unit in Unit:
        assert read([], unit=unit).ts.tolist() == []


# Devices


def test_several_fields_name_a_device_together() -> None:
    docs = [{"ts": 1, "site": site, "rig": {"no": no}} for site, no in [("a", 1), ("a", "1"), ("b/c", 2), ("b", "c/2")]]
    out = read(docs, {}, device=["site", "rig.no"])
    assert [split_id(device, 2) for device in out.device.values()] == [
        ["a", "1"],
        ["a", "1"],
        ["b/c", "2"],
        ["b", "c/2"],
    ]
    assert len(set(out.device.values())) == 3, "different devices never share an id"


def test_whole_numbers_name_devices_as_text_does() -> None:
    out = read([{"dev": 5, "ts": 1}, {"dev": "5", "ts": 2}, {"dev": -7, "ts": 3}, {"dev": 2**64 - 1, "ts": 4}], {})
    assert out.device.values() == [b"5", b"5", b"-7", b"18446744073709551615"]


@pytest.mark.parametrize("device", [None, "", True, 5.0, 1.5, ["a"], {"id": "a"}])
def test_anything_else_names_no_device(device: object) -> None:
    told = reason({"dev": device, "ts": 1}, {})
    assert told.startswith("field `dev`: expected text or a whole number that names the device, given ")


def test_the_key_names_the_device_whatever_its_bytes() -> None:
    keys = [b"a", b"\xff\x00", b"b/c%", "é".encode()]
    out = read([{"ts": 1}] * 4, {}, device=[], keys=keys)
    assert out.device.values() == keys
    out = read([{"ts": 1}] * 3, {}, device=[], keys=[b"a", None, b""])
    assert out.device.values() == [b"a"]
    told = "expected a key that names the device, given a record without a key"
    assert [(letter.row, letter.reason) for letter in out.dead] == [(1, told), (2, told)]


# Time


@pytest.mark.parametrize(
    ("unit", "value", "us"),
    [
        (Unit.S, 1_273_363_200, 1_273_363_200_000_000),
        (Unit.S, -5, -5_000_000),
        (Unit.S, 0.5, 500_000),
        (Unit.S, 1_273_363_200.123456, 1_273_363_200_123_456),
        (Unit.S, -0.000001, -1),
        (Unit.MS, 1_273_363_200_001, 1_273_363_200_001_000),
        (Unit.MS, 1_273_363_200_001.25, 1_273_363_200_001_250),
        (Unit.US, 1_273_363_200_000_001, 1_273_363_200_000_001),
        (Unit.US, -1, -1),
        (Unit.NS, 1_273_363_200_000_001_999, 1_273_363_200_000_001),
        (Unit.NS, -1, -1),
    ],
)
def test_a_time_is_read_in_its_unit(unit: Unit, value: float, us: int) -> None:
    assert ts(value, unit) == us


@given(st.integers(0, 4_102_444_800_000_000 - 1))
def test_seconds_with_a_fraction_are_exact_to_the_microsecond(us: int) -> None:
    # Up to the year 2100; a float has less than a microsecond between its neighbours until 2242.
    seconds = f"{us // 1_000_000}.{us % 1_000_000:06}"
    out = read([f'{{"dev": "a", "ts": {seconds}}}'.encode()], {}, unit=Unit.S)
    assert out.ts.tolist() == [us]


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        (Unit.NS, [1_700_000_000_123_456_789, 1.5e18]),
        (Unit.NS, [-1, 0.5]),
        (Unit.US, [250_000_000_000_000_001, 0.5]),
        (Unit.MS, [1_700_000_000_123, 0.5, 7]),
        (Unit.S, [1_700_000_000, 1_700_000_000.5]),
    ],
)
def test_a_time_does_not_depend_on_how_others_in_the_batch_are_written(unit: Unit, values: list[float]) -> None:
    together = read([{"dev": "a", "ts": value} for value in values], {}, unit=unit).ts.tolist()
    assert together == [ts(value, unit) for value in values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00+00:00"),
        ("2026-01-31T12:00:00-0500", "2026-01-31T17:00:00+00:00"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000+00:00"),
        ("2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123456+00:00"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456+00:00"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00+00:00"),
        (" 2026-01-31T12:00:00Z\n", "2026-01-31T12:00:00+00:00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
    ],
)
def test_a_time_as_text(text: str, expected: str) -> None:
    since = datetime.fromisoformat(expected) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    us = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
    assert ts(text, Unit.ISO) == us


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "2026-02-30T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-31T24:00:01Z",
        "2026-01-31T12:00Z",
        "0000-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "+10000-01-01T00:00:00Z",
        "noon",
        "",
        1_273_363_200,
        None,
        True,
    ],
)
def test_a_time_as_text_that_is_none_or_has_no_offset_is_dead(text: object) -> None:
    told = reason({"dev": "a", "ts": text}, {}, unit=Unit.ISO)
    assert told.startswith("field `ts`: expected a time as in ISO 8601 with an offset, such as 2026-01-31T12:00:00Z, ")
    assert "given" in told


@given(st.integers(YEAR_1, YEAR_10000 - 1))
def test_text_that_datetime_writes_is_read_to_the_microsecond(us: int) -> None:
    text = str(np.datetime64(us, "us")) + "Z"
    assert ts(text, Unit.ISO) == us


@pytest.mark.parametrize("unit", [Unit.S, Unit.MS, Unit.US, Unit.NS])
@pytest.mark.parametrize(
    "value", [None, "1273363200", True, [], 10**19, 2**64 - 1, -(2**63), 10**25, -(10**25), 1e300, -1e300, 1.8e308]
)
def test_an_absurd_time_is_dead_and_no_crash(unit: Unit, value: Any) -> None:
    if unit is Unit.NS and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        # Within the calendar: what 64 bits don't hold may be dead, what they hold is a time.
        out = read([{"dev": "a", "ts": value}], {}, unit=unit)
        assert [row_ts for row_ts in out.ts.tolist() if row_ts != value // 1_000] == []
        return
    value = f'{{"dev": "a", "ts": {json.dumps(value)}}}'.replace("Infinity", "1.8e308").encode()
    told = reason(value, {}, unit=unit)
    assert told.startswith(
        (f"field `ts`: expected a time as a number of {unit.value} since 1970, ", "can't be decoded")
    )


@pytest.mark.parametrize("unit", [Unit.S, Unit.MS, Unit.US])
def test_the_calendar_ends_with_the_year_9999(unit: Unit) -> None:
    per = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1}[unit]
    assert ts(YEAR_1 // per, unit) == YEAR_1
    assert ts(YEAR_10000 // per - 1, unit) == YEAR_10000 - per
    for beyond in (YEAR_1 // per - 1, YEAR_10000 // per):
        assert "between the years 1 and 9999" in reason({"dev": "a", "ts": beyond}, {}, unit=unit)


def test_the_records_own_time_is_taken_where_no_field_is_named() -> None:
    out = read([{"dev": "a"}] * 3, {}, time="", times=[5, -1, 0])
    assert out.ts.tolist() == [5, 0]
    assert out.dead[0].reason == "expected a record with a time of its own, given one without"


def test_a_time_too_far_ahead_of_the_records_own_is_dead() -> None:
    minute = 60_000_000
    docs = [{"dev": "a", "ts": ms} for ms in (0, 11 * 60_000, 11 * 60_000 + 1, 10**12, -(10**12))]
    out = read(docs, {}, times=[minute, minute, minute, -1, minute], future=10 * minute)
    assert out.ts.tolist() == [0, 11 * minute, 10**15, -(10**15)]
    (letter,) = out.dead
    assert letter.row == 2
    assert letter.reason.startswith(
        "field `ts`: expected a time at most 10m ahead of the record's own, given a number:"
    )


def test_how_far_ahead_a_time_is_is_told_even_below_a_second() -> None:
    told = reason({"dev": "a", "ts": 1_900}, {}, times=[1_000_000], future=500_000)
    assert "at most 500ms ahead" in told
    assert told.endswith("which is 900ms ahead")


# Whatever the documents

_JSON_NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, -1, 2**53 + 1, 2**63 - 1, 1 - 2**63, -(2**63), 2**63]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-5, 5).map(float),
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _JSON_NUMBERS, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=3,
)


def _mostly(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, values, st.none(), _VALUES)


_DOCUMENTS = st.fixed_dictionaries(
    {"dev": st.one_of(st.sampled_from(["a", "b", 5]), st.sampled_from(["a", "", None, True, 1.5]))},
    optional={
        "ts": _mostly(st.integers(-(10**14), 10**14)),
        "f": _mostly(_JSON_NUMBERS),
        "n": _mostly(st.integers(-(2**63), 2**63)),
        "b": _mostly(st.booleans()),
        "s": _mostly(st.text(max_size=3)),
        "in": _mostly(st.fixed_dictionaries({}, optional={"f": _mostly(_JSON_NUMBERS), "more": _VALUES})),
        "else": _VALUES,
    },
)
_FIELDS = {"f": Type.FLOAT, "n": Type.INT, "b": Type.BOOL, "s": Type.TEXT, "in.f": Type.FLOAT}


def _fits(value: Any, type_: Type) -> bool:
    """Say whether a value is of a type, as plain Python would."""
    if value is None:
        return True
    if type_ is Type.FLOAT:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if type_ is Type.INT:
        if isinstance(value, float):
            return value.is_integer() and abs(value) < 2**53
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) < value < 2**63
    return isinstance(value, bool if type_ is Type.BOOL else str)


def _row(doc: Any) -> tuple[str, int, dict[str, Any]] | None:
    """Give device, time and values of a document, or None where it must be dead."""
    device, time = doc.get("dev"), doc.get("ts")
    if type(device) not in {str, int} or device == "":
        return None
    if isinstance(time, bool) or not isinstance(time, int | float) or not YEAR_1 // 1_000 <= time < YEAR_10000 // 1_000:
        return None
    inner = doc.get("in")
    if inner is not None and not isinstance(inner, dict):
        return None
    picked = {
        "f": doc.get("f"),
        "n": doc.get("n"),
        "b": doc.get("b"),
        "s": doc.get("s"),
        "in.f": (inner or {}).get("f"),
    }
    if not all(_fits(value, _FIELDS[path]) for path, value in picked.items()):
        return None
    return str(device), time if isinstance(time, int) else 0, picked


@settings(max_examples=200, deadline=None)
@given(st.lists(_DOCUMENTS, max_size=8))
def test_columns_are_what_plain_python_gives(docs: list[dict[str, Any]]) -> None:
    # `f` stands at two paths, so the second column has a name of its own.
    fields = {path.replace("in.f", "in.g"): type_ for path, type_ in _FIELDS.items()}
    renamed = [
        {**doc, "in": {("g" if key == "f" else key): value for key, value in doc["in"].items() if key != "g"}}
        if isinstance(doc.get("in"), dict)
        else doc
        for doc in docs
    ]
    out = read(renamed, fields)
    rows = {offset: row for offset, doc in enumerate(docs) if (row := _row(doc)) is not None}
    assert out.offset.tolist() == list(rows), [letter.reason for letter in out.dead]
    assert out.device.values() == [device.encode() for device, _, _ in rows.values()]
    for found, (offset, (_, ms, _)) in zip(out.ts.tolist(), rows.items(), strict=True):
        time = docs[offset]["ts"]
        assert found == (ms * 1_000 if isinstance(time, int) else round(time * 1_000))
    for path, name in {"f": "f", "n": "n", "b": "b", "s": "s", "in.f": "g"}.items():
        expected = [values[path] for _, _, values in rows.values()]
        assert plain(out.columns[name]) == [
            float(value) if _FIELDS[path] is Type.FLOAT and value is not None else value for value in expected
        ]


@settings(max_examples=60, deadline=None)
@given(st.lists(_DOCUMENTS, min_size=2, max_size=8), st.data())
def test_a_record_comes_out_alike_alone_and_among_others(docs: list[dict[str, Any]], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(docs) - 1))
    fields = {path: type_ for path, type_ in _FIELDS.items() if path != "in.f"}
    together, alone = read(docs, fields), read([docs[row]], fields)
    reasons = {letter.row: letter.reason for letter in together.dead}
    assert reasons.get(row) == (alone.dead[0].reason if alone.dead else None)
    if row not in reasons:
        at = together.offset.tolist().index(row)
        assert together.ts[at] == alone.ts[0]
        assert {name: plain(column)[at] for name, column in together.columns.items()} == {
            name: plain(column)[0] for name, column in alone.columns.items()
        }
    assert all(math.isfinite(value) for value in together.ts.tolist())
