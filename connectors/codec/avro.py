"""Avro 1.12, schemaless: a record's value is one datum without a header. Read by a kernel, else by fastavro.

To read, the writer's schema stands in a file (`.avsc`). To write, the schema follows from the columns (`telemill explain
--json` shows it): every column may be null, times are `timestamp-micros`.

Example:
    format: {avro: {schema: reading.avsc}}
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

import fastavro
import numpy as np
from fastavro.schema import expand_schema
from pydantic import ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from connectors.codec.avro_items import AvroItems, least_bytes, with_item
from connectors.codec.avro_scan import AvroScan
from connectors.codec.avro_writer import write_rows
from connectors.codec.base import Decoded, Decoder, Encoder, Format, Reading, Records, cells, merge
from connectors.codec.documents import Documents, decode_each, document
from connectors.codec.each import BLANK, Each, Kernels
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


class Avro(Format):
    """Avro without a header. Reading takes the writer's schema from a file; writing makes one from the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    has_lists: ClassVar[bool] = True

    schema_: str | None = Field(None, alias="schema", description="File with the writer's schema (.avsc), to read.")
    registry: str | None = Field(None, description="Not supported yet: values with a schema id of a registry.")
    _parsed: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Avro:
        if self.registry is not None:
            expected = (
                "`schema: FILE.avsc`; values in the Confluent wire format, with a schema registry, can't be read yet"
            )
            raise unfit(expected, at="registry")
        if self.schema_ is not None:
            file = Path((info.context or {}).get("folder", ".")) / self.schema_
            try:
                # Times are read as the numbers they are, the pipeline says their unit; a UUID as the text it is.
                self._parsed = fastavro.parse_schema(_without_logical(json.loads(file.read_bytes())))
            except OSError as error:
                expected = f"a file that can be read ({error.strerror})"
                raise unfit(expected, at="schema") from None
            except Exception as error:  # noqa: BLE001  # fastavro raises many kinds for a bad schema
                expected = f"a file with an Avro schema ({type(error).__name__}: {str(error)[:200]})"
                raise unfit(expected, at="schema") from None
            if _contains_itself(self._parsed):
                expected = "a schema in which no record contains itself: a datum could be nested deeper than the stack"
                raise unfit(expected, at="schema")
            unsound = _unsound(expand_schema(self._parsed))
            if unsound is not None:
                raise unfit(unsound, at="schema")
        return self

    def problems(self, reading: Reading) -> Sequence[Problem]:
        """Hold the fields against the schema."""
        if self._parsed is None:
            return [
                Problem(("format",), "`format: {avro: {schema: FILE.avsc}}`: reading needs the writer's schema", "avro")
            ]
        schema = expand_schema(self._parsed)
        if reading.each:
            schema = with_item(schema, reading.each)
            if schema is None:
                return [Problem(("each",), "an array of the Avro schema", f"`{'.'.join(reading.each)}`")]
        problems = []
        for at, path in reading.places():
            names = _fields_at(schema, path[:-1])
            if names is None or path[-1] not in names:
                there = ", ".join(sorted(names or ())) or "no fields there"
                problems.append(Problem(at, f"a field of the Avro schema: {there}", f"`{'.'.join(path)}`"))
        return problems

    def sink_problems(self, schema: Schema) -> Sequence[Problem]:
        """Refuse a schema, as what is written follows from the columns, and columns that Avro can't name."""
        problems = []
        if self.schema_ is not None:
            fix = "write `format: avro`; `telemill explain --json` shows the schema"
            problems.append(Problem(("schema",), "no schema in a sink: it is made from the columns", self.schema_, fix))
        names = [name for name in schema.names() if not _NAME.fullmatch(name)]
        if names:
            expected = "columns named with letters, digits and _, as Avro wants them"
            problems.append(Problem((), expected, ", ".join(f"`{name}`" for name in names)))
        return problems

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        if not reading.each:
            return _Decoder(self._parsed, reading)
        schema = expand_schema(self._parsed)
        item = AvroScan(with_item(schema, reading.each), reading)
        kernels = Kernels(AvroItems(schema, reading.each), item, AvroScan(schema, BLANK), 0)
        return Each(reading, kernels, partial(_load, self._parsed))

    def encoder(self, schema: Schema, name: str) -> Encoder:
        """Make an encoder."""
        return _Encoder(schema, name)

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:  # noqa: ARG002  # the schema says it all
        """Write documents by the schema that is read."""
        return lambda row: _write(self._parsed, document(row))


def row_schema(schema: Schema, name: str) -> dict[str, Any]:
    """Make the Avro schema of rows: every column as a union with null, but for the device and the event time."""
    fields: list[dict[str, Any]] = [{"name": part, "type": "string"} for part in schema.device]
    if schema.time is not None:
        fields.append({"name": schema.time, "type": _TYPES[Type.TIME]})
    fields += [{"name": column, "type": ["null", _TYPES[type_]]} for column, type_ in schema.columns.items()]
    return {"type": "record", "name": name, "fields": fields}


