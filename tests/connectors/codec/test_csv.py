"""CSV: which bytes are readings, what cells are read as, and what of a pipeline can't be had from it."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.codec.base import FieldPath, Format, Reading, Unit
from connectors.codec.csv import Csv
from operators.batch import Type
from tests.connectors.codec.records import decoded, plain, reading, records

FIELDS = {"t": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL, "s": Type.TEXT}
COLUMNS = ["dev", "ts", *FIELDS]
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
DEVICES = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: text[0] != "\ufeff")


def cell(name: str, text: str, **options: Any) -> Any:
    """Give what a cell becomes, None where it is missing, or the reason for which its record is dead."""
    line = ",".join(text if name == column else {"dev": "a", "ts": "1"}.get(column, "") for column in COLUMNS)
    made = Csv(columns=COLUMNS, **options).decoder(reading(FIELDS)).decode(records([b"a,1,,,,", line.encode()]))
    if made.dead:
        return made.dead[0].reason
    return made.device.to_list()[1] if name == "dev" else made.ts[1] if name == "ts" else plain(made.columns[name])[1]


def dead(value: bytes | None, **options: Any) -> str | None:
    """Give the reason for which a record is dead, None where it is good; good ones around it must survive."""
    format_ = Csv(**({"columns": ["dev", "ts", "t"]} | options))
    around = b"dev,ts,t\na,1,1.5" if format_.header else b"a,1,1.5"
    made = format_.decoder(reading({"t": Type.FLOAT})).decode(records([around, value, around]))
    assert {0, 2} <= set(made.offset.tolist())
    assert 1 not in made.offset.tolist() or not made.dead, "a record is dead as a whole"
    return made.dead[0].reason if made.dead else None


@pytest.mark.parametrize("name", ["t", "n", "ok", "s"])
@pytest.mark.parametrize("text", ["", '""'])
def test_an_empty_cell_is_missing_quoted_or_not(name: str, text: str) -> None:
    assert cell(name, text) is None


@pytest.mark.parametrize(
    "text",
    ["7", "-7", "+7", "007", "7.25", ".5", "-.5", "1.", "1e5", "1E+5", "1.e-5", " 7 ", "\t7", '"7"', '" 7 "', "1e-400", "5e-324", "0" * 5_000 + "7", "0.1" + "0" * 5_000, "9" * 300],
)  # fmt: skip
def test_a_float_is_what_python_reads(text: str) -> None:
    assert cell("t", text) == float(text.strip('"'))


def test_nan_is_missing_and_infinity_is_a_number() -> None:
    assert [cell("t", text) for text in ("nan", "NaN", "-NAN")] == [None] * 3
    assert [cell("t", text) for text in ("inf", "+Infinity", "-INF")] == [math.inf, math.inf, -math.inf]
    assert cell("n", "nan") == "reading 0: field `n`: expected a whole number of at most 64 bits, given text: 'nan'"
    assert "field `ts`: expected a time as a number of ms" in cell("ts", "nan")


@pytest.mark.parametrize(
    "text",
    ["1_000", "0x1F", "1e", "e5", ".", "+", "--1", "1 000", "1.5.2", "1e400", "-" + "9" * 400, "\u0663", "1\xa0", "infinit", "1f", "true", "12:30", "1/2", "$5", "5%", '"1,5"'],
)  # fmt: skip
def test_what_is_no_number_makes_its_record_dead(text: str) -> None:
    shown = text.strip('"')
    start = f"reading 0: field `t`: expected a number, given text: {shown[:50]!r}"[:90]
    assert cell("t", text).startswith(start)
    assert "expected a whole number of at most 64 bits, given " in cell("n", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("+7", 7), ("-007", -7), ("-0", 0), ("7.0", 7), ("1e3", 1_000), (" 7 ", 7), ("9223372036854775807", 2**63 - 1), ("0" * 30 + "9223372036854775807", 2**63 - 1), ("0" * 5_000 + "7", 7)],
)  # fmt: skip
def test_an_int_is_what_python_reads_or_a_float_that_is_whole(text: str, value: int) -> None:
    assert cell("n", text) == value


@pytest.mark.parametrize("text", ["7.5", "9223372036854775808", "1e17", "9" * 50, "9" * 5_000])
def test_a_number_that_is_no_int_of_64_bits_makes_its_record_dead(text: str) -> None:
    assert (
        "reading 0: field `n`: expected a whole number of at most 64 bits, given a number: " in cell("n", text)[:90]
        or len(text) > 300
    )


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1", " 1 ", '"true"', "tRuE"])
def test_true_and_1_are_true(text: str) -> None:
    assert cell("ok", text) is True
    assert cell("ok", text.lower().replace("true", "false").replace("1", "0")) is False


@pytest.mark.parametrize("text", ["yes", "t", "on", "2", "-1", "01", "1.0", "truee", "falsehood", "tru"])
def test_other_words_are_no_bools(text: str) -> None:
    assert cell("ok", text) == f"reading 0: field `ok`: expected true or false, given text: {text!r}"


@given(st.text(LETTERS, max_size=12), DEVICES)
def test_texts_and_devices_are_what_was_written(text: str, device: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([[device, "1", text]] * 2)
    made = Csv(columns=["dev", "ts", "s"]).decoder(reading({"s": Type.TEXT})).decode(records([out.getvalue().encode()]))
    assert made.device.to_list() == [device.encode()] * 2
    assert plain(made.columns["s"]) == [text or None] * 2


def test_texts_keep_their_blanks() -> None:
    assert cell("s", "  on ") == "  on "
    assert cell("s", " ") == " "
    assert cell("dev", " 007") == b" 007"
    assert cell("t", " ") is None


@pytest.mark.parametrize(
    ("unit", "text", "us"),
    [
        (Unit.MS, "1700000000123", 1_700_000_000_123_000),
        (Unit.MS, " +1.5 ", 1_500),
        (Unit.S, "1700000000.25", 1_700_000_000_250_000),
        (Unit.S, "1.7e9", 1_700_000_000_000_000),
        (Unit.US, "-5", -5),
        (Unit.NS, "253402300799999999999", 253_402_300_799_999_999),
        (Unit.ISO, " 2026-01-31T12:00:00+01:00 ", 1_769_857_200_000_000),
        (Unit.ISO, '"2026-01-31T11:00:00Z"', 1_769_857_200_000_000),
    ],
)
def test_a_time_is_read_by_its_unit(unit: Unit, text: str, us: int) -> None:
    made = Csv(columns=["dev", "ts"]).decoder(reading({}, unit=unit)).decode(records([f"a,{text}".encode()]))
    assert made.ts.tolist() == [us], made.dead


def test_a_time_is_of_its_unit_alone() -> None:
    assert "expected a time as a number of ms since 1970" in cell("ts", "2026-01-31T12:00:00Z")
    iso = Csv(columns=["dev", "ts"]).decoder(reading({}, unit=Unit.ISO))
    assert "expected a time as in ISO 8601" in iso.decode(records([b"a,1700000000"])).dead[0].reason


def test_a_device_is_named_by_several_cells_or_by_the_key() -> None:
    two = Csv(columns=["site", "dev", "ts"]).decoder(reading({}, device=["site", "dev"]))
    assert two.decode(records([b'b,007,1\nb,"a/b",1'])).device.to_list() == [b"b/007", b"b/a%2Fb"]
    key = Csv(columns=["ts"]).decoder(reading({}, device=[]))
    assert key.decode(records([b"1\n2"], keys=[b"k"])).device.to_list() == [b"k", b"k"]


def test_texts_that_are_said_to_be_missing_are() -> None:
    for name in ("t", "n", "ok", "s"):
        assert cell(name, "NA", missing=["NA", "-999"]) is None
        assert cell(name, '"-999"', missing=["NA", "-999"]) is None
    assert cell("t", "-999.0", missing=["-999"]) == -999
    assert cell("t", " NA", missing=["NA"]) is None
    assert cell("s", " NA", missing=["NA"]) == " NA"
    assert "names the device, given nothing" in cell("dev", "NA", missing=["NA"])


def test_a_value_may_go_to_columns_of_several_types() -> None:
    fields = (FieldPath("a", ("v",), Type.FLOAT), FieldPath("b", ("v",), Type.TEXT), FieldPath("c", ("v",), Type.BOOL))
    made = (
        Csv(columns=["dev", "ts", "v"])
        .decoder(Reading(fields, (("dev",),), ("ts",), Unit.MS, 0))
        .decode(records([b'a,1,01\na,1,"1"""', b"a,1,1"]))
    )
    assert [plain(made.columns[name]) for name in "abc"] == [[1.0], ["1"], [True]]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "the record has no value"),
        (b"", "the record's value is empty"),
        (b"\r\n", "the record has no line that isn't empty"),
        (b"a,1", "reading 0: expected 3 cells with ',' between them, given 2"),
        (b"a,1,2,", "reading 0: expected 3 cells with ',' between them, given 4"),
        (b"a;1;2", "reading 0: expected 3 cells with ',' between them, given 1"),
        (b"a,1,2\n ", "reading 1: expected 3 cells with ',' between them, given 1"),
        (b'a,1,2\nb,1,"2', "reading 1: can't be decoded: a quote isn't closed"),
        (b'a,1,2\nb,1,"2"x', "reading 1: can't be decoded: ',' expected after '\"'"),
        (b"a,1,2\nb,1,\xff", "reading 1: can't be decoded: 'utf-8' codec can't decode byte 0xff in position 4: invalid start byte"),
        (b"a,1,2\n\xe9,1,2", "reading 1: can't be decoded: 'utf-8' codec can't decode byte 0xe9 in position 0: invalid continuation byte"),
        (b"a,1,\0", "reading 0: can't be decoded: a line has a NUL (U+0000) in it"),
        (b"a,1,2\na,1,x\na,1,y", "reading 1: field `t`: expected a number, given text: 'x'"),
        (b",1,2", "reading 0: field `dev`: expected text or a whole number that names the device, given nothing"),
        (b"a,,2", "reading 0: field `ts`: expected a time as a number of ms since 1970, between the years 1 and 9999, given nothing"),
        ("a,1,2".encode("utf-16"), "reading 0: can't be decoded: "),
        (b"a,1," + b"x" * 200_000, "reading 0: can't be decoded: field larger than field limit (131072)"),
    ],
)  # fmt: skip
def test_what_is_no_csv_of_these_columns_is_dead(value: bytes | None, says: str) -> None:
    assert (dead(value) or "").startswith(says)


