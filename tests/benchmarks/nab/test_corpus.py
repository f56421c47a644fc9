"""Tests of how the corpus is read."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from benchmarks.nab import corpus
from tests.benchmarks.nab.data import series

TIMES = ["2014-04-01 00:00:00", "2014-04-01 00:05:00", "2014-04-01 00:05:00", "2014-04-01 00:10:00"]


def write(folder: Path, windows: list[list[str]]) -> Path:
    (folder / "labels").mkdir()
    (folder / "data" / "kind").mkdir(parents=True)
    rows = [f"{time},{row}.5" for row, time in enumerate(TIMES)]
    (folder / "data" / "kind" / "a.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    (folder / "labels" / "combined_windows.json").write_text(json.dumps({"kind/a.csv": windows}))
    return folder


def test_a_series_is_read_in_the_order_of_its_file(tmp_path: Path) -> None:
    (read,) = corpus.read(write(tmp_path, [["2014-04-01 00:00:00.000000", "2014-04-01 00:10:00.000000"]]))
    assert (read.name, read.category, len(read)) == ("kind/a.csv", "kind", 4)
    assert read.ts.tolist() == [1396310400_000000 + minutes * 60_000000 for minutes in (0, 5, 5, 10)]
    assert read.value.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert read.windows == [(0, 3)]


def test_series_are_in_order_of_name_whatever_the_order_of_the_labels(tmp_path: Path) -> None:
    write(tmp_path, [])
    text = (tmp_path / "data" / "kind" / "a.csv").read_text()
    for name in ("b", "c"):
        (tmp_path / "data" / "kind" / f"{name}.csv").write_text(text)
    (tmp_path / "labels" / "combined_windows.json").write_text('{"kind/c.csv": [], "kind/a.csv": [], "kind/b.csv": []}')
    assert [read.name for read in corpus.read(tmp_path)] == ["kind/a.csv", "kind/b.csv", "kind/c.csv"]


@pytest.mark.parametrize(("time", "rows"), [("2014-04-01 00:05:00", 2), ("2014-04-01 00:07:00", 0)])
def test_a_window_that_begins_at_no_row_or_at_several_is_refused(tmp_path: Path, time: str, rows: int) -> None:
    with pytest.raises(ValueError, match=f"kind/a.csv: a window begins or ends at {time}, at which there are {rows}"):
        corpus.read(write(tmp_path, [[time, TIMES[-1]]]))


def test_where_it_isnt_there_it_is_said_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"isn't at .*: clone https://github.com/numenta/NAB .* TELEMILL_DATA"):
        corpus.read(tmp_path)


def test_every_value_and_time_is_what_stands_in_the_files() -> None:
    for each in series()[::7]:
        with (corpus.FOLDER / "data" / each.name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert each.value.tolist() == [float(row["value"]) for row in rows]
        times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=timezone.utc) for row in rows]
        assert each.ts.tolist() == [int(time.timestamp()) * 1_000_000 for time in times]
