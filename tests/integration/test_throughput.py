"""The benchmark against other systems on a real Kafka, with few readings: it runs, checks, and writes its figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import latency
from benchmarks.throughput import __main__ as throughput
from benchmarks.throughput import scaling
from operators.base import kinds
from tests.integration.kafka.broker import Broker


@pytest.mark.skipif(not shutil.which("cc"), reason="the bare consumer needs a C compiler")
@pytest.mark.parametrize("format_", ["json", "avro"])
def test_a_run_writes_figures_of_rows_that_were_checked(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    file = tmp_path / "figures.json"
    arguments = ["--format", format_, "--events", "20000", "--devices", "100", "--repeat", "1"]
    arguments += ["--systems", "telemill,consumer,loop", "--allocator", "system", "--json", str(file)]
    assert throughput.main(arguments) == 0, capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert figures["rows_checked"] >= 100 * 4
    for key in ("events_per_s", "cpu_ns_per_event", "consumer_cpu_ns_per_event", "peak_rss_mb"):
        assert figures[key] > 0
    assert (figures["allocator"], figures["seed"], figures["events"]) == ("system", 1, 20_000)
    assert figures["machine"]
    assert "--devices 100" in figures["command"]
    assert [row["system"] for row in figures["results"]] == ["telemill", "consumer", "loop"]
    assert [row["messages"] for row in figures["results"]] == [20_100] * 3
    assert not figures["skipped"]
    assert not figures["failed"]
    assert "plain Python loop" in capsys.readouterr().out


@pytest.mark.skipif(("detect", "zscore") not in kinds(), reason="the alerts are of detect: zscore")
def test_latency_is_of_every_alert(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    file = tmp_path / "figures.json"
    arguments = ["--rates", "2000", "--seconds", "1", "--devices", "20", "--allocator", "system", "--json", str(file)]
    assert latency.main(arguments) == 0, capsys.readouterr().out
    (figures,) = json.loads(file.read_text())["results"]
    assert figures["alerts"] == figures["alerts_due"] > 200
    assert 0 < figures["p50"] <= figures["p99"] <= figures["p99_9"] <= figures["max"]
    assert sum(count for _, count in figures["histogram"]) == figures["alerts"]


def test_two_processes_share_the_work_and_every_row_is_right(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    file = tmp_path / "figures.json"
    arguments = ["--events", "20000", "--devices", "--partitions", "--processes", "2", "--usual-devices", "100"]
    scaling.main([*arguments, "--repeat", "1", "--allocator", "system", "--json", str(file)])
    (figures,) = json.loads(file.read_text())["results"]
    assert figures["processes"] == 2
    assert figures["rows_checked"] >= 100 * 4
    assert figures["events_per_s"] > 0
    assert "rows checked" in capsys.readouterr().out
