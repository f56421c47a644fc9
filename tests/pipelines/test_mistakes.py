"""Mistakes in a pipeline file: each is told once, at its line, with what was expected, what was given, and a fix."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pipelines
from pipelines import config
from pipelines.located import ConfigError, Mistake
from tests.pipelines.mistakes import ends, fitting, secrets, source, steps, structure, written
from tests.pipelines.mistakes.base import GOOD, Case, Says

READING = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "dev", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "temperature", "type": "double"},
        {"name": "humidity", "type": ["null", "double"]},
    ],
}
ROOT = Path(pipelines.__file__).parent.parent
ENVIRON = {"SECRET": "hunter2", "PIN": "4711"}
TABLES = (written, structure, source, steps, fitting, ends, secrets)
ALL = [case for table in TABLES for case in table.MISTAKES]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with schemas in it, good and bad."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reading.avsc").write_text(json.dumps(READING))
    (tmp_path / "not_json.avsc").write_text("{")
    (tmp_path / "not_avro.avsc").write_text('{"type": "nonsense"}')
    (tmp_path / "endless.avsc").write_text('{"type": "array", "items": "null"}')
    return tmp_path


def refused(file: Path) -> ConfigError:
    """Read a file that must be refused."""
    with pytest.raises(ConfigError) as caught:
        config.read(file, ENVIRON)
    return caught.value


def put(folder: Path, text: str) -> Path:
    file = folder / "mill.yaml"
    file.write_text(text)
    return file


def lines_to_name(text: str) -> list[int]:
    """Give the numbers of the lines that end in `#!`, once for each `!`; 1 where none does."""
    lines = [
        number
        for number, line in enumerate(text.split("\n"), 1)
        if "#!" in line
        for _ in range(line.rpartition("#")[2].count("!"))
    ]
    return lines or [1]


def test_the_file_that_the_mistakes_are_made_in_is_good(folder: Path) -> None:
    assert config.read(put(folder, GOOD), ENVIRON).name == "mill"


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_a_mistake_is_told_once_at_its_line_with_what_to_do(case: Case, folder: Path) -> None:
    file = put(folder, case.text)
    error = refused(file)
    left = list(error.mistakes)
    for line, says in zip(lines_to_name(case.text), case.says, strict=True):
        fitting = [mistake for mistake in left if says.fits(mistake, line)]
        assert len(fitting) == 1, f"line {line} should be told once: {says}\ntold was:\n{error}"
        left.remove(fitting[0])
        assert f"{file}:{line}: {says.where or 'the file'}\n    expected: " in str(error)
    assert not left, f"nothing else is wrong, but told was:\n{error}"
    count = len(case.says)
    assert str(error).endswith(f"{count} mistake{'s' if count > 1 else ''}; nothing was run")
    assert not any(value in str(error) for value in ENVIRON.values()), "an error doesn't tell what a variable holds"
    assert not (folder / "executed").exists()


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in ALL}) == len(ALL)
    assert len(ALL) >= 35


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", Says("", "a pipeline", "an empty file", "motes.yaml")),
        (b"# nothing but words\n", Says("", "a pipeline", "an empty file", "motes.yaml")),
        (b"- a\n- b\n", Says("", "a mapping with name, source, steps and sinks", "a list of 2")),
        (b"name\n", Says("", "a mapping with name, source, steps and sinks", "`name`")),
        (b"name: \xff\n", Says("", "a text file in UTF-8", "other bytes")),
        (b"name: mill\0\n", Says("", "YAML", "")),
    ],
    ids=["empty", "comments", "a list", "text", "not UTF-8", "a NUL"],
)
def test_a_file_that_holds_no_pipeline(content: bytes, says: Says, tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_bytes(content)
    (mistake,) = refused(file).mistakes
    assert says.fits(mistake, 1), mistake


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for file, reason in ((tmp_path / "nowhere.yaml", "No such file"), (tmp_path, "directory")):
        (mistake,) = refused(file).mistakes
        assert Says("", "a pipeline file that can be read", str(file), "check the path").fits(mistake, 1)
        assert reason in (mistake.given or "")


@pytest.mark.parametrize(
    "anchors",
    [
        "&a {<<: *a}",
        "&a [*a, *a]",
        "\n".join(
            [
                "",
                "  a0: &a0 x",
                *(f"  a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)),
            ]
        ),
        "[" * 2_000 + "]" * 2_000,
        "9" * 5_000,
    ],
    ids=[
        "a merge of itself",
        "an alias of itself, twice",
        "a billion laughs",
        "deep brackets",
        "a number of 5,000 digits",
    ],
)
def test_hostile_yaml_is_refused_at_once_or_does_no_harm(anchors: str, folder: Path) -> None:
    file = put(folder, f"name: mill\nanchors: {anchors}\n{GOOD.partition(chr(10))[2]}")
    # In a process of its own: what goes on for years, or deeper than the stack, can't be ended in this one.
    command = [sys.executable, "-m", "pipelines", "check", str(file)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.fail("it was still being read after a minute")
    assert done.returncode in {0, 2}, done.stderr[-300:]
    assert "Traceback" not in done.stderr


SEVERAL = """\
name: mill
colour: red #!
source:
  kafka:
    topics: [raw]
  device: dev
  time: {field: ts, unit: ms, lateness: 30s, idle: 5m}
  fields:
    temperature: float
    status: text
