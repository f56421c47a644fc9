"""YAML 1.2 with its core schema, variables from the environment, and the line of everything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pipelines import config
from pipelines.located import At, ConfigError, Located, dotted, load


def read(folder: Path, text: str, **environ: str) -> Located:
    file = folder / "mill.yaml"
    file.write_text(text, "utf-8")
    return load(file, environ)


def value(folder: Path, text: str, **environ: str) -> Any:
    return read(folder, f"v: {text}\n", **environ).data["v"]


@pytest.mark.parametrize("text", ["no", "No", "NO", "off", "on", "ON", "yes", "Yes", "y", "n"])
def test_the_words_of_yaml_1_1_stay_text(text: str, tmp_path: Path) -> None:
    assert value(tmp_path, text) == text
    assert list(read(tmp_path, f"{text}: 1\n").data) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Section 10.3.2 of YAML 1.2.2: the core schema
        ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None), ("nUll", "nUll"),
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("tRue", "tRue"),
        ("0", 0), ("-19", -19), ("+12", 12), ("007", 7), ("0o7", 7), ("0o14", 12), ("0x3A", 58), ("0xff", 255),
        ("0o8", "0o8"), ("0xg", "0xg"), ("-0x1", "-0x1"), ("1_000", "1_000"), ("0b1", "0b1"), ("190:20:30", "190:20:30"),
        ("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12000.0), ("-2E+05", -200000.0), ("1e3", 1000.0),
        ("1.5e-3", 0.0015), ("e3", "e3"), (".", "."), ("1e", "1e"), ("1.2.3", "1.2.3"),
        (".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf), ("inf", "inf"), ("nan", "nan"), ("-.nan", "-.nan"),
        ("2024-01-31", "2024-01-31"), ("12:30:45", "12:30:45"), ("1m", "1m"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_a_plain_scalar_has_its_type_by_the_core_schema(text: str, expected: Any, tmp_path: Path) -> None:
    found = value(tmp_path, text)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(expected, float):
        assert math.copysign(1, found) == math.copysign(1, expected)


def test_nan_is_a_float(tmp_path: Path) -> None:
    assert all(math.isnan(value(tmp_path, text)) for text in (".nan", ".NaN", ".NAN"))


@pytest.mark.parametrize("text", ["5", "true", "null", "1.5", "0x1F", ""])
def test_what_is_quoted_or_a_block_is_text(text: str, tmp_path: Path) -> None:
    assert value(tmp_path, f"'{text}'") == text
    assert value(tmp_path, f'"{text}"') == text
    if text:
        assert value(tmp_path, f"|-\n  {text}") == text
        assert value(tmp_path, f">-\n  {text}") == text


def test_a_file_with_a_byte_order_mark_is_read_as_without(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffname: mill\n").data == {"name": "mill"}


ANCHORS = """\
anchors:
  limits: &limits
    low: 0
    high: 50
    topics: [a, b]
  more: &more {high: 70, unit: C}
here:
  alias: *limits
  merged:
    <<: *limits
    high: 60
  both:
    low: 5
    <<: [*more, *limits]
  first:
    high: 10
    topics:
      - x
      - y
    <<: *limits
