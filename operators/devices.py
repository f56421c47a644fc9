"""The device table of a shard: device id to slot, the row of that device in every state array."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

_SAFE = "".join(chr(code) for code in range(128) if chr(code) not in "/%")


def join_id(parts: Sequence[str]) -> bytes:
    """Make the id of a device that is named by one field or by several.

    Several parts are joined by `/`; a `/` or `%` inside a part is percent-encoded (RFC 3986), so different devices
    never share an id. A single part is the id as it is.

    >>> join_id(["berlin", "a/b"])
    b'berlin/a%2Fb'
    """
    if len(parts) == 1:
        return parts[0].encode()
    return "/".join(quote(part, safe=_SAFE) if "/" in part or "%" in part else part for part in parts).encode()


def split_id(device: bytes, parts: int) -> list[str]:
    """Undo `join_id`. An id that isn't UTF-8 (a binary record key) is shown with backslash escapes.

    >>> split_id(b"berlin/a%2Fb", 2)
    ['berlin', 'a/b']
    """
    text = device.decode("utf-8", "backslashreplace")
    return [text] if parts == 1 else [unquote(part) for part in text.split("/")]


class DeviceTable:
    """Slots for device ids, given out in the order in which the devices are first seen.

    Ids are any bytes. The table only grows, so a slot keeps its meaning for the life of the shard.

    >>> devices = DeviceTable(("site", "sensor"))
    >>> devices.slots([b"a/1", b"a/2", b"a/1"]).tolist()
    [0, 1, 0]
    >>> devices.ids(np.array([1]))
    [b'a/2']
    >>> devices.texts(1)
    ['1', '2']
    """

    def __init__(self, names: tuple[str, ...], resume: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Make an empty table, or the one that `snapshot` copied.

        Args:
            names: the fields that name a device, in the order of the parts of its id.
            resume: what `snapshot` gave.
        """
        self.names = names
        # A missing key takes the next slot inside the dict's own lookup: no Python code runs per event.
        self._slots: defaultdict[bytes, int] = defaultdict(count().__next__)
        self._ids: list[bytes] = []
        self._texts: list[list[str]] = [[] for _ in names]
        if resume is not None:
            ends = np.cumsum(resume["lengths"]).tolist()
            data = resume["bytes"].tobytes()
            self.slots([data[end - size : end] for end, size in zip(ends, resume["lengths"].tolist(), strict=True)])

    def __len__(self) -> int:
        """Count the devices seen so far."""
        return len(self._ids)

    def slots(self, ids: Sequence[bytes]) -> NDArray[np.uint32]:
        """Look up the slot of each id; ids not seen before get the next free ones."""
        found = np.fromiter(map(self._slots.__getitem__, ids), np.uint32, len(ids))
        new = len(self._slots) - len(self._ids)
        if new:
            added = list(islice(reversed(self._slots), new))[::-1]
            self._ids += added
            for device in added:
                for texts, part in zip(self._texts, split_id(device, len(self.names)), strict=True):
                    texts.append(part)
        return found

    def ids(self, slots: NDArray[Any]) -> list[bytes]:
        """Give the id of each slot."""
        return list(map(self._ids.__getitem__, slots.tolist()))

    def texts(self, part: int) -> list[str]:
        """Give one part of the id of every device, by slot. The list grows with the table; don't change it."""
        return self._texts[part]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copy the table: `bytes` uint8, all ids behind each other, and `lengths` int64, one a slot."""
        return {
            "bytes": np.frombuffer(b"".join(self._ids), np.uint8).copy(),
            "lengths": np.array([len(device) for device in self._ids], np.int64),
        }
