"""A column of byte strings: one buffer, and where in it the value of each row stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.kernel import kernel, put_word, word

_FEW = 256
"""Values that are copied one by one: the buffer may be large."""


@dataclass(frozen=True, slots=True)
class Binary:
    """Byte strings, such as the values of records or the ids of devices.

    Attributes:
        data: uint8; values may stand in it in any order, overlap, and leave gaps.
        begin: int64, where each row's value begins.
        size: int64, its length in bytes; -1 where it is missing.

    >>> values = Binary.of([b"on", None, b""])
    >>> values.to_list()
    [b'on', None, b'']
    >>> values.take(np.array([2, 0])).to_list()
    [b'', b'on']
    """

    data: NDArray[np.uint8]
    begin: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.begin)

    def __getitem__(self, row: int) -> bytes | None:
        """Give one value."""
        begin, size = int(self.begin[row]), int(self.size[row])
        return None if size < 0 else self.data[begin : begin + size].tobytes()

    @classmethod
    def of(cls, values: Iterable[bytes | None]) -> Binary:
        """Make a column of values, None where one is missing."""
        # A bytearray, for numba compiles a kernel once more for a buffer that can't be written.
        values = list(values)
        if None in values:
            size = np.array([-1 if value is None else len(value) for value in values], np.int64)
            data = bytearray().join(filter(None, values))
        else:
            size = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]  # none is None
            data = bytearray().join(values)  # type: ignore[arg-type]  # as above
        length = np.maximum(size, 0)
        return cls(np.frombuffer(data, np.uint8), np.cumsum(length) - length, size)

    @classmethod
    def missing(cls, rows: int) -> Binary:
        """Make a column in which every value is missing."""
        return cls(np.empty(0, np.uint8), np.zeros(rows, np.int64), np.full(rows, -1, np.int64))

    @classmethod
    def concat(cls, parts: Sequence[Binary]) -> Binary:
        """Put columns behind each other."""
        shifts = np.cumsum([0, *(len(part.data) for part in parts)])[:-1].tolist()
        return cls(
            np.concatenate([part.data for part in parts]),
            np.concatenate([part.begin + shift for part, shift in zip(parts, shifts, strict=True)]),
            np.concatenate([part.size for part in parts]),
        )

    def values(self) -> list[bytes]:
        """Give the values, an empty one where one is missing."""
        end = self.begin + np.maximum(self.size, 0)
        if len(self) < _FEW:
            return [self.data[at:to].tobytes() for at, to in zip(self.begin.tolist(), end.tolist(), strict=True)]
        return list(map(self.data.tobytes().__getitem__, map(slice, self.begin.tolist(), end.tolist())))

    def to_list(self) -> list[bytes | None]:
        """Give the values, None where one is missing."""
        found: list[bytes | None] = [*self.values()]
        for row in np.flatnonzero(self.size < 0).tolist():
            found[row] = None
        return found

    def take(self, rows: NDArray[Any] | slice) -> Binary:
        """Pick rows by a mask, by indices or by a slice; the bytes stay where they are."""
        return Binary(self.data, self.begin[rows], self.size[rows])

    def replacing(self, rows: NDArray[np.intp], other: Binary) -> Binary:
        """Give the column with the values of another one in some rows.

        >>> Binary.of([b"a", b"b"]).replacing(np.array([1]), Binary.of([b"c"])).values()
        [b'a', b'c']
        """
        order = np.arange(len(self))
        order[rows] = len(self) + np.arange(len(rows))
        return Binary.concat([self, other]).take(order)

    def packed(self) -> Binary:
        """Copy the values into a buffer of their own, without gaps."""
        length = np.maximum(self.size, 0)
        end = np.cumsum(length)
        begin = end - length
        data = np.empty(int(end[-1]) if len(end) else 0, np.uint8)
        gather(self.data, self.begin, self.size, data, begin)
        return Binary(data, begin, self.size)


@kernel
def gather(data, begin, size, out, at):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Copy byte strings to other places."""
    for row in range(len(begin)):
        copy_bytes(data, begin[row], size[row], out, at[row])


@kernel(forceinline=True)
def copy_bytes(data, begin, size, out, at):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Copy `size` bytes from `begin` in `data` to `at` in `out`, eight at a time."""
    done = 0
    while done + 8 <= size:
        put_word(out, at + done, word(data, begin + done))
        done += 8
    while done < size:
        out[at + done] = data[begin + done]
        done += 1


@kernel(forceinline=True)
def first_bytes(data, begin, size):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Give up to 8 bytes as a uint64, zeros behind them; reads nothing beyond the end of `data`."""
    if size <= 0:
        return np.uint64(0)
    if begin + 8 <= len(data):
        found = word(data, begin)
        if size < 8:
            found &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
        return found
    found = np.uint64(0)
    for place in range(min(size, 8)):
        found |= np.uint64(data[begin + place]) << np.uint64(8 * place)
    return found


@kernel(forceinline=True)
def equal(one, at, other, place, size):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Say whether two byte strings of the same length are the same."""
    done = 0
    while done < size:
        if first_bytes(one, at + done, size - done) != first_bytes(other, place + done, size - done):
            return False
        done += 8
    return True


@kernel(forceinline=True)
def hash_bytes(data, begin, size):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Hash a byte string: multiply and fold, eight bytes at a time; not for keys that an attacker chooses freely."""
    found = np.uint64(size) * np.uint64(0x9E3779B97F4A7C15)
    done = 0
    while done < size:
        found = (found ^ first_bytes(data, begin + done, size - done)) * np.uint64(0xD6E8FEB86659FD93)
        found ^= found >> np.uint64(32)
        done += 8
    return found
