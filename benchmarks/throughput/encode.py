"""Readings as the bytes of messages: JSON, and Avro without a header."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.throughput.readings import Readings
from operators.kernel import kernel

ROOM = 192
"""Bytes that no message is longer than."""
KEY = b"meter-0000000"
"""The shape of a device's name, which is a message's key."""


def name(device: int) -> str:
    """Name a device.

    Examples:
        >>> name(42)
        'meter-0000042'
    """
    return f"meter-{device:07d}"


class Encoder:
    """Encodes readings in turn, into memory that is used again for the next ones.

    Args:
        format_: json, avro, or stafford: the nested JSON of workload W1.
        most: readings at a time.
    """

    def __init__(self, format_: str, most: int) -> None:
        self._kernel: Any = {"json": _json, "avro": _avro, "stafford": _stafford}[format_]
        self.buffer: NDArray[np.uint8] = np.empty(most * ROOM, np.uint8)
        self.keys: NDArray[np.uint8] = np.empty(most * len(KEY), np.uint8)
        self.starts: NDArray[np.int64] = np.empty(most + 1, np.int64)

    def encode(self, readings: Readings, begin: int, end: int) -> int:
        """Encode a slice of readings; message `i` is `buffer[starts[i]:starts[i + 1]]`. Gives how many there are."""
        cut = slice(begin, end)
        device = readings.device[cut]
        _keys(device, self.keys)
        self._kernel(device, readings.ts[cut], readings.centi[cut], self.buffer, self.starts)
        return len(device)


@kernel(inline="always")
def _digits(out, at, number, width):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write a whole number with leading zeros; gives the place behind it."""
    for place in range(at + width - 1, at - 1, -1):
        out[place] = 48 + number % 10
        number //= 10
    return at + width


@kernel(inline="always")
def _number(out, at, number):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write a whole number that isn't negative; gives the place behind it."""
    width = 1
    rest = number // 10
    while rest > 0:
        width += 1
        rest //= 10
    return _digits(out, at, number, width)


@kernel(inline="always")
def _copy(out, at, text):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write bytes; gives the place behind them."""
    for place in range(len(text)):
        out[at + place] = text[place]
    return at + len(text)


@kernel
def _keys(device, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(device)):
        at = _copy(out, 13 * row, b"meter-")
        _digits(out, at, np.int64(device[row]), 7)


@kernel
def _json(device, ts, centi, out, starts):  # type: ignore[no-untyped-def]  # compiled: numba infers
    at = 0
    for row in range(len(device)):
        starts[row] = at
        at = _copy(out, at, b'{"id":"meter-')
        at = _digits(out, at, np.int64(device[row]), 7)
        at = _copy(out, at, b'","ts":')
        at = _number(out, at, ts[row])
        at = _copy(out, at, b',"watts":')
        at = _number(out, at, centi[row] // 100)
        at = _copy(out, at, b".")
        at = _digits(out, at, centi[row] % 100, 2)
        at = _copy(out, at, b"}")
    starts[len(device)] = at


@kernel
def _stafford(device, ts, centi, out, starts):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write the nested shape of the stafford sensors; of 10 W to 1,000 W come 1.00 to 100.00 degrees."""
    at = 0
    for row in range(len(device)):
        starts[row] = at
        at = _copy(out, at, b'{"device_id":"meter-')
        at = _digits(out, at, np.int64(device[row]), 7)
        at = _copy(out, at, b'","ts":')
        at = _number(out, at, ts[row] // 1000)
        at = _copy(out, at, b".")
        at = _digits(out, at, ts[row] % 1000, 3)
        at = _copy(out, at, b',"data":{"co":0.0049559,"humidity":')
        at = _number(out, at, 30 + centi[row] % 60)
        at = _copy(out, at, b'.5,"light":false,"lpg":0.0076508,"motion":true,"smoke":0.0204112,"temp":')
        at = _number(out, at, centi[row] // 1000)
        at = _copy(out, at, b".")
        at = _digits(out, at, centi[row] // 10 % 100, 2)
        at = _copy(out, at, b"}}")
    starts[len(device)] = at


@kernel
def _avro(device, ts, centi, out, starts):  # type: ignore[no-untyped-def]  # compiled: numba infers
    at = 0
    watts = np.float64(0)
    for row in range(len(device)):
        starts[row] = at
        out[at] = 26  # the length of the name, 13, as a zigzag varint
        at = _copy(out, at + 1, b"meter-")
        at = _digits(out, at, np.int64(device[row]), 7)
        left = np.uint64(ts[row]) << np.uint64(1)
        while left >= np.uint64(128):
            out[at] = (left & np.uint64(127)) | np.uint64(128)
            left >>= np.uint64(7)
            at += 1
        out[at] = left
        at += 1
        watts = centi[row] / 100
        bits = np.float64(watts).view(np.uint64)
        for _ in range(8):
            out[at] = bits & np.uint64(255)
            bits >>= np.uint64(8)
            at += 1
    starts[len(device)] = at
