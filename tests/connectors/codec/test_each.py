"""Records that hold a list of readings: held against copies of each record with an item in the list's place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import Decoded, FieldPath, Reading, Unit
from connectors.codec.documents import Documents
from connectors.codec.each import CHUNK
from connectors.codec.json import Json, load
from operators.batch import Type
from tests.connectors.codec.agreement import records, told
from tests.connectors.codec.exploded import agree as agree_with

FIELDS = (
    FieldPath("x", ("r", "x"), Type.FLOAT),
    FieldPath("n", ("r", "o", "n"), Type.INT),
    FieldPath("site", ("site",), Type.TEXT),
    FieldPath("ok", ("o", "ok"), Type.BOOL),
)
READINGS = {
    "all within": Reading(FIELDS[:2], (("r", "dev"),), ("r", "ts"), Unit.MS, 10**9, ("r",)),
    "some beside": Reading(FIELDS, (("dev",),), ("ts",), Unit.S, 10**9, ("r",)),
    "a device of both": Reading(FIELDS, (("dev",), ("r", "dev")), ("r", "ts"), Unit.ISO, 10**9, ("r",)),
    "the key": Reading(FIELDS, (), (), Unit.US, 10**9, ("r",)),
    "plain values": Reading((FieldPath("x", ("r",), Type.FLOAT), FIELDS[2]), (), (), Unit.US, 10**9, ("r",)),
    "deep": Reading(
        (FieldPath("x", ("o", "p", "r", "x"), Type.FLOAT), FieldPath("ok", ("o", "ok"), Type.BOOL)),
        (("o", "p", "dev"),), (), Unit.US, 10**9, ("o", "p", "r"),
    ),
    "deep and plain": Reading((FieldPath("t", ("o", "r"), Type.TEXT),), (("dev",),), (), Unit.US, 10**9, ("o", "r")),
}  # fmt: skip


def agree(values: Sequence[bytes | None], reading: Reading) -> Decoded:
    return agree_with(Json.model_validate({}).decoder(reading), records(values), reading, load)


def left(values: Sequence[bytes | None], reading: Reading) -> list[int]:
    """Give the records that are read as documents."""
    decoder: Any = Json.model_validate({}).decoder(reading)
    places: list[int] = []
    by_document = decoder._by_document

    def note(some: Any) -> Any:
        places.extend(some.offset.tolist())
        return by_document(some)

    decoder._by_document = note
    whole = records(values)
    decoder.decode(whole)
    return [row for row, offset in enumerate(whole.offset.tolist()) if offset in places]


def test_each_item_is_a_row_with_the_fields_beside_the_list() -> None:
    reading = READINGS["some beside"]
    values = [
        b'{"dev":"a","ts":1,"site":"s","r":[{"x":1},{"x":2.5,"o":{"n":7}}]}',
        b'{"dev":"b","ts":2,"r":[{"x":3}],"o":{"ok":true}}',
    ]
    decoded = agree(values, reading)
    assert decoded.device.values() == [b"a", b"a", b"b"]
    assert decoded.offset.tolist() == [10, 10, 12]
    assert decoded.ts.tolist() == [1_000_000, 1_000_000, 2_000_000]
    assert np.asarray(decoded.columns["x"]).tolist() == [1, 2.5, 3]
    assert told(decoded)["site"] == ["s", "s", None]
    assert left(values, reading) == []


def test_an_empty_list_gives_no_rows_and_is_no_error() -> None:
    values = [b'{"dev":"a","ts":1,"r":[]}', b'{"r":[ \n]}', b'{"r":[],"o":{}}', b'{"dev":"a","ts":1,"r":[{"x":1}]}']
    for reading in (READINGS["some beside"], READINGS["the key"]):
        decoded = agree(values, reading)
        assert (len(decoded.ts), list(decoded.dead)) == (1, [])
        assert left(values, reading) == []


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "the record has no value"),
        (b"", "the record's value is empty"),
        (b"[]", "expected an object with fields, given a list: []"),
        (b"{}", "field `o.p.r`: expected a list of readings, given nothing") ,
        (b'{"o":{"p":{"r":null}}}', "field `o.p.r`: expected a list of readings, given nothing"),
        (b'{"o":{"p":{"r":{"x":1}}}}', "field `o.p.r`: expected a list of readings, given an object: {'x': 1}"),
        (b'{"o":{"p":[{"r":[]}]}}', "field `o.p`: expected an object, given a list: [{'r': []}]"),
        (b'{"o":5}', "field `o`: expected an object, given a number: 5"),
        (b'{"o":{"p":{"r":[]}},"o":{"p":{"r":[]}}}', "can't be decoded: the key 'o' stands twice in one object"),
        (b'{"o":{"p":{"dev":1,"r":[{"x":1},{"x":2,"x":3}]}}}', "can't be decoded: the key 'x' stands twice in one object"),
        (b'{"o":{"p":{"dev":1,"r":[{"x":1},5]}}}', "reading 1: field `o.p.r`: expected an object, given a number: 5"),
        (b'{"o":{"p":{"dev":1,"r":[{"x":1},{"x":"a"}]}}}', "reading 1: field `o.p.r.x`: expected a number, given text: 'a'"),
        (b'{"o":{"p":{"r":[{"x":1},{"x":"a"}]}}}', "reading 0: field `o.p.dev`: expected text or a whole number"),
    ],
)  # fmt: skip
def test_a_record_that_holds_no_such_list_is_dead_with_the_reason(value: bytes | None, says: str) -> None:
    good = b'{"o":{"p":{"dev":"a","r":[{"x":1}]}}}'
    decoded = agree([good, good, good, value], READINGS["deep"])
    assert decoded.dead[-1].row == 3
    assert decoded.dead[-1].reason.startswith(says)


@pytest.mark.parametrize(
    "value",
    [
        b'{"dev":"a","ts":1,"r":[1]2}', b'{"dev":"a","ts":1,"r":[1 2]}', b'{"dev":"a","ts":1,"r":[1,]}', b'{"dev":"a","ts":1,"r":[,1]}',
        b'{"dev":"a","ts":1,"r":[,]}', b'{"dev":"a","ts":1,"r":[1}', b'{"dev":"a","ts":1,"r":[1]]}', b'{"dev":"a","ts":1,"r":[{]]}',
        b'{"dev":"a","ts":1,"r":[{"x":1]}]}', b'{"dev":"a","ts":1,"r":[{"x":1}}]', b'{"dev":"a","ts":1,"r":[]2}', b'{"dev":"a","ts":1,"r":[],}',
        b'{"dev":"a","ts":1,"r":[{"x":1}],"r":[]}', b'{"dev":"a","ts":1,"r":[],"r":[1]}', b'{"dev":"a","ts":1,"r":[]', b'{"dev":"a","ts":1,"r":[1',
        b'{"dev":"a","ts":1,"r":["]"', b'{"dev":"a","ts":1,"r":["\\', b'{"dev":"a","ts":1,"r":[1]', b'{"dev":"a","ts":1,"r":[1]}}', b'{"dev":"a","ts":1,"r":[true]e}',
        b'{"dev":"a","ts":tr"ue,"r":[1]}', b'{"a":"\\","r":[5]}', b'{"a":"\\\\","dev":"a","ts":1,"r":[5]}', b'{"a":"\\"","dev":"a","ts":1,"r":[5]}',
        b'{"a":"]","b":"[","c":"}","dev":"a","ts":1,"r":[5, "],", "\\"],["]}', b'{"a":{"r":[1,2]},"dev":"a","ts":1,"r":[5]}', b'{"a":[{"r":[1,2]}],"dev":"a","ts":1,"r":[[5]]}',
        b'{"\\u0072":[1],"dev":"a","ts":1}', b'{"\\u0072":[1],"dev":"a","ts":1,"r":[2]}', b'{"rr":[1],"":[2],"dev":"a","ts":1,"r":[3]}', b' { "dev" : "a" , "ts" : 1 , "r" : [ 1 , 2 ] } ',
        b'{"dev":"\xc3\xa9","ts":1,"r":[1]}', b'{"dev":"\xff","ts":1,"r":[1]}', b'{"dev":"a","ts":1,"r":["\xff"]}', b'{"dev":"a","ts":1,"z":"\xff","r":[]}', b'{"dev":"a","ts":1,"r":[null,null]}',
        b'{"dev":"a","ts":1,"r":[' + b"[" * 40 + b"]" * 40 + b"]}", b'{"dev":"a","ts":1,"r":[],"z":' + b"[" * 40 + b"]" * 40 + b"}", b'{"dev":"a","ts":1,"r":' + b"[" * 5_000,
        b'{"dev":"a","ts":1,"r":' + b"[" * 1_030 + b"]" * 1_030 + b"}", b'{"dev":"a","ts":1,"r":' + b"[" * 1_020 + b"]" * 1_020 + b"}", b'{"dev":"a","ts":1,"r":[[[],{}],{"x":[]}]}',
        b'{"dev":"a","ts":1,"r":[{"x":1},{"x":2}],"data":' + b" " * 5_000 + b"1}", b'{"dev":"a","ts":1,"r":[' + b"1," * 5_000 + b"1]}", b'{"dev":"' + b"a" * 900 + b'","ts":1,"site":"b","r":[' + b"1," * 500 + b"1]}",
        b'{"dev":"a","ts":99999999999999,"r":[1]}', b'{"dev":"a","ts":1,"r":[{"x":1,"dev":"b","ts":"2026-01-31T12:00:00Z"},{"dev":"c","ts":"2026-01-31T12:00:00Z"}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", READINGS)
def test_odd_records_are_what_copies_of_them_are(name: str, value: bytes) -> None:
    good = b'{"dev":"b","ts":1700000000,"site":"s","r":[5,{"x":1,"dev":"a","ts":"2026-01-31T12:00:00Z"}],"o":{"r":["a"],"p":{"dev":1,"r":[{"x":2}]}}}'
    agree([good, good, good, value, good, value.replace(b'"r":', b'"o":{"r":', 1) + b"}", good], READINGS[name])


_TEXT = st.text(st.sampled_from('ab"\\,[]{}: é\n\u2028😀'), max_size=5)
_PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**13), st.floats(allow_nan=False, allow_infinity=False), _TEXT
)
_VALUE = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=5
)
_TIME = st.sampled_from([1, 1_700_000_000, 2.5, "2026-01-31T12:00:00Z", None])
_ITEM = st.one_of(
    _PLAIN,
    st.fixed_dictionaries(
        {}, optional={"x": _PLAIN, "dev": st.sampled_from(["a", "b/c", 7, "é", ""]), "ts": _TIME, "o": st.fixed_dictionaries({"n": _PLAIN}), "z": _VALUE}
    ),
)  # fmt: skip
_LIST = st.lists(_ITEM, max_size=4) | _VALUE
_RECORD = st.fixed_dictionaries(
    {},
    optional={
        "z": _VALUE, "r": _LIST, "dev": st.sampled_from(["a", "b/c", 7, "é", ""]), "ts": _TIME, "site": _TEXT | _PLAIN,
        "o": st.fixed_dictionaries({}, optional={"ok": _PLAIN, "r": _LIST, "p": st.fixed_dictionaries({}, optional={"dev": _PLAIN, "r": _LIST})}),
    },
)  # fmt: skip


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """Write a record, its fields in any order, with or without spaces and escapes."""
    record = draw(_RECORD)
    fields = dict(draw(st.permutations(list(record.items()))))
    separators = draw(st.sampled_from([(",", ":"), (" , ", " :\n"), (", ", ": ")]))
    return json.dumps(fields, separators=separators, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=150)
@given(st.lists(written(), min_size=1, max_size=5))
def test_records_are_what_copies_of_them_are(name: str, values: list[bytes]) -> None:
    agree(values, READINGS[name])


_GOOD_ITEM = st.fixed_dictionaries(
    {"x": st.none() | st.integers(-5, 5) | st.floats(-9, 9)},
    optional={"o": st.fixed_dictionaries({"n": st.integers(0, 9)}), "z": st.sampled_from(["é", "plain", '"', [1], {}])},
)


@st.composite
def good(draw: st.DrawFn) -> bytes:
    """Write a record that is as it should be, with or without letters that kernels leave."""
    fields = {
        "dev": draw(st.sampled_from(["a", "b/c", 7, "é"])), "ts": draw(st.sampled_from([1, 2.5, 1_700_000_000])),
        "r": draw(st.lists(_GOOD_ITEM, max_size=4)), "z": draw(st.sampled_from(["plain", "é", "\\"])),
    }  # fmt: skip
    return orjson.dumps(dict(draw(st.permutations(list(fields.items())))))


@given(st.lists(good() | written(), min_size=2, max_size=12))
def test_records_keep_their_order_whichever_way_they_are_read(values: list[bytes]) -> None:
    agree(values, READINGS["some beside"])


def test_a_record_that_kernels_leave_stays_between_those_that_they_take() -> None:
    values = [b'{"dev":"%b","ts":1,"r":[{"x":1},{"x":2}]}' % dev.encode() for dev in ("a", "é", "b", "ö", "c")]
    assert left(values, READINGS["some beside"]) == [1, 3]
    decoded = agree(values, READINGS["some beside"])
    assert decoded.offset.tolist() == [offset for offset in range(10, 20, 2) for _ in range(2)]


_PIECES = [
    b"",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"0",
    b"-",
    b" ",
    b"\xff",
    b"\x00",
    b'"r":[1],',
    b"[]",
    b"],[",
]


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=150)
@given(st.data())
def test_records_that_were_disturbed_are_what_copies_of_them_are(name: str, data: st.DataObject) -> None:
    value = bytearray(data.draw(written()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value)))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(_PIECES))
    agree([bytes(value), b'{"dev":"a","ts":1,"r":[{"x":1},{"x":2}]}'], READINGS[name])


def test_a_record_that_would_grow_too_much_shares_what_stands_beside_its_list() -> None:
    beside = b'"z":"' + b"z" * 20_000 + b'"'
    value = b'{"dev":"a","ts":1,' + beside + b',"r":[' + b",".join(b'{"x":%d}' % row for row in range(3_000)) + b"]}"
    reading = READINGS["some beside"]
    decoded = agree([value], reading)
    assert np.asarray(decoded.columns["x"]).tolist() == list(range(3_000))
    assert left([value], reading) == [0]


def test_more_readings_than_are_documents_at_a_time() -> None:
    items = [{"x": row, "o": {"n": None}, "é": 1} for row in range(2 * CHUNK + 10)]
    values = [
        orjson.dumps({"dev": dev, "ts": 1, "r": items[:count]})
        for dev, count in [("a", CHUNK - 1), ("b", len(items)), ("c", 3)]
    ]
    decoded = agree(values, READINGS["some beside"])
    assert len(decoded.ts) == CHUNK - 1 + len(items) + 3
    items[CHUNK + 7] = {"x": "a"}
    values[1] = orjson.dumps({"dev": "b", "ts": 1, "r": items})
    decoded = agree(values, READINGS["some beside"])
    assert [row for row, _ in decoded.dead] == [1]


@pytest.mark.parametrize(
    "site", ['"' + "s" * 400_000 + '"', "[" * 100 + "1" + "]" * 100, '{"s":"' + "s" * 400_000 + '"}', "5"]
)
def test_what_is_hostile_stays_small(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = ('{"dev":"a","ts":1,"site":' + site + ',"r":[' + "1," * 200_000 + "1]}").encode()
    made = 0
    columns = Documents.columns

    def counted(self: Any, *of: Any) -> Decoded:
        nonlocal made
        made += len(self.docs)
        return columns(self, *of)

    monkeypatch.setattr(Documents, "columns", counted)
    reading = Reading((FieldPath("x", ("r",), Type.FLOAT), FIELDS[2]), (("dev",),), ("ts",), Unit.S, 10**9, ("r",))
    (dead,) = Json.model_validate({}).decoder(reading).decode(records([value])).dead
    # A number isn't looked at before it is repeated; what may be long is.
    assert made <= (CHUNK if site == "5" else 1)
    if site.startswith('"'):
        assert (
            dead.reason
            == "field `r`: expected fewer readings in one record, given 200,001 beside 400,001 bytes of text that each would repeat"
        )
    else:
        assert dead.reason.startswith("reading 0: field `site`: expected text, given ")