def test_a_record_that_its_header_line_does_not_fit_is_dead() -> None:
    options: dict[str, Any] = {"header": True, "columns": None}
    assert dead(b"ts,t,dev\n1,2,a\n", **options) is None
    assert dead(b"dev,ts\na,1", **options) == "the header line: expected a column `t`, given 'dev', 'ts'"
    assert dead(b"dev,ts,t,more\na,1,2", **options) == "reading 0: expected 4 cells with ',' between them, given 3"
    assert dead(b"a,1,2", **options) == "the header line: expected a column `t`, given 'a', '1', '2'"


def test_one_line_that_is_hostile_costs_no_more_than_its_bytes() -> None:
    """Patterns that try a number in many ways take the square of its length."""
    for text in (
        "0" * 100_000 + "x",
        "1" * 100_000 + "x",
        "1." + "1" * 100_000 + "x",
        "+" * 100_000,
        "1e" + "0" * 100_000 + "x",
    ):
        for name in ("t", "n", "ts", "ok"):
            assert "expected" in cell(name, text)


@pytest.mark.parametrize(
    "format_", [Csv(columns=[*COLUMNS, "other"], separator=";"), Csv(header=True)], ids=["columns", "header"]
)
@given(
    st.fixed_dictionaries(
        {
            "dev": DEVICES,
            "ts": st.integers(0, 10**12),
        },
        optional={
            "t": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
            "n": st.none() | st.integers(-(2**62), 2**62),
            "ok": st.none() | st.booleans(),
            "s": st.none() | st.text(LETTERS, min_size=1, max_size=5),
            "other": st.text(LETTERS, max_size=5),
        },
    )
)
def test_a_document_is_written_as_a_record_that_is_read(format_: Csv, row: dict[str, Any]) -> None:
    of = reading(FIELDS)
    made = decoded(format_.decoder(of), records([format_.sample(of)({**row, "$key": "k"})]))
    assert made.device.to_list() == [row["dev"].encode()]
    assert made.ts.tolist() == [row["ts"] * 1_000]
    assert {name: plain(column)[0] for name, column in made.columns.items()} == {name: row.get(name) for name in FIELDS}


