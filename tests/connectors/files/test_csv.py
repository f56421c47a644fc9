"""CSV: cells into columns, whatever the quotes, the separator and the batches; what doesn't fit is dead with a reason."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import Unit
from connectors.files.base import FileError
from connectors.files.csv import Csv
from tests.connectors.files.rows import COLUMNS, READING, SCHEMA, Seen, seen


def read(folder: Path, text: str | bytes, size: int = 10_000) -> Seen:
    """Write a CSV file and read it."""
    file = folder / "file.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return seen(Csv(file, READING, SCHEMA), size)


def row(folder: Path, line: str) -> Seen:
    """Read one row."""
    return read(folder, f"{COLUMNS}\n{line}\n")


def test_cells_become_values(tmp_path: Path) -> None:
    found = row(tmp_path, "m1,1273363200000,20.5,3,true,on")
    assert found == Seen({0: ("m1", 1_273_363_200_000_000, 20.5, 3, True, "on")}, {})


@pytest.mark.parametrize("line", ["m1,5,,,,", 'm1,5,"","","",""', 'm1,5,  , ,"  ",'])
def test_an_empty_cell_is_a_missing_value_quoted_or_not(line: str, tmp_path: Path) -> None:
    assert row(tmp_path, line).rows == {0: ("m1", 5_000, None, None, None, None)}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("1e3,1e3,TRUE,x", (1000.0, 1000, True, "x")),
        (" 1.5 , 2.0 ,False,  x ", (1.5, 2, False, "  x ")),
        ("NaN,-7,1,NaN", (None, -7, True, "NaN")),
        ("-inf,+5,0,0", (float("-inf"), 5, False, "0")),
        ("0.1,9223372036854775807,true,é", (0.1, 2**63 - 1, True, "é")),
        ("5e-324,-9007199254740991.0,true,1", (5e-324, -(2**53 - 1), True, "1")),
    ],
)
def test_ways_to_write_values(cells: str, values: tuple[object, ...], tmp_path: Path) -> None:
    assert row(tmp_path, f"m1,5,{cells}").rows == {0: ("m1", 5_000, *values)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m1,5,warm,1,true,on", "field `data.temp`: expected a number, given text: 'warm'"),
        ('m1,5,"1,5",1,true,on', "field `data.temp`: expected a number, given text: '1,5'"),
        ("m1,5,1e999,1,true,on", "field `data.temp`: expected a number, given text: '1e999'"),
        ("m1,5,1,1.5,true,on", "field `n`: expected a whole number of at most 64 bits, given a number: 1.5"),
        (
            "m1,5,1,9223372036854775808,true,on",
            "field `n`: expected a whole number of at most 64 bits, given a number: ",
        ),
        (
            "m1,5,1,-9223372036854775808,true,on",
            "field `n`: expected a whole number of at most 64 bits, given a number: ",
        ),
        ("m1,5,1,1,yes,on", "field `ok`: expected true or false, given text: 'yes'"),
        (",5,1,1,true,on", "field `dev`: expected text or a whole number that names the device, given nothing"),
        ('"",5,1,1,true,on', "field `dev`: expected text or a whole number that names the device, given nothing"),
        (
            f"{'m' * 1001},5,1,1,true,on",
            "field `dev`: expected at most 1000 characters that name the device, given text",
        ),
        ("m1,,1,1,true,on", "field `ts`: expected a time as a number of ms since 1970, between the years 1 and 9999, "),
        ("m1,noon,1,1,true,on", "field `ts`: expected a time as a number of ms since 1970, between the years 1 and 99"),
        ("m1,1e300,1,1,true,on", "field `ts`: expected a time as a number of ms since 1970, between the years 1 and 9"),
        ("m1,nan,1,1,true,on", "field `ts`: expected a time as a number of ms since 1970, between the years 1 and 999"),
        (",noon,warm,1.5,yes,", "field `dev`: expected text or a whole number that names the device, given nothing"),
        ("m1,5,1,1,true", "expected 6 cells as in the first line, given 5"),
        ("m1,5,1,1,true,on,on", "expected 6 cells as in the first line, given 7"),
        ('m1,5,1,1,true,"on","off"', "expected 6 cells as in the first line, given 7"),
        ('"m1,5",1,1,true,on', "expected 6 cells as in the first line, given 5"),
        ('m1,5,1,1,true,"on" off', "can't be decoded: ',' expected after '\"'"),
    ],
)
def test_a_row_that_does_not_fit_is_dead_with_the_reason(line: str, reason: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"{COLUMNS}\nm0,5,1,1,true,on\n{line}\nm2,5,1,1,true,on\n")
    assert list(found.rows) == [0, 2]
    assert found.dead[1].startswith(reason)


@pytest.mark.parametrize(
    ("unit", "cell", "us"),
    [
        (Unit.S, "1.5", 1_500_000),
        (Unit.S, "-62135596800", -62_135_596_800_000_000),
        (Unit.MS, "1273363200000", 1_273_363_200_000_000),
        (Unit.MS, "0.0005", 0),
        (Unit.MS, "0.0015", 2),
        (Unit.US, "1273363200000001", 1_273_363_200_000_001),
        (Unit.NS, "1999", 1),
        (Unit.NS, "-1", -1),
        (Unit.NS, "1273363200000001999", 1_273_363_200_000_001),
        (Unit.NS, "253402300799999999999", 253_402_300_799_999_999),
        (Unit.MS, "2010-05-09T00:00:00.5Z", 1_273_363_200_500_000),
        (Unit.S, " 2010-05-09T02:00:00+02:00 ", 1_273_363_200_000_000),
        (Unit.ISO, "2010-05-09T00:00:00Z", 1_273_363_200_000_000),
        (Unit.ISO, "1273363200000", None),
        (Unit.ISO, "2010-05-09 00:00:00", None),
        (Unit.S, "253402300800", None),
    ],
)
def test_times_are_numbers_of_the_unit_or_iso_text(unit: Unit, cell: str, us: int | None, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text(f"{COLUMNS}\nm1,{cell},,,,\n")
    found = seen(Csv(file, replace(READING, unit=unit), SCHEMA))
    assert [row[1] for row in found.rows.values()] == ([] if us is None else [us])


def test_a_row_that_is_not_utf8_is_dead_alone(tmp_path: Path) -> None:
    for good in (b"m1,5,1,1,true,on\n", b'"m1","5","1","1","true","on"\n'):
        found = read(tmp_path, COLUMNS.encode() + b"\n" + good + b"m2,5,1,1,true,\xff\n" + good)
        assert list(found.rows) == [0, 2]
        assert found.dead == {1: "can't be decoded: it isn't UTF-8 at byte 15"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_line_breaks_and_a_byte_order_mark(separator: str, end: str, mark: str, tmp_path: Path) -> None:
    text = f"{mark}{COLUMNS}\nm1,5,1.5,1,true,on\n".replace(",", separator).replace("\n", end)
    for given_text in (text, text.removesuffix(end), f"{end}{text}{end}{end}"):
        if not given_text.startswith(mark):
            continue
        assert read(tmp_path, given_text).rows == {0: ("m1", 5_000, 1.5, 1, True, "on")}


def test_columns_may_stand_in_any_order_with_others_between(tmp_path: Path) -> None:
    text = "x, status ,ok,n,temp,y,ts,dev\n1,on,true,2,1.5,?,5,m1\n"
    assert read(tmp_path, text).rows == {0: ("m1", 5_000, 1.5, 2, True, "on")}


def test_a_column_named_by_the_path_goes_before_one_named_as_in_the_pipeline(tmp_path: Path) -> None:
    text = "dev,ts,temp,data.temp,n,ok,status\nm1,5,1,2,,,\n"
    assert read(tmp_path, text).rows[0][2] == 2.0


def test_gzip_is_found_by_what_the_file_holds(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(f"{COLUMNS}\nm1,5,1.5,1,true,on\n".encode())).rows[0][0] == "m1"


def test_a_cell_may_go_over_several_lines(tmp_path: Path) -> None:
    text = f'{COLUMNS}\nm1,5,1,1,true,"on\n\nm9,9,9,9,true,off\nand ""so"" on"\nm2,6,1,1,true,on\n'
    for size in (1, 2, 3, 100):
        found = read(tmp_path, text, size)
        assert [row[5] for row in found.rows.values()] == ['on\n\nm9,9,9,9,true,off\nand "so" on', "on"]


def test_a_quote_that_is_never_closed_costs_its_own_row_alone(tmp_path: Path) -> None:
    rows = ["m1,5,1,1,true,on", 'm2,5,1,1,true,"on', *["m3,5,1,1,true,on"] * 1500]
    for size in (100, 10_000):
        found = read(tmp_path, "\n".join([COLUMNS, *rows]), size)
        assert found.dead == {1: "can't be decoded: unexpected end of data"}
        assert len(found.rows) == 1501


def test_a_quote_inside_a_cell_is_a_quote(tmp_path: Path) -> None:
    assert row(tmp_path, 'm1,5,1,1,true,5" pipe').rows[0][5] == '5" pipe'


TEXTS = st.text(st.sampled_from(['"', ",", "\n", ";", "a", " ", "é"]), max_size=5)


@given(
    rows=st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=8),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    size=st.integers(1, 5),
)
@settings(deadline=None, max_examples=150)
def test_what_python_s_csv_writes_is_read_back_in_any_batches(
    rows: Sequence[Sequence[str]], quoting: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]  # one of csv's constants
    writer.writerow([*COLUMNS.split(","), "a", "b"])
    for number, (status, *more) in enumerate(rows):
        writer.writerow([f"m{number}", number, 1, 1, "true", status, *more])
    found = read(tmp_path_factory.mktemp("csv"), text.getvalue(), size)
    wide = {number: row for number, row in enumerate(rows) if len(row) == 3}
    assert {number: row[5] for number, row in found.rows.items()} == {
        number: status or None for number, (status, *_) in wide.items()
    }
    assert set(found.dead.values()) <= {f"expected 8 cells as in the first line, given {count}" for count in (6, 7)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\n\n", ["is empty"]),
        (f"{COLUMNS}\n\n".encode(), ["has a first line but no rows"]),
        (b"dev,ts,temp,n,ok,st\xe4tus\n1,2,3,4,5,6", ["expected UTF-8; convert it", "iconv -f latin1 -t utf-8"]),
        (b"\xff\xfed\x00", ["expected UTF-8, given UTF-16"]),
        (b"PAR1....", ["expected lines of text, given Parquet: name it .parquet"]),
        (
            b"Dev,ts,temperature,n,ok,status\nm1,5,1,1,true,on",
            [
                "columns that the pipeline reads aren't there",
                "the device, `dev`: no column `dev`; did you mean `Dev`?",
                "the field `temp`: no column `data.temp` or `temp`",
                "its columns: `Dev`, `ts`, `temperature`, `n`, `ok`, `status`",
                "fix: rename the columns in the file, or the fields in the pipeline's source",
            ],
        ),
        (b"m1,5,1,1,true,on\nm2,5,1,1,true,on", ["fix: put the names of the columns into the first line"]),
        (b"dev,ts,temp,n,n,ok,status\n1,2,3,4,5,6,7", ["the field `n`: the column `n` stands there more than once"]),
    ],
)
def test_files_that_cannot_be_read_say_why(text: bytes, says: list[str], tmp_path: Path) -> None:
    with pytest.raises(FileError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'file.csv'}: ")
    for part in says:
        assert part in str(error.value)


def test_all_missing_columns_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError) as error:
        read(tmp_path, "a,b\n1,2\n")
    assert str(error.value).count("no column") == 6


def test_gzip_that_is_cut_off_is_told(tmp_path: Path) -> None:
    text = gzip.compress("\n".join([COLUMNS, *(f"m{number},{number},,,,x" for number in range(20_000))]).encode())
    with pytest.raises(FileError, match="can't be read to its end: Compressed file ended"):
        read(tmp_path, text[:-100])
