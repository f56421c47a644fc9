"""Avro 1.12: a record's value is one datum, alone or in the wire format of a schema registry. Read by a kernel, else by fastavro.

Alone, without a header, the writer's schema stands in a file (`.avsc`). With `registry` a value begins with a byte 0 and the
id of its schema, four bytes, as Confluent's serializers write it; schemas are looked up by their ids and kept. Fields are
found by their names. A record whose schema lacks one that is read is dead, unless `schema` is given besides: then that is
the reader's schema, and its defaults, aliases and promotions hold as Avro resolves them. A record with an id that the
registry doesn't know, or with a schema that isn't of Avro, is dead. Where the registry doesn't answer for half a minute,
the run ends; nothing is lost.

To write, the schema follows from the columns (`telemill explain --json` shows it): every column may be null, times are
`timestamp-micros`. With `registry` it is registered as the subject `TOPIC-value` when a run starts.

Example:
    format: {avro: {schema: reading.avsc}}
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import fastavro
import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from connectors.codec.avro_decoder import decoder_of
from connectors.codec.avro_framed import FramedDecoder, head
from connectors.codec.avro_schema import expected_of, missing_fields, parsed
from connectors.codec.avro_writer import write_rows
from connectors.codec.base import Decoder, Encoder, Format, Reading, cells
from connectors.codec.documents import document
from connectors.codec.registry import Registry, UnknownSchemaError, open_client
from connectors.codec.rows import Rows
from operators.base import Problem, unfit
from operators.batch import Batch, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable

_TYPES: Mapping[Type, Any] = {
    Type.FLOAT: "double",
    Type.INT: "long",
    Type.BOOL: "boolean",
    Type.TEXT: "string",
    Type.TIME: {"type": "long", "logicalType": "timestamp-micros"},
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL = re.compile(r"https?://[^\s,/]+[^\s,]*")
_OFFLINE_ID = 1
"""Of the schema that stands in for those of a registry."""
_ANYTHING = ["null", "boolean", "long", "double", "string"]


def _some(value: object) -> object:
    if value is None or value == "" or isinstance(value, list | dict):
        expected = "a value"
        raise unfit(expected)
    return value


_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Setting: TypeAlias = Annotated[
    bool | int | float | str, BeforeValidator(_some, json_schema_input_type=bool | int | float | _Text)
]


class Avro(Format):
    """Avro, a datum a value: without a header, by a schema in a file; or with the id of its schema in a registry."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    has_lists: ClassVar[bool] = True

    schema_: str | None = Field(
        None,
        alias="schema",
        description="File with the writer's schema (.avsc), to read; with `registry`, the reader's.",
    )
    registry: str | None = Field(
        None, repr=False, description="URL of a schema registry; values begin with the ids of their schemas."
    )
    config: dict[str, _Setting] = Field(
        {},
        repr=False,
        description="Settings of confluent-kafka's SchemaRegistryClient, such as basic.auth.user.info, ssl.ca.location.",
    )
    _parsed: Any = PrivateAttr(None)
    _offline: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Avro:
        self._check_registry()
        if self.schema_ is not None:
            file = Path((info.context or {}).get("folder", ".")) / self.schema_
            try:
                self._parsed = parsed(json.loads(file.read_bytes()))
                unlike = expected_of(self._parsed)
            except OSError as error:
                expected = f"a file that can be read ({error.strerror})"
                raise unfit(expected, at="schema") from None
            except Exception as error:  # noqa: BLE001  # fastavro raises many kinds for a bad schema
                expected = f"a file with an Avro schema ({type(error).__name__}: {str(error)[:200]})"
                raise unfit(expected, at="schema") from None
            if unlike is not None:
                raise unfit(unlike, at="schema")
        return self

    def _check_registry(self) -> None:
        if self.registry is None:
            if self.config:
                expected = "settings of a registry's client, where there is a `registry`"
                raise unfit(expected, at="config")
            return
        if not all(_URL.fullmatch(url.strip()) for url in self.registry.split(",")):
            expected = "the URL of a schema registry, such as http://localhost:8081"
            raise unfit(expected, at="registry")
        if "url" in self.config:
            expected = "settings without the URL"
            raise unfit(expected, at="config", fix="`registry` is the URL")
        # Files are looked for where the pipeline runs, which may be another machine.
        config = {name: value for name, value in self.config.items() if not name.startswith("ssl.")}
        try:
            open_client(self.registry, config).close()
        except Exception as error:  # noqa: BLE001  # the client raises many kinds
            expected = f"settings that confluent-kafka's SchemaRegistryClient takes ({error})"
            raise unfit(expected, at="config") from None

    def problems(self, reading: Reading) -> Sequence[Problem]:
        """Hold the fields against the schema, if it is known yet."""
        if self._parsed is None and self.registry is None:
            expected = "`format: {avro: {schema: FILE.avsc}}`, or `registry: URL`: reading needs the writer's schema"
            return [Problem(("format",), expected, "avro")]
        if self._parsed is None:
            expected = "fields named with letters, digits and _, as Avro names them"
            return [
                Problem(at, expected, f"`{'.'.join(path)}`")
                for at, path in reading.places()
                if not all(map(_NAME.fullmatch, path))
            ]
        problems = []
        for at, path, there in missing_fields(self._parsed, reading):
            what = "an array of the Avro schema"
            if there is not None:
                what = f"a field of the Avro schema: {there or 'no fields there'}"
            problems.append(Problem(at, what, f"`{'.'.join(path)}`"))
        return problems

    def sink_problems(self, schema: Schema) -> Sequence[Problem]:
        """Refuse a schema, as what is written follows from the columns, and columns that Avro can't name."""
        problems = []
        if self.schema_ is not None:
            fix = "leave it out" if self.registry else "write `format: avro`"
            fix += "; `telemill explain --json` shows the schema"
            problems.append(Problem(("schema",), "no schema in a sink: it is made from the columns", self.schema_, fix))
        names = [name for name in schema.names() if not _NAME.fullmatch(name)]
        if names:
            expected = "columns named with letters, digits and _, as Avro wants them"
            problems.append(Problem((), expected, ", ".join(f"`{name}`" for name in names)))
        return problems

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        if self.registry is None:
            return decoder_of(self._parsed, reading)
        if self._offline:
            return FramedDecoder(self._stand_in(reading), reading, self._parsed)
        return FramedDecoder(Registry(self.registry, self.config).schema, reading, self._parsed)

    def encoder(self, schema: Schema, name: str, topic: str | None = None) -> Encoder:
        """Make an encoder; where a topic is named, and there is a registry, the schema is registered.

        Raises:
            RegistryFailure: if it refuses the schema, or doesn't answer.
        """
        if self.registry is None:
            return _Encoder(schema, name, b"")
        if topic is None or self._offline:
            return _Encoder(schema, name, head(_OFFLINE_ID))
        number = Registry(self.registry, self.config).register(f"{topic}-value", row_schema(schema, name))
        return _Encoder(schema, name, head(number))

    def offline(self) -> Avro:
        """Give the format without its registry: every value is of one schema, that of `sample`."""
        made = self.model_copy()
        made._offline = True  # noqa: SLF001  # its own
        return made

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:
        """Write documents by the schema that is read; if only a registry knows it, by one that has the fields that are read."""
        if self.registry is None:
            return lambda row: _write(self._parsed, document(row))
        schema = self._stand_in(reading)(_OFFLINE_ID)
        return lambda row: head(_OFFLINE_ID) + _write(schema, document(row))

    def _stand_in(self, reading: Reading) -> Callable[[int], Any]:
        schema = self._parsed or parsed(_schema_of(reading))

        def schema_of(number: int) -> Any:  # fastavro's parsed schemas are untyped
            if number == _OFFLINE_ID:
                return schema
            message = f"schema {number} isn't known: no registry is asked here"
            raise UnknownSchemaError(message)

        return schema_of