def test_what_is_no_row_of_the_columns_is_not_written() -> None:
    write = Csv(columns=["dev", "ts", "air.t"]).sample(reading({"air.t": Type.FLOAT}))
    assert write({"dev": "a", "ts": 1, "air": {"t": 5}}) == write({"dev": "a", "ts": 1, "air.t": 5}) == b"a,1,5\r\n"
    with pytest.raises(ValueError, match=re.escape("`watts` isn't one of the columns dev, ts, air.t")):
        write({"dev": "a", "watts": 1})
    with pytest.raises(ValueError, match="`dev`: a cell of CSV is text, a number or a bool"):
        write({"dev": ["a"]})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", ":", "^", "~"])
def test_any_mark_may_separate_cells(separator: str) -> None:
    format_ = Csv(columns=["dev", "ts", "t"], separator=separator)
    made = format_.decoder(reading({"t": Type.FLOAT})).decode(
        records([f'"a{separator}b"{separator}1{separator}-2.5'.encode()])
    )
    assert (made.device.to_list(), plain(made.columns["t"])) == ([f"a{separator}b".encode()], [-2.5])


@pytest.mark.parametrize(
    "separator", ["", ",,", '"', "'", "5", "e", "_", ".", "-", "+", "\n", "\r", "\0", "\x1f", "é", "§", "\\t"]
)
def test_what_stands_in_numbers_names_or_quotes_separates_nothing(separator: str) -> None:
    with pytest.raises(ValidationError, match="one ASCII character"):
        Csv(columns=["dev"], separator=separator)


def test_nothing_is_written_as_csv() -> None:
    assert Csv.encoder is Format.encoder
