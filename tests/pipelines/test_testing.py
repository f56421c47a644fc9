"""The tests that stand in a pipeline's file: what passes, and how a failure is shown."""

from __future__ import annotations

import contextlib
import json
import time as clock
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines import config
from pipelines.located import ConfigError
from pipelines.testing import run_tests

PIPELINE = """\
name: mill
source:
  kafka: {{topics: [raw]}}
  format: {format}
  device: {device}
  time: {time}
  fields: {{temperature: float, n: int, status: text}}
steps:
  - id: minute
    window: {{tumbling: 1m, aggregate: {{t_mean: mean(temperature), rows: count()}}}}
sinks:
  - {{from: minute, kafka: {{topic: out}}}}
"""
SCHEMA = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "dev", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "temperature", "type": "double"},
        {"name": "n", "type": ["null", "long"], "default": None},
        {"name": "status", "type": ["null", "string"], "default": None},
    ],
}


def differences(
    folder: Path,
    test: str,
    *,
    format_: str = "json",
    device: str = "dev",
    time: str = "{field: ts, unit: ms, lateness: 0s}",
) -> Sequence[str]:
    """Run one test in a pipeline."""
    (folder / "reading.avsc").write_text(json.dumps(SCHEMA))
    file = folder / "mill.yaml"
    file.write_text(PIPELINE.format(format=format_, device=device, time=time) + "tests:\n  - name: it\n" + test)
    (result,) = run_tests(config.read(file, {}))
    assert result.test.name == "it"
    return result.differences


ROWS = """\
    input:
      - {dev: a, ts: 0, temperature: 20}
      - {dev: a, ts: 30000, temperature: 22}
      - {dev: a, ts: 61000, temperature: 30}
"""
LATE = """\
    input:
      - {dev: a, ts: 60000, temperature: 20}
      - {dev: a, ts: 59000, temperature: 22}
"""


def test_a_dead_row_explains_what_is_missing(tmp_path: Path) -> None:
    test = """\
    at: minute
    close_windows: true
    input: [{dev: a, tss: 0, temperature: 20}]
    expect: [{rows: 1}]
"""
    *_, hint = differences(tmp_path, test)
    assert hint.startswith("input row 1 is dead: field `ts`: expected ")


HEADED = """\
    at: minute
    close_windows: true
    input:
      - {dev: a, ts: 0, $headers: {t: 20, n: "3", status: on, other: x}}
      - {dev: a, ts: 1, $headers: {t: 21.5, n: null, status: true}}
      - {dev: a, ts: 2, $headers: {}}
      - {dev: a, ts: 3}
    expect: [{t_mean: 20.75, rows: 4}]
"""


def headed(folder: Path, test: str, text: str = PIPELINE) -> Sequence[str]:
    """Run a test whose columns stand in headers."""
    fields = "{{temperature: {{type: float, header: t}}, n: {{type: int, header: n}}, status: {{type: text, header: status}}}}"
    text = text.replace("{{temperature: float, n: int, status: text}}", fields)
    file = folder / "mill.yaml"
    text = text.format(format="json", device="dev", time="{field: ts, unit: ms}")
    file.write_text(f"{text}tests:\n  - name: it\n{test}")
    (result,) = run_tests(config.read(file, {}))
    return result.differences


def test_a_row_s_headers_are_the_record_s_own(tmp_path: Path) -> None:
    assert headed(tmp_path, HEADED) == []
    *_, hint = headed(tmp_path, HEADED.replace("t: 20,", "t: warm,"))
    assert hint == "input row 1 is dead: header `t`: expected a number, given text: 'warm'"
    source = PIPELINE.replace("{{from: minute", "{{from: source, kafka: {{topic: all}}}}\n  - {{from: minute")
    rows = "expect: [{status: on, n: 3}, {status: 'true', n: null}, {status: null}, {temperature: null}]"
    test = HEADED.replace("at: minute", "at: source").replace("expect: [{t_mean: 20.75, rows: 4}]", rows)
    assert headed(tmp_path, test, source) == []


@pytest.mark.parametrize("given", ["[t, 20]", "t", "{t: [20]}", "{t: {a: 1}}"])
def test_headers_that_are_none_are_told(given: str, tmp_path: Path) -> None:
    told = headed(tmp_path, HEADED.replace("{t: 21.5, n: null, status: true}", given))
    assert len(told) == 1
    assert told[0].startswith("input row 2: $headers: expected a mapping of names to values, given ")


