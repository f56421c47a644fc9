"""Tests of what the command lines of benchmarks have in common."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from rich.table import Table

from benchmarks import command
from benchmarks.throughput import allocators
from tests.integration.kafka.broker import Broker, Unavailable


def test_the_command_is_what_was_typed() -> None:
    arguments = ["--only", "two words", "--json", "it's.json"]
    line = command.called("benchmarks.fuzz", arguments)
    assert shlex.split(line) == ["python", "-m", "benchmarks.fuzz", *arguments]


def test_figures_are_printed_and_written_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    options = command.parser("benchmarks.some", "Some benchmark.").parse_args(["--json", str(file)])
    table = Table("a column")
    figures = {**command.machine(), "command": "python -m benchmarks.some", "results": [1]}
    command.finish(command.console(), table, figures, options.json)
    assert json.loads(file.read_text()) == figures
    assert figures["machine"]
    out = capsys.readouterr().out
    assert "a column" in out
    assert out.endswith("Command: python -m benchmarks.some\n")


def test_without_a_kafka_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Broker:
        message = "no Docker"
        raise Unavailable(message)

    monkeypatch.setattr(command, "running_broker", missing)
    with pytest.raises(SystemExit, match=r"^no Kafka to measure on: no Docker$"), command.on_kafka():
        pass


def test_an_allocator_is_one_that_is_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(allocators, "library", lambda name: "libjemalloc.so.2" if name == "jemalloc" else None)
    parser = command.parser("benchmarks.some", "Some benchmark.")
    allocators.add_option(parser)
    assert parser.parse_args([]).allocator == "jemalloc"
    assert parser.parse_args(["--allocator", "system"]).allocator == "system"
    with pytest.raises(SystemExit):
        parser.parse_args(["--allocator", "mimalloc"])
    assert "libmimalloc isn't installed; take --allocator system, or auto" in capsys.readouterr().err
