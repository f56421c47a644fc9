"""JSON read by the kernel: whatever stands there, it is what the library makes of it, or is left to the library."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.json import Json
from connectors.codec.json_scan import JsonScan
from operators.batch import Text, Type

ROOT = Path(__file__).parents[3]
FIELDS = (
    FieldPath("x", ("x",), Type.FLOAT),
    FieldPath("again", ("x",), Type.FLOAT),
    FieldPath("n", ("n",), Type.INT),
    FieldPath("ok", ("data", "ok"), Type.BOOL),
    FieldPath("text", ("data", "deep", "text"), Type.TEXT),
)
READINGS = {
    "one field": Reading(FIELDS, (("dev",),), ("ts",), Unit.MS, 10**9),
    "two fields": Reading(FIELDS, (("dev",), ("data", "part")), ("ts",), Unit.S, 10**9),
    "the key": Reading(FIELDS, (), (), Unit.US, 10**9),
    "iso": Reading(FIELDS, (("dev",),), ("ts",), Unit.ISO, 10**9),
    "ns": Reading(FIELDS, (("dev",),), ("data", "ts"), Unit.NS, 10**9),
}
INF = float("inf")


def records(values: Sequence[bytes | None]) -> Records:
    at = np.arange(len(values))
    keys = [b"key" if number % 7 else b"" for number in range(len(values))]
    return Records("raw", 0, values, keys, np.where(at % 3, -1, 1_700_000_000_000_000), 10 + 2 * at)


def told(decoded: Decoded) -> dict[str, Any]:
    """Give all that was decoded, floats to the bit."""
    columns = {
        name: column.to_list() if isinstance(column, Text) else column.view(f"i{column.itemsize}").tolist()
        for name, column in decoded.columns.items()
    }
    assert decoded.ts.dtype == decoded.offset.dtype == np.int64
    head = {"device": list(decoded.device), "ts": decoded.ts.tolist(), "offset": decoded.offset.tolist()}
    return {**head, **columns, "dead": list(decoded.dead)}


def agree(values: Sequence[bytes | None], reading: Reading) -> None:
    """Hold what the decoder gives against what it gives by documents alone."""
    decoder: Any = Json.model_validate({}).decoder(reading)
    assert told(decoder.decode(records(values))) == told(decoder._by_document(records(values)))


def floats(texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Read numbers; gives them, and which were read."""
    scan = JsonScan(Reading((FieldPath("x", ("x",), Type.FLOAT),), (), (), Unit.US, 0))
    values = [b'{"x": %b}' % text.encode() for text in texts]
    at = np.arange(len(values))
    decoded, left = scan.scan(Records("raw", 0, values, [b"k"] * len(values), at, at))
    column = decoded.columns["x"]
    assert isinstance(column, np.ndarray)
    return column, np.setdiff1d(at, left)


# Numbers.


def halfway(random_: random.Random) -> str:
    """Write a number that lies halfway between two floats, if it can be written in 19 digits."""
    value = Fraction(2 * random_.randrange(1 << 52, 1 << 53) + 1, 2) * Fraction(2) ** random_.randrange(-8, 8)
    digits = value.denominator.bit_length() - 1
    return f"{value.numerator * 5**digits}e-{digits}"


def number(random_: random.Random) -> str:  # noqa: PLR0911  # one of many
    """Write a number in one of the many ways there are."""
    kind = random_.randrange(7)
    if kind == 0:
        value = struct.unpack("d", struct.pack("Q", random_.getrandbits(64)))[0]
        return repr(value) if abs(value) < INF else "0.0"
    if kind == 1:
        return repr(random_.gauss(0, 100))
    if kind == 2:
        return (
            f"{random_.randrange(10 ** random_.randrange(1, 12))}.{random_.randrange(10 ** random_.randrange(1, 12))}"
        )
    if kind == 3:
        return f"-{random_.randrange(1, 10 ** random_.randrange(1, 19))}E{random_.randrange(-300, 280):+}"
    if kind == 4:
        return halfway(random_)
    if kind == 5:
        return f"{random_.random() * 10 ** random_.randrange(-20, 20):.{random_.randrange(1, 18)}e}"
    return str(random_.randrange(-(10**18), 10**18))


def test_numbers_are_those_of_python_to_the_last_bit() -> None:
    random_ = random.Random(1)
    texts = [number(random_) for _ in range(50_000)]
    got, read = floats(texts)
    expected = np.array([float(texts[at]) for at in read.tolist()])
    wrong = np.flatnonzero(got.view(np.int64) != expected.view(np.int64))
    assert not len(wrong), [(texts[read[at]], got[at], expected[at]) for at in wrong[:5].tolist()]
    assert len(read) > 0.9 * len(texts), "few are left to the library"