steps:
  - id: clean
    filter: temprature > 0 #!
  - id: minute
    window:
      tumbling: 60 #!
      aggregate:
        t_mean: mean(status)
  - id: second
    from: source
    window:
      tumbling: 1m
      aggregate:
        a: mean(status) #!
        b: maen(temperature) #!
sinks:
  - from: second
    kafka: {topic: raw} #!
    format: arvo #!
tests:
  - name: nothing
    at: nowhere
    input: []
    expect: []
    close_windows: 1 #!
"""


def test_several_mistakes_are_all_told_in_order_of_line_each_once(folder: Path) -> None:
    file = put(folder, SEVERAL)
    error = refused(file)
    assert [mistake.line for mistake in error.mistakes] == lines_to_name(SEVERAL), error
    assert str(error).endswith("8 mistakes; nothing was run")


def test_a_mistake_at_the_top_does_not_hide_one_in_the_sinks_and_tests(folder: Path) -> None:
    text = GOOD.replace("name: mill\n", "name: mill\ncolour: red #!\n")
    text = text.replace("- from: alarm\n", "- from: alarms #!\n").replace("at: minute\n", "at: minit #!\n")
    error = refused(put(folder, text))
    lines = [mistake.line for mistake in error.mistakes if "nobody reads" not in (mistake.given or "")]
    assert lines == lines_to_name(text), error


def test_mistakes_of_one_line_keep_their_order() -> None:
    mistakes = [Mistake(1, f"steps[{number}]", "better", "this", None) for number in range(12)]
    assert ConfigError("mill.yaml", [*mistakes, mistakes[0]]).mistakes == mistakes


def test_a_fix_that_is_followed_mends_the_file(folder: Path) -> None:
    for name in ("mean", "count"):
        error = refused(put(folder, GOOD.replace("mean(temperature)", name)))
        fix = error.mistakes[0].fix
        if fix is not None:
            assert config.read(put(folder, GOOD.replace("mean(temperature)", fix.strip("`"))), ENVIRON), fix


def test_steps_without_ids_never_take_the_name_of_one_with_an_id(folder: Path) -> None:
    text = GOOD.replace("  - id: clean\n    filter: temperature > 0\n", "  - {id: filter_2, filter: temperature > 0}\n")
    text = text.replace("  - id: odd\n", "  - filter: temperature > 1\n  - filter: temperature > 2\n  - id: odd\n")
    pipeline = config.read(put(folder, text.replace("from: clean", "from: filter_3")), ENVIRON)
    assert [step.id for step in pipeline.steps] == ["filter_2", "filter", "filter_3", "odd", "minute", "alarm"]
