"""The JSON Schema (draft 2020-12) of a pipeline file, made from the specs: editors complete and check with it.

It holds the shape of a file: which keys, which values, in which forms a step may be written. What depends on other parts
of the file (whether a column exists, whether a stream is read) `telemill check` tells. Operators, aggregates and formats
are taken from where the loader finds them, so a new one is in the schema without an edit here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from connectors.codec.base import Format, formats, written
from operators.aggregate.base import Aggregate, aggregates
from operators.base import Operator, kinds
from operators.batch import Type
from pipelines import docstring
from pipelines.plan import DEAD, SOURCE
from pipelines.specs import PipelineSpec

Json: TypeAlias = dict[str, Any]
"""A JSON Schema, or a part of one."""

_NULL: Json = {"type": "null"}
_TEXT: Json = {"type": "string"}
_VARIABLE: Json = {"$ref": "#/$defs/Variable"}
_NOTES = ("description", "markdownDescription", "default", "examples")
"""What is said of a value, besides what it may be."""
_NARROW = ("enum", "const", "pattern", "minLength")
"""What keeps a text from being any text."""


def schema() -> Json:
    """Make the schema of a pipeline file."""
    refs, specs = _specs()
    pipeline = specs.pop(_name(refs[PipelineSpec]))
    _add_forms(specs)
    for name, found in (("SourceSpec", formats()), ("SinkSpec", written())):
        specs[name]["properties"]["format"]["anyOf"] = list(_formats(found, refs))
    for operator in kinds().values():
        aggregate = specs[_name(refs[operator])]["properties"].get("aggregate")
        if aggregate is not None:
            aggregate["additionalProperties"] |= _calls()
    steps = {"anyOf": [_step(key, refs, specs) for key in dict.fromkeys(kind[0] for kind in sorted(kinds()))]}
    pipeline["properties"]["steps"] |= {"type": ["array", "null"], "items": steps}
    variable = {
        "type": "string",
        "pattern": r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
        "description": "Taken from the environment: `${NAME}`, or `${NAME:-default}`.",
    }
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "telemill pipeline",
        **_with_variables(pipeline),
        "$defs": {"Variable": variable, **{name: _with_variables(spec) for name, spec in specs.items()}},
    }


def options(spec: type[BaseModel]) -> dict[str, Json]:
    """Give the JSON Schema of each option of an operator or format, in order, by its name in YAML."""
    refs, specs = _specs()
    found: dict[str, Json] = _resolved(specs[_name(refs[spec])], specs).get("properties", {})
    return found


def call_of(name: str, aggregate: type[Aggregate]) -> str:
    """Write a call of an aggregate, as an example.

    >>> call_of("mean", aggregates()["mean"])
    'mean(temperature)'
    """
    column = "temperature" if Type.FLOAT in aggregate.accepts else "temperature > 30"
    return f"{name}({column if aggregate.needs_column else ''}{', 99.9' if aggregate.number else ''})"


def in_yaml(value: object) -> str:
    """Write a value as it could stand in YAML.

    >>> in_yaml("30s"), in_yaml(True), in_yaml(6.0), in_yaml("")
    ('30s', 'true', '6', '""')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with defaults as they are written in YAML, and without its titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # a title would be the name once more
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        made = super().model_schema(schema)
        made.pop("title", None)
        defaults = schema["cls"].model_construct().model_dump(mode="json", by_alias=True, warnings=False)
        for name, option in made.get("properties", {}).items():
            default = option.pop("default", None)
            option["markdownDescription"] = option.get("description", "")
            if default is not None:
                option["default"] = defaults[name]
                option["markdownDescription"] += f"\n\nDefault: `{in_yaml(defaults[name])}`"
        return made

    def enum_schema(self, schema: core_schema.EnumSchema) -> Json:
        made = super().enum_schema(schema)
        made.pop("title", None)
        return made

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> Json:
        # What a validator takes besides is told by its `json_schema_input_type`. Where that isn't given, anything may
        # stand there: an editor that shows a mistake where there is none is worse than one that doesn't show one.
        inner = self.generate_inner(schema["schema"])
        if schema["schema"]["type"] == "model-fields":
            return inner
        if "json_schema_input_schema" not in schema:
            return {"anyOf": [inner, {}]}
        told = super().function_before_schema(schema)
        forms = told.get("anyOf", [told])
        # Limits of the option, such as `min_length`, are with the type that comes out of the validator.
        return {"anyOf": [inner if form.get("type") == inner.get("type") else form for form in forms]}