"""


def test_aliases_and_merge_keys_put_in_what_they_name(tmp_path: Path) -> None:
    here = read(tmp_path, ANCHORS).data["here"]
    assert here["alias"] == {"low": 0, "high": 50, "topics": ["a", "b"]}
    assert here["merged"] == {"low": 0, "high": 60, "topics": ["a", "b"]}
    assert here["both"] == {"high": 70, "unit": "C", "low": 5, "topics": ["a", "b"]}, "the first of several counts"
    assert here["first"] == {"low": 0, "high": 10, "topics": ["x", "y"]}


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("anchors",), 1),
        (("anchors", "limits", "high"), 4),
        (("anchors", "more", "unit"), 6),
        (("here", "alias"), 8),
        (("here", "alias", "high"), 4),
        (("here", "merged"), 9),
        (("here", "merged", "low"), 3),
        (("here", "merged", "high"), 11),
        (("here", "both", "low"), 13),
        (("here", "both", "unit"), 6),
        (("here", "both", "high"), 6),
        (("here", "first", "high"), 16),
        (("here", "first", "topics"), 17),
        (("here", "first", "topics", 0), 18),
        (("here", "first", "topics", 1), 19),
        (("here", "first", "low"), 3),
        (("here", "nowhere", "at", "all"), 7),
        (("nowhere",), 1),
    ],
    ids=lambda at: dotted(at) if isinstance(at, tuple) else None,
)
def test_the_line_of_a_key_is_where_it_stands(at: At, line: int, tmp_path: Path) -> None:
    assert read(tmp_path, ANCHORS).line(at) == line


def test_a_list_that_replaces_a_merged_one_has_its_own_lines(tmp_path: Path) -> None:
    located = read(tmp_path, "a: &a\n  l: [1, 2]\nb:\n  <<: *a\n  l:\n    - 3\n    - 4\n")
    assert located.data["b"] == {"l": [3, 4]}
    assert [located.line(("b", "l", index)) for index in range(2)] == [6, 7]


def test_a_value_that_replaces_a_merged_variable_is_shown_as_it_is(tmp_path: Path) -> None:
    for text in ("b:\n  <<: *a\n  size: big\n", "b:\n  size: big\n  <<: *a\n"):
        located = read(tmp_path, "a: &a {size: '${SIZE}'}\n" + text, SIZE="small")
        assert located.data == {"a": {"size": "small"}, "b": {"size": "big"}}
        assert located.shown(("a", "size"), "small") == "${SIZE}"
        assert located.shown(("b", "size"), "big") == "`big`"


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("${BROKERS}", {"BROKERS": "kafka:9092"}, "kafka:9092"),
        ("x-${A}-${B}-y", {"A": "1", "B": "2"}, "x-1-2-y"),
        ("'${A}'", {"A": "1"}, "1"),
        ('"${A}"', {"A": "true"}, "true"),
        ("${A}", {"A": "1"}, 1),
        ("${A}", {"A": "0x10"}, 16),
        ("${A}", {"A": "1.5"}, 1.5),
        ("${A}", {"A": "true"}, True),
        ("${A}", {"A": "30s"}, "30s"),
        ("${A}", {"A": "[x, y]"}, "[x, y]"),
        ("${A}", {"A": "a: b # c"}, "a: b # c"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("${A:-fallback}", {}, "fallback"),
        ("${A:-fallback}", {"A": "set"}, "set"),
        ("${A:-fallback}", {"A": ""}, "fallback"),
        ("${A:-5}", {}, 5),
        ("'${A:-5}'", {}, "5"),
        ("${A:-}", {}, None),
        ("'${A:-}'", {}, ""),
        ("${A:-localhost:9092}", {}, "localhost:9092"),
        ("$${A}", {"A": "set"}, "${A}"),
        ("$${A} ${A}", {"A": "set"}, "${A} set"),
        ("$A", {"A": "set"}, "$A"),
        ("cost$", {}, "cost$"),
        ("$$A", {"A": "set"}, "$$A"),
    ],
)
def test_variables_are_put_in(text: str, environ: dict[str, str], expected: object, tmp_path: Path) -> None:
    found = value(tmp_path, text, **environ)
    assert found == expected
    assert type(found) is type(expected)


def test_every_variable_that_is_not_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "a: ${ONE} ${TWO}\nb:\n  - ${THREE:-3}\n  - ${THREE}\n")
    told = [(mistake.line, mistake.where, mistake.expected) for mistake in caught.value.mistakes]
    assert sorted(told) == [
        (1, "a", "the environment variable ONE to be set"),
        (1, "a", "the environment variable TWO to be set"),
        (4, "b[1]", "the environment variable THREE to be set"),
    ]


def test_a_key_is_taken_as_it_stands(tmp_path: Path) -> None:
    assert read(tmp_path, "${A}: 1\n5: 2\ntrue: 3\n", A="set").data == {"${A}": 1, "5": 2, "true": 3}


def test_settings_of_librdkafka_are_taken_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text(
        """
name: mill
source:
  kafka: {topics: [raw], config: {sasl.password: "${P}", sasl.username: 007, check.crcs: true, linger.ms: 0x10}}
  device: dev
  time: {field: ts, unit: ms}
  fields: {x: float}
sinks: [{from: source, kafka: {topic: out}}]
"""
    )
    for password in ("1e5", "null", "True", "0x10", "pass: word"):
        settings = config.read(file, {"P": password}).source.kafka.config
        assert settings == {
            "sasl.password": password,
            "sasl.username": "007",
            "check.crcs": "true",
            "linger.ms": "0x10",
        }
