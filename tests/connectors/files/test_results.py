"""Results: columns with types in Parquet, text in CSV and NDJSON, and the same bytes whatever the batches."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from connectors.codec.json import Json, TimeText
from connectors.files.results import FileFormat, Results, write
from operators.batch import MISSING_BOOL, MISSING_INT, Batch, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable

COLUMNS = {"t": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL, "status": Type.TEXT, "seen": Type.TIME}
SCHEMA = Schema(COLUMNS, ("site", "dev"), "ts")


def devices() -> DeviceTable:
    """Make a table of three devices."""
    table = DeviceTable(("site", "dev"))
    table.slots(Binary.of([b"berlin/a", b"bonn/a", b"bonn/a%2Fb"]))
    return table


def batch() -> Batch:
    """Make rows with a value of every kind, missing and not; the table of texts holds more than is used."""
    time = np.array([0, 1_500_000, 1_273_363_200_000_000, -1])
    return Batch(
        np.array([2, 0, 1, 0], np.uint32),
        time,
        time,
        np.arange(4),
        np.ones(4, np.bool_),
        {
            "t": np.array([1.5, np.nan, 0.1, -2.0]),
            "n": np.array([2**63 - 1, MISSING_INT, 0, -5]),
            "ok": np.array([1, MISSING_BOOL, 0, 1], np.int8),
            "status": Text(np.array([7, -1, 3, 7], np.int32), [f"s{code}" for code in range(9)]),
            "seen": np.array([MISSING_INT, 0, 1, 1_000_000]),
        },
    )


def results() -> Results:
    """Gather the rows."""
    found = Results(SCHEMA)
    found.add(batch(), devices())
    return found


def test_parquet_has_types(tmp_path: Path) -> None:
    write(results().frame(), tmp_path / "f.parquet", FileFormat.PARQUET)
    frame = pl.read_parquet(tmp_path / "f.parquet")
    time = pl.Datetime("us", "UTC")
    assert dict(frame.schema) == {
        **dict.fromkeys(("site", "dev"), pl.String),
        "ts": time,
        "t": pl.Float64,
        "n": pl.Int64,
        "ok": pl.Boolean,
        "status": pl.String,
        "seen": time,
    }
    assert frame["dev"].to_list() == ["a/b", "a", "a", "a"]
    assert frame.row(1) == (
        "berlin",
        "a",
        datetime(1970, 1, 1, 0, 0, 1, 500_000, timezone.utc),
        *[None] * 4,
        frame["seen"][1],
    )


def test_ndjson_is_what_the_json_codec_writes(tmp_path: Path) -> None:
    write(results().frame(), tmp_path / "f.ndjson", FileFormat.NDJSON)
    lines = (tmp_path / "f.ndjson").read_bytes().splitlines()
    encoded = Json(time=TimeText.ISO).encoder(SCHEMA, "f").encode(batch(), devices())
    assert list(map(orjson.loads, lines)) == list(map(orjson.loads, encoded.values()))


def test_csv_has_the_same_texts(tmp_path: Path) -> None:
    write(results().frame(), tmp_path / "f.csv", FileFormat.CSV)
    assert (tmp_path / "f.csv").read_text().splitlines() == [
        "site,dev,ts,t,n,ok,status,seen",
        "bonn,a/b,1970-01-01T00:00:00Z,1.5,9223372036854775807,true,s7,",
        "berlin,a,1970-01-01T00:00:01.500000Z,,,,,1970-01-01T00:00:00Z",
        "bonn,a,2010-05-09T00:00:00Z,0.1,0,false,s3,1970-01-01T00:00:00.000001Z",
        "berlin,a,1969-12-31T23:59:59.999999Z,-2.0,-5,true,s7,1970-01-01T00:00:01Z",
    ]


@pytest.mark.parametrize("format_", list(FileFormat))
def test_the_bytes_do_not_depend_on_the_batches(format_: FileFormat, tmp_path: Path) -> None:
    many, one, table = Results(SCHEMA), Results(SCHEMA), devices()
    for start in range(0, 400, 4):
        rows = batch()
        for row in range(4):
            many.add(rows.take(np.array([row])), table)
        if start % 100 == 0:
            one.add(Batch.concat([rows] * 25), table)
    write(many.frame(), tmp_path / "many", format_)
    write(one.frame(), tmp_path / "one", format_)
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("format_", list(FileFormat))
def test_a_stream_without_rows_is_a_file_with_columns(format_: FileFormat, tmp_path: Path) -> None:
    file = tmp_path / "f"
    write(Results(SCHEMA).frame(), file, format_)
    if format_ is FileFormat.PARQUET:
        assert pl.read_parquet(file).shape == (0, 8)
    elif format_ is FileFormat.CSV:
        assert file.read_text() == "site,dev,ts,t,n,ok,status,seen\n"
    else:
        assert file.read_text() == ""


def test_a_device_is_named_when_its_rows_come() -> None:
    found = Results(Schema({}, ("dev",), "ts"))
    for name in (b"a", b"b"):
        table = DeviceTable(("dev",))
        table.slots(Binary.of([name]))
        found.add(Batch.punctuations(np.zeros(1, np.uint32), np.zeros(1, np.int64), np.zeros(1, np.int64), {}), table)
    assert found.frame()["dev"].to_list() == ["a", "b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
@pytest.mark.parametrize("format_", list(FileFormat))
def test_a_file_that_cannot_be_written_is_named(format_: FileFormat) -> None:
    with pytest.raises(OSError, match=r"/dev/full: can't be written: .*No space left"):
        write(pl.DataFrame({"a": [1.0]}), Path("/dev/full"), format_)
