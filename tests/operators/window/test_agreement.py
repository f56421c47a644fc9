"""Agreement with other stream processors: the same input gives the same windows.

Where it doesn't, on purpose, see `test_difference`. The inputs and results are those of the tests and documents that are
named in each test:

- Bytewax 0.21.1: pytests/operators/windowing/ in its repository, and the library itself, which runs beside.
- Apache Beam 2.77.0: apache_beam/transforms/window_test.py and, shipped in the wheel,
  apache_beam/testing/data/trigger_transcripts.yaml. Times are seconds.
- Apache Flink: flink-streaming-java/src/test/java/org/apache/flink/streaming/runtime/operators/windowing/, at commits
  067bc18 (tumbling), 162894c (sliding), 5cfa461 (TimeWindow) and 6da38a6 (WindowOperator). Times are ms. Its watermark
  says that no element at or before it comes any more, so its 999 is 1000 here.
- Kafka Streams: streams/src/test/java/org/apache/kafka/streams/kstream/, at commits 033fad0 (sessions) and 078cdb8
  (TimeWindows), and the Javadoc of its classes. Times are ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest
from bytewax.operators.windowing import SessionWindower, SlidingWindower
from hypothesis import given
from hypothesis import strategies as st

from operators.base import Operator
from operators.window.hopping import Hopping
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from tests.operators.rows import DAY, MINUTE, SECOND, Made, Reading, Row, clocked, run
from tests.operators.window.oracle import at, spans

MS = 1000
"""In us."""
Event: TypeAlias = "tuple[str, int, int] | int"
"""A row of a device, with its time and `n`; or a watermark."""
ALIGNED = datetime(2023, 3, 16, 9, tzinfo=timezone.utc)


def spec(kind: type[Operator], aggregate: str = "count()", **options: Any) -> Operator:
    return kind.model_validate({**options, "aggregate": {"count": aggregate}})


def time_of(us: int) -> str:
    """Write a time down as an option takes it."""
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=us)).isoformat()


def windows(made: Made, unit: int) -> list[tuple[float, float, int]]:
    """Give start, end and count of the windows, in a unit since 1970."""
    return [(row["window_start"] / unit, row["window_end"] / unit, row["count"]) for row in made.main]


def around(kind: type[Operator], ts: float, unit: int, **options: Any) -> list[tuple[float, float]]:
    """Give the bounds of all windows that hold a time."""
    made = run(spec(kind, **options), clocked([(b"a", round(ts * unit), {})], close=True))
    return [(start, end) for start, end, _ in windows(made, unit)]


def fed(events: Sequence[Event], unit: int) -> list[Row]:
    """Make rows of events; a watermark is of all devices, and says that nothing at or before it comes any more."""
    rows: list[Row] = []
    watermark = -DAY
    devices = list(dict.fromkeys(event[0].encode() for event in events if not isinstance(event, int)))
    for number, event in enumerate(events):
        if isinstance(event, int):
            watermark = (event + 1) * unit
            rows += [Row(device, watermark, watermark, number, live=False) for device in devices]
        else:
            device, ts, n = event
            rows.append(Row(device.encode(), ts * unit, watermark, number, live=True, values={"n": n}))
    return rows


# Where the windows stand.


@pytest.mark.parametrize(
    ("offset", "starts"),
    [
        (0, {0: 0, 4999: 0, 5000: 5000}),
        (100, {100: 100, 5099: 100, 5100: 5100}),
        (-100, {0: -100, 4899: -100, 4900: 4900}),
        (1000, {1000: 1000, 5999: 1000, 6000: 6000}),
    ],
)
def test_a_row_falls_into_the_tumbling_window_that_flink_puts_it_in(offset: int, starts: dict[int, int]) -> None:
    # TumblingEventTimeWindowsTest: testWindowAssignment, ...WithGlobalOffset, ...WithNegativeGlobalOffset, testTimeUnits
    for ts, start in starts.items():
        assert around(Tumbling, ts, MS, size="5s", origin=time_of(offset * MS)) == [(start, start + 5000)]


@pytest.mark.parametrize(
    ("offset", "starts"),
    [
        (0, {1: 0, 6: 0, 7: 7, 8: 7}),
        (3, {1: -4, 2: -4, 3: 3, 9: 3, 10: 10}),
        (-2, {1: -2, -2: -2, 3: -2, 4: -2, 7: 5, 12: 12}),
    ],
)
def test_windows_begin_where_flink_says_that_they_do(offset: int, starts: dict[int, int]) -> None:
    # TimeWindowTest.testGetWindowStartWithOffset
    for ts, start in starts.items():
        assert around(Tumbling, ts, MS, size="7ms", origin=time_of(offset * MS)) == [(start, start + 7)]


def test_a_day_in_china_begins_where_flinks_offset_of_eight_hours_puts_it() -> None:
    # The last case of TimeWindowTest.testGetWindowStartWithOffset
    for options in ({"time_zone": "Asia/Shanghai"}, {"origin": time_of(-8 * 3600 * SECOND)}):
        ((start, _),) = around(Tumbling, 1470902048450, MS, size="1d", **options)
        assert start == 1470844800000


@pytest.mark.parametrize(
    ("offset", "last_starts"),
    [
        (0, {0: 0, 4999: 4000, 5000: 5000}),
        (100, {100: 100, 5099: 4100, 5100: 5100}),
        (-100, {0: -100, 4899: 3900, 4900: 4900}),
        (500, {100: -500, 5499: 4500, 5100: 4500}),
    ],
)
def test_a_row_falls_into_the_hopping_windows_that_flink_puts_it_in(offset: int, last_starts: dict[int, int]) -> None:
    # SlidingEventTimeWindowsTest: testWindowAssignment, ...WithOffset, ...WithNegativeOffset, testTimeUnits
    for ts, last in last_starts.items():
        expected = [(start, start + 5000) for start in range(last - 4000, last + 1, 1000)]
        assert around(Hopping, ts, MS, size="5s", slide="1s", origin=time_of(offset * MS)) == expected


@pytest.mark.parametrize(
    ("offset", "ts", "starts"),
    [(2, 7, [7]), (2, 11, [7]), (2, 12, [12]), (0, 5, [5]), (0, 9, [5]), (0, 10, [10]), (12, 11, [7])],
)
def test_a_row_falls_into_the_fixed_window_that_beam_puts_it_in(offset: int, ts: int, starts: list[int]) -> None:
    # From window_test.py, test_fixed_windows
    expected = [(start, start + 5) for start in starts]
    assert around(Tumbling, ts, SECOND, size="5s", origin=time_of(offset * SECOND)) == expected


@pytest.mark.parametrize(
    ("size", "slide", "offset", "ts", "starts"),
    [
        (15, 5, 2, 7, [-3, 2, 7]),
        (15, 5, 2, 8, [-3, 2, 7]),
        (15, 5, 2, 11, [-3, 2, 7]),
        (3.5, 2.5, 1.5, 1.7, [-1, 1.5]),
        (3.5, 2.5, 1.5, 3, [1.5]),
        (3.5, 2.5, 4.0, 1.7, [-1, 1.5]),
        (3.5, 2.5, 4.0, 4.5, [1.5, 4.0]),
    ],
)
def test_a_row_falls_into_the_sliding_windows_that_beam_puts_it_in(
    size: float, slide: float, offset: float, ts: float, starts: list[float]
) -> None:
    # window_test.py: test_sliding_windows_assignment, ..._fraction, ..._fraction_large_offset
    options = {"size": f"{size}s", "slide": f"{slide}s", "origin": time_of(round(offset * SECOND))}
    assert around(Hopping, ts, SECOND, **options) == [(start, start + size) for start in starts]


def test_hopping_and_tumbling_windows_stand_where_kafka_streams_has_them() -> None:
    # TimeWindowsTest: shouldComputeWindowsForHoppingWindows, ...ForBarelyOverlappingHoppingWindows, ...ForTumblingWindows
    assert around(Hopping, 21, MS, size="12ms", slide="5ms") == [(10, 22), (15, 27), (20, 32)]
    assert around(Hopping, 7, MS, size="6ms", slide="5ms") == [(5, 11)]
    assert around(Tumbling, 21, MS, size="12ms") == [(12, 24)]


@given(
    size=st.integers(1, 30),
    slide=st.integers(1, 30),
    offsets=st.lists(st.integers(-100, 100), min_size=1, max_size=20),
)
def test_windows_hold_what_bytewaxs_sliding_windower_puts_into_them(size: int, slide: int, offsets: list[int]) -> None:
    # The windower of the library itself; where the slide is larger than the size it refuses, as Kafka Streams does.
    slide = min(slide, size)
    windower = SlidingWindower(length=timedelta(seconds=size), offset=timedelta(seconds=slide), align_to=ALIGNED).build(
        None
    )
    expected: dict[int, int] = {}
    for offset in offsets:
        for number in windower.open_for(ALIGNED + timedelta(seconds=offset)):
            expected[number] = expected.get(number, 0) + 1
    options = {"size": f"{size}s", "slide": f"{slide}s", "origin": ALIGNED.isoformat()}
    rows = clocked([at(offset) for offset in offsets], lateness=MINUTE * 10, close=True)
    assert spans(run(spec(Hopping, **options), rows).main) == [
        (slide * number, slide * number + size, expected[number]) for number in sorted(expected)
    ]


# What windows hold, and when they close.


def test_the_tumbling_windows_of_bytewaxs_test_fold_window() -> None:
    # From test_fold_window.py, test_fold_window_tumbling
    made = run(spec(Tumbling, size="10s"), clocked([at(0), at(4), at(8), at(16)], close=True))
    assert spans(made.main) == [(0, 10, 3), (10, 20, 1)]


def test_the_sliding_windows_of_bytewaxs_test_fold_window() -> None:
    # test_fold_window.py: test_fold_window_sliding. The last reading is late.
    readings = [at(second) for second in (1, 4, 8, 12, 13, 14, 16, 1)]
    made = run(spec(Hopping, size="10s", slide="5s"), clocked(readings, close=True))
    assert spans(made.main) == [(-5, 5, 2), (0, 10, 3), (5, 15, 4), (10, 20, 4), (15, 25, 1)]
    assert [row.offset for row in made.rows["late"]] == [7]


def test_the_sessions_of_bytewaxs_test_fold_window() -> None:
    # test_fold_window.py: test_fold_window_session. The last reading is late.
    readings = [at(second) for second in (1, 5, 11, 12, 13, 14, 20, 1)]
    made = run(spec(Session, gap="5s"), clocked(readings, close=True))
    assert [count for _, _, count in spans(made.main)] == [2, 4, 1]
    assert [row.offset for row in made.rows["late"]] == [7]


KEYED = [("key2", 3999, 1), ("key2", 3000, 1), ("key1", 20, 1), ("key1", 0, 1), ("key1", 999, 1)]
KEYED += [("key2", 1998, 1), ("key2", 1999, 1), ("key2", 1000, 1)]


def closings(made: Made) -> list[tuple[int, str, int, float]]:
    """Give the number of the event that closed a window, its device, its count, and its last ms."""
    return sorted((row.offset - len(KEYED), row.device.decode(), row["count"], row.ts // MS) for row in made.main)


def test_the_tumbling_windows_of_flinks_window_operator_close_with_the_same_watermarks() -> None:
    # WindowOperatorTest: testTumblingEventTimeWindows, windows of 3 s
    made = run(spec(Tumbling, size="3s"), fed([*KEYED, 999, 1999, 2999, 3999, 4999, 5999, 6999], MS))
    assert closings(made) == [(2, "key1", 3, 2999), (2, "key2", 3, 2999), (5, "key2", 2, 5999)]


def test_the_sliding_windows_of_flinks_window_operator_close_with_the_same_watermarks() -> None:
    # WindowOperatorTest: testSlidingEventTimeWindows, windows of 3 s each second
    made = run(spec(Hopping, size="3s", slide="1s"), fed([*KEYED, 999, 1999, 2999, 3999, 4999, 5999, 6999], MS))
    assert closings(made) == [
        (0, "key1", 3, 999),
        (1, "key1", 3, 1999), (1, "key2", 3, 1999),
        (2, "key1", 3, 2999), (2, "key2", 3, 2999),
        (3, "key2", 5, 3999),
        (4, "key2", 2, 4999),
        (5, "key2", 2, 5999),
    ]  # fmt: skip


def test_the_sessions_of_flinks_window_operator() -> None:
    # WindowOperatorTest: testSessionWindows, a gap of 3 s; the sums are of the second field
    events: list[Event] = [("key2", 0, 1), ("key2", 1000, 2), ("key2", 2500, 3), ("key1", 10, 1)]
    events += [("key1", 1000, 2), ("key1", 2500, 3), ("key2", 5501, 4), ("key2", 6000, 5), ("key2", 6000, 5)]
    events += [("key2", 6050, 6), 12000, ("key2", 15000, 10), ("key2", 15000, 20), 17999 + 1]
    made = run(spec(Session, "sum(n)", gap="3s"), fed(events, MS))
    assert sorted((row.device, *window) for row, window in zip(made.main, windows(made, MS), strict=True)) == [
        (b"key1", 10, 5500, 6), (b"key2", 0, 5500, 6), (b"key2", 5501, 9050, 20), (b"key2", 15000, 18000, 30),
    ]  # fmt: skip


def test_a_row_that_merges_two_sessions_of_flinks_window_operator() -> None:
    # WindowOperatorTest: testSessionWindowsWithCountTrigger: key1 and the row at 4.5 s
    events: list[Event] = [("key1", 10, 1), ("key1", 1000, 2), ("key1", 2500, 3)]
    events += [("key1", 6000, 1), ("key1", 6500, 2), ("key1", 7000, 3)]
    assert windows(run(spec(Session, "sum(n)", gap="3s"), fed([*events, 20000], MS)), MS) == [
        (10, 5500, 6), (6000, 10000, 6),
    ]  # fmt: skip
    merged = run(spec(Session, "sum(n)", gap="3s"), fed([*events, ("key1", 4500, 10), 20000], MS))
    assert windows(merged, MS) == [(10, 10000, 22)]


def test_the_fixed_windows_of_beams_transcripts() -> None:
    # trigger_transcripts.yaml: fixed_default, and fixed_default_late_data up to the first watermark
    for readings, watermark, expected in (
        ([1, 2, 3, 10, 11], 25, [(0, 10, 3), (10, 20, 2)]),
        ([1, 2, 3, 10, 11, 25], 100, [(0, 10, 3), (10, 20, 2), (20, 30, 1)]),
    ):
        made = run(spec(Tumbling, size="10s"), fed([*[("a", ts, 0) for ts in readings], watermark], SECOND))
        assert windows(made, SECOND) == expected
        assert [(row.ts + 1) / SECOND for row in made.main] == [end for _, end, _ in expected], "the end of the window"


def test_the_sliding_windows_of_beams_tests() -> None:
    # window_test.py: test_sliding_windows, test_sliding_windows_period_longer_than_size
    made = run(spec(Hopping, size="4s", slide="2s"), clocked([(b"a", ts * SECOND, {}) for ts in (1, 2, 3)], close=True))
    assert windows(made, SECOND) == [(-2, 2, 1), (0, 4, 3), (2, 6, 2)]
    readings: list[Reading] = [(b"a", ts * SECOND, {}) for ts in range(1, 9)]
    made = run(spec(Hopping, size="2s", slide="4s"), clocked(readings, close=True))
    assert windows(made, SECOND) == [(0, 2, 1), (4, 6, 2), (8, 10, 1)]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([2], [(2, 12)]),
        ([2, 19], [(2, 12), (19, 29)]),
        ([2, 9], [(2, 19)]),
        ([9, 2], [(2, 19)]),
        ([2, 15, 10], [(2, 25)]),
        ([1, 2, 3, 20, 35, 27], [(1, 13), (20, 45)]),
        ([1, 2, 3, 4, 5], [(1, 15)]),
    ],
)
def test_the_sessions_of_beams_tests(readings: list[int], expected: list[tuple[int, int]]) -> None:
    # window_test.py: test_sessions_merging, test_sessions; trigger_transcripts.yaml: early_late_sessions, whose windows
    # are written there up to their last moment (14, in whole seconds). A gap of 10 s, and no watermark on the way.
    made = run(
        spec(Session, gap="10s"), clocked([(b"a", ts * SECOND, {}) for ts in readings], lateness=DAY, close=True)
    )
    assert [(start, end) for start, end, _ in windows(made, SECOND)] == expected


def test_the_sessions_of_kafka_streams_own_example() -> None:
    # Javadoc of SessionWindows (Kafka 4.2): a gap of 5; 10, 12 and 20 are two sessions until 16 comes
    def sessions(*times: int) -> list[tuple[float, float, int]]:
        rows = clocked([(b"a", ts * MS, {}) for ts in times], lateness=DAY, close=True)
        return windows(run(spec(Session, gap="5ms"), rows), MS)

    assert [(start, end - 5, count) for start, end, count in sessions(10, 12, 20)] == [(10, 12, 2), (20, 20, 1)]
    assert [(start, end - 5, count) for start, end, count in sessions(10, 12, 20, 16)] == [(10, 20, 4)]


def test_the_sessions_of_kafka_streams_tests() -> None:
    # KStreamSessionWindowAggregateProcessorTest: a gap of 5 minutes; shouldMergeSessions,
    # shouldUpdateSessionIfTheSameTime, shouldHaveMultipleSessionsForSameIdWhenTimestampApartBySessionGap
    gap = 5 * 60 * 1000
    for times, expected in (
        ([0, 500], [(0, 500, 2)]),
        ([0, gap + 1, gap // 2], [(0, gap + 1, 3)]),
        ([0, 0], [(0, 0, 2)]),
        ([0, gap + 1, gap + 1, 2 * gap + 2, 2 * gap + 2, 2 * gap + 2],
         [(0, 0, 1), (gap + 1, gap + 1, 2), (2 * gap + 2, 2 * gap + 2, 3)]),
    ):  # fmt: skip
        rows = clocked([(b"mel", ts * MS, {}) for ts in times], lateness=DAY, close=True)
        made = windows(run(spec(Session, gap="5m"), rows), MS)
        assert [(start, end - gap, count) for start, end, count in made] == expected


@given(gap=st.integers(1, 20), offsets=st.lists(st.integers(-100, 100), min_size=1, max_size=20))
def test_sessions_hold_what_bytewaxs_session_windower_puts_into_them(gap: int, offsets: list[int]) -> None:
    # The windower of the library itself
    windower = SessionWindower(gap=timedelta(seconds=gap)).build(None)
    counts: dict[int, int] = {}
    for offset in offsets:
        (number,) = windower.open_for(ALIGNED + timedelta(seconds=offset))
        counts[number] = counts.get(number, 0) + 1
        for gone, into in windower.merged():
            counts[into] += counts.pop(gone)
    expected = sorted(
        ((meta.open_time - ALIGNED).total_seconds(), (meta.close_time - ALIGNED).total_seconds(), counts[number])
        for number, meta in windower.close_for(ALIGNED + timedelta(days=1))
    )
    rows = clocked([at(offset) for offset in offsets], lateness=MINUTE * 10, close=True)
    made = spans(run(spec(Session, gap=f"{gap}s"), rows).main)
    assert [(start, end - gap, count) for start, end, count in made] == expected
