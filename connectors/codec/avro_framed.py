"""Avro in the wire format of Confluent's registry: a byte 0, the schema's id as four bytes (big-endian), and a datum.

Records of a batch are grouped by their ids. Each schema has a decoder of its own, so a batch with one id, as nearly all
have, costs what it costs without a header. Schemas are kept; that one isn't known is kept for half a minute, for it may have
been registered since. Ids that aren't known are looked up at most so many times a minute: records with ever new ones, as
of something else than this format, mustn't keep the registry busy and the pipeline waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.codec.avro_decoder import decoder_of
from connectors.codec.avro_schema import difference, missing_fields
from connectors.codec.base import Dead, Decoded, Decoder, Reading, Records
from connectors.codec.documents import LONGEST_REASON, Documents
from connectors.codec.registry import UnfitSchemaError, UnknownSchemaError
from operators.binary import Binary
from operators.kernel import kernel

HEAD = 5
"""Bytes before a datum."""
_LARGEST_ID = 2**31 - 1
"""A registry's ids are an int of Java."""
_KEPT = 1_000
"""Decoders that are kept, the last used ones."""
_FORGET = 30.0
"""Seconds for which an id that isn't known is taken for one still."""
_MINUTE = 60.0
_ASKED = 100
"""Ids that turn out not to be known that are asked for a minute."""


def head(number: int) -> bytes:
    """Give what stands before a datum of the schema with this id.

    >>> head(7).hex()
    '0000000007'
    """
    return b"\0" + number.to_bytes(4, "big")


class FramedDecoder:
    """Reads data of any schemas of a registry.

    Args:
        schema_of: gives a parsed schema by its id, as `Registry.schema` does.
        reading: what to read.
        reader: the reader's schema, parsed, with defaults and aliases; None to read what was written.
    """

    def __init__(self, schema_of: Callable[[int], Any], reading: Reading, reader: Any = None) -> None:
        """Ask for nothing yet."""
        self._schema_of = schema_of
        self._reading = reading
        self._reader = reader
        self._kept: dict[int, Decoder | str] = {}
        """By its id a schema's decoder, or why there can't be one; the one that was used last is the last."""
        self._unknown: dict[int, tuple[float, str]] = {}
        """By its id until when it is taken for one that the registry doesn't know, and what was said."""
        self._minute, self._asked = 0.0, 0

    def decode(self, records: Records) -> Decoded:
        """Decode what can be decoded.

        Raises:
            RegistryFailure: if a schema is needed and the registry doesn't answer.
        """
        values, ids = records.values, np.empty(len(records), np.int64)
        begin, size = np.empty_like(ids), np.empty_like(ids)
        alike = _read_heads(values.data, values.begin, values.size, ids, begin, size)
        data = replace(records, values=Binary(values.data, begin, size))
        if alike and len(ids):
            found = self._decoder(int(ids[0]))
            if not isinstance(found, str):
                return found.decode(data)
        return self._by_ids(records, data, ids)

    def _by_ids(self, records: Records, data: Records, ids: NDArray[np.int64]) -> Decoded:
        parts: list[tuple[NDArray[np.intp], Decoded]] = []
        dead: dict[int, str] = {}
        for number, rows in _groups(ids):
            found = self._decoder(number)
            if not isinstance(found, str):
                group = data.take(rows)
                # Packed, for what is done to the bytes of all records would be done for each group.
                parts.append((rows, found.decode(replace(group, values=group.values.packed()))))
            else:
                dead |= {row: found or _not_framed(records.values[row]) for row in rows.tolist()}
        left = np.array(sorted(dead), np.intp)
        bad = {row: dead[place] for row, place in enumerate(left.tolist())}
        parts.append((left, Documents([{}] * len(left), bad).columns(records.take(left), self._reading)))
        return _together(parts)

    def _decoder(self, number: int) -> Decoder | str:
        """Give the decoder for an id, or why there is none; an empty reason where no id was read."""
        found: Decoder | str
        if number in self._kept:
            self._kept[number] = found = self._kept.pop(number)
            return found
        now = time.monotonic()
        unasked = self._unasked(number, now)
        if unasked is not None:
            return unasked
        try:
            found = self._made(number, self._schema_of(number))
        except UnfitSchemaError as error:
            found = str(error)
        except UnknownSchemaError as error:
            self._asked += 1
            self._unknown = {other: what for other, what in self._unknown.items() if now < what[0]}
            self._unknown[number] = (now + _FORGET, _told(error))
            return _told(error)
        found = _told(found) if isinstance(found, str) else found
        self._kept[number] = found
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    def _unasked(self, number: int, now: float) -> str | None:
        """Say why the registry isn't to be asked for an id; None if it is."""
        if number < 0:
            return ""
        if number > _LARGEST_ID:
            return (
                f"expected the id of a schema, {_LARGEST_ID} at most, given {number}: is it the Confluent wire format?"
            )
        until, reason = self._unknown.get(number, (0.0, ""))
        if now < until:
            return reason
        if now - self._minute > _MINUTE:
            self._minute, self._asked = now, 0
        if self._asked < _ASKED:
            return None
        return f"schema {number} wasn't looked up: the registry didn't know {_ASKED} others within a minute"

    def _made(self, number: int, schema: Any) -> Decoder | str:
        try:
            return self._decoder_of(number, schema)
        except Exception as error:  # noqa: BLE001  # fastavro takes names that are no text, and whatever else
            return f"schema {number} can't be used ({type(error).__name__}: {str(error)[:200]})"

    def _decoder_of(self, number: int, schema: Any) -> Decoder | str:
        """Make the decoder of a schema, unless no datum of it could be read."""
        if self._reader is not None:
            differs = difference(schema, self._reader)
            return f"schema {number} {differs}" if differs else decoder_of(schema, self._reading, self._reader)
        missing = missing_fields(schema, self._reading)
        if not missing:
            return decoder_of(schema, self._reading)
        _, path, there = missing[0]
        if there is None:
            return f"schema {number} has no array `{'.'.join(path)}`"
        within = f"`{'.'.join(path[:-1])}`" if path[:-1] else "it"
        return f"schema {number} has no field `{'.'.join(path)}`: {within} has {there or 'no fields'}"