def row_schema(schema: Schema, name: str) -> dict[str, Any]:
    """Make the Avro schema of rows: every column as a union with null, but for the device and the event time.

    Null is the default, so that rows of a pipeline that was given another column go with older ones in a registry.
    """
    fields: list[dict[str, Any]] = [{"name": part, "type": "string"} for part in schema.device]
    if schema.time is not None:
        fields.append({"name": schema.time, "type": _TYPES[Type.TIME]})
    fields += [
        {"name": column, "type": ["null", _TYPES[type_]], "default": None} for column, type_ in schema.columns.items()
    ]
    return {"type": "record", "name": name, "fields": fields}


def _schema_of(reading: Reading) -> dict[str, Any]:
    """Make a schema of records with all that is read of them, each a union of whatever it may be."""
    tree: dict[str, Any] = {}
    for _, path in reading.places():
        within = tree
        for key in path:
            within = within.setdefault(key, {})
    return _record_of(tree, "record", reading.each)


def _record_of(tree: Mapping[str, Any], name: str, each: Sequence[str]) -> dict[str, Any]:
    fields = []
    for key, inner in tree.items():
        rest = each[1:] if each[:1] == (key,) else ()
        union = [*_ANYTHING, *([_record_of(inner, f"{name}_{key}", rest)] if inner else [])]
        if each == (key,):
            union = ["null", {"type": "array", "items": union}]
        fields.append({"name": key, "type": union, "default": None})
    return {"type": "record", "name": name, "fields": fields}


def _write(schema: Any, row: Mapping[str, Any]) -> bytes:  # as above
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, row)
    return stream.getvalue()


class _Encoder:
    def __init__(self, schema: Schema, name: str, before: bytes) -> None:
        self._schema = schema
        self._before = before
        self._avro = fastavro.parse_schema(row_schema(schema, name))

    def encode(self, batch: Batch, devices: DeviceTable) -> Binary:
        rows = Rows.of(batch, devices, self._schema, str.encode, lambda ts: ts)
        made, left = write_rows(rows, len(self._schema.device) + (self._schema.time is not None), self._before)
        return made.replacing(left, self._by_document(batch.take(left), devices)) if len(left) else made

    def _by_document(self, batch: Batch, devices: DeviceTable) -> Binary:
        lists: dict[str, list[Any]] = {}
        for part, name in enumerate(self._schema.device):
            lists[name] = Text(batch.device.astype(np.int32), devices.texts(part)).to_list()
        if self._schema.time is not None:
            lists[self._schema.time] = batch.ts.tolist()
        lists |= {name: cells(batch.columns[name], type_) for name, type_ in self._schema.columns.items()}
        rows = zip(*lists.values(), strict=True)
        data = map(_write, repeat(self._avro), map(dict, map(zip, repeat(tuple(lists)), rows)))
        return Binary.of(map(self._before.__add__, data))
