"""What is told of operators and aggregates is what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operators.aggregate.base import aggregates
from operators.base import kinds
from pipelines.__main__ import app
from pipelines.reference import AGGREGATE, OPERATOR, Entry, Option, entries, find, group_summary, read_example

ENTRIES = entries()
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.what} {entry.name}")


def the(name: str, what: str = OPERATOR) -> Entry:
    (found,) = [entry for entry in ENTRIES if (entry.name, entry.what) == (name, what)]
    return found


def option(entry: Entry, name: str) -> Option:
    (found,) = [option for option in entry.options if option.name == name]
    return found


def test_every_operator_and_aggregate_is_there_once_those_of_a_group_together() -> None:
    names = [entry.name for entry in ENTRIES if entry.what == OPERATOR]
    assert sorted(names) == sorted(".".join(kind) for kind in kinds())
    assert [entry.name for entry in ENTRIES if entry.what == AGGREGATE] == sorted(aggregates())
    groups = [name.rpartition(".")[0] for name in names]
    assert groups == sorted(groups)


@every_entry
def test_an_entry_says_what_it_is_in_a_sentence(entry: Entry) -> None:
    assert entry.summary.endswith((".", "!", "?")), entry.summary
    assert "\n" not in entry.summary
    assert entry.text


@every_entry
def test_an_entry_s_example_is_right_and_shows_it(entry: Entry) -> None:
    steps, located = read_example(entry.example)
    assert [f"{mistake.where}: {mistake.expected}" for mistake in located.mistakes] == []
    if entry.what == OPERATOR:
        assert entry.name in [".".join(step.kind) for step in steps]
    else:
        assert entry.name in entry.example


@every_entry
def test_an_operator_s_outputs_are_those_of_its_example(entry: Entry) -> None:
    if entry.what == AGGREGATE:
        assert entry.outputs is None
        assert entry.takes
        return
    assert entry.gives.startswith("Gives ")
    assert entry.outputs
    (step,) = [step for step in read_example(entry.example)[0] if ".".join(step.kind) == entry.name]
    assert list(entry.outputs) == [side or "main" for side in step.schemas]


def test_the_options_say_type_default_and_unit() -> None:
    alert, shift = the("alert"), the("detect.level_shift")
    description = "How long, in event time, `raise` must hold first."
    assert option(alert, "for") == Option("for", "duration", False, "0s", "us, ms, s, m, h, d", description)
    assert (option(alert, "raise").required, option(alert, "raise").default) == (False, "")
    every = option(the("resample"), "every")
    assert (every.required, every.default) == (True, "")
    fast = option(shift, "fast")
    assert (fast.type, fast.default, fast.unit, fast.required) == ("number, above 0", "6", "values", False)
    assert option(shift, "warmup").type == "whole number, at least 20"
    assert option(the("derive"), "columns").type == "mapping of names to text"
    assert option(the("resample"), "how").type == "`last`, `linear`, `mean`"
    assert option(the("window.tumbling"), "origin").type == "time"
    assert option(the("dedupe"), "by").type == "list of text or text"


def test_what_an_operator_is_mostly_about_comes_first_and_how_to_write_it_short() -> None:
    tumbling = the("window.tumbling")
    assert [option.name for option in tumbling.options][:2] == ["size", "aggregate"]
    assert tumbling.short == "`tumbling: VALUE` means `tumbling: {size: VALUE}`."
    assert the("derive").short == "What stands under `derive` is `columns` itself."
    assert the("alert").short == ""


def test_side_outputs_have_their_columns() -> None:
    outputs = the("window.tumbling").outputs
    assert outputs is not None
    assert list(outputs) == ["main", "late"]
    assert outputs["main"] == {
        "device": "text", "window_start": "time", "window_end": "time", "t_mean": "float", "n": "int"
    }  # fmt: skip
    assert outputs["late"]["late_by"] == "float"


def test_the_docstring_is_there_with_its_timeline_and_the_class_s_where_it_says_more() -> None:
    text = the("window.tumbling").text
    assert text[0].text.startswith("Windows of one size, one behind the other: each row")
    assert any(block.verbatim and "[---------------)" in block.text for block in text)
    limits = the("detect.range").text
    assert limits[0].text.startswith("Score 6 outside fixed limits")
    assert "Roberts" in the("detect.level_shift").references


def test_a_group_has_a_sentence_of_its_own() -> None:
    assert group_summary("detect").startswith("Detectors: ")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["tumbling"], ["window.tumbling"]),
        (["window.tumbling"], ["window.tumbling"]),
        (["window", "tumbling"], ["window.tumbling"]),
        (["filter"], ["filter"]),
        (["filter", "derive", "filter"], ["filter", "derive"]),
        (["detect"], ["detect.level_shift", "detect.range", "detect.zscore"]),
        (["mean"], ["mean"]),
        (["p99_9"], ["percentile"]),
        (["count"], ["window.count", "count"]),
    ],
)
def test_an_entry_is_found_as_people_name_it(words: list[str], names: list[str]) -> None:
    assert [entry.name for entry in find(words)] == names


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("tumblng", "did you mean `tumbling`?"),
        ("window.tumblng", "did you mean `window.tumbling`?"),
        ("maen", "did you mean `mean`?"),
        ("xyzzy", "`telemill operators` lists them"),
    ],
)
def test_a_name_that_nothing_has(word: str, says: str) -> None:
    with pytest.raises(LookupError) as caught:
        find([word])
    assert str(caught.value) == f"no operator or aggregate is called `{word}`; {says}"


def test_an_example_that_names_a_file_is_read_wherever_one_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert [entry.outputs for entry in entries()] == [entry.outputs for entry in ENTRIES]


def as_json(*args: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["operators", *args, "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_the_command_gives_json() -> None:
    assert [entry["name"] for entry in as_json()] == [entry.name for entry in ENTRIES]
    (tumbling,) = as_json("tumbling")
    assert tumbling["options"][0]["name"] == "size"
    assert tumbling["outputs"]["late"]["late_by"] == "float"
    assert "```text" in tumbling["text"]


def test_the_command_refuses_a_name_that_nothing_has() -> None:
    result = CliRunner().invoke(app, ["operators", "tumblng"], env={"COLUMNS": "200"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean `tumbling`?" in result.stderr
