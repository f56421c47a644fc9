"""Drop rows that were seen before.

    within 10m     10:00     10:04         10:10   10:11
    seq               7         7             7       7
                      |         duplicate     |       through: 11m behind the first, which is the one remembered
                      through                 duplicate: exactly 10m counts

Two rows of a device have the same key if they are equal in all columns of `by`; a missing value equals a missing value,
and -0.0 equals 0.0. A row is a duplicate if a row with its key whose event time is at most `within` from its own has
been let through and is still remembered. A duplicate isn't remembered itself, so a reading that is sent again and again
comes through once every `within`. A key is forgotten when its device's watermark passes its time by more than
`within`. So a row that comes that far behind its watermark finds nothing to compare itself with: it is let through.
Take `within` as long as rows may come again: for a gateway that sends the last day again, `1d` and more.

Duplicates go to the side output `duplicates`, and time goes on in the main output as if they had passed.

Of a key its SipHash-2-4 with 128 bits is kept (Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012),
with the device and the time as they are. Among n keys that a device has remembered, the chance that a new one is taken
for one of them is n / 2**128: below 10**-32 for a million. Where somebody makes keys collide on purpose, for the hash has
no secret, he can hide rows of his own device and of no other.

Memory is 64 to 192 bytes a key remembered (32 more for a moment, while the table is made anew) and room for a few
batches. It follows the rate of rows times `within` and lateness, with no limit besides: a device with a million keys
within the horizon costs its shard up to 192 MB, and no row of any device is lost for it. A table that was large becomes
small again as further rows come. What a silent device has sent last stays remembered until it comes again or is
forgotten itself. A snapshot has 32 bytes a key.

Example:
    steps:
      - dedupe: {by: [temperature, humidity], within: 10m}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import repeat
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from operators.base import Inputs, Operator, Outputs, Problem, Snapshot, SpecError
from operators.batch import Batch, Column, Schema, Text
from operators.clock import FORGET
from operators.duration import Duration
from operators.kernel import kernel

_KEY = np.array([0x0706050403020100, 0x0F0E0D0C0B0A0908], np.uint64)
"""The hash's key: the one of the vectors that its authors have published."""
_LEAST = 1_024
"""Entries of the smallest table."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Dedupe(Operator):
    """Drop rows that were seen before."""

    by: Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=list[str] | str)] = Field(
        description="Column or columns that, together with the device, make a row unique, such as `[seq]`. "
        "The time column may be among them.",
        min_length=1,
    )
    within: Duration = Field(
        description="How far apart, in event time, two rows with the same key are still one and the same, such as `10m`."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the same columns out, of the duplicates too."""
        problems = []
        for index, name in enumerate(self.by):
            if name not in schema.names():
                near = difflib.get_close_matches(name, schema.names(), 1)
                fix = f"did you mean `{near[0]}`?" if near else None
                expected = f"a column that exists here: {', '.join(schema.names())}"
                problems.append(Problem(("by", index), expected, f"`{name}`", fix))
        if problems:
            raise SpecError(problems)
        return {"": schema, "duplicates": schema}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state that remembers nothing, or go on from a snapshot."""
        return _State(self, inputs.schema, resume)


class _State:
    def __init__(self, spec: Dedupe, schema: Schema, resume: Snapshot | None) -> None:
        self._within = spec.within
        self._time = schema.time
        self._by = [name for name in dict.fromkeys(spec.by) if name not in schema.device]  # it is in every key
        resume = resume or {"slots": np.empty((2, 0), np.int64), "keys": np.empty((0, 4), np.int64)}
        self._slots: NDArray[np.int64] = resume["slots"].copy()
        """By slot: the device's watermark (us), and how often the slot was forgotten."""
        self._table = np.empty((0, 4), np.int64)
        """An open-addressing table; of an entry the two halves of the key's hash, its time (us), and its owner: the slot plus 1 times
        2**32, plus how often the slot had been forgotten; 0 there where there is no entry."""
        self._used = 0
        self._rebuild(resume["keys"], 0)

    def on_batch(self, batch: Batch) -> Outputs:
        self._reserve(int(batch.device.max(initial=0)) + 1, len(batch))
        duplicate = np.zeros(len(batch), np.bool_)
        self._used += _sift(
            batch.device,
            batch.ts,
            batch.watermark,
            batch.live,
            batch.watermark >= FORGET,
            self._hashes(batch),
            self._within,
            self._slots,
            self._table,
            duplicate,
        )
        return Outputs(batch.keeping(~duplicate), {"duplicates": batch.take(np.flatnonzero(duplicate))})

    def snapshot(self) -> Snapshot:
        return {"slots": self._slots.copy(), "keys": self._remembered()}

    def _hashes(self, batch: Batch) -> NDArray[np.int64]:
        """Hash slot and key of each row, to two words: by its key alone a row 7 of every device had one place."""
        words = [batch.device.astype(np.uint64)]
        for name in self._by:
            words += _words(batch.ts if name == self._time else batch.columns[name])
        data = np.stack(words, axis=1)
        ends = np.arange(1, len(batch) + 1) * data.shape[1] * data.itemsize
        return _hashed(data.reshape(-1).view(np.uint8), ends).view(np.int64)

    def _reserve(self, devices: int, rows: int) -> None:
        """Make room for slots below `devices` and for as many keys as there are rows."""
        known = self._slots.shape[1]
        if devices > known:
            room = np.zeros((2, max(devices, 2 * known) - known), np.int64)
            self._slots = np.concatenate([self._slots, room], axis=1)
        if 2 * (self._used + rows) > len(self._table):
            self._rebuild(self._remembered(), rows)

    def _rebuild(self, keys: NDArray[np.int64], rows: int) -> None:
        """Make the table anew from keys, with room for three times `rows` more before half of it is in use.

        At least two such batches, and half as many keys as are kept, have to come before the next time: an entry is
        moved a few times only on average.
        """
        entries = 1 << (max(3 * len(keys) + 6 * rows, _LEAST) - 1).bit_length()
        self._table = np.empty((0, 4), np.int64)  # gone before the new one comes
        self._table = np.zeros((entries, 4), np.int64)
        self._used = len(keys)
        _put(keys, self._within, self._table)

    def _remembered(self) -> NDArray[np.int64]:
        """Copy the entries that aren't forgotten."""
        kept = np.zeros(len(self._table), np.bool_)
        _keep(self._table, self._slots, self._within, kept)
        return np.asarray(self._table[kept])


