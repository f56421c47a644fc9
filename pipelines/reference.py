"""What there is to say of each operator and aggregate, from its spec and its docstring.

`telemill operators` shows it, and docs/operators.md is written from it (pipelines/manual.py).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from operators.aggregate.base import Aggregate, aggregates
from operators.base import Operator, did_you_mean, kinds
from operators.batch import Schema, Type
from operators.duration import UNITS, Duration
from operators.time import Instant
from pipelines import docstring
from pipelines.docstring import Block
from pipelines.explain import columns_of
from pipelines.located import Located
from pipelines.plan import Step
from pipelines.schema import Json, call_of, in_yaml, options
from pipelines.steps import read_steps

OPERATOR, AGGREGATE = "operator", "aggregate"
_ROOT = Path(__file__).parent.parent
"""The files that an example names stand below it."""
_OURS = {"duration": TypeAdapter(Duration).json_schema(), "time": TypeAdapter(Instant).json_schema()}
_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
_UNIT = re.compile(r", in (\w+)\.$")
"""How a description says the unit of a number: `Half-life of the recent mean, in values.`"""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an operator, in words.

    Attributes:
        name: in YAML.
        type: what may stand there.
        required: whether it can't be left out.
        default: as it is written in YAML; empty without one.
        unit: of a number; of a duration, the units that it may be written with.
        description: what it does.
    """

    name: str
    type: str
    required: bool
    default: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What there is to say of an operator or an aggregate.

    Attributes:
        name: as in YAML, `window.tumbling` for one of a group.
        what: operator or aggregate.
        summary: in one sentence.
        text: the docstring, without its sections.
        references: where its method is from; empty where nothing is said.
        example: YAML steps.
        call: how an aggregate is called, as an example.
        takes: the types of column that an aggregate is of.
        options: of an operator; those that are needed first.
        short: how it is written with one value in place of its options; empty where it can't be.
        gives: what an operator's outputs are, in words.
        outputs: the columns and types of each output in the example, the main one under "main".
    """

    name: str
    what: str
    summary: str
    text: tuple[Block, ...]
    references: str
    example: str
    call: str = ""
    takes: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    short: str = ""
    gives: str = ""
    outputs: Mapping[str, Mapping[str, str]] | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data; the text as Markdown."""
        return {
            **asdict(self),
            "text": "\n\n".join(block.markdown() for block in self.text),
            "takes": list(self.takes),
            "options": [asdict(option) for option in self.options],
        }


def entries() -> list[Entry]:
    """Give the operators that are alone, those of groups, and the aggregates, each in order of name."""
    found = [_operator(kind, kinds()[kind]) for kind in sorted(kinds(), key=lambda kind: (len(kind), kind))]
    return found + [_aggregate(name, aggregate) for name, aggregate in sorted(aggregates().items())]


def find(words: Sequence[str]) -> list[Entry]:
    """Find entries as people name them: `tumbling`, `window.tumbling`, `window tumbling`, `window`, `mean`, `p95`.

    Raises:
        LookupError: if there is none of that name; says what was likely meant.
    """
    known = entries()
    together = [entry for entry in known if len(words) > 1 and entry.name == ".".join(words)]
    return together or [entry for word in dict.fromkeys(words) for entry in _named(word, known)]


def group_summary(group: str) -> str:
    """Say in a sentence what the operators of a group are."""
    return docstring.parse(sys.modules[f"operators.{group}"].__doc__).summary


def _named(word: str, known: Iterable[Entry]) -> list[Entry]:
    by_name: dict[str, list[Entry]] = {}
    for entry in known:
        group, _, last = entry.name.rpartition(".")
        for name in {entry.name, group, last} - {""}:
            by_name.setdefault(name, []).append(entry)
    short = [name for name, found in aggregates().items() if found.short and found.short.fullmatch(word)]
    for name in (word, *short):
        if name in by_name:
            return by_name[name]
    message = f"no operator or aggregate is called `{word}`; {did_you_mean(word, by_name) or '`telemill operators` lists them'}"
    raise LookupError(message)