@pytest.mark.parametrize(
    "text",
    [
        "0", "0.0", "-0.0", "1", "-1", "0.1", "1e22", "1e23", "9007199254740993", "9007199254740993.0", "1e-7", "0e5",
        "1.7976931348623157e308", "2.2250738585072014e-308", "8.41e21", "9223372036854775807e-5", "123456789012345678",
        "4503599627370496.5", "4503599627370497.5", "0.3", "179769313486231570e291", "0.000000000000000000001",
    ],
)  # fmt: skip
def test_numbers_at_the_edges_are_read(text: str) -> None:
    got, read = floats([text])
    assert len(read) == 1, "it is left to the library"
    assert struct.pack("d", got[0]) == struct.pack("d", float(text))


@pytest.mark.parametrize("text", ["1e309", "5e-324", "-0", "1" * 20, "0." + "1" * 20, "1e-308", "1" * 400])
def test_what_is_not_sure_is_left_to_the_library(text: str) -> None:
    _, read = floats([text])
    assert len(read) == 0
    agree([b'{"dev": "a", "ts": 1, "x": %b}' % text.encode()], READINGS["one field"])


@pytest.mark.parametrize(
    "text",
    ["01", "+1", ".5", "5.", "1e", "1e+", "--1", "-", "0x1", "1_0", "NaN", "Infinity", "1.e5", "1 2", "tru", "nul"],
)
def test_what_is_no_number_is_not_read(text: str) -> None:
    _, read = floats([text])
    assert len(read) == 0
    agree([b'{"dev": "a", "ts": 1, "x": %b}' % text.encode()], READINGS["one field"])


# Documents.

_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1_700_000_000_000, 1_700_000_000, 1.5, 1_700_000_000.25, "", "on", "a/b", "50%", "é", "a\\n", 'a"b', "x" * 1_001]),
    st.sampled_from(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.25+01:00", "2024-02-29T00:00:00Z", "2026-02-29T00:00:00Z"]),
)  # fmt: skip
_KEYS = st.sampled_from(["x", "n", "ts", "dev", "ok", "data", "deep", "text", "part", "other", "", "é", "xx"])
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=4))
)
_DOCUMENTS = st.one_of(
    st.fixed_dictionaries(
        {"dev": st.sampled_from(["a", "b", 7, -7]), "ts": st.sampled_from([1_700_000_000_000, 1_700_000_000, 1.5e9])},
        optional={
            "x": _LEAVES,
            "n": _LEAVES,
            "data": st.fixed_dictionaries(
                {"ok": st.sampled_from([True, False, None])},
                optional={"deep": st.fixed_dictionaries({"text": _LEAVES}), "part": _LEAVES, "ts": _LEAVES},
            ),
            "other": _VALUES,
        },
    ),
    st.dictionaries(_KEYS, _VALUES, max_size=6),
    _VALUES,
)


def spaced(data: st.DataObject, value: Any) -> bytes:
    """Write a document, with white space."""
    text = orjson.dumps(value, option=data.draw(st.sampled_from([0, orjson.OPT_INDENT_2])))
    return data.draw(st.sampled_from([b"", b" ", b"\r\n\t"])) + text + data.draw(st.sampled_from([b"", b" \n"]))


@pytest.mark.parametrize("name", READINGS)
@given(data=st.data())
def test_documents_are_what_the_library_makes_of_them(name: str, data: st.DataObject) -> None:
    values = [spaced(data, value) for value in data.draw(st.lists(_with_int64(_DOCUMENTS), min_size=1, max_size=6))]
    agree(values, READINGS[name])


