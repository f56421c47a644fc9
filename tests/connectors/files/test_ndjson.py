"""NDJSON: a line is what a record from Kafka is, and judged by the same codec."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from connectors.codec.base import Records
from connectors.codec.json import Json, TimeText
from connectors.files.base import FileError
from connectors.files.ndjson import Ndjson
from tests.connectors.files.rows import READING, SCHEMA, Seen, seen

LINES = [
    b'{"dev": "m1", "ts": 5, "data": {"temp": 1.5}, "n": 1, "ok": true, "status": "on"}',
    b'{"dev": 7, "ts": 6.5, "data": null}',
    b'{"dev": "m1", "ts": "noon"}',
    b'{"dev": "m1", "ts": 5, "ts": 6}',
    b"not json",
    b"[]",
    b'{"ts": 5}',
    b'{"dev": "m1", "ts": 5, "data": {"temp": "warm"}}',
    b'{"dev": "m1", "ts": 5, "n": 1.5}',
]


def read(folder: Path, text: bytes, size: int = 10_000) -> Seen:
    """Write an NDJSON file and read it."""
    file = folder / "file.ndjson"
    file.write_bytes(text)
    return seen(Ndjson(file, READING, SCHEMA), size)


def test_lines_become_what_records_from_kafka_become(tmp_path: Path) -> None:
    found = read(tmp_path, b"\n".join(LINES))
    count = len(LINES)
    records = Records.of("t", 0, LINES, [None] * count, np.full(count, -1, np.int64), np.arange(count))
    decoded = Json(time=TimeText.ISO).decoder(READING).decode(records)
    assert found.dead == {dead.row: dead.reason for dead in decoded.dead}
    assert len(found.dead) == 7
    assert found.rows == {
        0: ("m1", 5_000, 1.5, 1, True, "on"),
        1: ("7", 6_500, None, None, None, None),
    }


@pytest.mark.parametrize("size", [1, 2, 100])
def test_line_breaks_blank_lines_and_gzip(size: int, tmp_path: Path) -> None:
    expected = read(tmp_path, b"\n".join(LINES))
    assert read(tmp_path, b"\r\n\r\n".join([b"", *LINES, b"", b""]), size) == expected
    assert read(tmp_path, gzip.compress(b"\n".join(LINES)), size) == expected


def test_fields_that_the_first_lines_do_not_have_are_told(tmp_path: Path) -> None:
    file = tmp_path / "file.ndjson"
    file.write_bytes(b"\n".join(LINES[1:4]))
    notes = Ndjson(file, READING, SCHEMA).notes
    assert list(notes) == [
        f"{file}: none of the first 3 lines has the field `{name}`" for name in ("data.temp", "n", "ok", "status")
    ]
    file.write_bytes(b"\n".join(LINES[:4]))
    assert list(Ndjson(file, READING, SCHEMA).notes) == []


@pytest.mark.parametrize(("time", "us"), [(b"5", 5_000), (b'"1970-01-01T00:00:05Z"', 5_000_000)])
def test_the_record_s_own_key_and_time_are_fields(time: bytes, us: int, tmp_path: Path) -> None:
    file = tmp_path / "file.ndjson"
    file.write_bytes(b'{"id": "m1", "at": %b}\n' % time)
    own = Ndjson(file, replace(READING, device=(), time=()), replace(SCHEMA, device=("id",), time="at"))
    assert seen(own).rows == {0: ("m1", us, None, None, None, None)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\n \n", "is empty"),
        (b'[{"dev": 1},\n{"dev": 2}]', "expected a JSON object a line; `jq -c '.[]'` makes lines of an array"),
        (b'{\n  "dev": 1\n}', "expected a JSON object a line"),
        (b'{"dve": 1, "data": {"ts": 1}}', "the device, `dev`: no column `dev`; did you mean `dve`?"),
        (b'{"dve": 1, "data": {"ts": 1}}', "its columns: `dve`, `data`, `data.ts`"),
        (b'{"dev": 1, "time": 5}', "the event time, `ts`: no column `ts`"),
    ],
)
def test_files_that_cannot_be_read_say_why(text: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(FileError) as error:
        read(tmp_path, text)
    assert says in str(error.value)


def test_lines_that_are_all_dead_are_read_none_the_less(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"what\nis\nthis\n").dead) == 3


def test_lists_of_readings_are_rows_and_are_numbered_as_their_line(tmp_path: Path) -> None:
    fields = tuple(field._replace(path=("data", "temp")) for field in READING.fields[:1])
    reading = replace(READING, fields=fields, each=("data",))
    file = tmp_path / "file.ndjson"
    lines = [{"dev": "g", "ts": row, "data": [{"temp": row + at} for at in range(row % 3)]} for row in range(5)]
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b'\n{"dev": "g", "ts": 1}')
    table = Ndjson(file, reading, SCHEMA)
    assert table.notes == []
    ((records, decoded),) = table.batches(10)
    assert len(records) == 6
    assert decoded.offset.tolist() == [1, 2, 2, 4]
    assert np.asarray(decoded.columns[fields[0].name]).tolist() == [1, 2, 3, 4]
    assert [(row, reason) for row, reason in decoded.dead] == [
        (5, "field `data`: expected a list of readings, given nothing")
    ]
