"""JSON: which bytes are a record, keys that stand twice, and what rows look like when they are written."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.json import Json, TimeText
from operators.batch import Schema, Type
from tests.connectors.codec.records import batch, decoded, plain, reading, records

FIELDS = {"t": Type.FLOAT, "s": Type.TEXT}


def fate(value: bytes | None) -> str | None:
    """Give the reason for which a record is dead, None where it is good; good ones around it must survive."""
    around = b'{"dev": "a", "ts": 1, "t": 1.5}'
    out = decoded(Json(time=TimeText.ISO).decoder(reading(FIELDS)), records([around, value, around]))
    assert {0, 2} <= set(out.offset.tolist())
    assert plain(out.columns["t"])[0] == plain(out.columns["t"])[-1] == 1.5
    return out.dead[0].reason if out.dead else None


@pytest.mark.parametrize(
    "value",
    [
        b'{"dev": "a", "ts": 1}',
        b' \t\r\n{"dev":"a","ts":1}\n ',
        b'{"ts": 1, "dev": "a", "else": {"deep": [1, {"x": null}]}}',
        b'{"dev": "\\u0061\\n", "ts": 1}',
        '{"dev": "é😀", "ts": 1}'.encode(),
        b'{"dev": "a", "ts": 1, "t": -0.0}',
        b'{"dev": "a", "ts": 1, "t": 1E2}',
        b'{"dev": "a", "ts": 1, "t": 123456789012345678901234567890}',
        b'{"dev": "a", "ts": 1, "t": 1e-400}',
    ],
)
def test_json_is_read(value: bytes) -> None:
    assert fate(value) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "the record has no value"),
        (b"", "the record's value is empty"),
        (b" ", "can't be decoded: "),
        (b"\0", "can't be decoded: "),
        (b"{", "can't be decoded: "),
        (b'{"dev": "a", "ts": 1', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1}}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1} {"dev": "b", "ts": 1}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1,}', "can't be decoded: "),
        (b"{'dev': 'a', 'ts': 1}", "can't be decoded: "),
        (b'{"dev": "a", "ts": 1, "t": NaN}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1, "t": Infinity}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1, "t": 01}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1, "t": 1e400}', "can't be decoded: "),
        (b'{"dev": "a", "ts": 1, "t": ' + b"9" * 5_000 + b"}", "can't be decoded: "),
        (b'\xef\xbb\xbf{"dev": "a", "ts": 1}', "can't be decoded: "),
        (b'{"dev": "\xff", "ts": 1}', "can't be decoded: "),
        (b'{"dev": "\xc3", "ts": 1}', "can't be decoded: "),
        (b'{"dev": "\\ud800", "ts": 1}', "can't be decoded: "),
        (b'{"dev": "\xed\xa0\x80", "ts": 1}', "can't be decoded: "),
        ('{"dev": "a", "ts": 1}'.encode("utf-16"), "can't be decoded: "),
        (b'[{"dev": "a", "ts": 1}]', "expected an object with fields, given a list: "),
        (b'"dev"', "expected an object with fields, given text: "),
        (b"5", "expected an object with fields, given a number: 5"),
        (b"null", "expected an object with fields, given nothing"),
        (b"true", "expected an object with fields, given a bool: True"),
        (b"{}", "field `dev`: expected text or a whole number that names the device, given nothing"),
    ],
)
def test_what_is_no_json_object_is_dead(value: bytes | None, says: str) -> None:
    told = fate(value)
    assert told is not None
    assert told.startswith(says)
    assert len(told) > len("can't be decoded: ")
    assert "\n" not in told


@pytest.mark.parametrize("escape", [b"", b"\\n"], ids=["plain", "with an escape"])
@pytest.mark.parametrize("depth", [10, 253, 254, 300, 900, 1_020, 1_030, 5_000, 100_000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_deep_nesting_is_read_or_dead_but_harms_nobody(pair: tuple[bytes, bytes], depth: int, escape: bytes) -> None:
    inner = pair[0] * depth + b"1" + pair[1] * depth
    told = fate(b'{"dev": "a' + escape + b'", "ts": 1, "else": ' + inner + b"}")
    assert told is None or told.startswith("can't be decoded: ")


@pytest.mark.parametrize(
    "value",
    [
        b'{"dev": "a", "ts": 1, "dev": "b"}',
        b'{"dev": "a", "ts": 1, "dev": "a"}',
        b'{"dev": "a", "ts": 1, "t": 1, "t": null}',
        b'{"dev" : "a", "ts": 1, "dev"\t\n : "b"}',
        b'{"dev":"a","ts":1,"else":{"x":1,"x":2}}',
        b'{"dev":"a","ts":1,"else":[{"y":0},{"x":1,"x":2}]}',
        b'{"dev":"a","ts":1,"\\u0064ev":"b"}',
        b'{"d\\u0065v":"a","ts":1,"dev":"b"}',
        b'{"dev":"a","ts":1,"":1,"":2}',
        b'{"dev":"a:b","ts":1,"s":"::::","s":":::"}',
        b'{"dev":"a","ts":1,"s":":","s":"x"}',
        b'{"dev":"a","ts":1,"s":"\\u003a","s":"\\u003a\\u003a"}',
        b'{"dev":"a","ts":1,"s":"\\\\","s":":"}',
        b'{"dev":"a","ts":1,"ts":1,"else":"a:b"}',
        '{"dev":"a","ts":1,"é":1,"é":2}'.encode(),
        b'{"dev":"a","ts":1,"\xc3\xa9":1,"\\u00e9":2}',
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_refused(value: bytes) -> None:
    told = fate(value)
    assert told is not None
    assert told.startswith("can't be decoded: the key ")
    assert told.endswith("stands twice in one object")


@pytest.mark.parametrize(
    "value",
    [
        b'{"dev":"a","ts":1,"s":"a:b:c"}',
        b'{"dev":"a","ts":1,"s":"\\"dev\\": \\"b\\""}',
        b'{"dev":"a","ts":1,"s":"\\u003a"}',
        b'{"dev":"a","ts":1,"s":"{\\"x\\":1,\\"x\\":2}"}',
        b'{"dev":"a","ts":1,"s":"C:\\\\dev"}',
        b'{"dev":"a","ts":1,"else":{"dev":"b","ts":2}}',
        b'{"dev":"a","ts":1,"else":[{"x":1},{"x":2}]}',
        b'{"dev":"a","ts":1,"DEV":"b"}',
        b'{"dev":"a","ts":1,"dev ":"b"}',
        b'{"dev":"a","ts":1,":":":"}',
        b'{"dev":"a","ts":1,"a":1.0e5,"b":12345678901234567890123}',
        '{"dev":"a","ts":1,"\u00e9":1,"e\u0301":2}'.encode(),
    ],
)
def test_what_only_looks_like_a_key_twice_is_read(value: bytes) -> None:
    assert fate(value) is None


_KEYS = st.sampled_from(["a", "b", ":", "é", '"', "\\", "", "a:b"])
_JSON = st.recursive(
    st.one_of(st.none(), st.integers(-5, 5), st.text(alphabet=':"\\{},a é\n', max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda items: ["list", items]),
        st.lists(st.tuples(_KEYS, inner), max_size=3).map(lambda pairs: ["object", pairs]),
    ),
    max_leaves=6,
)


def _written(value: Any, *, escaped: bool) -> tuple[str, bool]:
    """Write a value whose objects may name a key twice; say whether one does."""
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=escaped), False
    kind, items = value
    if kind == "list":
        parts = [_written(item, escaped=escaped) for item in items]
        return f"[{', '.join(text for text, _ in parts)}]", any(twice for _, twice in parts)
    parts = [_written(item, escaped=escaped) for _, item in items]
    pairs = [
        f"{json.dumps(key, ensure_ascii=escaped)} : {text}" for (key, _), (text, _) in zip(items, parts, strict=True)
    ]
    keys = [key for key, _ in items]
    return f"{{{','.join(pairs)}}}", len(set(keys)) < len(keys) or any(twice for _, twice in parts)


@settings(max_examples=300, deadline=None)
@given(_JSON, st.booleans())
def test_a_record_is_refused_if_and_only_if_a_key_stands_twice(value: Any, escaped: bool) -> None:
    text, twice = _written(value, escaped=escaped)
    told = fate(f'{{"dev": "a", "ts": 1, "else": {text}}}'.encode())
    assert (told is not None) == twice, told


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]":,\\u0d1e. \n', max_size=30).map(str.encode)))
def test_any_bytes_are_a_row_or_dead(value: bytes) -> None:
    fate(value)


# Rows written

SCHEMA = Schema(
    {"f": Type.FLOAT, "n": Type.INT, "b": Type.BOOL, "s": Type.TEXT, "at": Type.TIME}, ("site", "rig"), "ts"
)
COLUMNS: dict[str, list[Any]] = {
    "f": [1.5, None, math.inf, -math.inf, -0.0, 1e300, 5e-324],
    "n": [1, None, 2**63 - 1, 1 - 2**63, 0, -1, 2**53 + 1],
    "b": [True, None, False, True, False, None, True],
    "s": ["on", None, "", 'a"b:\\\n', "é😀", "on", "null"],
    "at": [0, None, -1, 1_500_000, 253_402_300_799_999_999, -62_135_596_800_000_000, 999],
}
DEVICES = [b"a/1", b"b%2Fc/2", b"a/1", "é/1".encode(), b"a/2", b"a/2", b"a/3"]
TS = [0, 1, -1, 1_273_363_200_123_456, 2_000, 5_000_000, 7]


def written(time: TimeText = TimeText.ISO) -> list[dict[str, Any]]:
    """Write the rows, and read them back by Python's own JSON."""
    encoded = Json(time=time).encoder(SCHEMA, "rows").encode(*batch(SCHEMA, COLUMNS, DEVICES, TS))
    return [json.loads(row) for row in encoded.values()]