def _with_int64(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Leave out what orjson doesn't write."""
    return documents.filter(_writes)


def _writes(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(data=st.data())
def test_bytes_that_were_disturbed_are_what_the_library_makes_of_them(name: str, data: st.DataObject) -> None:
    value = bytearray(spaced(data, data.draw(_with_int64(_DOCUMENTS))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value)))
        piece = data.draw(
            st.sampled_from(
                [
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
                    b"e",
                    b".",
                    b" ",
                    b"\xff",
                    b"\x00",
                    b'"x":1,',
                ]
            )
        )
        value[at : at + data.draw(st.integers(0, 2))] = piece
    agree([bytes(value), b'{"dev": "a", "ts": 1700000000, "x": 1}'], READINGS[name])


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" ", b"{}", b"[]", b"5", b"null", b'{"dev":"a","ts":1}', b'{"dev":"a","ts":1}}', b'{"dev":"a","ts":1},',
        b'{"dev":"a","ts":1,"x":1,"x":2}', b'{"dev":"a","ts":1,"o":{"k":1,"k":1}}', b'{"dev":"a","ts":1,"o":[{"k":1},{"k":1}]}',
        b'{"dev":"a","ts":1,"data":5}', b'{"dev":"a","ts":1,"data":null}', b'{"dev":"a","ts":1,"data":[{"ok":true}]}',
        b'{"dev":"a","ts":1,"x":{}}', b'{"dev":"a","ts":1,"x":[]}', b'{"dev":null,"ts":1}', b'{"dev":"a","ts":null}',
        b'{"dev":"a","ts":1,"o":' + b"[" * 40 + b"]" * 40 + b"}", b'{"dev":"a","ts":1,"o":[1,]}', b'{"dev":"a","ts":1,}',
        b'{"dev":"a","ts":1,"o":[}]}', b'{"dev":"a","ts":1,"o":[1}}', b'{"dev":"a","ts":1,"o":{"k":1]}', b'{"dev":"a","ts":1,"o":{]}', b'{"d\\u0065v":"a","ts":1}', b'{"dev":"a","ts":1,"ab":1,"aXb":2,"acb":3}',
        b"{" + b",".join(b'"k%d":1' % key for key in range(100)) + b',"dev":"a","ts":1}',
        b'{"dev":"a","ts":99999999999999999999}', b'{"dev":"a","ts":253402300800000}', b'{"dev":"a","ts":-62135596800001}',
        b'{"dev":"a","ts":4102444800000}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", READINGS)
def test_odd_records_are_what_the_library_makes_of_them(name: str, value: bytes | None) -> None:
    good = b'{"dev": "b", "ts": 1700000000000, "x": 2.5, "data": {"ok": true, "deep": {"text": "on"}, "part": "p", "ts": 17}}'
    agree([good, value, good], READINGS[name])


@given(
    st.lists(st.datetimes(), min_size=1, max_size=5),
    st.sampled_from(["Z", "z", "+00:00", "-23:59", "+24:00", "+1:00", "", " Z"]),
)
def test_times_in_iso_8601_are_what_the_library_makes_of_them(times: list[Any], offset: str) -> None:
    texts = [time.isoformat() + offset for time in times]
    texts += [text.replace("T", " ") for text in texts] + [text[:-1] for text in texts]
    texts += [
        "2026-13-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "1900-02-29T00:00:00Z",
    ]
    agree([b'{"dev": "a", "ts": "%b"}' % text.encode() for text in texts], READINGS["iso"])


def test_an_ordinary_record_is_read_by_the_kernel() -> None:
    values = [
        b'{"dev": "a%d", "ts": 1700000000000, "x": 2.5, "n": 7, "data": {"ok": true, "deep": {"text": "on"}}, "list": [1, {}]}'
        % row
        for row in range(50)
    ]
    decoded, left = JsonScan(READINGS["one field"]).scan(records(values))
    assert len(left) == 0
    assert decoded.device[3] == b"a3"
    assert told(decoded)["text"] == ["on"] * 50


def test_a_key_may_stand_in_an_object_and_in_one_within_it() -> None:
    value = b'{"o": {"x": 1, "o": {"x": 2}}, "x": 3, "dev": "a", "ts": 1700000000000, "p": {"dev": 5}}'
    decoded, left = JsonScan(READINGS["one field"]).scan(records([value]))
    assert len(left) == 0
    assert told(decoded)["x"] == np.array([3.0]).view(np.int64).tolist()


def test_texts_of_which_one_begins_another_are_different() -> None:
    texts = ["a" * length for length in range(1, 800)]
    random.Random(1).shuffle(texts)
    values = [
        b'{"dev": "%b", "ts": 1700000000000, "data": {"deep": {"text": "%b"}}}' % (text.encode(), text.encode())
        for text in texts
    ]
    decoded, left = JsonScan(READINGS["one field"]).scan(records(values))
    assert len(left) == 0
    assert told(decoded)["text"] == texts
    assert [device.decode() for device in decoded.device] == texts


def test_the_kernel_never_looks_outside_of_its_arrays(tmp_path: Path) -> None:
    """The tests of this file again, with every index checked by numba."""
    if "NUMBA_BOUNDSCHECK" in os.environ:
        pytest.skip("this is the run with the check")
    environ = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "disturbed or odd or no_number or iso_8601",
        __file__,
    ]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout[-3_000:]
