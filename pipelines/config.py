"""From a pipeline file to what the engine runs: the specs, checked against each other before anything starts.

Every mistake is reported at once, with its line, what was expected, what was given, and a likely fix.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connectors.codec.base import FieldPath, Format, HeaderField, Reading, Unit, formats
from operators.base import SpecError, did_you_mean
from operators.batch import Schema, Type
from operators.filter import Filter
from pipelines.located import At, Located, load
from pipelines.plan import DEAD, Kafka, Pipeline, Sink, Source, Step, Test, streams_of
from pipelines.specs import NAME, DeviceSpec, PipelineSpec, SinkSpec, SourceSpec, TestSpec, TimeSpec
from pipelines.steps import read_steps
from pipelines.validate import refuse_problems, validate

_OURS = {
    "bootstrap.servers": "brokers",
    "group.id": "group",
    "auto.offset.reset": "start",
    "group.instance.id": "the --instance option",
    "metadata.broker.list": "brokers",
    **dict.fromkeys(
        [
            "enable.auto.commit",
            "enable.auto.offset.store",
            "enable.partition.eof",
            "group.protocol",
            "logger",
            "on_commit",
            "partition.assignment.strategy",
        ],
        "how telemill keeps positions, which isn't an option",
    ),
    **dict.fromkeys(["enable.idempotence", "acks", "transactional.id"], "`delivery`"),
}
"""Settings of librdkafka that telemill makes itself, and what stands for them."""


_Item = TypeVar("_Item", bound=BaseModel)


def read(file: Path, environ: Mapping[str, str] | None = None) -> Pipeline:
    """Read and check a pipeline.

    Args:
        file: the YAML file.
        environ: the environment for `${VAR}`; the process's own if left out.

    Raises:
        ConfigError: with every mistake in it.
    """
    located = load(file, environ)
    if not isinstance(located.data, dict):
        located.refuse((), "a mapping with name, source, steps and sinks", located.shown((), located.data))
        located.check()
    source_spec = _part(located, "source", SourceSpec)
    source = None if source_spec is None else _source(located, source_spec)
    steps = read_steps(located, located.data.get("steps"), source.schema if source else None)
    spec = validate(located, PipelineSpec, located.data, ())
    given = located.data.get("steps")
    complete = given is None or (isinstance(given, list) and len(steps) == len(given))
    if source is not None:
        streams: dict[str, Schema | None] = {**streams_of(source.schema, steps), DEAD: None}
        sink_specs, test_specs = _items(located, "sinks", SinkSpec), _items(located, "tests", TestSpec)
        sinks = _sinks(located, sink_specs, source, streams, complete=complete)
        tests = _tests(located, test_specs, source.format, streams, complete=complete)
        sunk = located.data.get("sinks")
        if complete and isinstance(sunk, list):
            _refuse_unread(located, steps, {str(item.get("from")) for item in sunk if isinstance(item, dict)})
    located.check()
    assert spec is not None  # noqa: S101  # or there had been a mistake
    assert source is not None  # noqa: S101  # as above
    source = replace(source, group=source.group or spec.name)
    return Pipeline(str(file), spec.name, source, steps, sinks, tests, spec.commit)


def _part(located: Located, key: str, model: type[SourceSpec]) -> SourceSpec | None:
    """Read a part on its own, so that mistakes elsewhere don't hide those in the steps."""
    if key not in located.data:
        return None
    before = len(located.mistakes)
    found = validate(located, model, located.data[key], (key,))
    del located.mistakes[before:]  # the whole file is validated after it, which tells them once
    return found


def _items(located: Located, key: str, model: type[_Item]) -> dict[int, _Item]:
    """Give the items of a list that are right in themselves; those that aren't are told with the whole file."""
    given = located.data.get(key)
    found = {}
    for index, item in enumerate(given if isinstance(given, list) else []):
        with contextlib.suppress(ValidationError):
            found[index] = model.model_validate(item)
    return found


