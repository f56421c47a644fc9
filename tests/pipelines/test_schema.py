"""The JSON Schema of a pipeline file: it takes what the loader takes, and refuses every mistake that has to do with shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from pydantic import BeforeValidator, Field
from typer.testing import CliRunner

import pipelines
from connectors.codec.base import formats, written
from operators.base import Operator, kinds
from pipelines import schema as describing
from pipelines.__main__ import app
from pipelines.located import Located, load
from pipelines.schema import in_yaml, options, schema
from pipelines.steps import read_steps
from tests.operators.rows import test_module
from tests.pipelines.mistakes import ends, source, steps, structure
from tests.pipelines.mistakes.base import GOOD, Case
from tests.pipelines.test_examples import EXAMPLES
from tests.pipelines.test_mistakes import SEVERAL

README = Path(pipelines.__file__).parent.parent / "README.md"
KINDS = sorted(kinds())
every_kind = pytest.mark.parametrize("kind", KINDS, ids=".".join)

SHAPE = [*structure.MISTAKES, *source.MISTAKES, *steps.MISTAKES, *ends.MISTAKES]
"""Mistakes in the shape of a file; the other tables are of columns, of expressions, and of YAML itself."""
BEYOND = {
    # whether there is such a stream, who else has the name, who reads it
    "two parts of a device with one name",
    "a time with the device's name",
    "a column with the device's name",
    "a column with the time's name",
    "a column with the name of the device's header",
    "an unknown stream to read",
    "a stream from below",
    "an id that another step has",
    "a step whose output nobody reads",
    "a sink for an unknown stream",
    "a sink that writes where the source reads",
    "a test of an unknown stream",
    # what a name is made of, in the place of another
    "a header whose name no column can have",
    # what a condition says, and which rows it is on
    "an unknown column in the condition of a sink",
    "a column that the rows of a window haven't got",
    "a condition of a sink that gives a number",
    "a condition of a sink that isn't SQL",
    "a condition of a sink that looks at other rows",
    "a condition on the dead letters",
    "a condition on an unknown stream, which is told alone",
    # what stands in another file, and what a format can't do
    "a table that isn't there",
    "a table in a file that is none",
    "Avro without a schema",
    "a schema file that isn't there",
    "a schema file that isn't JSON",
    "a schema file that isn't a schema",
    "a schema for what is written",
    "a field that the schema hasn't",
    "a name in Avro that Avro doesn't take",
    "times of SenML in another unit than its own",
    "a list that the schema hasn't",
    "a list that no path goes through",
    "a field that a list stands in",
    "a list with an empty key in its path",
    "CSV without columns",
    "CSV without columns, though with options",
    "columns, and a header line that names them",
    "no column for a device, a time and a field",
    "an array whose items have no bytes",
    "a registry that is no URL",
    "one of several registries that is no URL",
    "an unknown setting of a registry",
    "a setting of a registry that should be a number",
    "settings without a registry",
    "a registry's URL among its settings",
    "a field that no record of a registry has",
    # which settings are telemill's own
    "a setting of librdkafka that has a key of its own",
    "several such settings",
    "a setting that a sink may not make",
    # how long a duration is
    "idle below lateness",
    "the default of idle below lateness",
    "an idle time of zero",
    "a window size of zero",
    "a window size of ages",
}
"""Mistakes among them that a schema can't know: `telemill check` alone tells them."""


class Unset(Mapping[str, str]):
    """An environment in which each variable holds its own name: what an editor sees."""

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return schema()


@pytest.fixture(scope="module")
def validator(made: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(made)


def refusals(validator: Draft202012Validator, data: object) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(data)]


def as_edited(folder: Path, text: str) -> Any:  # YAML
    """Read YAML as an editor does."""
    file = folder / "mill.yaml"
    file.write_text(text)
    return load(file, Unset()).data


def pipeline_of(*items: object) -> dict[str, Any]:
    return {
        "name": "mill",
        "source": {"kafka": {"topics": "raw"}, "device": "dev", "time": {}, "fields": {"t": "float"}},
        "steps": list(items),
        "sinks": [{"from": "source", "kafka": {"topic": "out"}}],
    }


def test_it_is_a_json_schema_whose_references_lead_somewhere(made: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(made)
    for ref in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(made)):
        node: Any = made
        for key in ref.split("/"):
            node = node[key]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_fine(example: Path, validator: Draft202012Validator) -> None:
    assert refusals(validator, load(example, {}).data) == []
    assert refusals(validator, load(example, Unset()).data) == []


