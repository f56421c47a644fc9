"""Tests of the clock: watermarks, and what moves silent devices on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.batch import Batch, Type
from operators.clock import END, FORGET, NEVER, Clock
from tests.operators.rows import DAY, HOUR, MINUTE, NINE, SECOND, YEAR_1, YEAR_9999, to_column

TYPES = {"x": Type.INT}
Told = tuple[int, int, int, int, bool]
"""Device, ts, watermark, offset, live."""


@dataclass
class Oracle:
    """The clock of the module's docstring, a device and a row at a time."""

    lateness: int
    idle: int
    reach: int
    grain: int = 1
    now: int | None = None
    last: int = 0
    newest: dict[int, int] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)
    watermark: dict[int, int] = field(default_factory=dict)

    def row(self, device: int, ts: int, offset: int) -> list[Told]:
        """Take in a reading."""
        before, step = self.now, max(self.idle // 4, 1)
        self.now = self.last = ts if before is None else max(before, ts)
        self.newest[device] = max(self.newest.get(device, ts), ts)
        self.heard[device] = self.now
        self.watermark[device] = max(self.watermark.get(device, ts - self.lateness), ts - self.lateness)
        told = [(device, ts, self.watermark[device], offset, True)]
        if before is not None and self.now // step > before // step:
            told += self.move_silent(offset)
        return told

    def move_silent(self, offset: int) -> list[Told]:
        """Move the devices on that have been silent for `idle`, by as long as they have been."""
        told = []
        for device in sorted(self.newest):
            silent = (self.now or 0) - self.heard[device]
            # No window is open for longer than `reach` behind a device's last row.
            furthest = self.newest[device] + self.reach
            watermark = min(self.newest[device] - self.lateness + silent, furthest)
            # Between two multiples of the grain there is nothing to close, but for the last move.
            passes = watermark // self.grain > self.watermark[device] // self.grain or watermark == furthest
            if silent >= self.idle and watermark > self.watermark[device] and passes:
                self.watermark[device] = watermark
                told.append((device, watermark, watermark, offset, False))
        return told

    def on_idle(self, elapsed: int, offset: int) -> list[Told]:
        """Take in that nothing has come for so long."""
        if self.now is None:
            return []
        self.now = max(self.now, self.last + elapsed)
        return self.move_silent(offset)

    def close(self, offset: int) -> list[Told]:
        """End the run."""
        return [(device, int(END), int(END), offset, False) for device in sorted(self.newest)]


def put(clock: Clock, readings: Sequence[tuple[int, int]], offset: int = 0) -> list[Told]:
    """Put readings (device, ts) through; `x` of each is its offset."""
    offsets = np.arange(offset, offset + len(readings))
    device = np.array([device for device, _ in readings], np.uint32)
    ts = np.array([ts for _, ts in readings], np.int64)
    return told(clock.on_rows(device, ts, offsets, {"x": to_column(offsets.tolist(), Type.INT)}, TYPES))


def told(batch: Batch) -> list[Told]:
    x = batch.columns["x"]
    assert isinstance(x, np.ndarray)
    assert (x == np.where(batch.live, batch.offset, np.iinfo(np.int64).min)).all(), "the columns follow their rows"
    assert batch.device.dtype == np.uint32
    arrays = (batch.device, batch.ts, batch.watermark, batch.offset, batch.live)
    return list(zip(*(array.tolist() for array in arrays), strict=True))


def moved(rows: Sequence[Told]) -> list[tuple[int, float, int]]:
    """Give the punctuations: device, watermark in seconds behind 9:00, offset."""
    return [(device, (watermark - NINE) / SECOND, offset) for device, _, watermark, offset, live in rows if not live]


def at(*readings: tuple[int, float]) -> list[tuple[int, int]]:
    """Make readings: device, seconds behind 9:00."""
    return [(device, NINE + round(seconds * SECOND)) for device, seconds in readings]


TIMES = st.one_of(
    st.integers(NINE, NINE + 5 * MINUTE),
    st.integers(0, 300).map(lambda s: NINE + s * SECOND),
    st.integers(YEAR_1, YEAR_9999),
)
FEW = st.lists(st.tuples(st.integers(0, 3), TIMES), max_size=30)
MANY = st.builds(
    lambda seed, devices: [
        (int(device), NINE + row * SECOND - int(late))
        for row, (device, late) in enumerate(
            zip(*np.random.default_rng(seed).integers(0, [[devices], [20 * SECOND]], (2, 300)), strict=True)
        )
    ],
    st.integers(0, 99),
    st.sampled_from([5, 63, 64, 65, 200]),
)
"""More devices than the clock has room for at first."""
READINGS = st.one_of(FEW, MANY)
OPTIONS = st.tuples(
    st.sampled_from([0, 1, 5 * SECOND, HOUR]),
    st.sampled_from([1, 2, 3, SECOND, 10 * SECOND, MINUTE]),
    st.sampled_from([0, 10 * SECOND, DAY]),
    st.sampled_from([1, 10 * SECOND, MINUTE]),
)
EVENTS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1, SECOND, MINUTE, DAY])), max_size=3)


