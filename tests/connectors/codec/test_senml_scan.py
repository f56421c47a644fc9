"""SenML read by kernels: whatever stands there, it is what documents give, or is left to them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import FieldPath, Reading, Records, Unit
from connectors.codec.senml import Senml
from connectors.codec.senml_scan import SenmlScan
from operators.batch import Type
from tests.connectors.codec.agreement import records, told

TYPES = {
    "n": Type.TEXT, "bn": Type.TEXT, "u": Type.TEXT, "v": Type.FLOAT, "vs": Type.TEXT, "vb": Type.BOOL, "vd": Type.TEXT,
    "s": Type.FLOAT, "t": Type.FLOAT, "ut": Type.FLOAT,
}  # fmt: skip
ALL = tuple(FieldPath(f"the_{name}", (name,), type_) for name, type_ in TYPES.items())
X = (FieldPath("x", ("x",), Type.INT), FieldPath("y", ("o", "y"), Type.TEXT))
READINGS = {
    "all, by name": Reading((*ALL, *X), (("n",),), ("t",), Unit.S, 10**18),
    "by base name": Reading(ALL[:4], (("bn",),), ("t",), Unit.S, 10**9),
    "by unit and name": Reading(X, (("u",), ("bn",), ("n",)), ("t",), Unit.S, 10**18),
    "by key": Reading((ALL[3],), (), ("t",), Unit.S, 10**18),
    "the record's time": Reading((*ALL[2:5], ALL[8]), (("n",),), (), Unit.US, 10**9),
}


def agree(packs: Sequence[bytes | None], reading: Reading, of: Records | None = None) -> None:
    decoder: Any = Senml.model_validate({}).decoder(reading)
    whole = records(packs) if of is None else of
    assert told(decoder.decode(whole)) == told(decoder._by_document(whole))


def timed(packs: Sequence[bytes | None]) -> Records:
    """Make records that all have keys and times."""
    rows = len(packs)
    return Records.of("raw", 0, packs, [b"k"] * rows, np.full(rows, 1_700_000_000_000_001), 5 * np.arange(rows))


def left(packs: Sequence[bytes | None], reading: Reading) -> list[int]:
    """Give the packs that are left to documents."""
    places: list[int] = SenmlScan(reading).scan(timed(packs))[1].tolist()
    return places


_NAME = st.sampled_from(["a", "ab", "b", "a:", "", "x/y.z-1", "A" * 600, "temp_", "null", "é", "-a", "a b"])
_FINE = st.sampled_from(["a", "ab", "b", "abc", "urn:dev:"])
_NUMBER = st.sampled_from(
    [0, 1, -1.5, 7, 2**28, 2.0**28 - 1, -(2.0**28), 1.7e9, 1_700_000_000, 1e308, -1e308, -0.0, 2**53 + 1, 1e15, 12]
)
_SMALL = st.sampled_from([0, 1, -1.5, 0.1, 1.7e9, 1_700_000_000, 3, 2**28, 10_000])
_ANY = st.one_of(st.none(), st.booleans(), _NUMBER, _NAME, st.just([1]), st.just({"y": "z"}))


def fields(name: Any, number: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("bt", "bv", "bs", "v", "s", "t", "ut"), number)
    return {
        **numbers,
        **dict.fromkeys(("bn", "bu", "n", "u", "vs", "vd"), name),
        "vb": st.booleans(),
        "bver": st.sampled_from([5, 10, 10.0, 11]),
    }


ODD = {**fields(_NAME, _NUMBER), "x": _ANY, "o": _ANY, "z_": _ANY, "more": _ANY}
_RECORD = st.one_of(
    st.fixed_dictionaries({"n": _FINE, "v": _SMALL}, optional={"bn": _FINE, "bt": _SMALL, "bu": _FINE, "u": _FINE, "t": _SMALL, "x": st.integers(0, 5)}),
    st.fixed_dictionaries({"n": _FINE}, optional={"v": _SMALL, "vs": _FINE, "vb": st.booleans(), "s": _SMALL, "bv": _SMALL, "bs": _SMALL}),
    st.fixed_dictionaries({}, optional={"bn": _FINE, "bt": _SMALL, "bver": st.just(10), "bv": _SMALL, "z": st.just(1)}),
    st.fixed_dictionaries({}, optional=ODD),
    st.fixed_dictionaries({"n": _FINE, "v": _SMALL}, optional={name: _ANY for name in ODD if name not in "nv"}),
)  # fmt: skip
_MOSTLY = st.lists(_RECORD, max_size=5)
_SPACES = st.sampled_from([(",", ":"), (" , ", " :\n"), (", ", ": ")])


@st.composite
def written(draw: st.DrawFn) -> bytes:
    made = json.dumps(draw(_MOSTLY), separators=draw(_SPACES), ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from([made, made, f" {made}\n"])).encode()


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(packs=st.lists(written(), min_size=1, max_size=6), dated=st.booleans())
def test_packs_are_what_documents_give(name: str, packs: list[bytes], dated: bool) -> None:
    agree(packs, READINGS[name], timed(packs) if dated else None)


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
    b'"n":"a",',
    b"null",
    b"[]",
    b"{},",
    b'_":',
]


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(st.data())
def test_packs_that_were_disturbed_are_what_documents_give(name: str, data: st.DataObject) -> None:
    value = bytearray(data.draw(written()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value)))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(_PIECES))
    packs = [b'[{"bn":"a","v":1}]', bytes(value), b'[{"bn":"a","v":1},{"v":2}]']
    agree(packs, READINGS[name], timed(packs))


def test_ordinary_packs_are_read_by_the_kernels() -> None:
    packs: list[bytes | None] = [
        b'[{"bn":"urn:dev:ow:10e2:","bt":1.276020076e9,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2}]',
        b'[{"bn":"a:","bu":"V","bv":1},{"n":"label","vs":"on"},{"n":"open","vb":false},{"n":"raw","vd":"aGk"},{"n":"manual","s":1.5}]',
        b'[{"bn":"a:","n":"b","u":"V","v":1,"more":{"k":[1]}}]',
        b"[]",
        b'[{"bn":"a"}]',
        b'[{"bt":5e8},{"bn":"a:"},{"n":"b","u":"V","v":1}]',
        b' [ {"bn":"a:","n":"a" , "u":"V","bv":1} ] \n',
    ]
    for reading in READINGS.values():
        assert left(packs, reading) == []
        agree(packs, reading, timed(packs))


def test_a_time_that_is_too_far_ahead_is_told() -> None:
    packs: list[bytes | None] = [
        b'[{"bn":"a","v":1,"t":%d}]' % seconds for seconds in (1_000, 1_001, 1_700_001_000, 1_700_001_001)
    ]
    assert left(packs, READINGS["by base name"]) == [1, 3]
    agree(packs, READINGS["by base name"], timed(packs))


@pytest.mark.parametrize("seconds", [2**28 - 1, 2**28, 2**28 + 1])
def test_times_from_2_to_the_28_on_are_no_longer_relative(seconds: int) -> None:
    decoded, _ = SenmlScan(READINGS["all, by name"]).scan(timed([b'[{"n":"a","v":1,"t":%d}]' % seconds]))
    assert decoded.ts.tolist() == [seconds * 1_000_000 + 1_700_000_000_000_001 * (seconds < 2**28)]


@pytest.mark.parametrize(
    "pack",
    [
        b'[{"n":"a","v":1}]x', b'[{"n":"a","v":1}]]', b'[{"n":"a","v":1}', b'[{"n":"a","v":1},]', b'[{"n":"a","v":1}{"n":"b","v":1}]', b'{"n":"a","v":1}', b"5", b"", None,
        b'[{"n":"a","v":1,"z_":1}]', b'[{"n":"a","v":1,"u":null}]', b'[{"n":"a","v":1,"n":"b"}]', b'[{"bn":"a","z":1}]', b"[{}]", b'[{"z":1}]', b'[{"bn":"a:","bver":11}]',
        b'[{"bn":"a:","z":"b:\\"c"},{"n":"a","v":1}]', b'[{"bn":"a","bn":"b"}]', b'[{"n":"a","v":1,"vs":"b"}]', b'[{"n":"a","v":1e999}]', b'[[{"n":"a","v":1}]]',
    ],
)  # fmt: skip
def test_packs_that_are_not_valid_are_left(pack: bytes | None) -> None:
    good = b'[{"n":"a","v":1}]'
    assert left([good, pack, good], READINGS["all, by name"]) == [1]
    agree([good, pack, good], READINGS["all, by name"], timed([good, pack, good]))


def test_names_that_are_the_same_in_other_parts_are_one_text() -> None:
    packs: list[bytes | None] = [
        b'[{"bn":"a","bu":"V","n":"bc","v":1},{"bn":"ab","n":"c","v":2},{"bn":"","n":"abc","u":"V","v":2}]'
    ]
    decoded, _ = SenmlScan(READINGS["all, by name"]).scan(timed(packs))
    for name, text in (("the_n", "abc"), ("the_u", "V")):
        column: Any = decoded.columns[name]
        assert column.to_list() == [text] * 3
        assert len(set(column.codes.tolist())) == 1
    assert decoded.device.values() == [b"abc"] * 3


def test_base_values_of_a_pack_end_with_it() -> None:
    packs: list[bytes | None] = [b'[{"bn":"a:","bv":5,"bt":1,"n":"b","v":1}]', b'[{"n":"b","v":1}]', b'[{"v":1}]']
    assert left(packs, READINGS["all, by name"]) == [2]
    agree(packs, READINGS["all, by name"], timed(packs))


@pytest.mark.parametrize(
    ("fields", "device", "time", "unit"),
    [
        ((FieldPath("v", ("v",), Type.INT),), (("n",),), ("t",), Unit.S),
        ((FieldPath("t", ("bt",), Type.FLOAT),), (("n",),), ("t",), Unit.S),
        ((FieldPath("k", ("v", "k"), Type.FLOAT),), (("n",),), ("t",), Unit.S),
        ((), (("n",), ("vs",)), ("t",), Unit.S),
        ((), (("n",),), ("when",), Unit.ISO),
        ((), (("n",),), ("ut",), Unit.S),
    ],
)  # fmt: skip
def test_what_is_read_in_other_ways_is_read_of_documents(fields: Any, device: Any, time: Any, unit: Unit) -> None:
    reading = Reading(fields, device, time, unit, 10**18)
    assert not SenmlScan.fits(reading)
    agree([b'[{"n":"a","v":1,"ut":1.7e9,"vs":"x","when":"2026-01-31T12:00:00Z"},{"n":"a","v":2.5}]'], reading)


def test_a_pack_of_many_long_names_is_left_before_they_are_made() -> None:
    pack = json.dumps([{"bn": "a" * 10**6}, *[{"n": f"b{row}", "v": 1} for row in range(10_000)]]).encode()
    tracemalloc.start()
    assert left([pack], READINGS["all, by name"]) == [0]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6
