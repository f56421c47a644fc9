"""The device table of a shard: device id to slot, the row of that device in every state array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from operators.binary import Binary, copy_bytes, equal, hash_bytes
from operators.kernel import kernel

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


_BEGIN, _SIZE, _HASH, _TAKEN, _SPAN = range(5)
"""What stands of a slot in its span, and how many things that are."""
_SLOTS, _USED, _FREE = range(3)
"""What is counted."""
_MARK = 0x7FFFFFFF
"""The part of a hash that stands beside a slot."""


def join_ids(parts: Sequence[Binary]) -> Binary:
    """Make the ids of devices as `join_id` does: parts in UTF-8, a column each. An id is missing where a part is.

    >>> join_ids([Binary.of([b"berlin", b"rome"]), Binary.of([b"a/b", None])]).to_list()
    [b'berlin/a%2Fb', None]
    """
    if len(parts) == 1:
        return parts[0]
    sizes = np.array([part.size for part in parts])
    most = np.maximum(sizes, 0).sum(axis=0) * 3 + len(parts)
    begin = np.cumsum(most) - most
    data = np.empty(int(most.sum()), np.uint8)
    end = begin.copy()
    for part in parts:
        _append(part.data, part.begin, part.size, data, end)
    size = end - begin - 1
    size[(sizes < 0).any(axis=0)] = -1
    return Binary(data, begin, size)


def split_ids(ids: Binary, parts: int) -> list[Binary]:
    """Give the parts of ids, a column each; missing where an id has to be looked at by `split_id`, for its `%`.

    >>> [part.to_list() for part in split_ids(Binary.of([b"berlin/a", b"berlin/a%2Fb"]), 2)]
    [[b'berlin', None], [b'a', None]]
    """
    if parts == 1:
        return [ids]
    spans = np.full((parts, 2, len(ids)), -1)
    _split(ids.data, ids.begin, ids.size, spans)
    return [Binary(ids.data, *span) for span in spans]


class DeviceTable:
    """Slots for device ids, given out in the order in which the devices are first seen.

    Ids are any bytes. A slot keeps its meaning until its device is forgotten; then the next new device gets it.

    >>> devices = DeviceTable(("site", "sensor"))
    >>> devices.slots(Binary.of([b"a/1", b"a/2", b"a/1"])).tolist()
    [0, 1, 0]
    >>> devices.ids(np.array([1])).values()
    [b'a/2']
    >>> devices.texts(1)
    ['1', '2']
    >>> devices.forget(np.array([0]))
    >>> devices.slots(Binary.of([b"b/1"])).tolist()
    [0]
    """

    def __init__(self, names: tuple[str, ...], resume: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Make an empty table, or the one that `snapshot` copied.

        Args:
            names: the fields that name a device, in the order of the parts of its id.
            resume: what `snapshot` gave.
        """
        self.names = names
        self._texts: list[list[str]] = [[] for _ in names]
        """By part, the text of each slot that was asked for."""
        self._renamed: list[int] = []
        """Slots that have another device since the texts were made."""
        resume = resume or {
            "bytes": np.empty(0, np.uint8),
            "lengths": np.empty(0, np.int64),
            "free": np.empty(0, np.int64),
        }
        lengths, free = resume["lengths"], resume["free"]
        slots = len(lengths)
        self._arena = resume["bytes"].copy()
        """uint8: all ids behind each other."""
        self._spans = np.zeros((slots, _SPAN), np.int64)
        """By slot: where its id begins in the arena, its length, its hash, and whether it has a device."""
        self._spans[:, _BEGIN] = np.cumsum(lengths) - lengths
        self._spans[:, _SIZE] = lengths
        self._spans[:, _TAKEN] = 1
        self._spans[free, _TAKEN] = 0
        self._free = free.copy()
        """The slots that are free, the next to be given out last."""
        self._counts = np.array([slots, len(self._arena), len(free)])
        """How many slots were ever given out, bytes of the arena are used, slots are free."""
        self._table = np.empty(0, np.int64)
        """Open addressing (linear probing): a slot and a part of its hash, or -1."""
        self._make_table(max(64, 4 * len(self)))

    def __len__(self) -> int:
        """Count the devices that have a slot."""
        return int(self._counts[_SLOTS] - self._counts[_FREE])

    def slots(self, ids: Binary) -> NDArray[np.uint32]:
        """Look up the slot of each id; an id that has none gets one that is free."""
        found = np.empty(len(ids), np.uint32)
        free = int(self._counts[_FREE])
        row, own = 0, False
        while True:
            row = _look_up(
                ids.data,
                ids.begin,
                ids.size,
                row,
                self._table,
                self._arena,
                self._spans,
                self._free,
                self._counts,
                own,
                found,
            )
            if row == len(ids):
                break
            self._make_room(int(ids.size[row]))
            if not own and self._counts[_FREE]:
                # Rows that are still to be written out name their devices by the arrays as they were.
                self._spans, own = self._spans.copy(), True
        self._rename(self._free[int(self._counts[_FREE]) : free])
        return found

    def forget(self, slots: NDArray[Any]) -> None:
        """Free the slots of devices. Their names are kept until the slots are used again."""
        count = int(self._counts[_FREE])
        if count + len(slots) > len(self._free):
            self._free = np.concatenate([self._free, np.empty(count + len(slots), np.int64)])
        self._free[count : count + len(slots)] = slots
        self._counts[_FREE] += len(slots)
        _remove(slots.astype(np.int64), self._table, self._spans)

    def view(self) -> DeviceTable:
        """Give the table as it is now, for rows that are written out when slots may have been used again."""
        view = copy(self)
        view._counts = self._counts.copy()  # noqa: SLF001  # its own
        return view

    def ids(self, slots: NDArray[Any]) -> Binary:
        """Give the id of each slot."""
        return Binary(self._arena, self._spans[slots, _BEGIN], self._spans[slots, _SIZE])

    def texts(self, part: int) -> list[str]:
        """Give one part of the id of every device, by slot. The list grows with the table; don't change it."""
        new = np.arange(len(self._texts[0]), self._counts[_SLOTS])
        if self._renamed:
            self._texts = [texts.copy() for texts in self._texts]
        for texts in self._texts:
            texts.extend([""] * len(new))
        slots = np.concatenate([np.array(self._renamed, np.int64), new])
        for slot, device in zip(slots.tolist(), self.ids(slots).values(), strict=True):
            for texts, text in zip(self._texts, split_id(device, len(self.names)), strict=True):
                texts[slot] = text
        self._renamed = []
        return self._texts[part]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copy the table: `bytes` uint8, all ids behind each other, `lengths` int64, one a slot, and the `free` slots."""
        ids = self.ids(np.arange(self._counts[_SLOTS])).packed()
        return {"bytes": ids.data, "lengths": ids.size, "free": self._free[: int(self._counts[_FREE])].copy()}

    def _rename(self, slots: NDArray[np.int64]) -> None:
        """Note that slots have new devices. A view may still ask for the texts of the old ones."""
        if not len(slots):
            return
        self._renamed = [*self._renamed, *slots.tolist()]
        self._texts = [texts.copy() for texts in self._texts]
        if len(self._renamed) > len(self._texts[0]):  # nobody has asked for long
            self._texts, self._renamed = [[] for _ in self.names], []

    def _make_room(self, size: int) -> None:
        """Make room for one more device whose id has `size` bytes, and for many more where there is none."""
        slots, used, free = self._counts.tolist()
        if 2 * (slots - free + 1) > len(self._table):
            self._make_table(2 * len(self._table))
        if slots == len(self._spans):
            self._spans = np.concatenate([self._spans, np.zeros((max(slots, 64), _SPAN), np.int64)])
        if used + size > len(self._arena):
            held = self.ids(np.arange(slots)).packed()
            self._arena = np.empty(max(1_024, 2 * (len(held.data) + size)), np.uint8)
            self._arena[: len(held.data)] = held.data
            self._spans = self._spans.copy()
            self._spans[:slots, _BEGIN] = held.begin
            self._counts[_USED] = len(held.data)

    def _make_table(self, least: int) -> None:
        self._table = np.full(1 << (least - 1).bit_length(), -1, np.int64)
        _fill(self._arena, self._spans, int(self._counts[_SLOTS]), self._table)


@kernel
def _append(data, begin, size, out, end):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write a part of each id and a `/` behind it; a part with a `/` or `%` in it is percent-encoded."""
    for row in range(len(begin)):
        at, last, place = begin[row], begin[row] + size[row], end[row]
        quoted = False
        for here in range(at, last):
            quoted |= data[here] == 47 or data[here] == 37
        for here in range(at, last):
            letter = data[here]
            if quoted and (letter in (47, 37) or letter > 127):
                out[place] = 37
                for half in range(2):
                    digit = letter >> 4 if half == 0 else letter & 15
                    out[place + 1 + half] = digit + (48 if digit < 10 else 55)
                place += 3
            else:
                out[place] = letter
                place += 1
        out[place] = 47
        end[row] = place + 1


