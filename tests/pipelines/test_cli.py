"""The command line: exit codes, what goes to stdout and what to stderr, and what the help says."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import pipelines
from pipelines.__main__ import app

ROOT = Path(pipelines.__file__).parent.parent
MOTES = Path(pipelines.__file__).parent / "examples" / "motes.yaml"
GOOD = """\
name: mill
source:
  kafka: {topics: [raw], brokers: "${BROKERS:-localhost:1}"}
  device: dev
  time: {field: ts, unit: ms}
  fields: {temperature: float}
steps:
  - filter: temperature > 0
sinks:
  - {from: filter, kafka: {topic: out}}
tests:
  - name: what is cold goes
    at: filter
    input: [{dev: a, ts: 0, temperature: 5}, {dev: a, ts: 1, temperature: -5}]
    expect: [{temperature: 5}]
"""
FAILING = GOOD.replace("expect: [{temperature: 5}]", "expect: [{temperature: 6}]")
BROKEN = GOOD.replace("filter: temperature", "fliter: temperature")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return written(tmp_path / "good.yaml", GOOD)


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    return written(tmp_path / "failing.yaml", FAILING)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return written(tmp_path / "broken.yaml", BROKEN)


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def within(*args: str | Path, env: Mapping[str, str | None] | None = None) -> Result:
    """Run the command line inside this process."""
    return CliRunner().invoke(app, [str(arg) for arg in args], prog_name="telemill", env=env)


def process(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a Python process in the project's folder, its output not a terminal."""
    env = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "TTY_COMPATIBLE"}}
    line: Sequence[str] = [sys.executable, *map(str, command)]
    return subprocess.run(
        line, cwd=ROOT, env={**env, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


def words(text: str) -> str:
    """Give a help text as one line, without its frames."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            [],
            ["Device telemetry in Kafka", "run", "check", "explain", "test", "demo", "Exit codes: 0 fine, 1 failed, 2"],
        ),
        (
            ["run"],
            ["Run a pipeline until it is stopped", "consumer group", "SIGTERM", "--until-end", "--close-windows"],
        ),
        (["run"], ["--instance", "TELEMILL_INSTANCE", "--quiet", "--verbose", "python -m bytewax.run"]),
        (["run"], ["--allocator", "TELEMILL_ALLOCATOR", "jemalloc", "system leaves it to the C library"]),
        (["check"], ["Check a pipeline without running it", "with its line", "Kafka isn't asked"]),
        (["explain"], ["Show what a pipeline does: its graph", "columns and types", "--json", "Avro schemas included"]),
        (["test"], ["Run the tests that stand under tests in a pipeline", "no Kafka is needed"]),
        (["demo"], ["See it work: real sensor data", "with a Kafka inside this process", "--output"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and len(value) < 2 else "",
)
def test_the_help_says_what_a_command_does(command: list[str], says: list[str]) -> None:
    result = within(*command, "--help", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert result.stderr == ""
    for part in says:
        assert part in words(result.stdout)


@pytest.mark.parametrize("command", ["run", "check", "explain", "test"])
def test_a_broken_file_is_told_on_stderr_and_exits_with_2(command: str, broken: Path) -> None:
    result = within(command, broken)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"{broken}:8: steps[0].fliter\n    expected: ")
    assert "did you mean `filter`?" in result.stderr
    assert result.stderr.endswith("1 mistake; nothing was run\n")


@pytest.mark.parametrize("command", ["run", "check", "explain", "test"])
def test_a_missing_file_is_told_on_stderr_and_exits_with_2(command: str, tmp_path: Path) -> None:
    result = within(command, tmp_path / "nowhere.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path / 'nowhere.yaml'}: No such file" in result.stderr


def test_check_says_in_one_line_that_a_file_is_fine(good: Path) -> None:
    result = within("check", good)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{good}: fine. 1 steps, 1 sinks, 1 tests\n"


def test_check_does_not_care_whether_tests_pass(failing: Path) -> None:
    assert within("check", failing).exit_code == 0


def test_check_shows_a_path_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "[red]mill"
    folder.mkdir()
    assert "[red]mill" in within("check", written(folder / "good.yaml", GOOD)).stdout


def test_explain_draws_the_graph(good: Path) -> None:
    result = within("explain", good)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mill: raw at localhost:1 as group mill\n")
    assert "→ out (json)" in result.stdout


def test_explain_gives_json(good: Path) -> None:
    result = within("explain", good, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["steps"][0]["options"] == {"where": "temperature > 0"}


def test_tests_that_pass(good: Path) -> None:
    result = within("test", good)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "ok     what is cold goes\n1 passed, 0 failed\n"


def test_tests_that_fail_show_where_and_what_differs_and_exit_with_1(failing: Path) -> None:
    result = within("test", failing)
    assert (result.exit_code, result.stderr) == (1, "")
    assert [line.strip() for line in result.stdout.splitlines()] == [
        "failed what is cold goes",
        f"{failing}:12, at filter",
        "row 1: temperature differs",
        "- temperature: 6",
        "+ temperature: 5.0",
        "0 passed, 1 failed",
    ]


def test_a_pipeline_without_tests_fails_its_tests(tmp_path: Path) -> None:
    result = within("test", written(tmp_path / "bare.yaml", GOOD.partition("tests:")[0]))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no tests: add some under `tests`, each with name, at, input and expect" in result.stderr


def test_the_name_of_a_test_is_shown_as_it_is(tmp_path: Path) -> None:
    text = GOOD.replace("what is cold goes", '"[bold]motes[1] is cold"')
    assert "ok     [bold]motes[1] is cold\n" in within("test", written(tmp_path / "good.yaml", text)).stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "{good}", "--close-windows"], "--close-windows goes with --until-end"),
        (["run"], "Missing argument 'PIPELINE'"),
        (["chck", "{good}"], "No such command 'chck'"),
        (["check", "{good}", "--fast"], "No such option: --fast"),
    ],
    ids=["close without end", "no file", "no such command", "no such option"],
)
def test_wrong_usage_is_told_on_stderr_and_exits_with_2(args: list[str], says: str, good: Path) -> None:
    result = within(*(arg.format(good=good) for arg in args))
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in words(result.stderr)


def test_away_from_a_terminal_there_are_no_colours(good: Path, failing: Path, broken: Path) -> None:
    outputs = [process("-m", "pipelines", "test", failing), process("-m", "pipelines", "check", broken)]
    assert [output.returncode for output in outputs] == [1, 2]
    assert [bool(output.stdout) for output in outputs] == [True, False]
    assert [bool(output.stderr) for output in outputs] == [False, True]
    seen = [within(command, good) for command in ("check", "explain", "test")] + [within("--help"), within("run")]
    for text in [*(o.stdout + o.stderr for o in outputs), *(s.stdout + s.stderr for s in seen)]:
        assert "\x1b" not in text


def closed_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


def test_a_broker_that_does_not_answer_ends_the_run_within_ten_seconds_with_one_line(good: Path) -> None:
    brokers = f"127.0.0.1:{closed_port()}"
    began = time.monotonic()
    result = process("-m", "pipelines", "run", good, BROKERS=brokers, TELEMILL_ALLOCATOR="system")
    assert time.monotonic() - began < 10
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"telemill: no broker answers at {brokers}: ")
    assert "`brokers` right?" in line


def test_bytewax_s_own_way_tells_mistakes_too(broken: Path) -> None:
    result = process("-c", f"from pipelines import flow; flow({str(broken)!r})")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{broken}:8: steps[0].fliter\n")
    assert "Traceback" not in result.stderr


def test_help_does_not_wait_for_bytewax_kafka_or_numba() -> None:
    code = "import sys, pipelines.__main__; print([m for m in ('bytewax', 'confluent_kafka', 'numba') if m in sys.modules])"
    assert process("-c", code).stdout == "[]\n"


def test_a_run_does_not_wait_for_what_draws_pictures() -> None:
    code = "import sys, pipelines.runtime, pipelines.summary; print([m for m in ('matplotlib', 'PIL') if m in sys.modules])"
    assert process("-c", code).stdout == "[]\n"