def test_a_row_that_a_step_made_and_that_dies_blames_no_input(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    text = PIPELINE.format(format="json", device="dev", time="{field: ts, unit: ms}")
    text = text.replace("sinks:", "  - derive: {small: CAST(rows * 70000 AS SMALLINT)}\nsinks:").replace(
        "from: minute", "from: derive"
    )
    tests = """\
tests:
  - name: it
    at: derive
    close_windows: true
    input: [{dev: a, ts: 0, temperature: 20}]
    expect: [{rows: 1}]
"""
    file.write_text(text + tests)
    (result,) = run_tests(config.read(file, {}))
    assert result.differences[-1].startswith("dead: a row of `minute` in step `derive`: ")


def test_a_window_that_is_still_open_explains_what_is_missing(tmp_path: Path) -> None:
    test = """\
    at: minute
    input: [{dev: a, ts: 0, temperature: 20}]
    expect: [{rows: 1}]
"""
    *_, hint = differences(tmp_path, test)
    assert hint.startswith("more rows come with `close_windows: true`")


def test_rows_as_expected_pass_and_columns_that_are_not_named_are_not_compared(tmp_path: Path) -> None:
    assert differences(tmp_path, "    at: minute\n" + ROWS + "    expect: [{dev: a, t_mean: 21}]\n") == []


def test_numbers_are_compared_to_nine_digits_and_as_numbers(tmp_path: Path) -> None:
    def passes(expected: str) -> bool:
        return not differences(tmp_path, "    at: minute\n" + ROWS + f"    expect: [{{{expected}}}]\n")

    assert passes("t_mean: 21.00000000001, rows: 2.0")
    assert not passes("t_mean: 21.000001, rows: 2")
    assert not passes("t_mean: '21', rows: 2")
    assert not passes("t_mean: 21, rows: true")


def test_a_column_that_differs_is_shown_with_both_values(tmp_path: Path) -> None:
    test = "    at: minute\n" + ROWS + "    expect: [{dev: a, t_mean: 25, rows: 2}]\n"
    assert differences(tmp_path, test) == ["row 1: t_mean differs", "  - t_mean: 25", "  + t_mean: 21.0"]


def test_several_columns_that_differ_are_shown_together(tmp_path: Path) -> None:
    test = "    at: minute\n" + ROWS + "    expect: [{dev: b, rows: 3, median: 21}]\n"
    assert differences(tmp_path, test) == [
        "row 1: dev, rows, median differ",
        '  - dev: "b"',
        "  - rows: 3",
        "  - median: 21",
        '  + dev: "a"',
        "  + rows: 2",
        "  + median: no such column",
    ]


def test_a_missing_row_and_an_extra_row_are_shown(tmp_path: Path) -> None:
    test = "    at: minute\n" + ROWS + "    expect: [{t_mean: 21}, {dev: a, t_mean: 30}]\n"
    *shown, hint = differences(tmp_path, test)
    assert shown == ["row 2: expected, but didn't come", '  - dev: "a", t_mean: 30']
    assert "close_windows" in hint
    test = "    at: minute.late\n" + LATE + "    expect: []\n"
    first, second = differences(tmp_path, test)
    assert first == "row 1: came, but wasn't expected"
    assert second.startswith('  + dev: "a", ts: "1970-01-01T00:00:59Z", temperature: 22.0, n: null, status: null')


def test_null_says_that_a_value_is_missing(tmp_path: Path) -> None:
    assert differences(tmp_path, "    at: minute.late\n" + LATE + "    expect: [{n: null, status: ~}]\n") == []
    assert differences(tmp_path, "    at: minute.late\n" + LATE + "    expect: [{temperature: null}]\n") != []


def test_close_windows_gives_what_is_open_behind_the_last_record(tmp_path: Path) -> None:
    expect = "    expect: [{t_mean: 21}, {t_mean: 30, window_end: '1970-01-01T00:02:00Z'}]\n"
    assert differences(tmp_path, "    at: minute\n    close_windows: true\n" + ROWS + expect) == []
    missing, row, hint = differences(tmp_path, "    at: minute\n" + ROWS + expect)
    assert missing == "row 2: expected, but didn't come"
    assert "t_mean: 30" in row
    assert "close_windows" in hint


def test_no_records_give_no_rows(tmp_path: Path) -> None:
    test = "    at: minute\n    close_windows: true\n    input: []\n    expect: []\n"
    assert differences(tmp_path, test) == []


def test_the_source_itself_can_be_looked_at(tmp_path: Path) -> None:
    expect = "    expect:\n" + "\n".join(f"      - {{ts: '{time}'}}" for time in ("1970-01-01T00:00:00Z",)) + "\n"
    test = "    at: source\n    input: [{dev: a, ts: 0}]\n" + expect
    assert differences(tmp_path, test) == []


def test_the_key_and_the_time_of_a_record_can_be_given(tmp_path: Path) -> None:
    test = """\
    at: source
    input:
      - {$key: m1, $timestamp: 1500, temperature: 1}
      - {$key: 7, $timestamp: "2010-05-09T12:00:00Z", temperature: 2}
      - {$key: m2, $timestamp: "2010-05-09T14:00:00.25+02:00", temperature: 3}
    expect:
      - {gate: m1, ts: "1970-01-01T00:00:01.500000Z", temperature: 1}
      - {gate: "7", ts: "2010-05-09T12:00:00Z", temperature: 2}
      - {gate: m2, ts: "2010-05-09T12:00:00.250000Z", temperature: 3}
"""
    assert differences(tmp_path, test, device="{key: gate}", time="{lateness: 0s}") == []


def test_the_time_of_a_record_is_exact_to_the_microsecond(tmp_path: Path) -> None:
    times = [f"2010-05-09T12:00:00.{us:06}Z" for us in (1, 3, 5, 123_457, 999_999)]
    rows = ", ".join(f'{{$key: m1, $timestamp: "{time}", temperature: 1}}' for time in times)
    expected = ", ".join(f'{{ts: "{time}"}}' for time in times)
    test = f"    at: source\n    input: [{rows}]\n    expect: [{expected}]\n"
    assert differences(tmp_path, test, device="{key: gate}", time="{lateness: 0s}") == []


def test_a_record_without_key_or_time_is_dead_where_they_are_needed(tmp_path: Path) -> None:
    test = """\
    at: dead
    input:
      - {$key: m1, temperature: 1}
      - {$timestamp: 0, temperature: 2}
      - {$key: m1, $timestamp: 0, temperature: 3}
    expect:
      - {offset: 0, reason: "expected a record with a time of its own, given one without"}
      - {offset: 1, reason: "expected a key that names the device, given a record without a key"}
"""
    assert differences(tmp_path, test, device="{key: gate}", time="{lateness: 0s}") == []


def test_dead_letters_have_an_offset_and_a_reason(tmp_path: Path) -> None:
    test = """\
    at: dead
    input:
      - {dev: a, ts: 0, temperature: 20}
      - {dev: a, ts: 0, temperature: hot}
    expect:
      - {offset: 1, reason: "field `temperature`: expected a number, given text: 'hot'"}
"""
    assert differences(tmp_path, test) == []


@pytest.mark.parametrize(
    "options",
    ["schema: reading.avsc", "registry: http://localhost:1", "schema: reading.avsc, registry: http://localhost:1"],
)
def test_avro_records_are_written_by_the_schema_that_is_read_and_no_registry_is_asked(
    options: str, tmp_path: Path
) -> None:
    test = """\
    at: source
    input:
      - {dev: a, ts: 1, temperature: 20.5, n: 5, status: on}
      - {dev: a, ts: 2, temperature: 21}
    expect:
      - {dev: a, ts: "1970-01-01T00:00:00.001000Z", temperature: 20.5, n: 5, status: on}
      - {temperature: 21, n: null, status: null}
"""
    assert differences(tmp_path, test, format_=f"{{avro: {{{options}}}}}") == []


@pytest.mark.parametrize(
    "format_", ['{csv: {columns: [ts, dev, status, temperature, n], separator: ";"}}', "{csv: {header: true}}"]
)
def test_records_of_csv_are_lines_of_the_columns(format_: str, tmp_path: Path) -> None:
    test = """\
    at: source
    input:
      - {dev: a, ts: 1, temperature: 20.5, n: 5, status: 'on; "off"'}
      - {dev: a, ts: 2, temperature: 21}
    expect:
      - {dev: a, ts: "1970-01-01T00:00:00.001000Z", temperature: 20.5, n: 5, status: 'on; "off"'}
      - {temperature: 21, n: null, status: null}
"""
    assert differences(tmp_path, test, format_=format_) == []


@pytest.mark.parametrize(
    ("row", "format_"),
    [
        ("{dev: a, ts: 1, watts: 5}", "{csv: {columns: [dev, ts, temperature, n, status]}}"),
        ("{dev: a, ts: 1}", "{avro: {schema: reading.avsc}}"),
        ("{dev: a, ts: 1, temperature: hot}", "{avro: {schema: reading.avsc}}"),
        ("{dev: a, ts: 1, temperature: [hot]}", "{avro: {registry: http://localhost:1}}"),
        ("{dev: a, ts: 1, temperature: hot}", "{avro: {registry: http://localhost:1}}"),
        ("{dev: a, ts: 1, n: 99999999999999999999}", "json"),
        ("{dev: a, ts: 1, $timestamp: soon}", "json"),
    ],
    ids=[
        "csv without such a column",
        "avro without a field",
        "avro with a wrong type",
        "a list for a registry",
        "a wrong type for a registry",
        "json beyond 64 bits",
        "a timestamp that is none",
    ],
)
def test_a_row_that_cannot_be_a_record_is_told_and_not_a_crash(row: str, format_: str, tmp_path: Path) -> None:
    test = f"    at: dead\n    input:\n      - {row}\n    expect: []\n"
    try:
        assert differences(tmp_path, test, format_=format_)
    except ConfigError as error:
        assert any("tests[0].input[0]" in mistake.where for mistake in error.mistakes)  # noqa: PT017  # either is fine


def test_a_time_of_a_record_is_never_taken_for_local_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    try:
        test = """\
    at: source
    input: [{$key: m1, $timestamp: "2010-05-09T12:00:00", temperature: 2}]
    expect: [{ts: "2010-05-09T03:00:00Z"}]
"""
        with contextlib.suppress(ConfigError):  # refusing a time without an offset is fine too
            assert differences(tmp_path, test, device="{key: gate}", time="{lateness: 0s}") != []
    finally:
        monkeypatch.undo()
        clock.tzset()