@given(options=OPTIONS, readings=READINGS, idles=EVENTS, closes=st.booleans())
def test_the_clock_equals_the_oracle(
    options: tuple[int, int, int, int], readings: list[tuple[int, int]], idles: list[tuple[float, int]], closes: bool
) -> None:
    clock, oracle = Clock(*options), Oracle(*options)
    start = 0
    for share, elapsed in sorted(idles):
        end = round(share * len(readings))
        wanted = [row for at_, reading in enumerate(readings[start:end], start) for row in oracle.row(*reading, at_)]
        assert put(clock, readings[start:end], start) == wanted
        assert told(clock.on_idle(elapsed, end, TYPES)) == oracle.on_idle(elapsed, end)
        start = end
    wanted = [row for at_, reading in enumerate(readings[start:], start) for row in oracle.row(*reading, at_)]
    assert put(clock, readings[start:], start) == wanted
    assert clock.now == (NEVER if oracle.now is None else oracle.now)
    if closes:
        assert told(clock.close(7, TYPES)) == oracle.close(7)


@given(options=OPTIONS, readings=READINGS, ends=st.lists(st.integers(0, 300), max_size=5))
def test_any_cut_into_batches_gives_the_same_rows(
    options: tuple[int, int, int, int], readings: list[tuple[int, int]], ends: list[int]
) -> None:
    whole = put(Clock(*options), readings)
    clock = Clock(*options)
    borders = [0, *sorted(min(end, len(readings)) for end in ends), len(readings)]
    pieces = [put(clock, readings[start:end], start) for start, end in pairwise(borders)]
    assert [row for piece in pieces for row in piece] == whole
    if len(readings) <= 30:
        clock = Clock(*options)
        assert [row for at_, one in enumerate(readings) for row in put(clock, [one], at_)] == whole


@given(options=OPTIONS, readings=READINGS, share=st.floats(0, 1))
def test_a_clock_resumed_from_a_snapshot_goes_on_as_if_nothing_had_happened(
    options: tuple[int, int, int, int], readings: list[tuple[int, int]], share: float
) -> None:
    cut = round(share * len(readings))
    old = Clock(*options)
    put(old, readings[:cut])
    snapshot = old.snapshot()
    copies = {name: array.copy() for name, array in snapshot.items()}
    expected = put(old, readings[cut:], cut), told(old.on_idle(DAY, 0, TYPES)), told(old.close(0, TYPES))
    new = Clock(*options, resume=snapshot)
    assert (put(new, readings[cut:], cut), told(new.on_idle(DAY, 0, TYPES)), told(new.close(0, TYPES))) == expected
    for name, array in copies.items():
        np.testing.assert_array_equal(snapshot[name], array, "a snapshot is a copy, and stays as it is")


@given(options=OPTIONS, readings=READINGS)
def test_a_watermark_never_falls_and_never_passes_the_newest_reading_by_more_than_reach(
    options: tuple[int, int, int, int], readings: list[tuple[int, int]]
) -> None:
    highest: dict[int, int] = {}
    newest: dict[int, int] = {}
    for device, ts, watermark, _, live in put(Clock(*options), readings):
        assert watermark >= highest.get(device, watermark)
        highest[device] = watermark
        newest[device] = max(newest.get(device, ts), ts) if live else newest[device]
        assert watermark <= newest[device] + max(options[2], 0)


