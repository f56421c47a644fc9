"""Where windows are otherwise than those of other stream processors, on purpose; see `test_agreement` for the sources."""

from __future__ import annotations

from operators.window.count import Count
from operators.window.hopping import Hopping
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from tests.operators.rows import DAY, SECOND, Reading, clocked, run
from tests.operators.window.oracle import at, spans
from tests.operators.window.test_agreement import MS, Event, around, fed, spec, windows


def test_unlike_beams_two_rows_exactly_the_gap_apart_share_a_session() -> None:
    # Beam, window_test.py: test_sessions_merging has [2, 19) and [19, 29) of 2, 9 and 19. Bytewax
    # (test_session_windower.py: test_extend_forward_exact_gap), Flink (TimeWindow.intersects) and Kafka Streams share.
    made = run(spec(Session, gap="10s"), clocked([at(2), at(9), at(19)], lateness=DAY, close=True))
    assert spans(made.main) == [(2, 29, 3)]


def test_unlike_bytewaxs_and_kafka_streams_a_session_ends_a_gap_behind_its_last_row() -> None:
    # Bytewax's close_time and the end of Kafka Streams' SessionWindow are the time of the last row; Beam's and Flink's
    # end is that plus the gap, as here: so a window of one row isn't empty, and its end is when it can be known.
    assert spans(run(spec(Session, gap="10s"), clocked([at(0), at(5)], close=True)).main) == [(0, 15, 2)]


def test_unlike_flinks_a_session_closes_only_when_no_row_can_share_it_any_more() -> None:
    # Flink, WindowOperatorTest: testSessionWindows closes [15000, 18000) with the watermark 17999, which is 18000 here.
    # A row at 18000 can still come then, and is exactly the gap away.
    events: list[Event] = [("key2", 15000, 30)]
    assert windows(run(spec(Session, "sum(n)", gap="3s"), fed([*events, 17999], MS)), MS) == []
    shared = run(spec(Session, "sum(n)", gap="3s"), fed([*events, 17999, ("key2", 18000, 1), 30000], MS))
    assert windows(shared, MS) == [(15000, 21000, 31)]


def test_unlike_bytewaxs_a_row_behind_the_watermark_is_counted_while_its_window_is_open() -> None:
    # Bytewax's EventClock calls every item behind the watermark late. Here as in Flink and Beam a row is late when the
    # windows it belongs to have closed.
    made = run(spec(Tumbling, size="10s"), clocked([at(8), at(1)], close=True))
    assert (spans(made.main), made.rows["late"]) == ([(0, 10, 2)], [])


def test_unlike_kafka_streams_one_devices_time_makes_no_other_devices_row_late() -> None:
    # Kafka Streams, KStreamSessionWindowAggregateProcessorTest: shouldLogAndMeterWhenSkippingLateRecordWithZeroGrace
    # skips the record at 0 because another key has been seen at 1. Flink's, Beam's watermarks are of all keys too.
    readings: list[Reading] = [(b"dummy", 0, {}), (b"OnTime1", 0, {}), (b"dummy", 60 * MS, {}), (b"Late1", 0, {})]
    made = run(spec(Session, gap="10ms"), clocked(readings, close=True))
    assert sum(row["count"] for row in made.main) == 4
    assert made.rows["late"] == []


def test_unlike_beams_a_late_row_changes_no_result_that_was_given() -> None:
    # Beam, trigger_transcripts.yaml: fixed_default_late_data gives [0, 10) again with 7 in it; here 7 goes to the side.
    events: list[Event] = [("a", ts, 0) for ts in (1, 2, 3, 10, 11, 25)]
    made = run(spec(Tumbling, size="10s"), fed([*events, 100, ("a", 7, 0)], SECOND))
    assert windows(made, SECOND) == [(0, 10, 3), (10, 20, 2), (20, 30, 1)]
    assert [(row["window_start"], row["window_end"]) for row in made.rows["late"]] == [(0, 10 * SECOND)]


def test_unlike_kafka_streams_a_slide_may_be_larger_than_the_size() -> None:
    # TimeWindowsTest: advanceIntervalMustNotBeLargerThanWindowSize. Beam allows it, as here.
    assert around(Hopping, 21, MS, size="12ms", slide="20ms") == [(20, 32)]


def test_unlike_flinks_sliding_windows_of_rows_begin_with_the_first_that_is_complete() -> None:
    # Flink, KeyedStream.countWindow(size, slide) fires behind every `slide` rows with the last `size` there are: with
    # (3, 2) behind 1, 2, ..., 8 it has 12, 234, 456, 678. Here a window has `size` rows, the first ones first.
    rows = clocked([at(number, n=number) for number in range(1, 9)])
    options = {"size": 3, "slide": 2, "aggregate": {"count": "count()", "first": "first(n)", "last": "last(n)"}}
    made = run(Count.model_validate(options), rows)
    assert [(row["count"], row["first"], row["last"]) for row in made.main] == [(3, 1, 3), (3, 3, 5), (3, 5, 7)]


def test_unlike_flinks_early_results_follow_the_rows_and_not_the_watermark() -> None:
    # Flink, WindowOperatorTest: testSessionWindowsWithContinuousEventTimeTrigger: every 2 s of the watermark, what is
    # open, though nothing came. Here a row that takes its device over a multiple of 2 s lets out what has changed.
    early = Session.model_validate({"gap": "3s", "early": "2s", "aggregate": {"count": "sum(n)"}})
    events: list[Event] = [("key1", 1500, 1), 2500, 3000, ("key1", 4000, 2), 4000]
    assert windows(run(early, fed(events, MS)), MS) == [(1500, 4500, 1)]