def _specs() -> tuple[dict[type[BaseModel], str], dict[str, Json]]:
    """Give a reference to each spec, and what they stand for."""
    specs: list[type[BaseModel]] = [PipelineSpec, *kinds().values(), *formats().values()]
    refs, made = models_json_schema([(spec, "validation") for spec in specs], schema_generator=_Generator)
    return {spec: str(refs[spec, "validation"]["$ref"]) for spec in specs}, made["$defs"]


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _resolved(node: Any, specs: Mapping[str, Json]) -> Any:  # any part of a schema
    """Put in what references stand for."""
    if isinstance(node, list):
        return [_resolved(item, specs) for item in node]
    if not isinstance(node, dict):
        return node
    target = _resolved(specs[_name(node["$ref"])], specs) if "$ref" in node else {}
    return {**target, **{key: _resolved(value, specs) for key, value in node.items() if key != "$ref"}}


def _add_forms(specs: Mapping[str, Json]) -> None:
    """Put in what `pipelines.config` takes besides the specs as they are: short forms, and options that need others."""
    source, device, time = specs["SourceSpec"]["properties"], specs["DeviceSpec"], specs["TimeSpec"]
    topics = specs["KafkaSourceSpec"]["properties"]["topics"]
    topic = topics["anyOf"][0]["items"]
    topics["anyOf"][1] = topic
    fields = {"type": "array", "items": _TEXT, "minItems": 1}
    device["properties"]["fields"] |= fields
    device["oneOf"] = [{"required": ["fields"]}, {"required": ["key"]}, {"required": ["header"]}]
    device["dependentRequired"] = {"name": ["header"]}
    specs["FieldSpec"]["not"] = {"required": ["path", "header"]}
    own = {
        "anyOf": [
            {"pattern": r"^(?!\$)"},
            {"enum": sorted({name for format_ in formats().values() for name in format_.test_names})},
        ]
    }
    specs["TestSpec"]["properties"]["input"]["items"]["propertyNames"] = own
    source["device"]["anyOf"][1:] = [_TEXT, fields]
    time["dependentRequired"] = {"field": ["unit"], "unit": ["field"]}
    source["fields"]["additionalProperties"] = False
    for column in source["fields"]["patternProperties"].values():
        column["anyOf"][1] = specs["FieldSpec"]["properties"]["type"]
    settings = {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"], "minLength": 1},
    }
    specs["KafkaSourceSpec"]["properties"]["config"]["anyOf"] = [settings]
    specs["KafkaSinkSpec"]["properties"]["config"]["anyOf"] = [settings, _NULL]


def _formats(found: Mapping[str, type[Format]], refs: Mapping[type[BaseModel], str]) -> Iterable[Json]:
    """Give the forms of `format`: `json`, or `{json: {...}}`."""
    yield {"enum": list(found)}
    for name, spec in found.items():
        body = _described(spec, [{"$ref": refs[spec]}, _NULL])
        yield {"type": "object", "properties": {name: body}, "required": [name], "additionalProperties": False}


def _calls() -> Json:
    """Say which aggregates there are."""
    lines = [f"- `{call_of(name, found)}`: {docstring.of_class(found).summary}" for name, found in aggregates().items()]
    names = [*aggregates(), *(found.short.pattern for found in aggregates().values() if found.short)]
    return {
        "pattern": rf"^\s*({'|'.join(names)})\s*\([\s\S]*\)\s*$",
        "description": "An aggregate of a column.",
        "markdownDescription": "\n".join(["An aggregate of a column:", "", *lines]),
        "examples": [call_of(name, found) for name, found in aggregates().items()],
    }


