"""What a start compiles, and when: nothing where it is warm, and before the worker joins its group."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import startup
from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, produce

PIPELINE = """
name: {raw}
source:
  kafka: {{topics: [{raw}], brokers: "${{KAFKA_BROKERS}}"}}
  device: id
  time: {{field: n, unit: ms}}
  fields: {{x: float}}
steps:
  - window: {{tumbling: 1s, aggregate: {{total: sum(x)}}}}
sinks:
  - {{from: window, kafka: {{topic: {out}}}}}
"""


def test_a_warm_start_compiles_nothing_and_loads_kernels_before_it_joins(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", "out")
    produce(kafka.servers, names["raw"], [(b"a", b'{"id": "a", "n": %d, "x": 1}' % n) for n in range(0, 9_000, 10)])
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(**names))
    environ = {"KAFKA_BROKERS": kafka.servers, "NUMBA_DEBUG_CACHE": "1", "PYTHONUNBUFFERED": "1"}
    command = ["-m", "pipelines", "run", str(tmp_path / "pipeline.yaml"), "--until-end", "--close-windows"]
    for log in ("first", "second"):
        run = Process(command, environ, tmp_path / log)
        assert run.wait() == 0, run.log()
    assert "[cache] data saved" not in run.log()
    before, _, after = run.log().partition(" of group ")
    assert "json_kernel.scan" in before
    loaded = [line for line in after.splitlines() if "[cache] data loaded" in line]
    assert [line for line in loaded if "kafka" not in line] == []


def test_the_benchmark_measures_a_cold_and_a_warm_start(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    file = tmp_path / "figures.json"
    startup.main(["--only", "stafford", "--repeat", "1", "--json", str(file)])
    cold, warm = json.loads(file.read_text())["results"]
    assert (cold["start"], warm["start"]) == ("cold", "warm")
    assert cold["compiled"] > 10
    assert warm["compiled"] == 0
    assert 0 < warm["seconds"] < cold["seconds"] == cold["seconds_worst"]
    assert "kernels compiled" in capsys.readouterr().out
