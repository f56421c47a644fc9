"""`telemill backtest`: a file through the shard, held against the shard fed with JSON; files, tables and mistakes."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from connectors.codec.json import Json, TimeText
from connectors.files.results import FileFormat
from connectors.files.table import open_table
from pipelines import backtest, config
from pipelines.__main__ import app
from pipelines.backtest import Options, names
from pipelines.plan import DEAD
from pipelines.shard import Shard
from tests.pipelines.motes import EXAMPLES, readings, records

MOTES = EXAMPLES / "motes.yaml"
COUNT = 9_500
"""Readings: into the time of the first kettle."""
MILL = """\
name: mill
source:
  kafka: {topics: [raw]}
  format: json
  device: [site, dev]
  time: {field: at, unit: ms, lateness: 2s}
  fields: {temp: {path: data.temp, type: float}, n: int, ok: bool, status: text}
steps:
  - filter: temp > 0
  - id: alarm
    alert: {raise: temp > 30}
  - id: number
    from: filter
    derive: {code: CAST(status AS BIGINT)}
sinks:
  - {from: number, kafka: {topic: numbers}}
  - {from: number, when: n > 1, kafka: {topic: many}}
  - {from: alarm, kafka: {topic: alarms}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def motes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the readings of the example in every format, and some that can't be read."""
    folder = tmp_path_factory.mktemp("motes")
    rows = pl.DataFrame(readings(COUNT))
    with_times = rows.with_columns(pl.from_epoch("ts", time_unit="ms").dt.cast_time_unit("us"))
    rows.write_csv(folder / "m.csv")
    rows.write_ndjson(folder / "m.ndjson")
    with_times.write_parquet(folder / "m.parquet")
    for name in ("m.csv", "m.ndjson"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return folder


def run(*args: str | Path) -> Result:
    """Run `telemill backtest` inside this process, wide enough that nothing is broken."""
    line = ["backtest", *map(str, args)]
    return CliRunner().invoke(app, line, prog_name="telemill", env={"COLUMNS": "300"}, terminal_width=300)


def told(result: Result) -> dict[str, str]:
    """Give the tables that were printed: what stands at the left to all that stands at its right."""
    found = {}
    for line in result.stdout.splitlines():
        cells = [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        if cells:
            found[cells[0]] = " ".join(cells[1:])
    return found


def written(folder: Path) -> dict[str, bytes]:
    """Give the contents of all files of a folder."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def mill(text: str = MILL) -> Path:
    """Write the pipeline."""
    Path("mill.yaml").write_text(text)
    return Path("mill.yaml")


def by_json(file: Path, rows: Sequence[dict[str, Any]], *, close: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Feed a shard with JSON as from Kafka; give what it puts out for the sinks, as the JSON codec writes it."""
    pipeline = config.read(file, {})
    sinks = {sink.written: sink.schema for sink in pipeline.sinks if sink.schema is not None}
    shard = Shard(pipeline, pipeline.source.format.decoder(pipeline.source.reading), list(sinks))
    products = [shard.process(records(list(map(orjson.dumps, rows))))]
    products += [shard.close()] if close else []
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sinks}
    for product in products:
        for name, batch in product.rows.items():
            encoder = Json(time=TimeText.ISO).encoder(pipeline.streams()[name.partition(" when ")[0]], "x")
            found[name] += map(orjson.loads, encoder.encode(batch, product.devices).values())
    letters = [letter for product in products for letter in product.letters]
    return {**found, DEAD: [{"row": letter.offset + 1, "reason": letter.reason} for letter in letters]}


def lines(file: Path) -> list[dict[str, Any]]:
    """Read NDJSON."""
    return list(map(orjson.loads, file.read_bytes().splitlines()))


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.ndjson", "m.ndjson.gz", "m.parquet"])
def test_a_file_of_any_format_gives_what_the_shard_gives_for_json(name: str, motes: Path) -> None:
    result = run(MOTES, motes / name, "--format", "ndjson", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = by_json(MOTES, readings(COUNT))
    assert len(expected["minute"]) > 700
    assert len(expected["kettle"]) > 0
    assert {file.stem: lines(file) for file in Path("out").iterdir()} == expected


def test_the_summary_says_what_went_in_and_came_out(motes: Path) -> None:
    rows = by_json(MOTES, readings(COUNT))
    table = told(run(MOTES, motes / "m.csv"))
    assert table["rows in"] == f"{COUNT:,}"
    assert table["their first time"] == "2010-05-09 00:00:05 UTC"
    assert table["minute → backtest-motes/minute.parquet"] == f"{len(rows['minute']):,}"
    assert table["minute.late → backtest-motes/minute.late.parquet"] == "0"
    assert table["dead → backtest-motes/dead.parquet"] == "0"
    assert {"seconds", "reading", "processing", "writing", "rows/s", "their last time"} <= set(table)
    devices = pl.read_csv(motes / "m.csv").group_by("mote_id").len().sort("mote_id")
    for device, count in devices.iter_rows():
        own = sum(row["mote_id"] == device for row in rows["minute"])
        assert table[device].startswith(f"{count:,} {own:,} ")


@pytest.mark.parametrize("name", ["m.csv", "m.parquet", "m.ndjson"])
@pytest.mark.parametrize("sort", [False, True], ids=["as it is", "sorted"])
def test_the_same_file_gives_the_same_bytes_for_any_batch_size(sort: bool, name: str, motes: Path) -> None:
    pipeline = config.read(MOTES, {})
    found = []
    for size in (211, 10_000, 1_000_000):
        for format_ in FileFormat:
            options = Options(Path(f"out{size}"), format_, sort=sort, batch=size)
            backtest.prepare(pipeline, motes / name, options)
            table = open_table(motes / name, pipeline.source.reading, pipeline.source.schema)
            backtest.backtest(pipeline, table, options, Console(quiet=True))
        found.append(written(Path(f"out{size}")))
    assert len(found[0]) == 12
    assert found[0] == found[1] == found[2]


ROWS: list[dict[str, Any]] = [
    {"site": "x", "dev": 1, "at": 1_700_000_000_000, "data.temp": 5.5, "n": 1, "ok": True, "status": "7"},
    {"site": "x", "dev": 1, "at": 1_700_000_001_000, "data.temp": 35.0, "n": 2, "ok": None, "status": "8"},
    {"site": "x", "dev": None, "at": 1_700_000_001_000, "data.temp": 5.0, "n": 3, "ok": None, "status": "8"},
    {"site": "y/z", "dev": 2, "at": 1_700_000_002_000, "data.temp": 6.0, "n": 4, "ok": False, "status": "high"},
    {"site": "x", "dev": 1, "at": 1_700_000_003_000, "data.temp": None, "n": 5, "ok": True, "status": None},
    {"site": "x", "dev": 1, "at": 1_700_000_004_000, "data.temp": 9.0, "n": None, "ok": True, "status": None},
]


def documents() -> list[dict[str, Any]]:
    """Give the rows as they would come from Kafka."""
    return [{**row, "data": {"temp": row["data.temp"]}} for row in ROWS]


@pytest.mark.parametrize("name", ["r.csv", "r.parquet", "r.ndjson"])
@pytest.mark.parametrize("sort", [[], ["--sort"]])
def test_dead_rows_are_told_by_number_and_reason(sort: list[str], name: str) -> None:
    frame = pl.DataFrame(ROWS)
    frame.write_csv("r.csv")
    frame.write_parquet("r.parquet")
    Path("r.ndjson").write_bytes(b"\n".join(map(orjson.dumps, documents())))
    result = run(mill(), name, "--format", "ndjson", *sort)
    out = Path("backtest-mill")
    expected = by_json(mill(), documents())
    assert lines(out / "dead.ndjson") == expected[DEAD]
    assert [letter["row"] for letter in expected[DEAD]] == [3, 4]
    assert [{**row, "alert_id": ""} for row in lines(out / "alarm.ndjson")] == [
        {**row, "alert_id": ""} for row in expected["alarm"]
    ]
    assert lines(out / "number.ndjson") == expected["number"]
    assert lines(out / "number.many.ndjson") == expected["number when n > 1"]
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "telemill: 2 of 6 rows are dead; the first is row 3: field `dev`: expected text or "
    )
    assert told(result)["dead → backtest-mill/dead.ndjson"] == "2"
    assert told(result)["number when n > 1 → backtest-mill/number.many.ndjson"] == "1"


def test_files_of_sinks_with_conditions_are_named_by_their_topics_and_differ() -> None:
    text = MILL + "".join(
        f"  - {{from: {stream}, when: n > {n}, kafka: {{topic: {topic}}}}}\n"
        for n, (stream, topic) in enumerate(
            [("number", "many"), ("number", "many"), ("source", "many"), ("source", "x")], 2
        )
    )
    pipeline = config.read(mill(text), {})
    assert names(pipeline) == {
        "number": "number",
        "number when n > 1": "number.many",
        "alarm": "alarm",
        "number when n > 2": "number.many-2",
        "number when n > 3": "number.many-3",
        "source when n > 4": "source.many",
        "source when n > 5": "source.x",
        "dead": "dead",
    }


def test_parquet_has_types_and_csv_has_iso_text() -> None:
    pl.DataFrame(ROWS).write_csv("r.csv")
    assert run(mill(), "r.csv").exit_code == 0
    assert run(mill(), "r.csv", "--format", "csv").exit_code == 0
    frame = pl.read_parquet("backtest-mill/number.parquet")
    time = pl.Datetime("us", "UTC")
    expected = {"site": pl.String, "dev": pl.String, "at": time, "temp": pl.Float64, "n": pl.Int64}
    assert dict(frame.schema) == {**expected, "ok": pl.Boolean, "status": pl.String, "code": pl.Int64}
    assert pl.read_parquet("backtest-mill/dead.parquet").schema == {"row": pl.Int64, "reason": pl.String}
    assert Path("backtest-mill/number.csv").read_text().splitlines()[1] == "x,1,2023-11-14T22:13:20Z,5.5,1,true,7,7"


WINDOWS = MILL.partition("steps:")[0] + (
    "steps:\n  - id: w\n    window: {tumbling: 10s, aggregate: {n: count()}}\nsinks: [{from: w, kafka: {topic: w}}]\n"
)


def test_open_windows_close_at_the_end_unless_they_are_to_stay_open() -> None:
    pl.DataFrame(ROWS).write_csv("r.csv")
    assert run(mill(WINDOWS), "r.csv", "-o", "a").exit_code == 0
    assert pl.read_parquet("a/w.parquet")["n"].to_list() == [4, 1]
    assert run(mill(WINDOWS), "r.csv", "-o", "b", "--keep-open").exit_code == 0
    assert len(pl.read_parquet("b/w.parquet")) == 0


def test_sorting_takes_the_rows_by_event_time() -> None:
    """A file with one device after the other.

    a: 0 ... 3600 s, every 10 s;  b: the same afterwards. As it is, b begins an hour behind the shard's clock, and is
    moved on where it is silent for 10 minutes from 600 s to 1200 s; what it then sends is late.
    """
    rows = [
        {
            "site": "x",
            "dev": dev,
            "at": 1_700_000_000_000 + 10_000 * tick,
            "data.temp": 1.0,
            "n": 1,
            "ok": True,
            "status": "",
        }
        for dev in "ab"
        for tick in range(360)
    ]
    pl.DataFrame(rows).sort("at", maintain_order=True).write_csv("by_time.csv")
    pl.DataFrame(rows).write_csv("by_device.csv")
    pl.DataFrame(rows).reverse().write_csv("backwards.csv")
    for name in ("by_time", "by_device", "backwards"):
        assert run(mill(WINDOWS), f"{name}.csv", "-o", name, "--sort", "-q").exit_code == 0
    counts = {
        name: pl.read_parquet(f"{name}/w.parquet").sort("dev", "window_start")
        for name in ("by_time", "by_device", "backwards")
    }
    assert counts["by_time"].equals(counts["by_device"])
    assert counts["by_time"].equals(counts["backwards"])
    assert run(mill(WINDOWS), "by_time.csv", "-o", "plain", "-q").exit_code == 0
    assert written(Path("plain")) == written(Path("by_time")), "what is sorted already isn't changed"
    late = run(mill(WINDOWS), "backwards.csv", "-o", "late")
    assert told(late)["w.late, which no sink reads"] == "716"
    assert (
        "716 of 720 rows came late to `w`, and no sink reads them: is the file out of order? Try --sort" in late.stderr
    )


def test_rows_that_are_late_for_some_of_their_windows_are_told() -> None:
    # size 10s, slide 5s, lateness 2s: 7 comes behind 13, when the window to 10 has closed and that to 15 has not
    rows = [{**ROWS[0], "at": ROWS[0]["at"] + 1_000 * second} for second in (1, 13, 7, 40)]
    pl.DataFrame(rows).write_csv("r.csv")
    steps = WINDOWS.replace("tumbling: 10s", "hopping: {size: 10s, slide: 5s}")
    assert steps != WINDOWS
    table = told(run(mill(steps), "r.csv"))
    assert table["w: late for some of their windows, not for all"] == "1"
    assert not any(name.startswith("w.late") for name in table)


def test_rows_of_one_time_stay_in_the_order_of_the_file() -> None:
    rows = [{**ROWS[0], "at": ROWS[0]["at"] + 7 * number % 3 * 1_000, "n": number} for number in range(1_000)]
    pl.DataFrame(rows).write_csv("r.csv")
    assert run(mill(), "r.csv", "--sort").exit_code == 0
    found = pl.read_parquet("backtest-mill/number.parquet")["n"].to_list()
    assert found == [row["n"] for row in sorted(rows, key=lambda row: int(row["at"]))]


def test_what_is_there_already_is_written_over_and_told(motes: Path) -> None:
    first = run(MOTES, motes / "m.csv", "-o", "a/b")
    assert "written over" not in first.stdout
    Path("a/b/mine.txt").touch()
    again = run(MOTES, motes / "m.csv", "-o", "a/b")
    assert "written over in a/b: minute.parquet, kettle.parquet, minute.late.parquet, dead.parquet\n" in again.stdout
    assert Path("a/b/mine.txt").exists()


def test_quiet_tells_only_what_is_wrong(motes: Path) -> None:
    assert (run(MOTES, motes / "m.csv", "-q").output) == ""
    Path("x.csv").write_text("mote_id,ts,temperature,humidity\nm1,1700000000000,1,1\nm1,x,1,1\n")
    result = run(MOTES, "x.csv", "--quiet")
    assert result.stdout == ""
    assert result.stderr.startswith("telemill: 1 of 2 rows are dead; the first is row 2: field `ts`: ")


def test_a_key_and_the_record_s_own_time_are_columns() -> None:
    text = MILL.replace("[site, dev]", "{key: id}").replace("field: at, unit: ms, ", "")
    Path("k.csv").write_text("id,ts,temp,n,ok,status\nm1,1700000000000,40,1,,\nm2,2023-11-14T22:13:21Z,1,1,,\n")
    assert run(mill(text), "k.csv", "--format", "csv").exit_code == 0
    rows = Path("backtest-mill/number.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [
        ["id", "ts"],
        ["m1", "2023-11-14T22:13:20Z"],
        ["m2", "2023-11-14T22:13:21Z"],
    ]


def test_many_devices_are_not_listed() -> None:
    text = "mote_id,ts,temperature,humidity\n" + "".join(f"m{n},{1_700_000_000_000 + n},20,50\n" for n in range(9))
    Path("x.csv").write_text(text)
    assert "m8" not in told(run(MOTES, "x.csv"))
    Path("x.csv").write_text(text.replace("m8,", "m7,"))
    assert told(run(MOTES, "x.csv"))["m7"].startswith("2 ")


@pytest.mark.parametrize(
    ("unit", "number", "meant"),
    [
        ("ms", 1_700_000_000, "s"),
        ("s", 1_700_000_000_000, "ms"),
        ("us", 1_700_000_000_000, "ms"),
        ("ns", 1_700_000_000_000, "ms"),
        ("ms", 1_700_000_000_000_000, "us"),
        ("ms", 1_700_000_000_000_000_000, "ns"),
        ("us", 1_700_000_000, "s"),
    ],
)
def test_a_wrong_unit_is_told_with_the_right_one(unit: str, number: int, meant: str) -> None:
    Path("x.csv").write_text(f"mote_id,ts,temperature,humidity\nm1,{number},20,50\n")
    text = MOTES.read_text().replace("unit: ms", f"unit: {unit}")
    result = run(mill(text), "x.csv", "-q")
    assert f"looks like {meant}: write `unit: {meant}` under the source's `time`" in result.stderr
    right = run(mill(text.replace(f"unit: {unit}", f"unit: {meant}")), "x.csv", "-q")
    assert (right.exit_code, right.output) == (0, "")


def test_a_clock_that_was_not_set_is_told() -> None:
    Path("x.csv").write_text("mote_id,ts,temperature,humidity\nm1,5000,20,50\n")
    (line,) = run(MOTES, "x.csv", "-q").stderr.splitlines()
    assert "is a clock not set, or the unit wrong?" in line
    Path("x.csv").write_text("mote_id,ts,temperature,humidity\nm1,5000,20,50\nm1,1700000000000,20,50\n")
    result = run(MOTES, "x.csv", "-q")
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "telemill: the times of the rows go from 1970-01-01 00:00:05 UTC to 2023-11-14 22:13:20 UTC: is a clock not set"
    )


def test_a_file_of_which_no_row_can_be_read_fails() -> None:
    Path("x.csv").write_text("mote_id,ts,temperature,humidity\nm1,yesterday,20,50\nm2,today,20,50\n")
    result = run(MOTES, "x.csv")
    assert result.exit_code == 1
    assert "2 of 2 rows are dead; the first is row 1: field `ts`" in result.stderr
    assert result.stderr.endswith("telemill: no row could be read, so nothing has come out\n")
    assert len(pl.read_parquet("backtest-motes/dead.parquet")) == 2


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere.csv"], "telemill: nowhere.csv: no such file"),
        (["r.xlsx"], "r.xlsx: expected a file named .csv, .ndjson or .jsonl (also with .gz behind it), or .parquet"),
        (["empty.csv"], "telemill: empty.csv: is empty"),
        (["other.csv"], "the field `temp`: no column `data.temp` or `temp`; did you mean `Temp`?"),
        (["other.csv"], "its columns: `site`, `dev`, `at`, `Temp`, `n`, `ok`, `status`"),
        (["r.csv", "--plot", "tmep"], "no column `tmep`; did you mean `temp`?"),
        (["r.csv", "--plot", "status"], "`status` is text: numbers and bools can be drawn"),
        (["r.csv", "-o", "r.csv/x"], "r.csv/x: can't be made a folder for the results: Not a directory"),
        (
            ["number.csv", "-o", ".", "--format", "csv"],
            "number.csv: the results would be written over the file that is",
        ),
    ],
)
def test_mistakes_are_told_on_stderr_before_anything_is_run(args: list[str], says: str) -> None:
    frame = pl.DataFrame(ROWS)
    for name in ("r.csv", "number.csv", "r.xlsx"):
        frame.write_csv(name)
    frame.rename({"data.temp": "Temp"}).write_csv("other.csv")
    Path("empty.csv").touch()
    before = Path("number.csv").read_bytes()
    result = run(mill(), *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert Path("number.csv").read_bytes() == before
    assert not list(Path().rglob("*.parquet"))


def test_a_broken_pipeline_and_wrong_options_exit_with_2(motes: Path) -> None:
    result = run(mill(MILL.replace("filter:", "fliter:")), motes / "m.csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean `filter`?" in result.stderr
    for args, says in (
        (["m.csv", "--device", "x"], "--device goes with --plot"),
        (["m.csv", "--format", "xlsx"], "'xlsx' is not one of 'parquet', 'csv', 'ndjson'"),
        ([], "Missing argument 'FILE'"),
    ):
        wrong = run(mill(), *args)
        assert wrong.exit_code == 2
        assert says in " ".join(wrong.stderr.replace("│", "").split())


def test_a_file_that_breaks_off_fails(motes: Path) -> None:
    Path("cut.csv.gz").write_bytes((motes / "m.csv.gz").read_bytes()[:-500])
    result = run(MOTES, "cut.csv.gz")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("telemill: cut.csv.gz: can't be read to its end: ")
    assert list(Path("backtest-motes").iterdir()) == []


def test_fields_that_ndjson_does_not_have_at_its_beginning_are_told() -> None:
    Path("x.ndjson").write_text('{"mote_id": "m", "ts": 1700000000000, "humidity": 50}\n')
    result = run(MOTES, "x.ndjson", "-q")
    assert result.exit_code == 0
    assert result.stderr == "telemill: x.ndjson: none of the first 1 lines has the field `temperature`\n"


def test_the_help_says_what_newcomers_ask() -> None:
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", run("--help").stdout).split())
    for part in (
        "Run a pipeline over a file instead of Kafka",
        "CSV, NDJSON (either also as .gz) or Parquet",
        "The order of the file is the order of arrival",
        "--output",
        "--keep-open",
        "STREAM.COLUMN",
        "For a file that has one device after the other",
    ):
        assert part in text
