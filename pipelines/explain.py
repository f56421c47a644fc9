"""Show what a pipeline does: the graph as a tree, with the columns and types behind every step."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree

from connectors.codec.avro import Avro, row_schema
from operators.batch import Schema, Type
from pipelines.plan import DEAD, SOURCE, Pipeline, Step


def tree(pipeline: Pipeline) -> Tree:
    """Draw the pipeline from its source down to its sinks."""
    source = pipeline.source
    title = f"{pipeline.name}: {', '.join(source.topics)} at {source.kafka.brokers} as group {source.group}"
    root = Tree(Text(title, "bold"))
    node = root.add(_label(SOURCE, "", source.schema))
    _grow(pipeline, SOURCE, node)
    for sink in pipeline.sinks:
        if sink.stream == DEAD:
            root.add(Text(f"{DEAD}: records that can't be processed")).add(Text(f"→ {sink.topic}", "green"))
    return root


def _grow(pipeline: Pipeline, stream: str, node: Tree) -> None:
    """Hang on a stream the sinks and steps that read it."""
    for sink in pipeline.sinks:
        if sink.stream == stream:
            node.add(Text(f"→ {sink.topic} ({type(sink.format).__name__.lower()})", "green"))
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
    """Write a value as it could stand in YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(inner)}" for name, inner in value.items()) + "}"
    return str(value)


def _label(name: str, what: str, schema: Schema) -> Text:
    columns = ", ".join(f"{column} {type_}" for column, type_ in _columns(schema).items())
    text = Text(name, "bold cyan")
    text.append(f"  {what}" if what else "", "default not bold")
    text.append(f"\n  {columns}", "dim not bold")
    return text


def _columns(schema: Schema) -> dict[str, Type]:
    """Give what a row of this schema is written out with, in order."""
    columns = dict.fromkeys(schema.device, Type.TEXT)
    if schema.time is not None:
        columns[schema.time] = Type.TIME
    return {**columns, **schema.columns}


def as_json(pipeline: Pipeline) -> dict[str, Any]:
    """Give the same as plain data; the schema of what each Avro sink writes is in it."""
    source = pipeline.source
    streams = {
        name: {column: str(type_) for column, type_ in _columns(s).items()} for name, s in pipeline.streams().items()
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
        if isinstance(sink.format, Avro) and sink.schema is not None:
            shown["avro_schema"] = row_schema(sink.schema, sink.stream.replace(".", "_"))
        sinks.append(shown)
    return {
        "name": pipeline.name,
        "source": {"topics": list(source.topics), "brokers": source.kafka.brokers, "group": source.group},
        "streams": streams,
        "steps": steps,
        "sinks": sinks,
    }