class _Decoder:
    def __init__(self, schema: Any, reading: Reading) -> None:  # fastavro's parsed schemas are untyped
        self._schema = schema
        self._reading = reading
        self._scan = AvroScan(schema, reading)

    def decode(self, records: Records) -> Decoded:
        decoded, left = self._scan.scan(records)
        return merge(decoded, left, self._by_document(records.take(left))) if len(left) else decoded

    def _by_document(self, records: Records) -> Decoded:
        return Documents(*_load(self._schema, records)).columns(records, self._reading)


def _load(schema: Any, records: Records) -> tuple[list[Any], dict[int, str]]:  # as above
    return decode_each(_read, records.values.to_list(), schema)


def _read(value: bytes, schema: Any) -> Any:  # a datum can be anything
    stream = io.BytesIO(value)
    document = fastavro.schemaless_reader(stream, schema, None)
    if stream.tell() != len(value):
        message = f"{len(value) - stream.tell()} bytes are left behind the datum: is it another schema?"
        raise ValueError(message)
    return document


def _write(schema: Any, row: Mapping[str, Any]) -> bytes:  # as above
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, row)
    return stream.getvalue()


class _Encoder:
    def __init__(self, schema: Schema, name: str) -> None:
        self._schema = schema
        self._avro = fastavro.parse_schema(row_schema(schema, name))

    def encode(self, batch: Batch, devices: DeviceTable) -> Binary:
        rows = Rows.of(batch, devices, self._schema, str.encode, lambda ts: ts)
        made, left = write_rows(rows, len(self._schema.device) + (self._schema.time is not None))
        return made.replacing(left, self._by_document(batch.take(left), devices)) if len(left) else made

    def _by_document(self, batch: Batch, devices: DeviceTable) -> Binary:
        lists: dict[str, list[Any]] = {}
        for part, name in enumerate(self._schema.device):
            lists[name] = Text(batch.device.astype(np.int32), devices.texts(part)).to_list()
        if self._schema.time is not None:
            lists[self._schema.time] = batch.ts.tolist()
        lists |= {name: cells(batch.columns[name], type_) for name, type_ in self._schema.columns.items()}
        rows = zip(*lists.values(), strict=True)
        return Binary.of(map(_write, repeat(self._avro), map(dict, map(zip, repeat(tuple(lists)), rows))))


def _without_logical(schema: Any) -> Any:
    """Drop the logical types that fastavro would turn into objects, one a value; a decimal needs its own."""
    if isinstance(schema, list):
        return [_without_logical(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    keep = schema.get("logicalType") == "decimal"
    return {key: _without_logical(value) for key, value in schema.items() if keep or key != "logicalType"}


def _contains_itself(schema: Any, within: frozenset[str] = frozenset()) -> bool:
    """Say whether a record of a parsed schema names itself, or one that it stands in, as the type of a field."""
    if isinstance(schema, list):
        return any(_contains_itself(branch, within) for branch in schema)
    if not isinstance(schema, dict):
        return schema in within
    if schema.get("type") == "record":
        inner = within | {str(schema["name"])}
        return any(_contains_itself(field["type"], inner) for field in schema["fields"])
    return any(_contains_itself(schema[key], within) for key in ("type", "items", "values") if key in schema)


def _unsound(schema: Any) -> str | None:
    """Say what a schema, written out, should be and isn't, for its data to be read safely."""
    if isinstance(schema, list):
        return next(filter(None, map(_unsound, schema)), None)
    if not isinstance(schema, dict):
        return None
    if schema["type"] == "fixed" and not (type(schema["size"]) is int and schema["size"] >= 0):
        return f"a size of `fixed` that is a whole number, 0 or more; it is {schema['size']!r}"
    inner = [field["type"] for field in schema.get("fields", ())]
    inner += [schema[key] for key in ("type", "items", "values") if isinstance(schema.get(key), dict | list)]
    found = next(filter(None, map(_unsound, inner)), None)
    if found is None and schema["type"] == "array" and least_bytes(schema["items"]) == 0:
        return "arrays whose items take a byte at least: of others a record could claim any number"
    return found


def _fields_at(schema: Any, path: Sequence[str]) -> Mapping[str, Any] | None:  # JSON
    """Give the fields of the record at a path, through unions with null; None where there is no record."""
    if isinstance(schema, list):
        found = [names for names in (_fields_at(branch, path) for branch in schema) if names is not None]
        return found[0] if found else None
    if not isinstance(schema, dict):
        return None
    if schema.get("type") != "record":
        return _fields_at(schema["type"], path) if isinstance(schema.get("type"), dict | list) else None
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    if not path:
        return fields
    return _fields_at(fields[path[0]], path[1:]) if path[0] in fields else None
