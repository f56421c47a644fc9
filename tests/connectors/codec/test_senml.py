"""Tests of SenML: the examples of RFC 8428, and what isn't valid."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.senml import Senml, resolved
from operators.batch import Column, Text, Type

NOW = 1_700_000_000_250_000
FIELDS = (
    FieldPath("n", ("n",), Type.TEXT),
    FieldPath("u", ("u",), Type.TEXT),
    FieldPath("v", ("v",), Type.FLOAT),
    FieldPath("vs", ("vs",), Type.TEXT),
    FieldPath("vb", ("vb",), Type.BOOL),
    FieldPath("s", ("s",), Type.FLOAT),
)
READING = Reading(FIELDS, (("n",),), ("t",), Unit.S, 10**18)


def read(*packs: object, reading: Reading = READING, time: int = NOW) -> Decoded:
    values = [pack if isinstance(pack, bytes) else json.dumps(pack).encode() for pack in packs]
    rows = len(values)
    records = Records.of("raw", 0, values, [None] * rows, np.full(rows, time), np.arange(rows) + 10)
    return Senml.model_validate({}).decoder(reading).decode(records)


def plain(column: Column) -> list[Any]:
    return column.to_list() if isinstance(column, Text) else column.tolist()


def reason(pack: object, **options: Any) -> str:
    good = [{"n": "good", "v": 1}]
    made = read(good, pack, good, **options)
    assert made.offset.tolist() == [10, 12], "those around it are good, and none of its own rows is left"
    ((row, said),) = made.dead
    assert row == 1
    return said


def test_a_single_value_is_of_the_time_of_its_record() -> None:
    made = read([{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}])
    assert made.device.to_list() == [b"urn:dev:ow:10e2073a01080063"]
    assert made.ts.tolist() == [NOW]
    assert (plain(made.columns["u"]), plain(made.columns["v"])) == (["Cel"], [23.1])


def test_times_are_relative_to_the_base_time() -> None:
    made = read(
        [
            {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e09, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1},
            {"n": "current", "t": -5, "v": 1.2},
            {"n": "current", "t": -4, "v": 1.3},
            {"n": "current", "v": 1.7},
        ]
    )  # fmt: skip
    assert plain(made.columns["n"]) == [f"urn:dev:ow:10e2073a0108006:{name}" for name in ["voltage", *["current"] * 3]]
    assert plain(made.columns["u"]) == ["V", "A", "A", "A"]
    assert plain(made.columns["v"]) == [120.1, 1.2, 1.3, 1.7]
    assert made.ts.tolist() == [1_276_020_076_001_000 + us for us in (0, -5_000_000, -4_000_000, 0)]
    assert made.offset.tolist() == [10] * 4


def test_base_values_count_until_others_come() -> None:
    made = read(
        [
            {"bn": "urn:dev:ow:10e2073a01080063", "bt": 1.320067464e09, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621},
            {"t": 60, "v": 20.3},
            {"bn": "other:", "bt": 0, "bu": "W", "bv": 100, "bs": 7, "n": "power", "t": 1.4e9, "v": 1, "s": 1},
            {"n": "power", "t": 1.4e9, "v": 2},
        ]
    )
    assert plain(made.columns["u"]) == ["%RH", "lon", "%RH", "W", "W"]
    assert plain(made.columns["v"]) == [20, 24.30621, 20.3, 101, 102]
    assert np.array(plain(made.columns["s"]))[3:].tolist() == [8, 7]
    assert made.ts.tolist() == [1_320_067_464_000_000, 1_320_067_464_000_000, 1_320_067_524_000_000, *[1_400_000_000_000_000] * 2]  # fmt: skip
    assert made.device.to_list()[-1] == b"other:power"


def test_a_base_value_or_sum_counts_alone_where_there_is_none() -> None:
    made = read([{"bn": "a", "bv": 5, "n": "b"}, {"vs": "x"}, {"bs": 2, "s": 1, "t": 0}, {"bv": 0.5, "u": "V"}])
    assert not made.dead
    assert np.array_equal(plain(made.columns["v"]), [5, np.nan, 5, 0.5], equal_nan=True)
    assert np.array_equal(plain(made.columns["s"]), [np.nan, np.nan, 3, 2], equal_nan=True)


def test_a_pack_of_many_long_names_is_refused_before_they_are_made() -> None:
    long = "a" * 1_000
    assert not read([{"bn": long[1:], "n": "b", "v": 1}, {"bn": "", "n": long, "v": 1}]).dead
    pack = [{"bn": "a" * 10**6}, *[{"n": "b", "v": 1}] * 10_000]
    tracemalloc.start()
    said = reason(pack)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said.startswith(
        "reading 1: expected a name of at most 1000 characters, base name and `n` together, given text: 'aaa"
    )
    assert most < 50e6


def test_values_of_other_kinds_and_sums() -> None:
    made = read(
        [
            {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1},
            {"n": "label", "vs": "Machine Room"},
            {"n": "open", "vb": False},
            {"n": "nfc-reader", "vd": "aGkgCg"},
            {"n": "energy", "s": 12.5},
        ]
    )
    assert not made.dead
    assert plain(made.columns["vs"])[1] == "Machine Room"
    assert plain(made.columns["vb"])[2] == 0
    assert plain(made.columns["s"])[4] == 12.5
    assert np.isnan(plain(made.columns["v"])[1:]).all()


def test_the_base_name_can_be_the_device_and_other_fields_are_read_as_they_stand() -> None:
    reading = Reading((FieldPath("x", ("x", "y"), Type.INT),), (("bn",),), (), Unit.US, 10**18)
    made = read([{"bn": "gw1:", "n": "a", "v": 1, "x": {"y": 5}}, {"n": "b", "v": 1}], reading=reading)
    assert made.device.to_list() == [b"gw1:"] * 2
    assert made.ts.tolist() == [NOW] * 2, "no time is read, so it is the record's"
    assert plain(made.columns["x"])[0] == 5


def test_what_holds_no_measurement_gives_no_row() -> None:
    made = read([], [{"bn": "a:"}], [{"bn": "a:"}, {"n": "b", "v": 1}])
    assert not made.dead
    assert made.offset.tolist() == [12]


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        ({"n": "a", "v": 1}, "expected a SenML pack, which is an array of records, given an object: {'n': 'a', 'v': 1}"),
        (b"[{]", "can't be decoded: "),
        (b"", "the record's value is empty"),
        ([{"n": "a", "v": 1}, 5], "reading 1: expected a SenML record, given a number: 5"),
        ([{"v": 1}], "reading 0: expected a name of letters, digits"),
        ([{"bn": "-a", "v": 1}], "reading 0: expected a name of letters, digits"),
        ([{"n": "a b", "v": 1}], "reading 0: expected a name of letters, digits"),
        ([{"n": "a\n", "v": 1}], "reading 0: expected a name of letters, digits"),
        ([{"n": "a"}], "reading 0: expected one value, `v`, `vs`, `vb` or `vd`, or a sum `s`, given none"),
        ([{"n": "a", "v": 1, "vb": True}], "reading 0: expected one value, `v`, `vs`, `vb` or `vd`, or a sum `s`, given `v` and `vb`"),
        ([{}], "reading 0: expected a name"),
        ([{"n": "a", "v": "1"}], "reading 0: field `v`: expected a number, given text: '1'"),
        ([{"n": "a", "v": True}], "reading 0: field `v`: expected a number, given a bool: True"),
        ([{"n": "a", "v": None}], "reading 0: field `v`: expected a number, given nothing"),
        ([{"n": 5, "v": 1}], "reading 0: field `n`: expected text, given a number: 5"),
        ([{"n": "a", "vb": 1}], "reading 0: field `vb`: expected true or false, given a number: 1"),
        ([{"bver": 11, "n": "a", "v": 1}], "reading 0: field `bver`: expected version 10 at most, given 11"),
        ([{"n": "a", "v": 1}, {"n": "a", "v": 1, "foo_": 1}], "reading 1: field `foo_`: it must be understood"),
        (b'[{"n": "a", "v": 1, "v": 2}]', "can't be decoded: the key 'v' stands twice in one object"),
        ([{"n": "a", "v": 1}, {"n": "b", "v": 1, "bt": 1e300}], "reading 1: field `t`: expected a time"),
        (b"[" * 10_000 + b"]" * 10_000, "can't be decoded: "),
    ],
)  # fmt: skip
def test_a_pack_that_is_not_valid_is_dead_as_a_whole(pack: object, said: str) -> None:
    assert reason(pack).startswith(said)


def test_a_relative_time_needs_a_record_with_a_time() -> None:
    made = read([{"n": "a", "v": 1, "t": -3}], time=-1)
    assert "as the record has no time of its own, given -3 s from that" in made.dead[0].reason
    assert read([{"n": "a", "v": 1, "t": 1.7e9}], time=-1).ts.tolist() == [1_700_000_000_000_000]


def test_times_are_seconds() -> None:
    problems = Senml.model_validate({}).problems(Reading(FIELDS, (("n",),), ("t",), Unit.MS, 0))
    assert [problem.expected for problem in problems] == ["`unit: s`, in which SenML's times are"]


NAMES = st.text("ab-:./_", max_size=3)
NUMBERS = st.integers(-5, 5) | st.sampled_from([0.5, -0.25, 1.7e9, 2.0**28])
VALUES = st.fixed_dictionaries(
    {"n": NAMES.map("x".__add__), "v": NUMBERS},
    optional={"bn": NAMES.map("y".__add__), "bt": NUMBERS, "bv": NUMBERS, "bs": NUMBERS, "bu": st.sampled_from("AV"), "u": st.just("W"), "t": NUMBERS, "s": NUMBERS},
)  # fmt: skip


@given(st.lists(VALUES, max_size=8))
def test_resolving_what_is_resolved_changes_nothing(pack: list[dict[str, Any]]) -> None:
    now = 1.7e9
    once = resolved(json.loads(json.dumps(pack)), now)
    bare = [{name: value for name, value in record.items() if name != "bn"} for record in once]
    absolute = [record for record in bare if record["t"] >= 2.0**28]
    again = resolved(json.loads(json.dumps(absolute)), None)
    assert [{**record, "bn": ""} for record in absolute] == again


@given(st.lists(VALUES, max_size=8))
def test_each_record_counts_with_the_last_base_values_before_it(pack: list[dict[str, Any]]) -> None:
    for at, found in enumerate(resolved(json.loads(json.dumps(pack)), 0.0)):
        last = {name: next((record[name] for record in pack[at::-1] if name in record), None) for name in ("bn", "bt", "bv", "bs", "bu")}  # fmt: skip
        own = pack[at]
        assert found["n"] == (last["bn"] or "") + own["n"]
        assert found["v"] == own["v"] + (last["bv"] or 0)
        assert found["t"] == (last["bt"] or 0) + own.get("t", 0)
        assert found.get("u") == own.get("u", last["bu"])
        assert found.get("s") == (
            None if "s" not in own and last["bs"] is None else own.get("s", 0) + (last["bs"] or 0)
        )
