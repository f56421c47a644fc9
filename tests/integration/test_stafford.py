"""The main job on real input and a real Kafka: every row out equals a brute-force computation of the same."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.stafford import MINUTE, SCHEMA, as_avro, as_json, expected, messages
from tests.integration.telemill import ROOT, Message, Process, committed, produce, read, wait_until

TOPICS = ("raw", "clean", "minutes", "alerts", "late", "dead")


def pipeline(folder: Path, topics: dict[str, str], source_format: str = "json") -> Path:
    """Write the example pipeline with the test's own topics, as a pipeline and group of its own."""
    text = (ROOT / "pipelines" / "examples" / "stafford.yaml").read_text()
    text = text.replace("name: stafford", f"name: {topics['raw']}", 1)
    text = text.replace("  format: json", f"  format: {source_format}", 1)
    for name, topic in topics.items():
        text = text.replace(f"stafford.{name}", topic)
    file = folder / "pipeline.yaml"
    file.write_text(text[: text.index("\ntests:")])
    return file


def us(text: str) -> int:
    """Read a time as telemill writes it."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def frame(found: Sequence[Message]) -> pl.DataFrame:
    """Make a table of JSON rows, times as us."""
    rows = [json.loads(message.value or b"") for message in found]
    times = ("ts", "at", "since", "window_start", "window_end")
    return pl.DataFrame(
        [{name: us(value) if name in times else value for name, value in row.items()} for row in rows],
        infer_schema_length=None,
    )


def check(servers: str, topics: dict[str, str], want: dict[str, pl.DataFrame]) -> None:
    """Hold every sink against the brute force, and the rows of each device against their order."""
    minutes = read(servers, topics["minutes"])
    got = frame(minutes).sort("device_id", "window_start")
    assert (got["window_end"] - got["window_start"] == MINUTE).all()
    got = got.drop("window_end").rename({"window_start": "start"})
    assert_frame_equal(got, want["minutes"], check_dtypes=False, check_column_order=False, rel_tol=1e-12)
    starts: dict[bytes, list[int]] = defaultdict(list)
    for message in minutes:
        starts[message.key or b""].append(us(json.loads(message.value or b"")["window_start"]))
    assert all(own == sorted(own) for own in starts.values())

    columns = ["device_id", "ts", "temp", "humidity", "light", "dew_point"]
    clean = frame(read(servers, topics["clean"]))
    for device in want["clean"]["device_id"].unique():
        mine, theirs = (table.filter(pl.col("device_id") == device).select(columns) for table in (clean, want["clean"]))
        assert_frame_equal(mine, theirs, check_exact=True)

    late = frame(read(servers, topics["late"])).sort("device_id", "ts")
    assert len(late) > 0
    assert_frame_equal(late.select(columns), want["late"].sort("device_id", "ts").select(columns), check_exact=True)
    by = (want["late"].sort("device_id", "ts")["after"] - want["late"].sort("device_id", "ts")["start"] - MINUTE) / 1e6
    assert late["late_by"].to_list() == pytest.approx(by.to_list())

    alerts = frame(read(servers, topics["alerts"]))
    assert_frame_equal(
        alerts.select("device_id", "state", "since", "at").sort("device_id", "at"),
        want["alerts"].sort("device_id", "at"),
    )
    assert len(alerts) > 0
    assert alerts["alert_id"].n_unique() == len(alerts.filter(pl.col("state") == "raised"))
    assert not read(servers, topics["dead"])


@pytest.mark.parametrize("way", ["telemill", "bytewax"])
@pytest.mark.parametrize("format_", ["json", "avro"])
def test_a_day_of_real_sensors_comes_out_as_brute_force_says(
    kafka: Broker, topics: Topics, tmp_path: Path, way: str, format_: str
) -> None:
    names = topics(*TOPICS)
    found = messages()
    write: Callable[[dict[str, Any]], tuple[bytes, bytes]] = as_json if format_ == "json" else as_avro
    produce(kafka.servers, names["raw"], map(write, found))
    file = pipeline(tmp_path, names, "json" if format_ == "json" else f"{{avro: {{schema: {SCHEMA}}}}}")
    flow = f"pipelines:flow({str(file)!r}, until_end=True, close_windows=True)"
    command = {
        "telemill": ["-m", "pipelines", "run", str(file), "--until-end", "--close-windows"],
        "bytewax": ["-m", "bytewax.run", flow],
    }[way]
    run = Process(command, {"KAFKA_BROKERS": kafka.servers}, tmp_path / "log")
    assert run.wait() == 0, run.log()
    check(kafka.servers, names, expected(found))
    assert committed(kafka.servers, names["raw"], names["raw"]) == len(found)


def test_two_processes_in_one_group_give_the_same_rows(kafka: Broker, topics: Topics, tmp_path: Path) -> None:
    names = topics(*TOPICS)
    found = messages()
    file = pipeline(tmp_path, names)
    runs = []
    for index in range(2):
        command = ["-m", "pipelines", "run", str(file)]
        runs.append(Process(command, {"KAFKA_BROKERS": kafka.servers}, tmp_path / f"log{index}"))
        runs[-1].wait_for("shard ")
    wait_until(lambda: runs[1].log().count("from offset") == 2, "the second process has half of the shards")
    # A last reading of each device, a day later, closes the windows that hold the real ones.
    ends = [
        {**found[-1], "device_id": device, "ts": found[-1]["ts"] + 86_400} for device in {m["device_id"] for m in found}
    ]
    produce(kafka.servers, names["raw"], map(as_json, [*found, *ends]))
    wait_until(
        lambda: committed(kafka.servers, names["raw"], names["raw"]) == len(found) + len(ends), "all is processed"
    )
    for run in runs:
        run.terminate()
    assert [run.wait() for run in runs] == [0, 0], [run.log() for run in runs]
    taken = [int(re.findall(r"records in\D*([\d,]+)", run.log())[0].replace(",", "")) for run in runs]
    assert min(taken) > 0, taken
    assert sum(taken) == len(found) + len(ends)
    want = expected([*found, *ends])
    last = want["minutes"]["start"].max()
    want["minutes"] = want["minutes"].filter(pl.col("start") != last)
    check(kafka.servers, names, want)