def _source(located: Located, spec: SourceSpec) -> Source | None:
    at: At = ("source",)
    before = len(located.mistakes)
    device = tuple(tuple(path.split(".")) for path in spec.device.fields)
    whole = spec.device.key or spec.device.name or spec.device.header
    names = (whole,) if whole else tuple(path[-1] for path in device)
    _refuse_paths(located, spec, at)
    _refuse_device(located, spec.device, (*at, "device"))
    _refuse_times(located, spec.time, (*at, "time"))
    time_path = tuple(spec.time.field.split(".")) if spec.time.field else ()
    time = spec.time.name or (time_path[-1] if time_path else "ts")
    for name in spec.fields:
        if name in {*names, time}:
            given = f"`{name}`, which is the {'device' if name in names else 'event time'}"
            located.refuse((*at, "fields", name), "columns besides the device and the time", given, "leave it out here")
    if time in names or len(set(names)) < len(names):
        located.refuse(
            (*at, "device"), "different names for device and time", ", ".join(f"`{n}`" for n in (*names, time))
        )
    fields = tuple(
        FieldPath(name, tuple((field.path or name).split(".")), Type(field.type))
        for name, field in spec.fields.items()
        if not field.header
    )
    headers = tuple(
        HeaderField(name, field.header, Type(field.type)) for name, field in spec.fields.items() if field.header
    )
    each = tuple(spec.each.split(".")) if spec.each is not None else ()
    unit = spec.time.unit or Unit.US
    reading = Reading(fields, device, time_path, unit, spec.time.future, each, headers, spec.device.header or "")
    _refuse_ours(located, spec.kafka.config, (*at, "kafka", "config"))
    format_ = _format(located, spec.format, (*at, "format"))
    if format_ is not None:
        _refuse_each(located, format_, reading, (*at, "each"))
        refuse_problems(located, format_.problems(reading), lambda inner: (*at, *inner))
    if format_ is None or len(located.mistakes) > before:
        return None
    schema = Schema({name: Type(field.type) for name, field in spec.fields.items()}, names, time)
    kafka = Kafka(spec.kafka.brokers, _settings(located, spec.kafka.config, (*at, "kafka", "config")))
    start, group = spec.kafka.start.value, spec.kafka.group or ""
    return Source(
        tuple(spec.kafka.topics),
        group,
        start,
        kafka,
        format_,
        reading,
        schema,
        spec.time.lateness,
        spec.time.idle,
        spec.time.forget,
    )


def _refuse_device(located: Located, spec: DeviceSpec, at: At) -> None:
    """Refuse more than one way to name a device, or none, and a header whose name can't be that of a column."""
    given = located.data["source"].get("device")
    if sum(map(bool, (spec.fields, spec.key, spec.header))) != 1:
        expected = "a field, a list of fields, or `{key: NAME}` for the record's key, or `{header: NAME}`"
        located.refuse(at, expected, located.shown(at, given))
    elif spec.name and not spec.header:
        located.refuse((*at, "name"), "a `header` that the name is of", f"`{spec.name}`", "leave it out")
    elif spec.header and not spec.name and not re.fullmatch(NAME, spec.header):
        expected = "a `name` for rows, as the header's own isn't of letters, digits and _"
        located.refuse((*at, "header"), expected, located.shown((*at, "header"), spec.header), "add `name: device`")


def _refuse_times(located: Located, spec: TimeSpec, at: At) -> None:
    """Refuse options of the event time that don't fit each other."""
    if spec.field and spec.unit is None:
        fix = "add `unit: ms`, or what the field is written in"
        located.refuse(at, "a `unit`: s, ms, us, ns or iso", "none", fix)
    if spec.unit and not spec.field:
        located.refuse(
            (*at, "unit"), "a `field` that the unit is of", "none", "leave `unit` out for the record's own time"
        )
    if spec.idle < spec.lateness:
        expected = f"at least the lateness ({located.data['source']['time'].get('lateness')})"
        given = located.data["source"]["time"].get("idle", "5m, the default")
        located.refuse((*at, "idle"), expected, located.shown((*at, "idle"), given))
    if spec.forget < spec.idle:
        expected = f"at least `idle` ({located.data['source']['time'].get('idle', '5m, the default')})"
        given = located.data["source"]["time"].get("forget", "30d, the default")
        located.refuse((*at, "forget"), expected, located.shown((*at, "forget"), given))


def _refuse_paths(located: Located, spec: SourceSpec, at: At) -> None:
    """Refuse paths with an empty part, and those beside a header."""
    paths = [*spec.device.fields, spec.time.field or "x", *(field.path or name for name, field in spec.fields.items())]
    for path in paths:
        if not all(path.split(".")):
            expected = "the path of a field, such as data.temp"
            located.refuse(at, expected, f"`{path}`")
    for name, field in spec.fields.items():
        if field.path is not None and field.header is not None:
            given, fix = f"`{field.path}` beside the header `{field.header}`", "leave one of them out"
            located.refuse((*at, "fields", name, "path"), "either a `path` or a `header`", given, fix)


def _refuse_each(located: Located, format_: Format, reading: Reading, at: At) -> None:
    """Refuse a list of readings that the format can't hold, or that no path goes through as it should."""
    if not reading.each:
        return
    each, size = ".".join(reading.each), len(reading.each)
    if not format_.has_lists:
        name = type(format_).__name__.lower()
        having = ", ".join(known for known, other in formats().items() if other.has_lists)
        located.refuse(at, f"a format whose records hold lists: {having}", f"`{name}`", "leave `each` out")
        return
    if not all(reading.each):
        located.refuse(at, "the path of a list, such as data.readings", f"`{each}`")
        return
    paths = [path for _, path in reading.places()]
    if not any(path[:size] == reading.each for path in paths):
        expected = f"the path of a list that a field is read from, such as `path: {each}.temperature`"
        fix = "give the fields of its items paths that go through it, or leave `each` out"
        located.refuse(at, expected, f"`{each}`, which no path of a field, the device or the time begins with", fix)
    for path in paths:
        if path != reading.each and path == reading.each[: len(path)]:
            expected = f"paths beside the list, or through it, such as `{each}.temperature`"
            located.refuse(at, expected, f"`{'.'.join(path)}`, which the list stands in")


