"""The headers of messages: found by librdkafka and copied by kernels, like the messages themselves.

librdkafka parses a message's headers when it is first asked for them. What it makes of them is the message's and is freed
with it, so a value has to be copied before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectors.kafka import memory
from connectors.kafka.librdkafka import ERR, Library
from operators.kernel import kernel


class Headers:
    """Finds and copies the last header of each name. Headers that can't be parsed are none, as for confluent-kafka.

    Args:
        library: to call.
        names: of the headers; without a zero byte.
        most: messages at a time.
    """

    def __init__(self, library: Library, names: Sequence[str], most: int) -> None:
        """Make room."""
        self._library = library
        written = [name.encode() + b"\0" for name in names]
        self._names = np.frombuffer(bytearray(b"".join(written)), np.uint8)
        self._starts = np.cumsum([0, *map(len, written)])[:-1].astype(np.int64)
        self._found = np.empty((len(names), 2, most), np.int64)

    def find(self, messages: NDArray[np.int64]) -> int:
        """Find the headers of messages, by their addresses; gives how many bytes the values have."""
        functions = self._library.headers, self._library.last_header
        return int(_find(messages, *functions, self._names, self._starts, np.empty(3, np.int64), self._found))

    def copy(self, count: int, data: NDArray[np.uint8], filled: int) -> NDArray[np.int64]:
        """Copy what was found in `count` messages, which aren't freed yet, into `data` from `filled` on.

        Returns:
            int64 (names, 2, count): where each value begins, and its size; -1 where there is none.
        """
        places = np.empty((len(self._starts), 2, count), np.int64)
        _copy(self._found, data, filled, places)
        return places


@kernel
def _find(messages, headers, last, names, starts, scratch, found):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note the address of each value and its size; gives how many bytes all have."""
    size = 0
    out = memory.address(scratch)
    for row in range(len(messages)):
        for name in range(len(starts)):
            found[name, 1, row] = -1
        message = messages[row]
        if memory.int32(message + ERR) != 0 or np.int32(memory.call(headers, message, out)) != 0:
            continue
        parsed = memory.int64(out)
        for name in range(len(starts)):
            wanted = memory.address(names) + starts[name]
            missing = np.int32(memory.call_of_four(last, parsed, wanted, out + 8, out + 16)) != 0
            if not missing and memory.int64(out + 8) != 0:
                found[name, 0, row], found[name, 1, row] = memory.int64(out + 8), memory.int64(out + 16)
                size += found[name, 1, row]
    return size


@kernel
def _copy(found, data, filled, places):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Copy the values behind each other."""
    for name in range(len(places)):
        for row in range(places.shape[2]):
            size = found[name, 1, row]
            places[name, 0, row], places[name, 1, row] = filled, size
            if size > 0:
                memory.copy(found[name, 0, row], size, data, filled)
                filled += size
