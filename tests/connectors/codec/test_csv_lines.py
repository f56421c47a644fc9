"""Records of CSV taken apart: lines end where Python's csv ends them, and a header line names what is behind it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.csv_lines import Lines, cells_of, lines_of
from tests.connectors.codec.records import records

COLUMNS = ["a", "b"]
_PIECES = st.sampled_from(
    ["a", "1.5", '"', '""', ",", ",", ";", "\n", "\r", "\r\n", " ", "é", "x" * 9, '"a,b"', '"\n"', ',"']
)
_VALUES = st.lists(_PIECES, min_size=1, max_size=12).map("".join)


def apart(values: list[bytes | None], columns: list[str] | None = COLUMNS, read: tuple[str, ...] = ("a", "b")) -> Lines:
    return lines_of(records(values), ",", columns, read)


def lines(values: list[bytes | None], columns: list[str] | None = COLUMNS) -> list[tuple[int, bytes | None]]:
    """Give the lines, each with the record it stands in."""
    split = apart(values, columns).split
    assert split.readings.offset.tolist() == split.record.tolist(), "a reading has the offset of its record"
    return list(zip(split.record.tolist(), split.readings.values.to_list(), strict=True))


@settings(max_examples=500)
@given(st.lists(_VALUES, min_size=1, max_size=4))
def test_lines_are_those_that_python_reads(texts: list[str]) -> None:
    found = lines([text.encode() for text in texts])
    for row, text in enumerate(texts):
        try:
            expected = [cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells]
        except csv.Error:
            with pytest.raises(ValueError, match=r"quote|expected after"):
                _ = [cells_of(line or b"", ",") for of, line in found if of == row]
        else:
            assert [cells_of(line or b"", ",") for of, line in found if of == row] == expected


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n\r\n"])
@pytest.mark.parametrize("between", [b"\n", b"\r\n", b"\r", b"\n\n"])
def test_lines_end_with_lf_crlf_or_cr_and_empty_ones_are_none(between: bytes, end: bytes) -> None:
    value = between.join([b"1,2", b'3,"4\r\n\n5"', b"6,7"]) + end
    assert [line for _, line in lines([value])] == [b"1,2", b'3,"4\r\n\n5"', b"6,7"]


def test_a_quote_that_does_not_begin_a_cell_is_a_letter() -> None:
    assert [line for _, line in lines([b'5" pipe,1\n6" pipe,2\n a"b", "c\nd'])] == [
        b'5" pipe,1',
        b'6" pipe,2',
        b' a"b", "c',
        b"d",
    ]


def test_a_quote_that_is_never_closed_goes_to_the_end_of_its_record_alone() -> None:
    assert lines([b'1,2\n3,"4\n5,6', b"7,8"]) == [(0, b"1,2"), (0, b'3,"4\n5,6'), (1, b"7,8")]


@pytest.mark.parametrize("length", range(20))
def test_a_break_is_found_wherever_it_stands(length: int) -> None:
    for mark in (b"\n", b"\r"):
        assert [line for _, line in lines([b"x" * length + mark + b"y" * 9])] == [b"x" * length, b"y" * 9][not length :]
    assert [line for _, line in lines([b"x" * length + b'\n"' + b"\n" * length + b'"\ny'])][-2:] == [
        b'"' + b"\n" * length + b'"',
        b"y",
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_cell() -> None:
    assert lines([b"\xef\xbb\xbf1,2", b"\xef\xbb\xbf\n", b"\xef\xbb"]) == [(0, b"1,2"), (2, b"\xef\xbb")]


def test_a_record_without_a_line_is_dead_and_says_why() -> None:
    split = apart([None, b"", b"\r\n\n", b"1,2", b"\xef\xbb\xbf"]).split
    nothing = "the record has no line that isn't empty"
    assert split.dead == {0: "the record has no value", 1: "the record's value is empty", 2: nothing, 4: nothing}
    assert split.record.tolist() == [3]


def test_each_header_line_names_the_cells_behind_it() -> None:
    found = apart([b"a,b\n1,2\n3,4", b"b , c,a\n5,6,7", b"a,b\n8,9", b'"a",b\n0,0'], None)
    assert [
        (line, found.names[kind])
        for line, kind in zip(found.split.readings.values.to_list(), found.kind.tolist(), strict=True)
    ] == [
        (b"1,2", ["a", "b"]),
        (b"3,4", ["a", "b"]),
        (b"5,6,7", ["b", "c", "a"]),
        (b"8,9", ["a", "b"]),
        (b"0,0", ["a", "b"]),
    ]
    assert found.split.record.tolist() == [0, 0, 1, 2, 3]
    assert found.split.readings.values.begin.flags.c_contiguous, "or a kernel is compiled once more"


def test_a_record_of_a_header_line_alone_has_no_readings_and_is_not_dead() -> None:
    split = apart([b"a,b\n", b"a,b\n1,2"], None).split
    assert (split.record.tolist(), split.dead) == ([1], {})


def test_a_header_line_that_does_not_name_what_is_read_makes_its_record_dead() -> None:
    values: list[bytes | None] = [
        b"a,c\n1,2",
        b"a,b,b\n1,2,3",
        b"a,b,x,x\n1,2,3,4",
        b'a,"b\n1,2',
        b"a,\xff\n1,2",
        b"a,b\n5,6",
        b"a,c\n7,8",
    ]
    split = apart(values, None).split
    assert split.record.tolist() == [2, 5], "names that nobody reads may stand twice"
    assert dict(sorted(split.dead.items())) == {
        0: "the header line: expected a column `b`, given 'a', 'c'",
        1: "the header line: expected a column `b` once, given 'a', 'b', 'b'",
        3: "the header line: a quote isn't closed",
        4: "the header line: 'utf-8' codec can't decode byte 0xff in position 2: invalid start byte",
        6: "the header line: expected a column `b`, given 'a', 'c'",
    }
    many = apart([",".join(f"n{at}" for at in range(10_000)).encode()], None).split.dead[0]
    assert many.endswith("'n9', …")


def test_no_records_have_no_lines() -> None:
    for columns in (COLUMNS, None):
        assert len(apart([], columns).split.readings) == 0
        assert len(apart([None], columns).split.readings) == 0


def test_lines_have_the_key_and_time_of_their_record() -> None:
    of = records([b"1,2\n3,4", b"5,6"], keys=[b"k", None], times=[7, 8], first=20)
    readings = lines_of(of, ",", COLUMNS, ()).split.readings
    assert readings.keys.to_list() == [b"k", b"k", None]
    assert readings.timestamp.tolist() == [7, 7, 8]
    assert readings.offset.tolist() == [20, 20, 21]
    assert readings.offset.dtype == readings.timestamp.dtype == np.int64
