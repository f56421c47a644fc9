"""Tests of the benchmark against other systems: that its readings, its brute force and its figures are right."""

from __future__ import annotations

import io
import json
from argparse import ArgumentTypeError
from collections import defaultdict
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmarks.throughput import allocators, expected, readme
from benchmarks.throughput.__main__ import options, runnable
from benchmarks.throughput.bench import fitted
from benchmarks.throughput.encode import KEY, Encoder, name
from benchmarks.throughput.figures import figures
from benchmarks.throughput.job import Job, Meter
from benchmarks.throughput.outputs import table
from benchmarks.throughput.peers.device import Device, device
from benchmarks.throughput.readings import BEGIN, MINUTE, WARM, Readings, Shape, make
from benchmarks.throughput.report import summary
from benchmarks.throughput.schema import READING

S = 1000
"""ms"""


def readings(*rows: tuple[int, int, int]) -> Readings:
    """Make readings of (device, s after the beginning, hundredths of a watt)."""
    which, seconds, centi = np.array(rows, np.int64).T
    return Readings(which.astype(np.uint32), BEGIN + seconds * S, centi, np.zeros(len(rows), np.bool_))


def test_every_device_sends_once_a_round_and_once_at_the_end() -> None:
    shape = Shape(devices=7, events=7 * 100, seed=3)
    made = make(shape)
    rounds = made.device[: shape.events].reshape(100, 7)
    assert (np.sort(rounds, axis=1) == np.arange(7)).all()
    assert len({tuple(row) for row in rounds.tolist()}) > 50  # in a new order each time
    assert ((made.ts[: shape.events].reshape(100, 7) - BEGIN) // S == np.arange(100)[:, None]).all()
    assert sorted(made.device[shape.events :]) == list(range(7))
    assert shape.closing % MINUTE == 0
    assert (made.ts[shape.events :] == shape.closing).all()
    assert shape.closing - 2 * MINUTE >= made.ts[: shape.events].max()


def test_the_same_seed_makes_the_same_readings_and_another_one_others() -> None:
    first, again, other = (make(Shape(10, 1000, seed)) for seed in (1, 1, 2))
    assert (first.centi == again.centi).all()
    assert (first.device == again.device).all()
    assert (first.centi != other.centi).any()


def test_a_spike_comes_to_a_device_that_is_known_and_once_only() -> None:
    shape = Shape(devices=50, events=50 * 200)
    made = make(shape)
    which = made.device[made.spike]
    assert len(which) == len(set(which.tolist())) == 3
    assert np.flatnonzero(made.spike).min() >= WARM * shape.devices
    for number in which:
        own = made.centi[: shape.events][made.device[: shape.events] == number]
        assert np.sort(own)[-1] - np.sort(own)[-2] > 40 * own[own < own.max()].std()


def test_no_spike_comes_before_any_device_is_known() -> None:
    assert not make(Shape(devices=100, events=100 * WARM)).spike.any()


def test_late_readings_are_no_later_than_said_and_as_many_as_said() -> None:
    shape = Shape(devices=100, events=100 * 300, late=0.05, delay=30 * S)
    ts = make(shape).ts[: shape.events]
    behind = np.maximum.accumulate(ts) - ts
    assert 0 < behind.max() <= 30 * S
    assert 0.03 < (behind > S).mean() < 0.05


@pytest.mark.parametrize("format_", ["json", "avro"])
def test_messages_say_what_the_readings_are(format_: str) -> None:
    made = make(Shape(devices=11, events=300))
    encoder = Encoder(format_, 1000)
    count = encoder.encode(made, 5, 205)
    assert count == 200
    for row in range(count):
        value = encoder.buffer[encoder.starts[row] : encoder.starts[row + 1]].tobytes()
        got: Any = (
            json.loads(value) if format_ == "json" else fastavro.schemaless_reader(io.BytesIO(value), READING, None)
        )
        at = row + 5
        assert got == {"id": name(int(made.device[at])), "ts": made.ts[at], "watts": made.centi[at] / 100}
        assert encoder.keys[row * len(KEY) : (row + 1) * len(KEY)].tobytes().decode() == got["id"]


def test_brute_force_finds_the_minutes_of_a_case_done_by_hand() -> None:
    #          0s      30s      59s | 60s     | closing
    # d0       1.00             3.00| 2.00    |
    # d1                5.00        |         |
    made = readings((0, 0, 100), (1, 30, 500), (0, 59, 300), (0, 60, 200), (0, 240, 0), (1, 240, 0))
    got = expected.windows(made, Shape(devices=2, events=4))
    assert got.rows() == [
        (0, BEGIN, 2, 4.0, 2.0, 1.0, 3.0, 3.0),
        (0, BEGIN + MINUTE, 1, 2.0, 2.0, 2.0, 2.0, 2.0),
        (1, BEGIN, 1, 5.0, 5.0, 5.0, 5.0, 5.0),
    ]


@pytest.mark.parametrize(("slide", "late"), [(MINUTE, 0.0), (5 * S, 0.05)])
def test_brute_force_agrees_with_a_dict_of_windows(slide: int, late: float) -> None:
    shape = Shape(devices=5, events=5 * 200, late=late)
    made = make(shape)
    found: dict[tuple[int, int], list[tuple[int, int, float]]] = defaultdict(list)
    for at in range(shape.events):
        ts = int(made.ts[at])
        start = ts // slide * slide
        while start > ts - MINUTE:
            found[int(made.device[at]), start].append((ts, at, made.centi[at] / 100))
            start -= slide
    want = []
    for (number, start), own in sorted(found.items()):
        watts = [value for _, _, value in own]
        total = sum(watts)
        want.append((number, start, len(own), total, total / len(own), min(watts), max(watts), max(own)[2]))
    got = expected.windows(made, shape, MINUTE, slide)
    assert_frame_equal(got, pl.DataFrame(want, got.columns, orient="row"), check_dtypes=False)


def test_brute_force_fits_a_line_through_each_block() -> None:
    shape = Shape(devices=3, events=3 * 50)
    made = make(shape)
    got = expected.blocks(made, shape, 20)
    assert got["device"].to_list() == [0, 0, 1, 1, 2, 2]
    for number, start, n, mean, trend in got.rows():
        mine = np.flatnonzero(made.device[: shape.events] == number)
        block = mine[made.ts[mine] >= start][:20]
        slope, _ = np.polyfit((made.ts[block] - made.ts[block][0]) / S, made.centi[block] / 100, 1)
        assert n == 20
        assert mean == pytest.approx(made.centi[block].mean() / 100)
        assert trend == pytest.approx(slope, abs=1e-9)


def test_differences_are_found_where_a_row_is_wrong_missing_or_too_many() -> None:
    want = pl.DataFrame({"device": [1, 2], "window_start": [0, 0], "mean": [1.0, 2.0]})
    keys = ["device", "window_start"]
    assert expected.differences(want, want, keys) is None
    wrong = expected.differences(want, want.with_columns(mean=pl.Series([1.0, 2.000001])), keys)
    assert wrong is not None
    assert "1 rows are wrong in mean: 2.000001 instead of 2.0 at {'device': 2" in wrong
    assert "1 are missing" in str(expected.differences(want, want.head(1), keys))
    assert "1 should not be there" in str(expected.differences(want.head(1), want, keys))
    assert "nan" in str(expected.differences(want, want.with_columns(mean=pl.lit(float("nan"))), keys))


@pytest.mark.parametrize("workload", ["w2", "w3", "w4"])
def test_what_python_peers_share_agrees_with_brute_force(workload: str) -> None:
    late, slide = (0.05, 5 * S) if workload == "w3" else (0.0, MINUTE)
    shape = Shape(devices=4, events=4 * 300, late=late)
    made = make(shape)
    devices: dict[int, Device] = {}
    rows, raised = [], []
    for number, ts, centi in zip(made.device.tolist(), made.ts.tolist(), made.centi.tolist(), strict=True):
        known = devices.setdefault(number, device(workload, 30 * S))
        closed, alert = known.on_reading(ts, centi / 100)
        rows += [json.dumps({"id": name(number), **row}).encode() for row in closed]
        if alert is not None and alert["state"] == "raised":
            raised.append((number, alert["at"]))
    got = table(rows, ["device", "window_start"])
    end = pl.col("window_end") if workload == "w4" else pl.col("window_start") + MINUTE
    got = got.filter(end < shape.closing)
    want = expected.blocks(made, shape, 60) if workload == "w4" else expected.windows(made, shape, MINUTE, slide)
    assert expected.differences(want, got, ["device", "window_start"]) is None
    if workload != "w3":  # late readings are seen in another order than they were made in
        assert sorted(raised) == expected.alerts(made).rows()
        assert len(raised) > 0


def line(cpu: float, wall: float, rss: float = 10.0) -> dict[str, Any]:
    return {"messages": 100, "steady": 75, "cpu_s": cpu, "wall_s": wall, "peak_rss_mb": rss, "version": "x 1"}


def test_figures_are_medians_of_the_steady_part() -> None:
    got = figures("telemill", "system", 5, [line(75e-6, 0.75), line(150e-6, 1.5, 30), line(15e-6, 0.15, 20)], 7)
    assert got.cpu_ns_per_event == pytest.approx(1000)
    assert got.events_per_s == pytest.approx(100)
    assert (got.peak_rss_mb, got.rows_checked, got.messages, got.version) == (20, 7, 100, "x 1")


def test_the_summary_is_telemill_and_the_consumer_under_the_chosen_allocator() -> None:
    found = [
        figures(system, allocator, 5, [line(cpu * 75e-9, 1)], 9)
        for system, allocator, cpu in [
            ("telemill", "system", 500.0), ("telemill", "mimalloc", 300.0),
            ("consumer", "system", 400.0), ("consumer", "mimalloc", 200.0),
        ]
    ]  # fmt: skip
    got = summary(found, "mimalloc")
    assert got["allocator"] == "mimalloc"
    assert got["cpu_ns_per_event"] == pytest.approx(300)
    assert got["consumer_cpu_ns_per_event"] == pytest.approx(200)
    assert got["events_per_s"] == 75
    assert got["rows_checked"] == 9


def test_the_meter_leaves_the_first_quarter_out(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter(100)
    assert [meter.count(count) for count in (20, 20, 59, 1)] == [True, True, True, False]
    meter.end("x 1", more=1)
    got = json.loads(capsys.readouterr().out)
    assert (got["messages"], got["steady"], got["version"], got["more"]) == (100, 60, "x 1", 1)
    assert got["cpu_s"] >= 0
    assert got["peak_rss_mb"] > 1


def test_a_job_survives_the_command_line() -> None:
    job = Job("w2", "localhost:1", "in", 4, 100, "json", "out", "alerts", "group", 5000)
    assert Job.read(job.write()) == job


def test_a_slow_system_gets_fewer_readings_and_a_jvm_more() -> None:
    shape = Shape(10_000, 1_000_000)
    assert fitted(shape, 0, None) == shape
    assert fitted(shape, 0, 2_000_000) == shape
    assert fitted(shape, 0, 100_000) == Shape(500, 100_000)
    assert fitted(shape, 16_000_000, None) == Shape(10_000, 16_000_000)


def test_what_cannot_be_measured_is_refused_or_skipped_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, said in (
        (["--systems", "telemil"], "no such system: telemil"),
        (["--workload", "w1", "--format", "avro"], "w1 isn't in avro"),
    ):
        with pytest.raises(SystemExit):
            options(wrong)
        assert said in capsys.readouterr().err
    able, skipped = runnable(options(["--workload", "w4", "--systems", "telemill,quix", "--allocator", "system"]))
    assert [system.name for system in able] == ["telemill"]
    assert skipped == {"quix": "does not do w4"}


def test_an_allocator_that_is_missing_is_told_and_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocators, "library", lambda name: "libjemalloc.so.2" if name == "jemalloc" else None)
    assert allocators.choose("auto") == "jemalloc"
    assert allocators.environment("jemalloc") == {"LD_PRELOAD": "libjemalloc.so.2"}
    assert allocators.environment("system") == {}
    with pytest.raises(ArgumentTypeError, match="libmimalloc isn't installed"):
        allocators.choose("mimalloc")
    monkeypatch.setattr(allocators, "library", lambda _: None)
    assert allocators.choose("auto") == "system"


def test_the_readme_gets_the_table_between_its_comments_and_nothing_else_changes() -> None:
    about: dict[str, Any] = {
        "workload": "w2", "format": "json", "events": 100, "devices": 5, "partitions": 4, "repeat": 3,
        "machine": "a machine", "cores": 2, "python": "3.11", "seed": 1, "command": "python -m benchmarks.throughput",
    }  # fmt: skip
    found = [figures("telemill", "mimalloc", 5, [line(75e-6, 0.75)], 9), figures("loop", "system", 5, [line(1, 1)], 9)]
    lines = readme.markdown(about, found, {"quix": "no network\nmore"}, "mimalloc")
    text = "before\n<!-- benchmark w2 json -->\nold\n<!-- end of benchmark w2 json -->\nafter\n"
    got = readme.rewritten(text, "w2 json", lines)
    assert got.startswith("before\n<!-- benchmark w2 json -->\nw2 in json: 100 readings of 5 devices")
    assert got.endswith("\n<!-- end of benchmark w2 json -->\nafter\n")
    assert "old" not in got
    assert "| **telemill, mimalloc** | **100** | **1,000** | **10** | **100** |" in got
    assert "Quix Streams: not measured, no network  \n" in got
    assert "Command: `python -m benchmarks.throughput`" in got
    assert readme.rewritten(got, "w2 json", lines) == got
    with pytest.raises(readme.NoPlace, match="<!-- benchmark w2 avro -->"):
        readme.rewritten(text, "w2 avro", lines)


@pytest.mark.parametrize("name", ["w2 json", "w2 avro"])
def test_the_readme_has_a_place_for_the_table(name: str) -> None:
    assert readme.rewritten(readme.FILE.read_text("utf-8"), name, ["x"])
