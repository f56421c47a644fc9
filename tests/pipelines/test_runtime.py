"""Tests of a run's beginning, on a Kafka within the test; tests/integration/ has those of its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kafka.embedded import EmbeddedKafka
from pipelines import runtime
from pipelines.plan import Pipeline
from tests.pipelines import motes

ROOT = Path(__file__).parents[2]
MOTES = ROOT / "pipelines" / "examples" / "motes.yaml"
TOPICS = [f"motes.{name}" for name in ("raw", "processed", "alerts", "late", "dead")]
COMMANDS = {
    "telemill": ["-m", "pipelines", "run", str(MOTES)],
    "bytewax": ["-m", "bytewax.run", f"pipelines:flow({str(MOTES)!r})"],
}


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(TOPICS) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_is_stopped_while_it_compiles_says_so_and_exits_with_0(
    kafka: EmbeddedKafka, tmp_path: Path, command: str, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    environ = {**os.environ, "KAFKA_BROKERS": kafka.brokers, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    with log.open("wb") as said:
        run = subprocess.Popen([sys.executable, *COMMANDS[command]], cwd=ROOT, env=environ, stdout=said, stderr=said)
    try:
        until = time.monotonic() + 60
        while "compiling kernels, once" not in log.read_text():
            assert run.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        run.send_signal(number)
        assert run.wait(60) == 0, log.read_text()
    finally:
        run.kill()
        run.wait()
    last = log.read_text().splitlines()[-1]
    assert last.endswith(f"{number.name}: stopping before anything is read")
    assert "Traceback" not in log.read_text()
    assert "member " not in log.read_text(), "it hasn't joined its group"


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    """Give the example; signals are handled after the test as before it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield motes.pipeline()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_run_that_is_stopped_with_nothing_to_compile_exits_with_0(
    monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline
) -> None:
    monkeypatch.setattr(runtime, "rehearse", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        runtime.dataflow(pipeline)
    assert ended.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "another one ends it at once"


def test_a_stop_after_that_is_left_to_the_run(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    monkeypatch.setattr(runtime, "rehearse", lambda _: None)
    _, run = runtime.dataflow(pipeline)
    assert not run.stopping.is_set()
    signal.raise_signal(signal.SIGTERM)
    assert run.stopping.is_set()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
