"""Columns, and the name of the device, out of the headers of records, whatever the format of their values.

A header's value is bytes. What they say is written out as text: numbers in decimal notation, `true` and `false`. The values
of a batch are looked up by a kernel, and each that is new in it is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Dead, Decoded, Decoder, HeaderField, Reading, Records
from connectors.codec.documents import LONGEST_ID, show
from connectors.codec.put import code_of
from operators.batch import MISSING_BOOL, MISSING_INT, Column, Text, Type, take_rows
from operators.binary import Binary
from operators.kernel import kernel

_WHOLE = re.compile(rb"[+-]?[0-9]+")
_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def with_headers(decoder: Decoder, reading: Reading) -> Decoder:
    """Let a format's decoder give what a pipeline reads of headers too; the decoder as it is where it reads none.

    A record with a header that doesn't fit is dead, whatever stands in its value.
    """
    return _Decoder(decoder, reading) if reading.header_names() else decoder


class _Decoder:
    def __init__(self, decoder: Decoder, reading: Reading) -> None:
        self._decoder = decoder
        self._reading = reading

    def decode(self, records: Records) -> Decoded:
        bad: dict[int, str] = {}
        keys = self._device(records, bad) if self._reading.device_header else records.keys
        columns = {field.name: _column(records.headers[field.header], field, bad) for field in self._reading.headers}
        decoded = self._decoder.decode(replace(records, keys=keys, headers={}))
        if not bad and decoded.offset is records.offset:
            return replace(decoded, columns={**decoded.columns, **columns})
        # A record may have given no row or several; they share its offset.
        row = np.searchsorted(records.offset, decoded.offset)
        own = {name: take_rows(column, row) for name, column in columns.items()}
        found = replace(decoded, columns={**decoded.columns, **own})
        return _without(found, row, bad) if bad else found

    def _device(self, records: Records, bad: dict[int, str]) -> Binary:
        """Give the header in place of the record's key."""
        name = self._reading.device_header
        device = records.headers[name]
        for row in np.flatnonzero((device.size <= 0) | (device.size > LONGEST_ID)).tolist():
            size = int(device.size[row])
            given = "a record without it" if size < 0 else f"{size:,} bytes" if size else "an empty one"
            bad[row] = f"header `{name}`: expected 1 to {LONGEST_ID:,} bytes that name the device, given {given}"
        return device


def _without(decoded: Decoded, row: NDArray[np.intp], bad: Mapping[int, str]) -> Decoded:
    """Leave out the rows of records that are bad; `row` says of which record each is."""
    reasons = {**dict(decoded.dead), **bad}
    dead = [Dead(at, reasons[at]) for at in sorted(reasons)]
    return replace(decoded.take(~np.isin(row, list(bad))), dead=dead)


class _Kind(NamedTuple):
    """How a type is read.

    Attributes:
        parse: raises a ValueError for bytes that don't fit.
        expected: what would, in words.
        missing: stands for a missing value.
        dtype: of the column; None for text.
    """

    parse: Callable[[bytes], Any]
    expected: str
    missing: Any
    dtype: Any


def _column(values: Binary, field: HeaderField, bad: dict[int, str]) -> Column:
    """Parse a header of each record; note those for which that fails."""
    kind = _KINDS[field.type]
    codes, distinct = _coded(values)
    parsed, wrong = [], []
    for code, raw in enumerate(distinct):
        try:
            parsed.append(kind.parse(raw))
        except ValueError:  # a UnicodeDecodeError is one
            parsed.append(kind.missing)
            wrong.append(code)
    for row in np.flatnonzero(np.isin(codes, wrong)).tolist() if wrong else ():
        given = _show(distinct[codes[row]])
        bad.setdefault(row, f"header `{field.header}`: expected {kind.expected}, given {given}")
    if kind.dtype is None:
        return Text(codes, parsed)
    column: NDArray[Any] = np.array([*parsed, kind.missing], kind.dtype)[codes]  # code -1 is the last
    return column


def _coded(values: Binary) -> tuple[NDArray[np.int32], list[bytes]]:
    """Give the code of each value, -1 where it is missing, and what the codes stand for."""
    rows = len(values)
    codes, spans, counts = np.empty(rows, np.int32), np.empty((2, rows), np.int64), np.zeros(1, np.int64)
    table = np.full(1 << (2 * rows).bit_length(), -1, np.int32)
    _code(values.data, values.begin, values.size, codes, spans, counts, table)
    # Packed: the buffer holds all that was read, and may be large.
    return codes, Binary(values.data, *spans[:, : int(counts[0])]).packed().values()


@kernel
def _code(data, begin, size, codes, spans, counts, table):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Look every value up; see `connectors.codec.put.code_of`."""
    for row in range(len(begin)):
        codes[row] = -1
        if size[row] >= 0:
            codes[row] = code_of(data, begin[row], begin[row] + size[row], spans, counts, 0, table)


def _float(raw: bytes) -> float:
    value = float(_fitting(_DECIMAL, raw))
    if not isfinite(value):
        raise ValueError
    return value


def _int(raw: bytes) -> int:
    value = int(_fitting(_WHOLE, raw))
    if abs(value) >= -MISSING_INT:
        raise ValueError
    return value


def _bool(raw: bytes) -> bool:
    return (b"false", b"true").index(raw) == 1


def _fitting(pattern: re.Pattern[bytes], raw: bytes) -> bytes:
    """Give what matches: Python takes more for a number, such as `1_000`, ` 5` and `nan`."""
    if not pattern.fullmatch(raw):
        raise ValueError
    return raw


_KINDS: Mapping[Type, _Kind] = {
    Type.FLOAT: _Kind(_float, "a number", np.nan, np.float64),
    Type.INT: _Kind(_int, "a whole number of at most 64 bits", MISSING_INT, np.int64),
    Type.BOOL: _Kind(_bool, "true or false", MISSING_BOOL, np.int8),
    Type.TEXT: _Kind(bytes.decode, "text in UTF-8", "", None),
}


def _show(raw: bytes) -> str:
    try:
        return show(raw.decode())
    except UnicodeDecodeError:
        return show(raw)