def _together(parts: Sequence[tuple[NDArray[np.intp], Decoded]]) -> Decoded:
    """Put rows together that were made of some of the records each, and in order: a record's readings share its offset."""
    dead = tuple(sorted(Dead(int(places[row]), reason) for places, part in parts for row, reason in part.dead))
    made = Decoded.concat([part for _, part in parts])
    return replace(made.take(np.argsort(made.offset, kind="stable")), dead=dead)


def _told(reason: object) -> str:
    """Cut a reason short, and see to it that it can be written: a schema may be long, and have names that can't."""
    return str(reason)[:LONGEST_REASON].encode("utf-8", "replace").decode()


def _groups(ids: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Give each id, and the places that it stands at, in order."""
    order = np.argsort(ids, kind="stable")
    found, first = np.unique(ids[order], return_index=True)
    return zip(found.tolist(), np.split(order, first)[1:], strict=True)


def _not_framed(value: bytes | None) -> str:
    """Say why no id was read."""
    if not value:
        return "the record has no value" if value is None else "the record's value is empty"
    given = f"{len(value)} byte{'s' * (len(value) > 1)}" if len(value) < HEAD else f"a first byte of {value[0]}"
    expected = "the Confluent wire format (a byte 0, a schema's id of 4 bytes, a datum)"
    return f"expected {expected}, given {given}; for data without a registry write `schema: FILE.avsc`"


@kernel
def _read_heads(data, begin, size, ids, begin_of_datum, size_of_datum):  # type: ignore[no-untyped-def]  # numba infers
    """Read the id of each record, -1 where there is none, and where its datum stands; gives whether all ids are the same."""
    alike = True
    for row in range(len(begin)):
        at, found = begin[row], np.int64(-1)
        if size[row] >= HEAD and data[at] == 0:
            found = np.int64(data[at + 1]) << 24 | np.int64(data[at + 2]) << 16
            found |= np.int64(data[at + 3]) << 8 | np.int64(data[at + 4])
        ids[row], begin_of_datum[row], size_of_datum[row] = found, at + HEAD, size[row] - HEAD
        alike &= found == ids[0]
    return alike
