"""Headers become columns, and name the device, whatever the format makes of the records' values."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.base import Dead, Decoded, FieldPath, HeaderField, Reading, Records, Unit, formats
from connectors.codec.headers import with_headers
from connectors.codec.json import Json
from operators.batch import Text, Type
from operators.binary import Binary
from tests.connectors.codec.records import plain, reading, records

FIELDS = (
    HeaderField("site", "site", Type.TEXT),
    HeaderField("fw", "fw", Type.INT),
    HeaderField("gain", "gain", Type.FLOAT),
    HeaderField("wet", "wet", Type.BOOL),
)
BODY = b'{"dev": "a", "ts": 1000, "x": 1.5}'
BAD_BODY = b'{"dev": "a", "ts": 1000, "x": "1.5"}'


def heading(*fields: HeaderField, device: str = "") -> Reading:
    own = reading({"x": Type.FLOAT}, device=() if device else ("dev",))
    return replace(own, headers=fields, device_header=device)


def headed(
    values: Sequence[bytes | None],
    headers: dict[str, Sequence[bytes | None]],
    keys: Sequence[bytes | None] | None = None,
) -> Records:
    made = records(values, keys=keys, first=40)
    return replace(made, headers={name: Binary.of(own) for name, own in headers.items()})


def decode(of: Records, own: Reading) -> Decoded:
    return with_headers(Json.model_validate({}).decoder(own), own).decode(of)


def one(type_: Type, raw: bytes | None) -> tuple[list[Any], list[str]]:
    """Read one header of one record; gives the column and the reasons."""
    out = decode(headed([BODY], {"h": [raw]}), heading(HeaderField("h", "h", type_)))
    return plain(out.columns["h"]), [dead.reason for dead in out.dead]


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        (Type.TEXT, b"berlin", "berlin"),
        (Type.TEXT, "zürich ☂".encode(), "zürich ☂"),
        (Type.TEXT, b"", ""),
        (Type.TEXT, b"a\0b", "a\0b"),
        (Type.INT, b"7", 7),
        (Type.INT, b"-7", -7),
        (Type.INT, b"+7", 7),
        (Type.INT, b"007", 7),
        (Type.INT, b"9223372036854775807", 2**63 - 1),
        (Type.INT, b"-9223372036854775807", -(2**63) + 1),
        (Type.FLOAT, b"21.5", 21.5),
        (Type.FLOAT, b"21", 21.0),
        (Type.FLOAT, b"-.5", -0.5),
        (Type.FLOAT, b"5.", 5.0),
        (Type.FLOAT, b"1e-3", 0.001),
        (Type.FLOAT, b"+1E+3", 1000.0),
        (Type.FLOAT, b"1e-400", 0.0),
        (Type.BOOL, b"true", True),
        (Type.BOOL, b"false", False),
    ],
)
def test_bytes_that_say_a_value_are_that_value(type_: Type, raw: bytes, value: Any) -> None:
    assert one(type_, raw) == ([value], [])


@pytest.mark.parametrize(
    ("type_", "raw", "reason"),
    [
        (Type.TEXT, b"\xff\xfe", r"expected text in UTF-8, given bytes: b'\xff\xfe'"),
        (Type.TEXT, b"\xed\xa0\x80", r"expected text in UTF-8, given bytes: b'\xed\xa0\x80'"),
        (Type.INT, b"x", "expected a whole number of at most 64 bits, given text: 'x'"),
        (Type.INT, b"", "expected a whole number of at most 64 bits, given text: ''"),
        (Type.INT, b"1.0", "given text: '1.0'"),
        (Type.INT, b" 1", "given text: ' 1'"),
        (Type.INT, b"1\n", r"given text: '1\n'"),
        (Type.INT, b"1_000", "given text: '1_000'"),
        (Type.INT, "٣".encode(), "given text: '٣'"),
        (Type.INT, b"9223372036854775808", "given text: '9223372036854775808'"),
        (Type.INT, b"-9223372036854775808", "given text: '-9223372036854775808'"),
        (Type.INT, b"1" * 5_000, f"given text: '{'1' * 59}…"),
        (Type.INT, b"0x10", "given text: '0x10'"),
        (Type.INT, b"\xff", r"given bytes: b'\xff'"),
        (Type.FLOAT, b"x", "expected a number, given text: 'x'"),
        (Type.FLOAT, b"nan", "given text: 'nan'"),
        (Type.FLOAT, b"inf", "given text: 'inf'"),
        (Type.FLOAT, b"1e400", "given text: '1e400'"),
        (Type.FLOAT, b"1_0.5", "given text: '1_0.5'"),
        (Type.FLOAT, b".", "given text: '.'"),
        (Type.FLOAT, b"1,5", "given text: '1,5'"),
        (Type.FLOAT, b"1" * 1_000_000 + b"x", f"given text: '{'1' * 59}…"),
        (Type.BOOL, b"True", "expected true or false, given text: 'True'"),
        (Type.BOOL, b"1", "expected true or false, given text: '1'"),
        (Type.BOOL, b"tru", "expected true or false, given text: 'tru'"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bytes_that_do_not_are_a_dead_letter_that_says_so(type_: Type, raw: bytes, reason: str) -> None:
    column, reasons = one(type_, raw)
    assert column == []
    assert len(reasons) == 1
    assert reasons[0].startswith("header `h`: expected ")
    assert reasons[0].endswith(reason)


@pytest.mark.parametrize("type_", [Type.TEXT, Type.INT, Type.FLOAT, Type.BOOL])
def test_a_header_that_is_not_there_is_a_missing_value(type_: Type) -> None:
    assert one(type_, None) == ([None], [])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_as_python_writes_it_is_read_to_the_bit(value: float) -> None:
    (found,), reasons = one(Type.FLOAT, repr(value).encode())
    assert (math.copysign(1, found), found, reasons) == (math.copysign(1, value), value, [])


PLAIN = {
    Type.INT: re.compile(rb"[+-]?\d+"),
    Type.FLOAT: re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
}


@pytest.mark.parametrize(("type_", "read"), [(Type.INT, int), (Type.FLOAT, float)])
@given(st.text("+-0123456789.eE_ x\n", max_size=12) | st.from_regex(r"[+-]?[0-9]{15,20}(\.[0-9]+)?", fullmatch=True))
def test_a_number_is_what_python_takes_for_it_in_decimal_notation(
    type_: Type, read: Callable[[bytes], float], text: str
) -> None:
    raw = text.encode()
    expected = None
    if PLAIN[type_].fullmatch(raw):
        value = read(raw)
        fits = abs(value) < 2**63 if type_ is Type.INT else math.isfinite(value)
        expected = value if fits else None
    column, reasons = one(type_, raw)
    assert column == ([] if expected is None else [expected])
    assert len(reasons) == (expected is None)


Rows = list[tuple[bytes, bytes | None, bytes | None, bytes | None]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([BODY, BAD_BODY, b"no JSON", b'{"dev": "\\u0061", "ts": 2000, "x": null}']),
            st.sampled_from([None, b"", b"berlin", b"rome", b"\xff"]),
            st.sampled_from([None, b"3", b"12", b"x"]),
            st.sampled_from([None, b"", b"d1", b"d2", b"d" * 1_001]),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_each_row_has_the_headers_of_its_record(rows: Rows, by_header: bool) -> None:
    values, sites, fws, devices = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    own = heading(*FIELDS[:2], device="d" if by_header else "")
    out = decode(headed(values, {"site": sites, "fw": fws, "d": devices}), own)
    found = list(
        zip(out.offset.tolist(), out.device.values(), plain(out.columns["site"]), plain(out.columns["fw"]), strict=True)
    )
    expected, dead = [], []
    for at, (value, site, fw, device) in enumerate(rows):
        if (
            value in (BAD_BODY, b"no JSON")
            or site == b"\xff"
            or fw == b"x"
            or (by_header and not 0 < len(device or b"") <= 1_000)
        ):
            dead.append(at)
            continue
        expected.append(
            (
                40 + at,
                device if by_header else b"a",
                None if site is None else site.decode(),
                None if fw is None else int(fw),
            )
        )
    assert found == expected
    assert [letter.row for letter in out.dead] == dead
    assert len(out.ts) == len(out.columns["x"]) == len(expected)


def test_a_record_with_several_readings_gives_each_its_headers() -> None:
    class Several:
        """Reads three of record 0, none of record 1, two of record 2 and one of record 4; 3 is dead."""

        def decode(self, of: Records) -> Decoded:
            offset = of.offset[[0, 0, 0, 2, 2, 4]]
            columns = {"x": np.arange(6.0)}
            return Decoded(Binary.of([b"a"] * 6), offset * 10, offset, columns, [Dead(3, "no")])

    own = heading(*FIELDS[:2])
    headers: dict[str, Sequence[bytes | None]] = {
        "site": [b"s0", b"s1", None, b"s3", b"s4"],
        "fw": [b"0", b"1", b"2", b"3", b"4"],
    }
    out = with_headers(Several(), own).decode(headed([BODY] * 5, {**headers}))
    assert plain(out.columns["site"]) == ["s0"] * 3 + [None] * 2 + ["s4"]
    assert plain(out.columns["fw"]) == [0, 0, 0, 2, 2, 4]
    assert list(out.dead) == [Dead(3, "no")]

    out = with_headers(Several(), own).decode(headed([BODY] * 5, {**headers, "fw": [b"0", b"x", b"x", b"3", b"4"]}))
    assert plain(out.columns["site"]) == ["s0"] * 3 + ["s4"]
    assert plain(out.columns["x"]) == [0.0, 1.0, 2.0, 5.0]
    assert out.offset.tolist() == [40, 40, 40, 44]
    assert [letter.row for letter in out.dead] == [1, 2, 3]


SEVERAL: dict[str, tuple[str, dict[str, Any], Reading, list[bytes]]] = {
    "lists in JSON": (
        "json",
        {},
        replace(reading({"r.x": Type.FLOAT}, device=()), time=("r", "ts"), each=("r",)),
        [
            b'{"r": [{"ts": 1, "x": 1}, {"ts": 2, "x": 2}]}',
            b'{"r": []}',
            b'{"r": [{"ts": 3, "x": 3}, {"ts": 4, "x": "bad"}]}',
            b'{"r": [{"ts": 5, "x": 5}, {"ts": 6, "x": 6}]}',
            b'{"r": [{"ts": 7, "x": 7, "\\u0061": "an escape"}]}',
        ],
    ),
    "lines of CSV": (
        "csv",
        {"columns": ["ts", "x"]},
        reading({"x": Type.FLOAT}, device=()),
        [b"1,1\n2,2", b"\n", b"3,3\n4,bad", b"5,5\n6,6\n", b'7,"7"'],
    ),
    "packs of SenML": (
        "senml",
        {},
        Reading((FieldPath("x", ("v",), Type.FLOAT),), (), ("t",), Unit.S, 10**15),
        [
            b'[{"n": "a", "bt": 1e9, "t": 1, "v": 1}, {"n": "a", "t": 2, "v": 2}]',
            b"[]",
            b'[{"n": "a", "bt": 1e9, "t": 3, "v": 3}, {"n": "a", "t": 4}]',
            b'[{"n": "a", "bt": 1e9, "t": 5, "v": 5}, {"n": "a", "t": 6, "v": 6}]',
            b'[{"n": "a", "bt": 1e9, "t": 7, "v": 7}]',
        ],
    ),
}
"""Five records: of two readings, of none, of a good one and a bad one, of two, of one."""


@pytest.mark.parametrize("name", SEVERAL)
def test_every_reading_has_the_headers_of_its_record(name: str) -> None:
    format_, options, own, values = SEVERAL[name]
    own = replace(own, headers=FIELDS[:2], device_header="d")
    decoder = with_headers(formats()[format_].model_validate(options).decoder(own), own)
    headers: dict[str, Sequence[bytes | None]] = {
        "site": [b"s0", b"s1", b"s2", None, b"s4"],
        "fw": [b"0", b"1", b"2", b"3", b"4"],
        "d": [b"d0", b"d1", b"d2", b"d3", b"d4"],
    }

    def rows(of: Records) -> tuple[list[Any], list[int]]:
        out = decoder.decode(of)
        columns = (out.device.values(), plain(out.columns["site"]), plain(out.columns["fw"]), plain(out.columns["x"]))
        return list(zip(*columns, strict=True)), [letter.row for letter in out.dead]

    first, third, last = (
        [(b"d0", "s0", 0, 1.0), (b"d0", "s0", 0, 2.0)],
        [(b"d3", None, 3, 5.0), (b"d3", None, 3, 6.0)],
        [(b"d4", "s4", 4, 7.0)],
    )
    found, dead = rows(headed(values, headers))
    assert (found, set(dead) - {1}) == ([*first, *third, *last], {2})
    found, dead = rows(headed(values, {**headers, "d": [b"d0", None, b"d2", b"", b"d4"]}))
    assert (found, dead) == ([*first, *last], [1, 2, 3])
    found, dead = rows(headed(values, {**headers, "fw": [b"x", b"1", b"2", b"3", b"4"]}))
    assert (found, set(dead) - {1}) == ([*third, *last], {0, 2})


@pytest.mark.parametrize(
    ("raw", "given"),
    [(None, "a record without it"), (b"", "an empty one"), (b"d" * 1_000_000, "1,000,000 bytes")],
    ids=["missing", "empty", "long"],
)
def test_a_header_that_names_no_device_makes_its_record_dead(raw: bytes | None, given: str) -> None:
    own = heading(device="mqtt.client")
    out = decode(headed([BODY, BODY], {"mqtt.client": [raw, b"m1"]}, keys=[b"key", None]), own)
    assert out.device.values() == [b"m1"]
    expected = f"header `mqtt.client`: expected 1 to 1,000 bytes that name the device, given {given}"
    assert list(out.dead) == [Dead(0, expected)]


def test_a_record_whose_value_and_header_are_bad_is_dead_once() -> None:
    out = decode(headed([BAD_BODY, BAD_BODY], {"fw": [b"x", b"1"]}), heading(FIELDS[1]))
    assert [letter.row for letter in out.dead] == [0, 1]
    assert out.dead[0].reason.startswith("header `fw`")
    assert out.dead[1].reason.startswith("field `x`")


def test_a_header_may_become_several_columns() -> None:
    fields = [HeaderField(f"h_{type_}", "h", type_) for type_ in (Type.TEXT, Type.INT, Type.FLOAT)]
    out = decode(headed([BODY], {"h": [b"05"]}), heading(*fields, device="h"))
    assert {name: plain(column) for name, column in out.columns.items()} == {
        "x": [1.5],
        "h_text": ["05"],
        "h_int": [5],
        "h_float": [5.0],
    }
    assert out.device.values() == [b"05"]


def test_a_pipeline_that_reads_only_headers_still_takes_values_of_its_format_alone() -> None:
    own = Reading((), (), (), Unit.US, 0, (), (HeaderField("site", "site", Type.TEXT),), "d")
    of = replace(headed([b"{}", b"no"], {"site": [b"s", b"s"], "d": [b"a", b"b"]}), timestamp=np.zeros(2, np.int64))
    out = decode(of, own)
    assert (out.device.values(), plain(out.columns["site"])) == ([b"a"], ["s"])
    assert [letter.row for letter in out.dead] == [1]


def test_values_of_a_batch_are_parsed_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.codec import headers

    parsed: Counter[bytes] = Counter()
    kind = headers._KINDS[Type.INT]

    def note(raw: bytes) -> int:
        parsed[raw] += 1
        return int(raw)

    monkeypatch.setattr(headers, "_KINDS", {Type.INT: kind._replace(parse=note)})
    values = [b"%d" % (row % 3) for row in range(1_000)]
    out = decode(headed([BODY] * 1_000, {"fw": values}), heading(FIELDS[1]))
    assert parsed == Counter({b"0": 1, b"1": 1, b"2": 1})
    assert plain(out.columns["fw"]) == [row % 3 for row in range(1_000)]


def test_a_format_sees_no_headers() -> None:
    seen: list[Records] = []

    class Format:
        def decode(self, of: Records) -> Decoded:
            seen.append(of)
            return Decoded(of.keys, of.timestamp, of.offset, {}, ())

    with_headers(Format(), heading(*FIELDS[:1], device="d")).decode(headed([None], {"site": [b"s"], "d": [b"m"]}))
    assert seen[0].headers == {}
    assert seen[0].keys.values() == [b"m"]


def test_a_reading_without_headers_leaves_the_decoder_as_it_is() -> None:
    decoder = Json.model_validate({}).decoder(heading())
    assert with_headers(decoder, heading()) is decoder


def test_records_that_are_picked_keep_their_headers() -> None:
    of = headed([BODY] * 4, {"site": [b"a", None, b"c", b"d"]})
    assert of.take(np.array([3, 1])).headers["site"].to_list() == [b"d", None]
    assert of.take(slice(2)).headers["site"].to_list() == [b"a", None]


def test_text_of_headers_is_codes_of_few_texts() -> None:
    out = decode(headed([BODY] * 4, {"site": [b"a", None, b"a", b"b"]}), heading(FIELDS[0]))
    column = out.columns["site"]
    assert isinstance(column, Text)
    assert (column.codes.tolist(), list(column.values)) == ([0, -1, 0, 1], ["a", "b"])