def _step(key: str, refs: Mapping[type[BaseModel], str], specs: Mapping[str, Json]) -> Json:
    """Give the form of a step that begins with this key."""
    alone = kinds().get((key,))
    if alone is not None:
        body = _alone(alone, refs[alone], specs[_name(refs[alone])].get("required", []))
    else:
        members = [(kind[1], operator) for kind, operator in sorted(kinds().items()) if kind[0] == key]
        forms = [_member(name, operator, refs[operator], specs[_name(refs[operator])]) for name, operator in members]
        package = sys.modules[members[0][1].__module__.rpartition(".")[0]]
        summary = docstring.parse(package.__doc__).summary
        body = {"description": summary, "markdownDescription": summary, "anyOf": forms}
    identifier = {
        **_TEXT,
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
        "not": {"enum": [SOURCE, DEAD]},
    }
    named = "Names the step's rows for `from` and the sinks; the key of the step if left out."
    stream = "The stream to read: a step's id, `ID.late`, or `source`; the step before if left out."
    properties = {
        "id": {"description": named, "markdownDescription": named, "anyOf": [identifier, _NULL]},
        "from": {"description": stream, "markdownDescription": stream, **_TEXT},
        key: body,
    }
    return {"type": "object", "title": key, "properties": properties, "required": [key], "additionalProperties": False}


def _alone(operator: type[Operator], ref: str, required: list[str]) -> Json:
    """Give the forms of `filter: ...`."""
    forms: list[Json] = [{"$ref": ref}]
    if operator.whole is not None:
        forms = [{"$ref": f"{ref}/properties/{operator.whole}"}]
    elif operator.primary is not None:
        forms.insert(0, {"$ref": f"{ref}/properties/{operator.primary}"})
    if operator.whole is None and not required:
        forms.append(_NULL)
    return _described(operator, forms)


def _member(name: str, operator: type[Operator], ref: str, spec: Json) -> Json:
    """Give the forms of `tumbling: ...` under `window`: its options stand under its name, or beside it."""
    places = {option: {"$ref": f"{ref}/properties/{option}"} for option in spec["properties"]}
    first = operator.whole or operator.primary
    forms: list[Json] = [places[first]] if first else []
    if operator.whole is None:
        forms += [{"type": "object", "properties": places, "additionalProperties": False}, _NULL]

    def under(option: str) -> Json:
        """Hold where an option stands under the name, or is the bare value there."""
        there: list[Json] = [{"type": "object", "required": [option]}]
        if option == operator.whole:
            there = [{}]
        elif option == operator.primary:
            there.append({"type": ["string", "number", "boolean", "array"]})
        return {"properties": {name: {"anyOf": there}}}

    return {
        "type": "object",
        "title": name,
        "properties": {name: _described(operator, forms), **places},
        "required": [name],
        "additionalProperties": False,
        "allOf": [{"if": under(option), "else": {"required": [option]}} for option in spec.get("required", [])],
        "dependentSchemas": {option: {"not": under(option)} for option in places},
    }


def _described(spec: type, forms: Iterable[Json]) -> Json:
    """Say of each form what the operator or format is, in a line and as its docstring does: editors show the form's."""
    doc, summary = docstring.of_module(spec), docstring.of_class(spec).summary
    example = doc.sections.get("Example")
    shown = f"\n\n```yaml\n{example}\n```" if example else ""
    about = {"description": summary, "markdownDescription": doc.markdown() + shown}
    return {**about, "anyOf": [{**form, **about} for form in forms]}


def _with_variables(node: Json) -> Json:
    """Let `${VAR}` stand wherever a value may that isn't any text."""
    node = dict(node)
    for key in ("properties", "patternProperties"):
        if key in node:
            node[key] = {name: _with_variables(option) for name, option in node[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _with_variables(node[key])
    if "anyOf" in node:
        forms: list[Json] = []
        for form in map(_with_variables, node["anyOf"]):
            forms += [inner for inner in (form["anyOf"] if set(form) == {"anyOf"} else [form]) if inner not in forms]
        node["anyOf"] = forms
    if node.get("type") in ("integer", "number", "boolean") or any(key in node for key in _NARROW):
        notes = {key: node.pop(key) for key in _NOTES if key in node}
        return {**notes, "anyOf": [node, _VARIABLE]}
    return node