def test_the_readme_s_pipelines_are_fine(validator: Draft202012Validator, tmp_path: Path) -> None:
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL) if "name:" in block]
    assert blocks
    for block in blocks:
        assert refusals(validator, as_edited(tmp_path, block)) == []


@pytest.mark.parametrize("case", SHAPE, ids=[case.name for case in SHAPE])
def test_a_mistake_of_shape_is_refused(case: Case, validator: Draft202012Validator, tmp_path: Path) -> None:
    refused = bool(refusals(validator, as_edited(tmp_path, case.text)))
    assert refused or case.name in BEYOND, "the schema takes it; name it in BEYOND if no schema could tell"
    assert not (refused and case.name in BEYOND), "the schema refuses it: take it out of BEYOND"


def test_the_good_file_is_fine_and_of_several_mistakes_those_of_shape_are_told(
    validator: Draft202012Validator, tmp_path: Path
) -> None:
    assert refusals(validator, as_edited(tmp_path, GOOD)) == []
    told = refusals(validator, as_edited(tmp_path, SEVERAL))
    places = ["$", "$.steps[1]", "$.steps[2]", "$.sinks[0].format", "$.tests[0].close_windows"]
    assert sorted(line.partition(":")[0] for line in told) == sorted(places), told


def specs(kind: tuple[str, ...]) -> list[dict[str, Any]]:
    """Give options of the operator as its tests try them."""
    found: list[dict[str, Any]] = test_module("tests.operators", kind, ["SPECS"]).SPECS
    return found