@kernel
def _split(data, begin, size, spans):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the parts of each id; an id with a `%`, or of another number of parts, has none."""
    for row in range(len(begin)):
        slashes, quoted = 0, False
        for at in range(begin[row], begin[row] + size[row]):
            slashes += data[at] == 47
            quoted |= data[at] == 37
        if quoted or slashes != len(spans) - 1:
            continue
        part, first = 0, begin[row]
        for at in range(begin[row], begin[row] + size[row] + 1):
            if at == begin[row] + size[row] or data[at] == 47:
                spans[part, 0, row], spans[part, 1, row] = first, at - first
                part += 1
                first = at + 1


@kernel
def _look_up(data, begin, size, row, table, arena, spans, free, counts, own, found):  # type: ignore[no-untyped-def]  # compiled
    """Look ids up from `row` on; stops before a row that needs more room, or a slot that is free while spans aren't `own`."""
    mask = len(table) - 1
    while row < len(begin):
        at, length = begin[row], size[row]
        hash_ = np.int64(hash_bytes(data, at, length))
        mark = (hash_ >> 32) & _MARK
        place = hash_ & mask
        slot = np.int64(-1)
        while table[place] >= 0:
            known = table[place] & 0xFFFFFFFF
            if (
                table[place] >> 32 == mark
                and spans[known, _SIZE] == length
                and equal(data, at, arena, spans[known, _BEGIN], length)
            ):
                slot = known
                break
            place = (place + 1) & mask
        if slot < 0:
            slots, used, spare = counts[_SLOTS], counts[_USED], counts[_FREE]
            if 2 * (slots - spare + 1) > len(table) or used + length > len(arena):
                return row
            if spare > 0:
                if not own:
                    return row
                slot = free[spare - 1]
                counts[_FREE] -= 1
            else:
                if slots == len(spans):
                    return row
                slot = slots
                counts[_SLOTS] += 1
            copy_bytes(data, at, length, arena, used)
            counts[_USED] += length
            spans[slot, _BEGIN], spans[slot, _SIZE], spans[slot, _HASH], spans[slot, _TAKEN] = used, length, hash_, 1
            table[place] = mark << 32 | slot
        found[row] = slot
        row += 1
    return row


@kernel
def _fill(arena, spans, slots, table):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put every slot that has a device into an empty table."""
    mask = len(table) - 1
    for slot in range(slots):
        if spans[slot, _TAKEN]:
            hash_ = np.int64(hash_bytes(arena, spans[slot, _BEGIN], spans[slot, _SIZE]))
            spans[slot, _HASH] = hash_
            place = hash_ & mask
            while table[place] >= 0:
                place = (place + 1) & mask
            table[place] = ((hash_ >> 32) & _MARK) << 32 | slot


@kernel
def _remove(slots, table, spans):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Take slots out of the table (Knuth, "The Art of Computer Programming" 3, 6.4, algorithm R)."""
    mask = len(table) - 1
    for slot in slots:
        spans[slot, _TAKEN] = 0
        place = spans[slot, _HASH] & mask
        while table[place] & 0xFFFFFFFF != slot:
            place = (place + 1) & mask
        hole = place
        while True:
            place = (place + 1) & mask
            if table[place] < 0:
                break
            home = spans[table[place] & 0xFFFFFFFF, _HASH] & mask
            if (place - home) & mask >= (place - hole) & mask:
                table[hole] = table[place]
                hole = place
        table[hole] = -1
