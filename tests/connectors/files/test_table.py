"""Files are opened by their names, and all formats agree on what stands in them."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from connectors.codec.base import HeaderField
from connectors.files.base import FileError
from connectors.files.table import open_table
from operators.batch import Type
from tests.connectors.files.rows import READING, SCHEMA, seen

ROWS = pl.DataFrame(
    {
        "dev": ["m1", None, "m2", "é/%", "m1"],
        "ts": [5, 6, None, 8, 1_273_363_200_001],
        "temp": [1.5, 2.0, 3.0, None, -0.1],
        "n": [1, None, 3, 4, -(2**53) - 1],
        "ok": [True, None, False, True, False],
        "status": ["on", "off", "on", None, 'a "b", c'],
    }
)


def written(folder: Path) -> list[Path]:
    """Write the rows in every format, each of them nested or flat as it likes."""
    nested = ROWS.with_columns(pl.struct("temp").alias("data")).drop("temp")
    nested.write_ndjson(folder / "f.ndjson")
    nested.write_parquet(folder / "nested.parquet")
    ROWS.rename({"temp": "data.temp"}).write_parquet(folder / "flat.parquet")
    ROWS.with_columns(pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC")).write_parquet(
        folder / "times.parquet"
    )
    ROWS.write_csv(folder / "f.CSV")
    ROWS.write_csv(folder / "quoted.csv", quote_style="always", separator=";")
    (folder / "f.jsonl").write_bytes((folder / "f.ndjson").read_bytes())
    for name in ("f.ndjson", "f.jsonl", "quoted.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("size", [1, 2, 10_000])
def test_all_formats_agree(size: int, tmp_path: Path) -> None:
    files = written(tmp_path)
    assert len(files) == 10
    tables = [seen(open_table(file, READING, SCHEMA), size) for file in files]
    assert tables[0].rows == {
        0: ("m1", 5_000, 1.5, 1, True, "on"),
        3: ("é/%", 8_000, None, 4, True, None),
        4: ("m1", 1_273_363_200_001_000, -0.1, -(2**53) - 1, False, 'a "b", c'),
    }
    assert set(tables[0].dead) == {1, 2}
    for file, table in zip(files, tables, strict=True):
        assert table == tables[0], file


def test_the_record_s_own_key_and_time_are_columns(tmp_path: Path) -> None:
    own = replace(READING, device=(), time=())
    schema = replace(SCHEMA, device=("id",), time="at")
    for file in written(tmp_path):
        if file.suffix == ".CSV" or file.name == "times.parquet":
            with pytest.raises(FileError, match="the device, `id`: no column `id`"):
                open_table(file, own, schema)
    frame = ROWS.rename({"dev": "id", "ts": "at"})
    frame.write_csv(tmp_path / "own.csv")
    frame.write_parquet(tmp_path / "own.parquet")
    frame.rename({"temp": "data.temp"}).write_ndjson(tmp_path / "own.ndjson")
    for name in ("own.csv", "own.parquet", "own.ndjson"):
        found = seen(open_table(tmp_path / name, own, schema))
        assert [row[:2] for row in found.rows.values()] == [
            ("m1", 5_000),
            ("é/%", 8_000),
            ("m1", 1_273_363_200_001_000),
        ]


def test_what_is_read_of_headers_are_columns(tmp_path: Path) -> None:
    headers = (HeaderField("n", "X-Count", Type.INT), HeaderField("status", "st", Type.TEXT))
    others = tuple(field for field in READING.fields if field.name not in {"n", "status"})
    own = replace(READING, device=(), device_header="mqtt.client", fields=others, headers=headers)
    for file in written(tmp_path):
        found, plain = seen(open_table(file, own, SCHEMA)), seen(open_table(file, READING, SCHEMA))
        assert found == plain, file
    ROWS.drop("status").write_csv(tmp_path / "less.csv")
    with pytest.raises(FileError, match="the field `status`: no column `status`"):
        open_table(tmp_path / "less.csv", own, SCHEMA)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("f.json", "given `.json`; name it .ndjson if it has a JSON object a line"),
        ("f.xlsx", "given `.xlsx`; save the sheet as CSV"),
        ("f.tsv", "given `.tsv`; name it .csv: the separator is found by itself"),
        ("f.parqet", "given `.parqet`; did you mean .parquet?"),
        ("f", "expected a file named .csv, .ndjson or .jsonl (also with .gz behind it), or .parquet, given none"),
        ("g.csv", "no such file; did you mean "),
        ("nowhere/f.csv", "f.csv: no such file"),
        ("empty.csv", "is empty"),
        ("empty.parquet", "is empty"),
        ("folder.csv", "expected a file, given a folder"),
        ("folder.parquet", "expected a file, given a folder"),
    ],
)
def test_mistakes_with_names(name: str, says: str, tmp_path: Path) -> None:
    for there in ("f.csv", "f.json", "f.xlsx", "f.tsv", "f"):
        (tmp_path / there).write_text("x")
    for empty in ("empty.csv", "empty.parquet"):
        (tmp_path / empty).touch()
    for folder in ("folder.csv", "folder.parquet"):
        (tmp_path / folder).mkdir()
    with pytest.raises(FileError) as error:
        open_table(tmp_path / name, READING, SCHEMA)
    assert str(error.value).startswith(str(tmp_path / name))
    assert says in str(error.value)


@pytest.mark.parametrize("name", ["f.csv", "f.parquet", "f.csv.gz"])
def test_lists_of_readings_stand_in_lines_of_json_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileError, match=r"expected \.ndjson or \.jsonl, whose lines hold lists.*`each: data`"):
        open_table(tmp_path / name, replace(READING, each=("data",)), SCHEMA)