def test_rows_are_written_with_device_time_and_columns_in_this_order() -> None:
    assert all(list(row) == ["site", "rig", "ts", "f", "n", "b", "s", "at"] for row in written())


def test_values_come_back_as_they_were_and_missing_ones_as_null() -> None:
    rows = written()
    assert [(row["site"], row["rig"]) for row in rows[:4]] == [("a", "1"), ("b/c", "2"), ("a", "1"), ("é", "1")]
    for name in ("n", "b", "s"):
        assert [row[name] for row in rows] == COLUMNS[name]
    assert [row["f"] for row in rows] == [1.5, None, None, None, -0.0, 1e300, 5e-324]
    assert math.copysign(1, rows[4]["f"]) == -1


@pytest.mark.parametrize(
    ("time", "ts", "at"),
    [
        (
            TimeText.ISO,
            ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"],
            ["1970-01-01T00:00:00Z", None, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:01.500000Z",
             "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000999Z"],
        ),
        (TimeText.S, [0, 0.000001, -0.000001], [0, None, -0.000001, 1.5, 253_402_300_800.0, -62_135_596_800, 0.000999]),
        (TimeText.MS, [0, 0, -1], [0, None, -1, 1_500, 253_402_300_799_999, -62_135_596_800_000, 0]),
        (TimeText.US, TS[:3], COLUMNS["at"]),
    ],
)  # fmt: skip
def test_times_are_written_as_asked_for(time: TimeText, ts: list[Any], at: list[Any]) -> None:
    rows = written(time)
    assert [row["ts"] for row in rows[:3]] == ts
    assert [row["at"] for row in rows] == at


