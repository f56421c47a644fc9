"""Data of one schema of Avro, without a header, to columns: read by kernels, and by fastavro where these leave a record."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import fastavro
import numpy as np
from fastavro.schema import expand_schema

from connectors.codec.avro_items import AvroItems
from connectors.codec.avro_scan import AvroScan
from connectors.codec.avro_schema import Schema, with_item
from connectors.codec.base import Decoded, Decoder, Reading, Records, merge
from connectors.codec.documents import Documents, decode_each
from connectors.codec.each import BLANK, Each, Finder, Kernels
from connectors.codec.items import Items
from operators.binary import Binary


def decoder_of(schema: Schema, reading: Reading, reader: Schema = None) -> Decoder:
    """Make the decoder of data of one schema.

    Args:
        schema: the writer's, parsed by fastavro; `expected_of` has nothing against it.
        reading: what to read.
        reader: the reader's schema, likewise, with defaults and aliases; None to read what was written.
    """
    if not reading.each:
        return _Decoder(schema, reading, reader)
    whole, whole_reader = expand_schema(schema), reader and expand_schema(reader)
    item, item_reader = with_item(whole, reading.each), reader and with_item(whole_reader, reading.each)
    finder: Finder = _NoItems()
    if item is None or (reader is not None and item_reader is None):
        item, item_reader = whole, whole_reader
    else:
        finder = AvroItems(whole, reading.each)
    blank = AvroScan(whole, BLANK, whole_reader)
    kernels = Kernels(finder, AvroScan(item, reading, item_reader), blank, space=0)
    return Each(reading, kernels, partial(_load, schema, reader))


class _Decoder:
    def __init__(self, schema: Schema, reading: Reading, reader: Schema) -> None:
        self._schema = schema
        self._reader = reader
        self._reading = reading
        self._scan = AvroScan(schema, reading, reader)

    def decode(self, records: Records) -> Decoded:
        decoded, left = self._scan.scan(records)
        return merge(decoded, left, self._by_document(records.take(left))) if len(left) else decoded

    def _by_document(self, records: Records) -> Decoded:
        return Documents(*_load(self._schema, self._reader, records)).columns(records, self._reading)


class _NoItems:
    """Leaves all: the list isn't there, or has a default or another name in what was written."""

    def find(self, values: Binary) -> Items:
        none = np.empty(0, np.int64)
        return Items(np.full(len(values), -1), np.zeros((len(values), 2), np.int64), none, none)


def _load(schema: Schema, reader: Schema, records: Records) -> tuple[list[Any], dict[int, str]]:
    return decode_each(_read, records.values.to_list(), schema, reader)


def _read(value: bytes, schema: Schema, reader: Schema) -> Any:  # a datum can be anything
    stream = io.BytesIO(value)
    document = fastavro.schemaless_reader(stream, schema, reader)
    if stream.tell() != len(value):
        message = f"{len(value) - stream.tell()} bytes are left behind the datum: is it another schema?"
        raise ValueError(message)
    return document
