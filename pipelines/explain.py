"""Show what a pipeline does: the graph as a tree, with the columns and types behind every step, or as a flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.text import Text
from rich.tree import Tree

from connectors.codec.avro import Avro, row_schema
from operators.batch import Schema, Type
from pipelines.plan import DEAD, SOURCE, Pipeline, Source, Step

_WIDEST = 80
"""Characters of a line in a flowchart's node, at most."""


def tree(pipeline: Pipeline) -> Tree:
    """Draw the pipeline from its source down to its sinks."""
    source = pipeline.source
    title = f"{pipeline.name}: {', '.join(source.topics)} at {source.kafka.brokers} as group {source.group}"
    root = Tree(Text(title, "bold"))
    headers = headers_of(source)
    node = root.add(_label(SOURCE, f"headers {_shown(headers)}" if headers else "", source.schema))
    _grow(pipeline, SOURCE, node)
    for sink in pipeline.sinks:
        if sink.stream == DEAD:
            root.add(Text(f"{DEAD}: records that can't be processed")).add(Text(f"→ {sink.topic}", "green"))
    return root


def _grow(pipeline: Pipeline, stream: str, node: Tree) -> None:
    """Hang on a stream the sinks and steps that read it."""
    for sink in pipeline.sinks:
        if sink.stream == stream:
            when = f" when {sink.when.where}" if sink.when else ""
            node.add(Text(f"→ {sink.topic} ({type(sink.format).__name__.lower()}){when}", "green"))
    for step in pipeline.steps:
        if step.source == stream:
            _add(pipeline, step, node.add(_label(step.id, _what(step), step.schemas[""])))


def _add(pipeline: Pipeline, step: Step, node: Tree) -> None:
    read = {sink.stream for sink in pipeline.sinks} | {other.source for other in pipeline.steps}
    for side in step.schemas:
        name = f"{step.id}.{side}"
        if side and name in read:
            _grow(pipeline, name, node.add(_label(name, "", step.schemas[side])))
    _grow(pipeline, step.id, node)


def _what(step: Step) -> str:
    options = step.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return f"{'.'.join(step.kind)} {_shown(options)}"


def _shown(value: object) -> str:
    """Write a value as it could stand in YAML.

    >>> _shown({"by": ["seq", "n"], "within": "10m"})
    '{by: [seq, n], within: 10m}'
    """
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(inner)}" for name, inner in value.items()) + "}"
    return str(value)


def _label(name: str, what: str, schema: Schema) -> Text:
    columns = ", ".join(f"{column} {type_}" for column, type_ in columns_of(schema).items())
    text = Text(name, "bold cyan")
    text.append(f"  {what}" if what else "", "default not bold")
    text.append(f"\n  {columns}", "dim not bold")
    return text


def headers_of(source: Source) -> dict[str, str]:
    """Give of each column that is read from a header the header's name."""
    reading = source.reading
    device = dict.fromkeys(source.schema.device, reading.device_header) if reading.device_header else {}
    return {**device, **{field.name: field.header for field in reading.headers}}


def columns_of(schema: Schema) -> dict[str, Type]:
    """Give what a row of this schema is written out with, in order."""
    columns = dict.fromkeys(schema.device, Type.TEXT)
    if schema.time is not None:
        columns[schema.time] = Type.TIME
    return {**columns, **schema.columns}


def as_json(pipeline: Pipeline) -> dict[str, Any]:
    """Give the same as plain data; the schema of what each Avro sink writes is in it."""
    source = pipeline.source
    streams = {
        name: {column: str(type_) for column, type_ in columns_of(s).items()} for name, s in pipeline.streams().items()
    }
    steps = [
        {
            "id": step.id,
            "operator": ".".join(step.kind),
            "from": step.source,
            "options": step.spec.model_dump(mode="json", by_alias=True),
            "outputs": [f"{step.id}.{side}" if side else step.id for side in step.schemas],
        }
        for step in pipeline.steps
    ]
    sinks = []
    for sink in pipeline.sinks:
        shown: dict[str, Any] = {"from": sink.stream, "topic": sink.topic, "format": type(sink.format).__name__.lower()}
        if sink.when is not None:
            shown["when"] = sink.when.where
        if isinstance(sink.format, Avro) and sink.schema is not None:
            shown["avro_schema"] = row_schema(sink.schema, sink.stream.replace(".", "_"))
        sinks.append(shown)
    return {
        "name": pipeline.name,
        "source": {
            "topics": list(source.topics),
            "brokers": source.kafka.brokers,
            "group": source.group,
            "headers": headers_of(source),
        },
        "streams": streams,
        "steps": steps,
        "sinks": sinks,
    }


def mermaid(pipeline: Pipeline) -> str:
    """Draw the pipeline as a flowchart in the language of Mermaid (https://mermaid.js.org/syntax/flowchart.html)."""
    source = pipeline.source
    lines = [
        "flowchart TD",
        f"    {SOURCE}[({_written([SOURCE, *source.topics, type(source.format).__name__.lower()])})]",
    ]
    for step in pipeline.steps:
        options = step.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        about = [step.id, ".".join(step.kind), *(f"{name}: {_shown(value)}" for name, value in options.items())]
        lines.append(f"    {_node(step.id)}[{_written(about)}]")
        lines.append(_edge(step.source, _node(step.id)))
    for number, sink in enumerate(pipeline.sinks, 1):
        format_ = "as it came" if sink.stream == DEAD else type(sink.format).__name__.lower()
        when = [f"when {sink.when.where}"] if sink.when else []
        lines.append(f"    sink_{number}[({_written([sink.topic, format_, *when])})]")
        lines.append(_edge(sink.stream, f"sink_{number}"))
    return "\n".join(lines) + "\n"


def _node(step: str) -> str:
    """Name the node of a step: never by its id alone, which may be a word of Mermaid's, such as `end`."""
    return step if step == SOURCE else f"step_{step}"


def _edge(stream: str, to: str) -> str:
    """Draw an arrow from the stream's step; side outputs and dead letters have their name on it."""
    if stream == DEAD:
        return f"    {SOURCE} -. {DEAD} .-> {to}"
    step, _, side = stream.partition(".")
    return f"    {_node(step)} -- {side} --> {to}" if side else f"    {_node(step)} --> {to}"


def _written(lines: Iterable[str]) -> str:
    """Write lines as a node's text, with what means something to Mermaid or HTML as the codes of the characters."""
    short = [
        line if len(line) <= _WIDEST else f"{line[:_WIDEST]}…" for line in (" ".join(line.split()) for line in lines)
    ]
    escaped = [re.sub(r"[^\w .,:(){}=+/%-]", lambda match: f"#{ord(match[0])};", line) for line in short]
    return '"' + "<br>".join(escaped) + '"'