def test_rows_without_a_time_of_their_own_have_none() -> None:
    schema = Schema({"n": Type.INT}, ("dev",), None)
    assert Json(time=TimeText.ISO).encoder(schema, "rows").encode(*batch(schema, {"n": [1]}, [b"a"], [5])).values() == [
        b'{"dev":"a","n":1}'
    ]


def test_a_device_that_is_no_text_is_written_with_escapes() -> None:
    schema = Schema({}, ("dev",), None)
    (row,) = Json(time=TimeText.ISO).encoder(schema, "rows").encode(*batch(schema, {}, [b"\xff\x00a"], [5])).values()
    assert orjson.loads(row) == {"dev": "\\xff\x00a"}


def test_no_rows_are_no_values() -> None:
    empty: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    assert Json(time=TimeText.ISO).encoder(SCHEMA, "rows").encode(*batch(SCHEMA, empty, [], [])).values() == []


def test_what_is_written_can_be_read_again() -> None:
    columns = {**COLUMNS, "f": [1.5, None, 2.5, None, -0.0, 1e300, 5e-324]}
    encoded = Json(time=TimeText.US).encoder(SCHEMA, "rows").encode(*batch(SCHEMA, columns, DEVICES, TS))
    from connectors.codec.base import Unit

    fields = {"f": Type.FLOAT, "n": Type.INT, "b": Type.BOOL, "s": Type.TEXT, "at": Type.INT}
    again = decoded(
        Json(time=TimeText.ISO).decoder(reading(fields, device=["site", "rig"], unit=Unit.US)),
        records(encoded.values()),
    )
    assert again.dead == ()
    assert again.device.values() == DEVICES
    assert again.ts.tolist() == TS
    assert {name: plain(column) for name, column in again.columns.items()} == columns
