"""Whether a rehearsal leaves a run nothing to compile, and what it does where a pipeline can't be rehearsed as it is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typing_extensions import Self

import pipelines
from pipelines import config, rehearsal
from pipelines.compiling import Compiling
from pipelines.reference import OPERATOR, entries, read_example
from tests.connectors.codec.registry_server import RegistryServer
from tests.pipelines.readings import BATCHES, ROWS, run

ROOT = Path(pipelines.__file__).parent.parent
EXAMPLES = sorted((ROOT / "pipelines" / "examples").glob("*.yaml"))
PIPELINE = """
name: {name}
source:
  kafka: {{topics: [raw]}}
  format: {format}
  device: device
  time: {{field: ts, unit: iso, lateness: 2s}}
  fields: {fields}
{steps}
sinks:
  - {{from: source, kafka: {{topic: all}}}}
  {sinks}
"""
FIELDS = "{temperature: float, humidity: {path: more.humidity, type: float}}"
EVERY = "{a: float, b: int, c: bool, d: text}"
UNREAD = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "unread", "type": "string"},
        {"name": "device", "type": "string"},
        {"name": "ts", "type": "string"},
        {"name": "a", "type": ["null", "double"]},
        {"name": "b", "type": "long"},
        {"name": "c", "type": "boolean"},
        {"name": "d", "type": "string"},
    ],
}
"""A schema with a field that no pipeline here reads, so no record can be made up of what it reads."""
LEFT = """
import sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from pipelines import config, rehearsal
from tests.pipelines.readings import run

compiled, depth = [], 0
compile_ = Dispatcher.compile


def noted(self, signature):
    compiled.append((self.py_func.__module__ + "." + self.py_func.__name__, str(signature)))
    return compile_(self, signature)


for file in sys.argv[1:]:
    pipeline = config.read(Path(file), {})
    rehearsal.rehearse(pipeline)
    Dispatcher.compile = noted
    run(pipeline)
    Dispatcher.compile = compile_
    print(file, *compiled, sep="\\t")
    compiled.clear()
"""
"""Rehearses pipelines, runs readings through each, and prints which kernels it took that weren't there."""


def written(  # what a pipeline is made of
    folder: Path,
    name: str,
    steps: str = "steps: []",
    ids: Sequence[str] = (),
    fields: str = FIELDS,
    format_: str = "json",
) -> Path:
    """Write a pipeline that writes what each of its steps gives."""
    sinks = "\n  ".join(f"- {{from: {id_}, kafka: {{topic: {id_}}}, format: avro}}" for id_ in ids)
    file = folder / f"{name}.yaml"
    file.write_text(PIPELINE.format(name=name, steps=steps, sinks=sinks, format=format_, fields=fields))
    return file


def examples(folder: Path) -> Iterator[Path]:
    """Write a pipeline for the example of each operator."""
    for entry in entries():
        if entry.what == OPERATOR:
            fields = FIELDS if "detect" in entry.example else FIELDS.replace("{", "{score: float, ", 1)
            steps = entry.example.replace("file: pipelines", f"file: {ROOT}/pipelines")
            yield written(folder, entry.name, steps, [step.id for step in read_example(entry.example)[0]], fields)


