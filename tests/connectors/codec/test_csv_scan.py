"""CSV read by the kernel: whatever stands there, it is what Python makes of it, or is left to Python."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.codec.base import Decoded, FieldPath, Reading, Unit
from connectors.codec.csv import Csv
from connectors.codec.csv_lines import Lines
from operators.batch import Type
from tests.connectors.codec.agreement import agree_by, records, told
from tests.connectors.codec.disturbing import disturbed

PIECES = (
    b"",
    b'"',
    b'""',
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3",
    b"e",
    b".",
    b"-",
    b"1",
    b"\x1f",
)

FIELDS = (
    FieldPath("x", ("x",), Type.FLOAT),
    FieldPath("written", ("x",), Type.TEXT),
    FieldPath("n", ("n",), Type.INT),
    FieldPath("real", ("n",), Type.FLOAT),
    FieldPath("ok", ("ok",), Type.BOOL),
    FieldPath("text", ("air", "text"), Type.TEXT),
)
READINGS = {
    "one part": Reading(FIELDS, (("dev",),), ("ts",), Unit.MS, 10**9),
    "two parts": Reading(FIELDS, (("dev",), ("ok",)), ("ts",), Unit.S, 10**9),
    "the key": Reading(FIELDS, (), (), Unit.US, 10**9),
    "iso": Reading(FIELDS, (("dev",),), ("ts",), Unit.ISO, 10**9),
    "ns": Reading(FIELDS[2:], (("dev",), ("x",), ("dev",)), ("ts",), Unit.NS, 10**9),
}
OF_X = Reading(FIELDS[:1], (("dev",),), ("ts",), Unit.MS, 10**18)
NAMES = ["dev", "ts", "x", "n", "ok", "air.text", "other"]
FORMATS = {
    "columns": Csv(columns=NAMES),
    "header": Csv(header=True, separator="\t"),
    "missing": Csv(columns=NAMES, separator=";", missing=["NA", "-999", "é", "on"]),
}
_CELLS = st.one_of(
    st.sampled_from(["", " ", "NA", "-999", "on", "é", "a/b", "50%", 'a"b', '"', '""', "a,b;c\td", "li\nne", "cr\r\nlf", "x" * 1_001, "é" * 600]),
    st.sampled_from(["1", "0", "true", "FALSE", "True", "fAlSe", "truth", "tRue ", "false0", "yes", "2", "TRUE"]),
    st.sampled_from(["7", "-7", "+7", "007", "-0", "7.0", "1.5", ".5", "1.", "1e5", "1E-400", "1e400", " 7 ", "\t7", "7\xa0", "1_000", "0x1F", "٣"]),
    st.sampled_from(["nan", "NaN", "-nan", "inf", "-Infinity", "infinit", "1" * 19, "1" * 20, "9223372036854775807", "0" * 30 + "7", "1e", "."]),
    st.sampled_from(["1700000000000", "1700000000", "1.5e9", "1700000000.25", "1e300", "-62135596800000", "253402300800000"]),
    st.sampled_from(["2026-01-31T12:00:00Z", " 2026-01-31T12:00:00.25+01:00", "2026-01-31 12:00:00Z", "2026-02-29T00:00:00Z", "20260131"]),
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)  # fmt: skip
_ROWS = st.tuples(
    st.sampled_from(["a", "b", "007", "ü"]),
    st.sampled_from(["1700000000000", "1700000000", "2026-01-31T12:00:00Z"]),
    st.sampled_from(["2.5", "-7", "+.5", "", "1e5"]),
    st.sampled_from(["7", "-7", "", "007"]),
    st.sampled_from(["true", "0", ""]),
    st.sampled_from(["on", "off", "", "é"]),
    st.sampled_from(["", "x"]),
).map(list)


@st.composite
def _odd_rows(draw: st.DrawFn) -> list[str]:
    """Draw a good row with some cells that may be anything, for a row with many of them is hardly ever good."""
    row = draw(_ROWS)
    for at in draw(st.lists(st.integers(0, len(row) - 1), max_size=2)):
        row[at] = draw(_CELLS)
    return draw(st.sampled_from([row, row, row, row, row[:-1], [*row, ""]]))


def written(draw: Any, rows: Sequence[Sequence[str]], format_: Csv) -> bytes:
    """Write lines as one of the many that write CSV."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quoting: Any = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=format_.separator, lineterminator="\r\n", quoting=quoting)
    writer.writerows([*([NAMES] if format_.header else []), *rows])
    value = text.getvalue().replace("\r\n", end)
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return f"{mark}{value if draw(st.booleans()) else value.rstrip()}".encode()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", READINGS)
@given(data=st.data())
def test_lines_are_what_python_makes_of_them(name: str, kind: str, data: st.DataObject) -> None:
    batches = data.draw(st.lists(st.lists(_odd_rows(), min_size=1, max_size=3), min_size=1, max_size=4))
    values = [written(data.draw, rows, FORMATS[kind]) for rows in batches]
    agree_by(FORMATS[kind].decoder(READINGS[name]), values)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(data=st.data())