def forms(kind: tuple[str, ...], given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give all ways to write a step with these options."""
    operator = kinds()[kind]
    first = operator.whole or operator.primary or ""
    rest = {name: value for name, value in given.items() if name != first}
    bare = first in given and (operator.whole is not None or not isinstance(given[first], dict))
    if len(kind) == 1:
        if operator.whole is None:
            yield {kind[0]: dict(given)}
        if bare and not rest:
            yield {kind[0]: given[first]}
        return
    group, name = kind
    if operator.whole is None:
        yield {group: {name: dict(given)}}
        yield {group: {name: None, **given}}
        yield {group: {name: {}, **given}}
        for option in given:
            beside = {other: value for other, value in given.items() if other != option}
            yield {group: {name: {option: given[option]}, **beside}}
            yield {group: {name: beside, option: given[option]}}
    if bare:
        yield {group: {name: given[first], **rest}}


def told_by_the_loader(step: object) -> list[str]:
    located = Located(str(EXAMPLES[0]), {"steps": [step]})
    read_steps(located, located.data["steps"], None)
    return [f"{mistake.where}: {mistake.expected}" for mistake in located.mistakes]


@every_kind
def test_a_step_may_be_written_in_all_the_ways_that_the_loader_takes(
    kind: tuple[str, ...], validator: Draft202012Validator
) -> None:
    for given in specs(kind):
        for step in forms(kind, given):
            assert refusals(validator, pipeline_of(step)) == [], step
            assert refusals(validator, pipeline_of({"id": "it", "from": "source", **step})) == []


def wrong(kind: tuple[str, ...], given: Mapping[str, Any]) -> Iterator[Any]:
    """Give ways to write a step that the loader doesn't take."""
    operator = kinds()[kind]
    needed = [field.alias or name for name, field in operator.model_fields.items() if field.is_required()]
    yield kind[0]
    yield {kind[0]: [[given]]}
    if operator.whole is not None:
        yield {kind[0]: None}
        return
    for option in needed:
        rest = {name: value for name, value in given.items() if name != option}
        yield {kind[0]: rest} if len(kind) == 1 else {kind[0]: {kind[1]: rest}}
        yield {kind[0]: {**rest, "nonsense": 1}} if len(kind) == 1 else {kind[0]: {kind[1]: None, **rest}}
    if len(kind) == 1:
        yield {kind[0]: {**given, "nonsense": 1}}
        return
    group, name = kind
    yield {group: name}
    yield {group: {}}
    yield {group: {name: dict(given), "nonsense": 1}}
    yield {group: {name: {**given, "nonsense": 1}}}
    yield {group: {name: dict(given), f"{name}s": {}}}
    for option, value in given.items():
        yield {group: {name: dict(given), option: value}}


@every_kind
def test_a_step_that_the_loader_refuses_for_its_form_is_refused(
    kind: tuple[str, ...], validator: Draft202012Validator
) -> None:
    for step in wrong(kind, specs(kind)[0]):
        assert told_by_the_loader(step), step
        assert refusals(validator, pipeline_of(step)), step


@every_kind
def test_every_option_is_described_and_its_default_is_one_that_may_stand_there(kind: tuple[str, ...]) -> None:
    for name, option in options(kinds()[kind]).items():
        assert option["description"], name
        assert option["markdownDescription"].startswith(option["description"])
        if "default" in option:
            Draft202012Validator(option).validate(option["default"])
            assert f"Default: `{in_yaml(option['default'])}`" in option["markdownDescription"]


def test_durations_have_a_pattern_examples_and_defaults_as_people_write_them(
    made: dict[str, Any], validator: Draft202012Validator
) -> None:
    idle = made["$defs"]["TimeSpec"]["properties"]["idle"]
    assert (idle["default"], idle["examples"]) == ("5m", ["30s", "1h30m"])
    assert "Default: `5m`" in idle["markdownDescription"]
    window = {"tumbling": "1m", "aggregate": {"n": "count()"}}
    assert not refusals(validator, pipeline_of({"window": window}))
    for size in ("1", "soon", "-1m", 60):
        assert refusals(validator, pipeline_of({"window": {**window, "tumbling": size}})), size


@pytest.mark.parametrize(
    "step",
    [
        {"detect": {"level_shift": {"field": "t", "slow": "${SLOW}", "warmup": "${WARMUP:-400}"}}},
        {"detect": {"range": {"field": "t", "low": "-${LOW}"}}},
        {"window": {"tumbling": "${SIZE}m", "aggregate": {"n": "${CALL}"}}},
        {"id": "${ID}", "filter": "t > ${LIMIT}"},
    ],
)
def test_a_variable_may_stand_for_a_number_a_duration_and_any_text(
    step: object, validator: Draft202012Validator
) -> None:
    assert refusals(validator, pipeline_of(step)) == []


def test_a_variable_may_stand_for_what_is_chosen_but_not_for_a_key_or_a_mapping(
    validator: Draft202012Validator,
) -> None:
    whole = pipeline_of({"filter": "t > 0"})
    whole["source"] |= {"format": "${FORMAT}", "time": {"field": "ts", "unit": "${UNIT:-ms}"}}
    whole["source"]["kafka"] |= {"start": "${START}", "config": {"fetch.wait.max.ms": "${WAIT}"}}
    whole["tests"] = [{"name": "x", "at": "filter", "input": [], "expect": [], "close_windows": "${CLOSE}"}]
    assert refusals(validator, whole) == []
    assert refusals(validator, {**whole, "source": "${SOURCE}"})
    assert refusals(validator, pipeline_of({"${STEP}": "t > 0"}))
    assert refusals(validator, pipeline_of({"detect": {"level_shift": {"field": "t", "slow": "$${SLOW}"}}}))
    assert refusals(validator, pipeline_of({"detect": {"level_shift": {"field": "t", "slow": "${1}"}}}))


@pytest.mark.parametrize(
    "format_",
    ["json", "avro", {"json": None}, {"json": {"time": "ms"}}, {"avro": {"schema": "a.avsc"}}],
)
def test_a_format_is_a_name_or_a_name_with_options(format_: object, validator: Draft202012Validator) -> None:
    whole = pipeline_of({"filter": "t > 0"})
    whole["source"]["format"] = format_
    whole["sinks"][0]["format"] = format_
    assert refusals(validator, whole) == []


@pytest.mark.parametrize("format_", ["csv", {"csv": {"columns": ["dev", "ts"], "separator": "\t"}}])
def test_a_format_that_is_only_read_is_one_of_the_source(format_: object, validator: Draft202012Validator) -> None:
    whole = pipeline_of({"filter": "t > 0"})
    whole["source"]["format"] = format_
    assert refusals(validator, whole) == []
    whole["sinks"][0]["format"] = format_
    assert refusals(validator, whole)


def test_the_formats_that_there_are_are_told(made: dict[str, Any]) -> None:
    told = [made["$defs"][spec]["properties"]["format"]["description"] for spec in ("SourceSpec", "SinkSpec")]
    assert told == [f"one of {', '.join(known)}, or one with options" for known in (formats(), written())]


@pytest.mark.parametrize(
    "format_", ["xml", {"json": {"tiem": "ms"}}, {"json": {}, "avro": {}}, {}, ["json"], {"json": "ms"}]
)
def test_what_is_no_format_is_refused(format_: object, validator: Draft202012Validator) -> None:
    whole = pipeline_of({"filter": "t > 0"})
    whole["sinks"][0]["format"] = format_
    assert refusals(validator, whole)


@pytest.mark.parametrize(
    ("device", "fine"),
    [
        ("dev", True),
        (["site", "dev"], True),
        ({"key": "dev"}, True),
        ({"fields": ["dev"]}, True),
        ([], False),
        ({}, False),
        ({"fields": ["dev"], "key": "dev"}, False),
        (5, False),
    ],
)
def test_a_device_is_named_by_fields_or_by_the_record_s_key(
    device: object, fine: bool, validator: Draft202012Validator
) -> None:
    whole = pipeline_of({"filter": "t > 0"})
    whole["source"]["device"] = device
    assert bool(refusals(validator, whole)) != fine


def test_a_file_without_steps_is_fine(validator: Draft202012Validator) -> None:
    assert refusals(validator, {**pipeline_of(), "steps": None}) == []
    assert refusals(validator, {name: value for name, value in pipeline_of().items() if name != "steps"}) == []


class Smooth(Operator):
    """Smooth a column. It takes its time."""

    primary: ClassVar[str] = "over"

    over: int = Field(ge=2, description="How many rows.")
    columns: Annotated[list[str], BeforeValidator(lambda value: value)] = Field([], description="Which columns.")


@pytest.fixture
def with_smooth(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {**kinds(), ("smooth",): Smooth}
    for module in ("pipelines.schema", "pipelines.steps"):
        monkeypatch.setattr(f"{module}.kinds", lambda: found)
    return schema()


def test_a_new_operator_is_in_it_without_an_edit(with_smooth: dict[str, Any], validator: Draft202012Validator) -> None:
    smooth = Draft202012Validator(with_smooth)
    for step in ({"smooth": 5}, {"smooth": {"over": 5}}, {"id": "s", "smooth": {"over": "${N}"}}):
        assert refusals(smooth, pipeline_of(step)) == []
        assert refusals(validator, pipeline_of(step)), "it wasn't there before"
    for wrong_one in (1, None, {}, {"over": 5, "under": 1}):
        assert refusals(smooth, pipeline_of({"smooth": wrong_one}))
    (about,) = [step["properties"]["smooth"] for step in operations(with_smooth) if "smooth" in step["properties"]]
    assert about["description"] == "Smooth a column."


def test_where_a_validator_does_not_say_what_it_takes_nothing_is_refused(with_smooth: dict[str, Any]) -> None:
    assert refusals(Draft202012Validator(with_smooth), pipeline_of({"smooth": {"over": 5, "columns": "t"}})) == []


def operations(made: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made["properties"]["steps"]["items"]["anyOf"]
    return found


def test_an_editor_finds_the_docs_of_an_operator_where_its_name_stands(made: dict[str, Any]) -> None:
    (window,) = [step["properties"]["window"] for step in operations(made) if "window" in step["properties"]]
    (tumbling,) = [form["properties"]["tumbling"] for form in window["anyOf"] if "tumbling" in form["properties"]]
    assert tumbling["description"] == "Windows of one size, one behind the other."
    assert "```text\nlateness 5s " in tumbling["markdownDescription"], "the timeline stands as it is"
    assert tumbling["markdownDescription"].endswith("n: count()}\n```"), "the example is at its end"
    calls = made["$defs"]["Tumbling"]["properties"]["aggregate"]["additionalProperties"]
    assert "- `mean(temperature)`: Arithmetic mean of the values" in calls["markdownDescription"]


@pytest.mark.parametrize("call", ["mean(t)", " count ( ) ", "max(abs(t) * 2)", "p95(t)", "percentile(t, 99.9)"])
def test_a_call_of_an_aggregate(call: str, validator: Draft202012Validator) -> None:
    assert refusals(validator, pipeline_of({"window": {"tumbling": "1m", "aggregate": {"x": call}}})) == []


@pytest.mark.parametrize("call", ["maen(t)", "mean", "t", "", "mean(t) + 1", "p(t)"])
def test_what_is_no_call_of_an_aggregate(call: str, validator: Draft202012Validator) -> None:
    assert refusals(validator, pipeline_of({"window": {"tumbling": "1m", "aggregate": {"x": call}}}))


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == describing.schema()