def _settings(located: Located, config: Mapping[str, str], at: At) -> dict[str, str]:
    """Give settings as they are written: a password `007` is no number."""
    return {key: located.text((*at, key)) for key in config}


def _refuse_ours(located: Located, config: Mapping[str, str], at: At) -> None:
    """Refuse settings that telemill makes itself."""
    for key in config:
        if key in _OURS or key.endswith("_cb"):
            expected = "settings of librdkafka that telemill doesn't make itself"
            located.refuse((*at, key), expected, f"`{key}`", f"use {_OURS[key]}" if key in _OURS else "leave it out")


def _format(located: Located, value: object, at: At) -> Format | None:
    """Read the name of a format, or a format with options."""
    known = formats()
    options: Any = {}
    name = value if isinstance(value, str) else None
    if isinstance(value, dict) and len(value) == 1:
        ((name, options),) = value.items()
    if name not in known:
        fix = did_you_mean(str(name), known)
        located.refuse(at, f"one of {', '.join(known)}, or one with options", located.shown(at, value), fix)
        return None
    return validate(located, known[name], options or {}, (*at, name))


def _sinks(
    located: Located,
    specs: Mapping[int, SinkSpec],
    source: Source,
    streams: Mapping[str, Schema | None],
    *,
    complete: bool,
) -> tuple[Sink, ...]:
    sinks = []
    for index, spec in specs.items():
        at: At = ("sinks", index)
        if spec.from_ not in streams and complete:
            fix = did_you_mean(spec.from_, streams)
            located.refuse((*at, "from"), f"a stream: {', '.join(streams)}", f"`{spec.from_}`", fix)
        format_ = _format(located, spec.format, (*at, "format"))
        if spec.kafka.topic in source.topics and spec.kafka.brokers in {None, source.kafka.brokers}:
            fix = "write to another topic, or the pipeline reads what it wrote"
            located.refuse((*at, "kafka", "topic"), "a topic that isn't read", f"`{spec.kafka.topic}`", fix)
        brokers = source.kafka.brokers if spec.kafka.brokers is None else spec.kafka.brokers
        config = source.kafka.config
        if spec.kafka.config is not None:
            config = _settings(located, spec.kafka.config, (*at, "kafka", "config"))
        _refuse_ours(located, config if spec.kafka.config is not None else {}, (*at, "kafka", "config"))
        schema = streams.get(spec.from_)
        if format_ is not None:
            inner: At = (type(format_).__name__.lower(),) if isinstance(spec.format, dict) else ()
            for problem in () if schema is None else format_.sink_problems(schema):
                located.refuse((*at, "format", *inner, *problem.at), problem.expected, problem.given, problem.fix)
            when = _when(located, spec, schema, (*at, "when"))
            sinks.append(Sink(spec.from_, spec.kafka.topic, Kafka(brokers, config), format_, schema, when))
    return tuple(sinks)


def _when(located: Located, spec: SinkSpec, schema: Schema | None, at: At) -> Filter | None:
    """Read the condition of a sink, and hold it against the rows of its stream."""
    if spec.when is None:
        return None
    if spec.from_ == DEAD:
        expected = f"no condition on `{DEAD}`: what can't be processed has no columns"
        located.refuse(at, expected, located.shown(at, spec.when), "leave it out")
    when = Filter(where=spec.when)
    try:
        if schema is not None:
            when.outputs(schema)
    except SpecError as error:
        refuse_problems(located, error.problems, lambda _: at)
    return when


def _tests(
    located: Located,
    specs: Mapping[int, TestSpec],
    format_: Format,
    streams: Mapping[str, Schema | None],
    *,
    complete: bool,
) -> tuple[Test, ...]:
    tests = []
    for index, spec in specs.items():
        at: At = ("tests", index)
        if spec.at not in streams and complete:
            fix = did_you_mean(spec.at, streams)
            located.refuse((*at, "at"), f"a stream: {', '.join(streams)}", f"`{spec.at}`", fix)
        for row, name in ((row, name) for row, own in enumerate(spec.input) for name in own):
            names = format_.test_names
            if name.startswith("$") and name not in names:
                expected, fix = f"a field, or one of {', '.join(names)}", did_you_mean(name, names)
                located.refuse((*at, "input", row, name), expected, f"`{name}`", fix)
        tests.append(Test(spec.name, spec.at, spec.input, spec.expect, spec.close_windows, located.line(at)))
    return tuple(tests)


def _refuse_unread(located: Located, steps: tuple[Step, ...], sunk: set[str]) -> None:
    """Refuse a step whose rows go nowhere: it would be work for nothing, and most likely a slip."""
    read_ = {stream.partition(".")[0] for stream in sunk | {step.source for step in steps}}
    for index, step in enumerate(steps):
        if step.id not in read_:
            fix = f"add a sink with `from: {step.id}`, or take the step out"
            located.refuse(("steps", index), "a step whose output is read", f"`{step.id}`, which nobody reads", fix)
