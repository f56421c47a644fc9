"""The device table of a shard: device id to slot, the row of that device in every state array."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import islice
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

    Ids are any bytes. A slot keeps its meaning until its device is forgotten; then the next new device gets it.

    >>> devices = DeviceTable(("site", "sensor"))
    >>> devices.slots([b"a/1", b"a/2", b"a/1"]).tolist()
    [0, 1, 0]
    >>> devices.ids(np.array([1]))
    [b'a/2']
    >>> devices.texts(1)
    ['1', '2']
    >>> devices.forget([0])
    >>> devices.slots([b"b/1"]).tolist()
    [0]
    """

    def __init__(self, names: tuple[str, ...], resume: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Make an empty table, or the one that `snapshot` copied.

        Args:
            names: the fields that name a device, in the order of the parts of its id.
            resume: what `snapshot` gave.
        """
        self.names = names
        # A missing key takes a slot inside the dict's own lookup: no Python code runs for a device that is known.
        self._slots: defaultdict[bytes, int] = defaultdict(self._take_slot)
        self._ids: list[bytes] = []
        self._texts: list[list[str]] = [[] for _ in names]
        self._free: list[int] = []
        self._taken: list[int] = []
        if resume is not None:
            ends = np.cumsum(resume["lengths"]).tolist()
            data = resume["bytes"].tobytes()
            ids = [data[end - size : end] for end, size in zip(ends, resume["lengths"].tolist(), strict=True)]
            free = set(resume["free"].tolist())
            self._ids = ids
            self._texts = [
                list(part) for part in zip(*(split_id(device, len(names)) for device in ids), strict=True)
            ] or [[] for _ in names]
            self._slots.update((device, slot) for slot, device in enumerate(ids) if slot not in free)
            self._free = resume["free"].tolist()

    def __len__(self) -> int:
        """Count the devices that have a slot."""
        return len(self._slots)

    def slots(self, ids: Sequence[bytes]) -> NDArray[np.uint32]:
        """Look up the slot of each id; an id that has none gets one that is free."""
        found = np.fromiter(map(self._slots.__getitem__, ids), np.uint32, len(ids))
        if self._taken:
            self._name(list(islice(reversed(self._slots), len(self._taken)))[::-1])
        return found

    def forget(self, slots: Sequence[int]) -> None:
        """Free the slots of devices. Their names are kept until the slots are used again."""
        for slot in slots:
            del self._slots[self._ids[slot]]
        self._free += slots

    def view(self) -> DeviceTable:
        """Give the table as it is now, for rows that are written out when slots may have been used again."""
        return copy(self)

    def ids(self, slots: NDArray[Any]) -> list[bytes]:
        """Give the id of each slot."""
        return list(map(self._ids.__getitem__, slots.tolist()))

    def texts(self, part: int) -> list[str]:
        """Give one part of the id of every device, by slot. The list grows with the table; don't change it."""
        return self._texts[part]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copy the table: `bytes` uint8, all ids behind each other, `lengths` int64, one a slot, and the `free` slots."""
        return {
            "bytes": np.frombuffer(b"".join(self._ids), np.uint8).copy(),
            "lengths": np.array([len(device) for device in self._ids], np.int64),
            "free": np.array(self._free, np.int64),
        }

    def _take_slot(self) -> int:
        slot = self._free.pop() if self._free else len(self._slots)
        self._taken.append(slot)
        return slot

    def _name(self, added: list[bytes]) -> None:
        """Give the slots just taken their names."""
        if any(slot < len(self._ids) for slot in self._taken):
            # Rows that are still to be written out name their devices by the lists as they were.
            self._ids = self._ids.copy()
            self._texts = [texts.copy() for texts in self._texts]
        for slot, device in zip(self._taken, added, strict=True):
            parts = split_id(device, len(self.names))
            if slot == len(self._ids):
                self._ids.append(device)
                for texts, part in zip(self._texts, parts, strict=True):
                    texts.append(part)
            else:
                self._ids[slot] = device
                for texts, part in zip(self._texts, parts, strict=True):
                    texts[slot] = part
        self._taken = []