def _operator(kind: tuple[str, ...], operator: type[Operator]) -> Entry:
    doc, own = docstring.of_module(operator), docstring.of_class(operator)
    text = list(doc.blocks)
    if text[0].text.split()[:3] != own.summary.split()[:3]:
        text.insert(0, Block(own.summary, verbatim=False))
    example = doc.sections.get("Example", "")
    step = next((step for step in read_example(example)[0] if step.kind == kind), None)
    outputs = None
    if step is not None:
        outputs = {
            side or "main": {name: str(type_) for name, type_ in columns_of(schema).items()}
            for side, schema in step.schemas.items()
        }
    needed = {field.alias or name for name, field in operator.model_fields.items() if field.is_required()}
    first = operator.whole or operator.primary
    found = [_option(name, schema, required=name in needed) for name, schema in options(operator).items()]
    return Entry(
        ".".join(kind),
        OPERATOR,
        own.summary,
        (*text, *own.blocks[1:]),
        doc.sections.get("References", ""),
        example,
        options=tuple(sorted(found, key=lambda option: (option.name != first, not option.required))),
        short=_short(kind[-1], operator),
        gives=re.sub("^Give ", "Gives ", docstring.parse(inspect.getdoc(operator.outputs)).summary),
        outputs=outputs,
    )


def _aggregate(name: str, aggregate: type[Aggregate]) -> Entry:
    doc, own = docstring.of_module(aggregate), docstring.of_class(aggregate)
    text = dict.fromkeys([*own.blocks, *doc.blocks])
    call = call_of(name, aggregate)
    shown = f"steps:\n  - window:\n      tumbling: 1m\n      aggregate:\n        x: {call}"
    return Entry(
        name,
        AGGREGATE,
        own.summary,
        tuple(text),
        doc.sections.get("References", ""),
        doc.sections.get("Example", shown),
        call,
        takes=tuple(str(type_) for type_ in Type if type_ in aggregate.accepts),
    )


def read_example(example: str) -> tuple[Sequence[Step], Located]:
    """Read the steps of an example over readings of temperature and humidity, and a score where nothing gives one.

    Returns:
        The steps that are right, and where mistakes are noted.
    """
    steps = (YAML(typ="safe").load(example) or {}).get("steps")
    columns = {"temperature": Type.FLOAT, "humidity": Type.FLOAT}
    if not any("detect" in step for step in steps or ()):
        columns["score"] = Type.FLOAT
    located = Located(str(_ROOT / "example.yaml"), {"steps": steps})
    return read_steps(located, steps, Schema(columns, ("device",), "ts")), located


def _short(name: str, operator: type[Operator]) -> str:
    if operator.whole is not None:
        return f"What stands under `{name}` is `{operator.whole}` itself."
    return f"`{name}: VALUE` means `{name}: {{{operator.primary}: VALUE}}`." if operator.primary else ""


def _option(name: str, schema: Json, *, required: bool) -> Option:
    default = schema.get("default")
    type_, description = _type(schema), schema.get("description", "")
    stated = _UNIT.search(description)
    unit = ", ".join(UNITS) if "duration" in type_ else stated[1] if stated else ""
    return Option(name, type_, required, "" if default is None else in_yaml(default), unit, description)


def _type(schema: Json) -> str:
    """Say in words what a JSON Schema lets stand.

    >>> _type({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]})
    'list of text'
    >>> _type({"type": "integer", "minimum": 20})
    'whole number, at least 20'
    """
    if "anyOf" in schema:
        forms = [_type(form) for form in schema["anyOf"] if form and form.get("type") != "null"]
        return " or ".join(dict.fromkeys(forms)) or "anything"
    for name, ours in _OURS.items():
        if all(schema.get(key) == value for key, value in ours.items()):
            return name
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{in_yaml(choice)}`" for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        return f"mapping of names to {_type(values)}" if isinstance(values, dict) else "mapping"
    bounds = [f"{words} {in_yaml(schema[bound])}" for bound, words in _BOUNDS.items() if bound in schema]
    return ", ".join([_NAMES.get(schema.get("type", ""), "anything"), *bounds])