def test_bytes_that_were_disturbed_are_what_python_makes_of_them(name: str, kind: str, data: st.DataObject) -> None:
    good = written(data.draw, data.draw(st.lists(_ROWS, min_size=1, max_size=2)), FORMATS[kind])
    values: list[bytes | None] = [good, None, b""]
    random_ = data.draw(st.randoms(use_true_random=False))
    for _ in range(8):
        values += [disturbed(random_, good, PIECES), good[random_.randint(0, len(good)) :], good]
    agree_by(FORMATS[kind].decoder(READINGS[name]), values)


@pytest.mark.parametrize("kind", FORMATS)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_random_bytes_are_what_python_makes_of_them(kind: str, values: list[bytes]) -> None:
    agree_by(FORMATS[kind].decoder(READINGS["the key"]), values)


@pytest.mark.parametrize("kind", FORMATS)
def test_ordinary_lines_are_read_by_the_kernel(kind: str) -> None:
    format_ = FORMATS[kind]
    head = [NAMES] if format_.header else []
    rows = [
        ["a", "1700000000000", "2.5", "7", "true", "with words", "x"],
        ["ü", " 1700000000000 ", "+2", "-007", "FALSE", '"é, quoted"', ""],
        ["a", '"1700000000000"', "", "", "", "", '" \n "'],
        ["7", "1.7e12", ".5", "1 ", " 0", '5" pipe', "-0"],
    ]
    value = "\r\n".join(format_.separator.join(row) for row in [*head, *rows]).encode()
    decoder: Any = format_.decoder(READINGS["one part"])
    decoded, left = decoder._scan.scan(decoder._lines(records([None, None, None, value] * 2).take(slice(2, 4))))
    assert left.tolist() == []
    found = told(decoded)
    assert found["device"] == [b"a", "ü".encode(), b"a", b"7"]
    assert found["text"] == ["with words", "é, quoted", None, '5" pipe']
    assert found["written"] == ["2.5", "+2", None, ".5"]
    assert found["ts"] == [1_700_000_000_000_000] * 4


@pytest.mark.parametrize(
    "line",
    [b'"a""b",1,2', b"a,1,nan", b"a,1,1e-310", b"a,1,1" + b"0" * 20, b"a,1,\0", b"a,1,2,", b"a,1", b"a,1,x", b"a,1,1_0", b'a,1,"2"x', b'a,1,"2', b"a,1,\xff", b",1,2", b"a,,2"],
)  # fmt: skip
def test_what_is_not_sure_is_left_to_python(line: bytes) -> None:
    decoder: Any = Csv(columns=["dev", "ts", "x"]).decoder(OF_X)
    _, left = decoder._scan.scan(decoder._lines(records([line, b"a,1,2"])))
    assert left.tolist() == [0]
    agree_by(decoder, [b"a,1,2", line, line + b"\n" + line])


_ENDS = st.lists(st.sampled_from([b"a,1,2", b'"a""b",1,nan', b"a,1,x", b"a"]), max_size=3)


@given(st.lists(st.tuples(st.integers(1, 100), _ENDS, st.integers(0, 80)), min_size=1, max_size=5))
def test_records_of_many_lines_that_the_kernel_leaves_are_dead_by_the_first_bad_one(
    batch: list[tuple[int, list[bytes], int]],
) -> None:
    odd = [b'"a""b",1,2']
    values = [b"\n".join([*(odd * before), *lines, *(odd * behind)]) for before, lines, behind in batch]
    agree_by(Csv(columns=["dev", "ts", "x"]).decoder(OF_X), values)


@pytest.mark.parametrize("odd", [0, 7, 8, 9, 64, 100])
def test_of_a_record_of_many_bad_lines_few_are_looked_at(odd: int) -> None:
    """A megabyte of them took four seconds."""
    decoder: Any = Csv(columns=["dev", "ts", "x"]).decoder(OF_X)
    looked: list[int] = []
    of_lines = decoder._of_lines

    def noted(lines: Lines, rows: NDArray[np.intp]) -> Decoded:
        looked.append(len(rows))
        read: Decoded = of_lines(lines, rows)
        return read

    decoder._of_lines = noted
    (dead,) = decoder.decode(records([b'"a""b",1,2\n' * odd + b"a,1,x\n" * 10_000])).dead
    assert dead.reason == f"reading {odd}: field `x`: expected a number, given text: 'x'"
    assert sum(looked) < 20 * (odd + 8)
