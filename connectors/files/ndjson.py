"""NDJSON, also called JSON Lines, gzipped or not: a JSON object a line, read by the codec that reads JSON from Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from connectors.codec.base import Decoded, Reading, Records, Unit
from connectors.codec.json import Json, TimeText
from connectors.files.base import FileError, Lines, find, in_file, not_blank, wanted
from operators.batch import Schema
from operators.binary import Binary

_HEAD = 1_000
"""Lines that are looked at for the names of fields."""


class Ndjson:
    """An NDJSON file of readings.

    Attributes:
        notes: which fields the first lines don't have; they may come later.
    """

    def __init__(self, file: Path, reading: Reading, schema: Schema) -> None:
        """Look for the device and the time in the first lines.

        Raises:
            FileError: if no line has them, or there is no line.
        """
        self._file = file
        own = in_file(reading, schema)
        with Lines(file) as self._lines:
            first = self._lines.first()
            lines = [line for line in (first, *self._lines.take(_HEAD - 1)) if line.strip()]
        if not lines:
            message = f"{file}: is empty"
            raise FileError(message)
        documents = [document for document in map(_document, lines) if document]
        if first.lstrip()[:1] == b"[" or (first.strip() == b"{" and not documents):
            message = (
                f"{file}: expected a JSON object a line; `jq -c '.[]'` makes lines of an array, `jq -c .` of objects"
            )
            raise FileError(message)
        columns = list(dict.fromkeys(name for document in documents for name in _names(document, (), reading.each)))
        search = [replace(column, names=column.names[:1]) for column in wanted(own, schema)]
        needed = len(own.device) + 1
        if documents:
            find(file, columns, search[:needed])
        absent = [field.names[0] for field in search[needed:] if field.names[0] not in columns]
        self.notes = [f"{file}: none of the first {len(lines):,} lines has the field `{name}`" for name in absent]
        if not reading.time and any(type(document.get(own.time[0])) is str for document in documents[:1]):
            own = replace(own, unit=Unit.ISO)
        self._decoder = Json(time=TimeText.ISO).decoder(own)

    def progress(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._lines.progress()

    def batches(self, size: int) -> Iterator[tuple[Records, Decoded]]:
        """Read the rows."""
        first = 0
        with Lines(self._file) as self._lines:
            while lines := self._lines.take(size):
                values = list(map(bytes.strip, not_blank(lines)))
                count = len(values)
                if not count:
                    continue
                records = replace(Records.numbered(self._file.name, first, count), values=Binary.of(values))
                yield records, self._decoder.decode(records)
                first += count


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _names(document: Mapping[str, Any], path: tuple[str, ...], each: tuple[str, ...]) -> Iterator[str]:
    """Give the paths of all fields, of nested ones too, and of those in the list at the path `each`."""
    for name, value in document.items():
        inner = (*path, name)
        yield ".".join(inner)
        for item in value if isinstance(value, list) and inner == each else [value]:
            if isinstance(item, dict):
                yield from _names(item, inner, each)