def left(*files: Path) -> dict[str, list[str]]:
    """Give the kernels that a run took and a rehearsal didn't, by the name of the pipeline."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [file for file, *_ in lines] == list(map(str, files))
    return {Path(file).stem: kernels for file, *kernels in lines}


def test_a_run_takes_no_kernel_that_was_not_rehearsed(tmp_path: Path) -> None:
    headed = ", ".join(f"h_{name}: {{type: {name}, header: {name}}}" for name in ("float", "int", "bool", "text"))
    files = [*EXAMPLES, *examples(tmp_path), written(tmp_path, "every", fields=EVERY)]
    files.append(written(tmp_path, "headed", fields=EVERY.replace("{", f"{{{headed}, ")))
    assert len(files) > 15
    assert {name: kernels for name, kernels in left(*files).items() if kernels} == {}


def test_a_run_takes_no_kernel_that_was_not_rehearsed_where_no_record_could_be_made_up(tmp_path: Path) -> None:
    (tmp_path / "unread.avsc").write_text(json.dumps(UNREAD))
    assert left(written(tmp_path, "unread", fields=EVERY, format_="{avro: {schema: unread.avsc}}")) == {"unread": []}


def test_a_run_over_csv_takes_no_kernel_that_was_not_rehearsed(tmp_path: Path) -> None:
    formats = {
        "lines": "{csv: {columns: [unread, device, ts, a, b, c, d], missing: [NA]}}",
        "headed": "{csv: {header: true}}",
    }
    files = [written(tmp_path, name, fields=EVERY, format_=format_) for name, format_ in formats.items()]
    assert left(*files) == {"lines": [], "headed": []}


def test_a_registry_is_not_asked_in_a_rehearsal(registry: RegistryServer, tmp_path: Path) -> None:
    format_ = f"{{avro: {{registry: '{registry.url}'}}}}"
    file = written(tmp_path, "registry", fields=EVERY, format_=format_)
    file.write_text(file.read_text() + f"  - {{from: source, kafka: {{topic: more}}, format: {format_}}}\n")
    assert left(file) == {"registry": []}
    assert registry.asked == []


def test_readings_come_out_of_a_run_without_kafka(tmp_path: Path) -> None:
    pipeline = config.read(written(tmp_path, "every", fields=EVERY), {})
    assert run(pipeline) == BATCHES * ROWS


def test_what_goes_wrong_in_a_rehearsal_is_left_to_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rehearsal, "_records", lambda _: 1 / 0)
    with caplog.at_level(logging.DEBUG, "telemill"):
        rehearsal.rehearse(config.read(EXAMPLES[0], {}))
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def test_it_says_how_long_it_took_where_it_has_said_that_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Compiling()
    monkeypatch.setattr(rehearsal, "compiling", lambda: listener)
    caplog.set_level(logging.INFO, "telemill")
    rehearsal.rehearse(config.read(EXAMPLES[0], {}))
    assert caplog.messages == []
    monkeypatch.setattr(rehearsal, "_rehearse", lambda _: setattr(listener, "told", True))
    rehearsal.rehearse(config.read(EXAMPLES[0], {}))
    rehearsal.rehearse(config.read(EXAMPLES[0], {}))
    assert caplog.messages == ["kernels are ready after 0 s"]


class Helper:
    """Stands for the second process; notes what happens to it."""

    seen: ClassVar[list[str]] = []

    def __init__(self, command: list[str], **how: Any) -> None:
        assert command[3] == str(EXAMPLES[0].resolve())
        assert set(how.values()) == {subprocess.DEVNULL}, "the process's output is telemill's"
        self.seen.append("started")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.seen.append("waited for")

    def kill(self) -> None:
        self.seen.append("killed")


@pytest.mark.parametrize(
    ("wanted", "kept", "room", "seen"),
    [
        (True, True, True, ["started", "killed", "waited for"]),
        (False, True, True, []),
        (True, False, True, []),
        (True, True, False, []),
    ],
    ids=["as should be", "all is compiled already", "nothing can be handed over", "no room"],
)
def test_a_second_process_helps_while_the_first_compiles(
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,
    kept: bool,
    room: bool,
    seen: list[str],
) -> None:
    monkeypatch.setattr(Helper, "seen", [])
    monkeypatch.setattr(subprocess, "Popen", Helper)
    monkeypatch.setattr(rehearsal, "are_kept", lambda: kept)
    monkeypatch.setattr(rehearsal, "_has_room", lambda: room)
    with rehearsal._helper(config.read(EXAMPLES[0], {}), wanted=wanted):
        assert Helper.seen == seen[:1]
    assert Helper.seen == seen


def test_the_second_process_takes_telemill_from_where_the_first_has_it(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("raise SystemExit('this is the user's')\n")
    command = [sys.executable, "-c", rehearsal._BACKWARDS, str(EXAMPLES[0]), str(ROOT), *sys.path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_what_the_second_process_has_compiled_the_first_need_not_compile(example: Path) -> None:
    before = "rehearsal.rehearse_backwards(file)"
    swapped = LEFT.replace("rehearsal.rehearse(pipeline)", before).replace(
        "run(pipeline)", "rehearsal.rehearse(pipeline)"
    )
    done = subprocess.run(
        [sys.executable, "-c", swapped, str(example)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kernels = done.stdout.split("\t")[1:]
    assert not [kernel for kernel in kernels if any(of in kernel for of in ("window", "detect", "alert", "writer"))]


def test_limits_of_a_control_group_are_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert rehearsal._limits("cpu.max", tmp_path) == [150_000, 100_000]
    assert rehearsal._limits("memory.max", tmp_path) == []
    assert rehearsal._limits("pids.max", tmp_path) == []


@pytest.mark.parametrize(
    ("cores", "share", "memory", "room"),
    [
        (4, [], [], True),
        (1, [], [], False),
        (4, [100_000, 100_000], [], False),
        (4, [250_000, 100_000], [], True),
        (4, [], [512 << 20], False),
        (4, [], [2 << 30], True),
    ],
)
def test_a_second_process_needs_a_core_and_memory(
    monkeypatch: pytest.MonkeyPatch, cores: int, share: list[float], memory: list[float], room: bool
) -> None:
    monkeypatch.setattr(rehearsal, "_cores", lambda: cores)
    monkeypatch.setattr(rehearsal, "_limits", {"cpu.max": share, "memory.max": memory}.__getitem__)
    assert rehearsal._has_room() is room