def test_a_watermark_is_the_newest_reading_minus_lateness() -> None:
    # 0s  10s  3s (out of order)  11s
    rows = put(Clock(5 * SECOND, HOUR, 0), at((0, 0), (0, 10), (0, 3), (0, 11)))
    assert [(watermark - NINE) // SECOND for _, _, watermark, _, _ in rows] == [-5, 5, 5, 6]


def test_one_fast_device_doesnt_move_the_watermark_of_the_others() -> None:
    # fast        I at 1h - 1us
    # slow    I      I
    rows = put(Clock(0, HOUR, DAY), at((0, 0), (1, 3599.999999), (0, 1)))
    assert [(device, watermark) for device, _, watermark, _, _ in rows] == at((0, 0), (1, 3599.999999), (0, 1))


def test_a_silent_device_is_moved_on_by_as_much_as_the_shards_clock() -> None:
    # idle 60s, steps of 15s
    # 0    I  (silent from 0s on)
    # 1    I                59s x      60s: 0 has been silent for 60s
    clock = Clock(5 * SECOND, 60 * SECOND, DAY)
    assert moved(put(clock, at((0, 0), (1, 0), (1, 59.999999)))) == []
    assert moved(put(clock, at((1, 60)), 3)) == [(0, 55, 3)]
    assert moved(put(clock, at((1, 74.999999)), 4)) == [], "it is looked for at steps of a quarter of `idle`"
    assert moved(put(clock, at((1, 75)), 5)) == [(0, 70, 5)]


def test_the_punctuation_stands_behind_the_row_that_caused_it() -> None:
    rows = put(Clock(0, 60 * SECOND, DAY), at((0, 0), (1, 60), (1, 61)))
    assert [(device, offset, live) for device, _, _, offset, live in rows] == [
        (0, 0, True), (1, 1, True), (0, 1, False), (1, 2, True),
    ]  # fmt: skip


def test_a_device_that_catches_up_isnt_silent() -> None:
    # 0    0s, then 1s, 2s, 3s: an hour behind, but talking
    # 1    3600s         3630s   3660s
    readings = at((0, 0), (1, 3600), (0, 1), (1, 3630), (0, 2), (1, 3660), (0, 3))
    assert moved(put(Clock(0, 60 * SECOND, DAY), readings)[2:]) == [(0, 3600, 1)], "once it was, before it began to"
    readings = at((1, 3600), (0, 0), (1, 3630), (0, 1), (1, 3660), (0, 2), (1, 3690), (0, 3))
    assert moved(put(Clock(0, 60 * SECOND, DAY), readings)) == []


def test_a_device_that_caught_up_is_silent_from_the_clock_on_that_it_was_last_heard_at() -> None:
    # 1    3600s                       3660s
    # 0         I 10s (heard at 3600s)      x silent for 60s: 10s + 60s
    assert moved(put(Clock(0, 60 * SECOND, DAY), at((1, 3600), (0, 10), (1, 3660)))) == [(0, 70, 2)]


def test_a_device_that_is_gone_for_good_is_moved_on_to_its_reach_and_no_further() -> None:
    # lateness 5s, reach 100s: to 100s behind its last reading, where no window of it can be open
    clock = Clock(5 * SECOND, 60 * SECOND, 100 * SECOND)
    readings = at((0, 0), *((1, 15.0 * step) for step in range(60)))
    assert moved(put(clock, readings)) == [(0, 55, 5), (0, 70, 6), (0, 85, 7), (0, 100, 8)]


def test_a_device_that_comes_back_has_kept_its_watermark() -> None:
    clock = Clock(0, 60 * SECOND, DAY)
    put(clock, at((0, 0), (1, 90)))
    ((_, _, watermark, _, live),) = put(clock, at((0, 30)), 2)
    assert (watermark, live) == (NINE + 90 * SECOND, True)


def test_a_jump_of_the_clock_moves_each_silent_device_once() -> None:
    readings = at(*((device, 0) for device in range(100)), (0, 86400))
    rows = moved(put(Clock(0, 60 * SECOND, 7 * DAY), readings))
    assert rows == [(device, 86400, 100) for device in range(1, 100)]


def test_a_shard_that_is_silent_as_a_whole_is_moved_on_by_wall_time() -> None:
    # 0   0s
    # 1   30s      then nothing for 29s, 30s, 60s
    clock = Clock(5 * SECOND, 60 * SECOND, DAY)
    put(clock, at((0, 0), (1, 30)))
    assert moved(told(clock.on_idle(29 * SECOND, 1, TYPES))) == []
    assert moved(told(clock.on_idle(30 * SECOND, 1, TYPES))) == [(0, 55, 1)]
    assert moved(told(clock.on_idle(60 * SECOND, 1, TYPES))) == [(0, 85, 1), (1, 85, 1)]
    assert moved(told(clock.on_idle(60 * SECOND, 1, TYPES))) == [], "said twice, it moves nothing"


def test_wall_time_counts_from_the_last_record_and_not_from_the_last_idle() -> None:
    clock = Clock(0, 60 * SECOND, DAY)
    put(clock, at((0, 0)))
    clock.on_idle(50 * SECOND, 0, TYPES)
    clock.on_idle(50 * SECOND, 0, TYPES)
    assert clock.now == NINE + 50 * SECOND


def test_a_shard_that_has_seen_nothing_has_nothing_to_move_on() -> None:
    clock = Clock(0, SECOND, DAY)
    assert clock.now == NEVER
    assert told(clock.on_idle(HOUR, 0, TYPES)) == []
    assert told(clock.close(0, TYPES)) == []
    assert put(clock, []) == []


def test_closing_moves_every_device_to_the_end_of_time() -> None:
    clock = Clock(0, HOUR, DAY)
    put(clock, at((0, 0), (2, 5)))
    assert told(clock.close(9, TYPES)) == [(0, END, END, 9, False), (2, END, END, 9, False)]


def test_a_silent_device_is_moved_on_only_where_a_window_could_close() -> None:
    #   0: silent from 0s on        1: reads on every second
    #   moved  [60s--[120s--[180s  and not every quarter of `idle`
    clock = Clock(0, 20 * SECOND, 3 * MINUTE, MINUTE)
    rows = moved(put(clock, at((0, 0), *((1, second) for second in range(1, 400)))))
    assert [watermark for _, watermark, _ in rows] == [60, 120, 180]


def test_a_device_that_is_silent_for_long_is_forgotten_and_new_when_it_comes_again() -> None:
    # idle 10s, forget 1m
    # a    0s                                      90s: its watermark begins anew
    # b       1s  ...  59s      62s: a is forgotten
    clock = Clock(5 * SECOND, 10 * SECOND, 0, forget=MINUTE)
    rows = put(clock, at((0, 0), (1, 1), (1, 59), (1, 62), (0, 90)))
    assert [(device, row) for device, _, watermark, row, _ in rows if watermark == FORGET] == [(0, 3)]
    assert [(watermark - NINE) // SECOND for device, _, watermark, _, live in rows if device == 0 and live] == [-5, 85]
    assert clock.knows(np.array([0, 1])).tolist() == [True, True]


def test_a_device_isnt_forgotten_before_its_time() -> None:
    clock = Clock(0, 10 * SECOND, 0, forget=MINUTE)
    rows = put(clock, at((0, 0), (1, 1), (1, 59.9)))
    assert not any(watermark == FORGET for _, _, watermark, _, _ in rows)
    assert clock.knows(np.array([0])).all()


def test_a_silent_shard_forgets_too() -> None:
    clock = Clock(0, 10 * SECOND, 0, forget=MINUTE)
    put(clock, at((0, 0)))
    made = clock.on_idle(2 * MINUTE, 0, {})
    assert made.watermark.tolist() == [FORGET]
    assert not clock.knows(np.array([0])).any()
    assert len(clock.close(0, {})) == 0, "what was forgotten isn't closed again"