def _words(column: Column) -> list[NDArray[np.uint64]]:
    """Give a column as 64-bit words that are equal where the values are: one a row; of a text two."""
    if isinstance(column, Text):
        text = column.compact()
        encoded = list(map(str.encode, text.values, repeat("utf-8"), repeat("surrogatepass")))
        ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        hashes = _hashed(np.frombuffer(b"".join(encoded), np.uint8), ends)
        hashes = np.concatenate([hashes, np.zeros((1, 2), np.uint64)])  # the last is for code -1, a missing value
        return [hashes[text.codes, 0], hashes[text.codes, 1]]
    if column.dtype == np.float64:
        # Adding 0.0 makes -0.0 the same as 0.0; of the many NaN there are only one is left.
        return [np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)]
    return [column.astype(np.int64).view(np.uint64)]


def _hashed(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the stretches of `data` that end where `ends` says; gives two words of each."""
    out = np.empty((len(ends), 2), np.uint64)
    _siphash(data, ends, _KEY, out)
    return out


@kernel
def _round(v0, v1, v2, v3):  # type: ignore[no-untyped-def]  # compiled: numba infers
    v0 += v1
    v1 = ((v1 << np.uint64(13)) | (v1 >> np.uint64(51))) ^ v0
    v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
    v2 += v3
    v3 = ((v3 << np.uint64(16)) | (v3 >> np.uint64(48))) ^ v2
    v0 += v3
    v3 = ((v3 << np.uint64(21)) | (v3 >> np.uint64(43))) ^ v0
    v2 += v1
    v1 = ((v1 << np.uint64(17)) | (v1 >> np.uint64(47))) ^ v2
    v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
    return v0, v1, v2, v3


@kernel
def _siphash(data, ends, key, out):  # type: ignore[no-untyped-def]  # compiled
    """SipHash-2-4 with 128 bits of every stretch of `data`."""
    begin = 0
    for row in range(len(ends)):
        end = ends[row]
        v0 = key[0] ^ np.uint64(0x736F6D6570736575)
        v1 = key[1] ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
        v2 = key[0] ^ np.uint64(0x6C7967656E657261)
        v3 = key[1] ^ np.uint64(0x7465646279746573)
        at = begin
        while True:
            word = np.uint64(0)
            stop = min(at + 8, end)
            for byte in range(at, stop):
                word |= np.uint64(data[byte]) << np.uint64(8 * (byte - at))
            last = stop < at + 8
            if last:
                word |= np.uint64(end - begin) << np.uint64(56)
            v3 ^= word
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0 ^= word
            at += 8
            if last:
                break
        v2 ^= np.uint64(0xEE)
        for half in range(2):
            for _ in range(4):
                v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            out[row, half] = v0 ^ v1 ^ v2 ^ v3
            v1 ^= np.uint64(0xDD)
        begin = end


@kernel
def _find(first, second, owner, cell, width, table):  # type: ignore[no-untyped-def]  # compiled
    """Find the entry of a key in a cell of time, or the empty place where it would stand.

    Time is cut into cells of `within` + 1 us. Of one key two entries are more than `within` apart, so there is at
    most one in a cell, and those that are near a row are in its own cell or in the two beside it: however many times
    one key is remembered, three looks do. Eight cells of a key stand beside each other, where one line of the cache
    holds two; the odd factor spreads the eights over the table, or one key alone would fill long stretches of it.
    """
    mask = len(table) - 1
    at = (first + (cell & 7) + (cell >> 3) * -7046029254386353131) & mask
    while table[at, 3] != 0:
        if table[at, 0] == first and table[at, 1] == second and table[at, 3] == owner and table[at, 2] // width == cell:
            break
        at = (at + 1) & mask
    return at


@kernel
def _put(keys, within, table):  # type: ignore[no-untyped-def]  # compiled
    """Enter keys that differ into a table with room for them."""
    width = within + 1
    for row in range(len(keys)):
        first, second, ts, owner = keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3]
        at = _find(first, second, owner, ts // width, width, table)
        table[at, 0], table[at, 1], table[at, 2], table[at, 3] = first, second, ts, owner


@kernel
def _keep(table, slots, within, kept):  # type: ignore[no-untyped-def]  # compiled
    """Mark the entries that a row could still meet: those that its device's watermark hasn't passed."""
    for at in range(len(table)):
        owner = table[at, 3]
        if owner != 0:
            slot = (owner >> 32) - 1
            kept[at] = slots[1, slot] == owner & 0xFFFFFFFF and slots[0, slot] <= table[at, 2] + within


@kernel
def _sift(  # type: ignore[no-untyped-def]  # compiled
    device, ts, watermark, live, forget, hashes, within, slots, table, duplicate
):
    """Mark the duplicates, and remember the rows that are none; gives how many places of the table were taken.

    Whether an entry counts is asked of the row's own watermark, so it doesn't matter when the table is made anew.
    """
    taken = 0
    width = within + 1
    for row in range(len(ts)):
        slot = np.int64(device[row])
        if forget[row]:
            slots[1, slot] += 1
            continue
        slots[0, slot] = watermark[row]
        if not live[row]:
            continue
        owner = ((slot + 1) << 32) | slots[1, slot]
        first, second, time = hashes[row, 0], hashes[row, 1], ts[row]
        own = time // width
        home = -1
        for cell in range(own - 1, own + 2):
            at = _find(first, second, owner, cell, width, table)
            known = table[at, 2]
            if cell == own:
                home = at
            if table[at, 3] != 0 and abs(known - time) <= within and watermark[row] <= known + within:
                duplicate[row] = True
                break
        if duplicate[row] or watermark[row] > time + within:
            continue
        if table[home, 3] == 0:
            taken += 1
        table[home, 0] = first
        table[home, 1] = second
        table[home, 2] = time
        table[home, 3] = owner
    return taken
