"""A shard: records in, the rows of the streams and the dead letters out, whatever the batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest

from connectors.codec.base import Records
from operators.binary import Binary
from pipelines import config
from pipelines.plan import DEAD, Pipeline
from pipelines.shard import Counts, Letter, Shard
from pipelines.testing import run_tests
from tests.pipelines.motes import cut, pipeline, readings, records, seen, shard

TEXTS = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {status: text, level: float}
steps:
  - derive: {number: CAST(status AS DOUBLE)}
  - filter: number > 0
sinks:
  - {from: filter, kafka: {topic: out}}
"""


@pytest.fixture
def texts(tmp_path: Path) -> Pipeline:
    """A pipeline with a step that can't process every row."""
    file = tmp_path / "mill.yaml"
    file.write_text(TEXTS)
    return config.read(file, {})


VALUES: list[bytes | None] = [
    b'{"dev": "a", "ts": 0, "status": "1"}',
    b'{"dev": "a", "ts": 1, "status": "high"}',
    b"not json",
    None,
    b'{"dev": "b", "ts": 2, "status": "-1"}',
    b'{"dev": "a", "ts": 3, "status": "2", "level": "high"}',
    b'{"dev": "b", "ts": 4, "status": null}',
    b'{"dev": "b", "ts": 5, "status": "low"}',
    b'{"dev": "b", "ts": 6, "status": "3"}',
]


def test_the_position_is_behind_the_last_record_taken_in(texts: Pipeline) -> None:
    mill = shard(texts, position=100)
    assert mill.position == 100
    times = np.full(3, -1, np.int64)
    # Kafka leaves gaps: transactions' markers and compacted records have offsets too.
    mill.process(Records.of("raw", 0, VALUES[:3], [None] * 3, times, np.array([100, 105, 107])))
    assert mill.position == 108
    mill.process(records([b"dead"], 200))
    assert mill.position == 201


def test_a_letter_has_the_headers_that_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text(TEXTS.replace("status: text", "status: {type: text, header: st}"))
    of = records([VALUES[0], VALUES[0], b"not json"], 10)
    of = replace(of, headers={"st": Binary.of([b"\xff", b"1", None])})
    product = shard(config.read(file, {})).process(of)
    assert [(letter.offset, letter.headers) for letter in product.letters] == [
        (10, {"st": b"\xff"}),
        (12, {"st": None}),
    ]
    assert [letter.value for letter in product.letters] == [VALUES[0], b"not json"]


def test_a_record_that_cannot_be_processed_becomes_a_letter_as_it_came(texts: Pipeline) -> None:
    keys = [f"key-{row}".encode() for row in range(len(VALUES))]
    times, offsets = np.full(len(VALUES), -1, np.int64), np.array([10, 11, 13, 14, 15, 20, 21, 30, 31])
    product = shard(texts).process(Records.of("raw", 7, VALUES, keys, times, offsets))
    letters = product.letters
    assert [letter.offset for letter in letters] == [11, 13, 14, 20, 30], "in order of offset"
    for letter in letters:
        row = offsets.tolist().index(letter.offset)
        assert letter == Letter("raw", 7, letter.offset, keys[row], VALUES[row], letter.reason)
    reasons = [letter.reason for letter in letters]
    assert reasons[0].startswith("`CAST(status AS DOUBLE)`: ")
    assert "high" in reasons[0]
    assert reasons[1].startswith("can't be decoded: ")
    assert reasons[2] == "the record has no value"
    assert reasons[3] == "field `level`: expected a number, given text: 'high'"
    assert "low" in reasons[4]


def test_the_rows_that_go_on_are_those_of_the_good_records(texts: Pipeline) -> None:
    product = shard(texts).process(records(VALUES))
    assert product.records == len(VALUES)
    assert product.rows["filter"].offset.tolist() == [0, 8]
    assert product.devices.ids(product.rows["filter"].device).values() == [b"a", b"b"]
    assert product.rows["derive"].offset.tolist() == [0, 4, 6, 8]


def test_every_record_is_a_row_of_the_source_or_dead(texts: Pipeline) -> None:
    mill = shard(texts)
    for piece in cut(records(VALUES), [2, 5]):
        mill.process(piece)
    assert mill.counts.records == len(VALUES)
    assert mill.counts.rows["source"] == 6
    undecodable = 3
    assert mill.counts.rows["source"] + undecodable == mill.counts.records
    # Two rows more are dead from `derive` on.
    assert mill.counts.dead == undecodable + 2
    assert mill.counts.rows["derive"] + mill.counts.dead == mill.counts.records
    assert mill.counts.rows["filter"] == 2


def test_only_what_is_watched_is_given_but_all_is_counted(texts: Pipeline) -> None:
    mill = shard(texts, ["filter"])
    product = mill.process(records(VALUES))
    assert set(product.rows) == {"filter"}
    assert mill.counts.rows["source"] == 6
    assert mill.process(records([VALUES[4]], 50)).rows == {}, "a stream without rows isn't given"


def test_records_that_are_all_dead_go_through(texts: Pipeline) -> None:
    product = shard(texts).process(records([b"", b"[]", b"{}"]))
    assert product.rows == {}
    assert len(product.letters) == 3


SINKS = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {status: text, level: float}
steps:
  - id: high
    filter: level > 0
  - id: minute
    window: {tumbling: 1m, aggregate: {n: count(), top: max(level)}}
sinks:
  - {from: high, when: CAST(status AS DOUBLE) > 1, kafka: {topic: out}}
  - {from: high, when: level > 5, kafka: {topic: others}}
  - {from: high, when: CAST(status AS DOUBLE) > 1, kafka: {topic: again}}
  - {from: high, kafka: {topic: all}}
  - {from: minute, when: CAST(top AS SMALLINT) > 1, kafka: {topic: minutes}}
"""
NUMBER, LEVEL = "high when CAST(status AS DOUBLE) > 1", "high when level > 5"


def sunk(folder: Path, text: str = SINKS) -> Shard:
    """Make a shard that watches what its sinks write."""
    file = folder / "mill.yaml"
    file.write_text(text)
    mill = config.read(file, {})
    return shard(mill, [sink.written for sink in mill.sinks])


def readings_of(*rows: tuple[str | None, float | None]) -> list[bytes | None]:
    return [orjson.dumps({"dev": "a", "ts": at, "status": s, "level": x}) for at, (s, x) in enumerate(rows)]


def test_a_sink_writes_the_rows_for_which_its_condition_holds(tmp_path: Path) -> None:
    mill = sunk(tmp_path)
    product = mill.process(records(readings_of(("1", 9), ("2", 1), ("3", 9), (None, None), ("2", 0), (None, 9))))
    assert {name: rows.offset.tolist() for name, rows in product.rows.items()} == {
        NUMBER: [1, 2],
        LEVEL: [0, 2, 5],
        "high": [0, 1, 2, 5],
    }
    assert not product.letters, "what isn't written isn't dead"


def test_a_row_whose_condition_fails_is_dead_once_and_goes_to_the_other_sinks(tmp_path: Path) -> None:
    values = readings_of(("2", 9), ("high", 9), ("3", 1))
    product = sunk(tmp_path).process(records(values))
    assert product.rows[NUMBER].offset.tolist() == [0, 2]
    assert product.rows[LEVEL].offset.tolist() == [0, 1]
    assert product.rows["high"].offset.tolist() == [0, 1, 2]
    (letter,) = product.letters
    assert (letter.offset, letter.value) == (1, values[1])
    assert letter.reason.startswith("`CAST(status AS DOUBLE) > 1`: ")


def test_a_row_of_a_window_whose_condition_fails_blames_no_record(tmp_path: Path) -> None:
    mill = sunk(tmp_path)
    mill.process(records(readings_of(("2", 70_000))))
    product = mill.close()
    assert not product.rows
    (letter,) = product.letters
    assert (letter.offset, letter.key, letter.value) == (0, None, None)
    assert letter.reason.startswith("a row of `minute` in step `minute when CAST(top AS SMALLINT) > 1`: `CAST(top")


def test_what_each_sink_writes_is_counted(tmp_path: Path) -> None:
    mill = sunk(tmp_path)
    for piece in cut(records(readings_of(("1", 9), ("2", 1), ("3", 9), ("x", 9), ("2", 0))), [1, 4]):
        mill.process(piece)
    mill.close()
    counts = mill.counts
    assert (counts.rows[NUMBER], counts.rows[LEVEL], counts.rows["high"], counts.dead) == (2, 3, 4, 1)
    assert (counts.rows["minute"], counts.rows["minute when CAST(top AS SMALLINT) > 1"]) == (1, 1)


def test_conditions_are_held_against_rows_though_nobody_looks(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text(SINKS)
    mill = shard(config.read(file, {}), ["high"])
    product = mill.process(records(readings_of(("2", 9), ("high", 9))))
    assert set(product.rows) == {"high"}, "a stream is itself, before any condition of a sink"
    assert product.rows["high"].offset.tolist() == [0, 1]
    assert [letter.offset for letter in product.letters] == [1]


def test_a_test_in_the_file_looks_at_the_stream_itself(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    test = """\
tests:
  - name: nothing is held back
    at: high
    input: [{dev: a, ts: 0, status: "1", level: 1}, {dev: a, ts: 1, status: "2", level: 9}]
    expect: [{level: 1}, {level: 9}]
"""
    file.write_text(SINKS + test)
    (result,) = run_tests(config.read(file, {}))
    assert not result.differences


def test_a_condition_keeps_nothing_between_batches(tmp_path: Path) -> None:
    assert sunk(tmp_path).stateful == ("minute",)


def test_counts_add_up() -> None:
    total = Counts()
    one = Counts(records=3, dead=1, moved=4, forgotten=5)
    one.rows["source"] += 2
    one.partly_late["w"] += 6
    total.add(one)
    total.add(one)
    assert (total.records, total.rows["source"], total.dead, total.moved, total.forgotten) == (6, 4, 2, 8, 10)
    assert total.partly_late == {"w": 12}


def test_a_shard_says_which_steps_keep_something_between_batches() -> None:
    assert shard(pipeline()).stateful == ("minute", "odd", "kettle")


def test_close_gives_what_windows_hold_and_nothing_is_lost() -> None:
    motes = pipeline()
    mill = shard(motes)
    values: list[bytes | None] = [orjson.dumps(reading) for reading in readings(200)]
    products = [mill.process(records(values)), mill.close()]
    assert products[1].records == 0
    rows = seen(motes, products)
    assert sum(row["n"] for _, _, row in rows["minute"]) + len(rows["minute.late"]) == 200
    assert rows["minute"][-1][0] == 199, "what the end closes carries the last record's offset"
    assert mill.position == 200


def test_wall_time_without_records_closes_windows() -> None:
    motes = pipeline()
    mill = shard(motes)
    values: list[bytes | None] = [orjson.dumps(reading) for reading in readings(4)]
    assert "minute" not in mill.process(records(values)).rows
    assert mill.on_idle(60_000_000).rows == {}
    product = mill.on_idle(6 * 60_000_000)
    assert product.records == 0
    devices = len({reading["mote_id"] for reading in readings(4)})
    assert product.rows["minute"].offset.tolist() == [3] * devices
    assert mill.counts.moved == devices
    mill.close()
    assert mill.counts.moved == devices, "the end of a run is no silence"


def disturbed(count: int) -> list[bytes | None]:
    """Give readings as a bad network delivers them: late, twice, broken, or without values."""
    random = Random(5)
    sent = readings(count)
    order = sorted(range(count), key=lambda row: row + random.choice([0, 0, 0, 12, 150]) * random.random())
    values: list[bytes | None] = []
    for row in order:
        reading = dict(sent[row])
        trouble = random.random()
        if trouble < 0.02:
            reading["humidity"] = None if trouble < 0.01 else 120.0
        elif trouble < 0.03:
            reading["humidity"] += 30
        elif trouble < 0.04:
            del reading["mote_id"]
        elif trouble < 0.05:
            reading["temperature"] = 999
        value = orjson.dumps(reading)
        sent_on: dict[float, list[bytes | None]] = {0.05: [value[:20]], 0.06: [value, value], 0.07: [None, value]}
        values += sent_on.get(round(trouble, 2), [value])
    return values


@pytest.mark.parametrize("pieces", [2, 30, 700])
@pytest.mark.parametrize("trouble", [False, True], ids=["as measured", "with trouble on the way"])
def test_any_cut_into_batches_gives_identical_products(trouble: bool, pieces: int) -> None:
    motes = pipeline()
    values: list[bytes | None] = disturbed(3_000) if trouble else [orjson.dumps(row) for row in readings(3_000)]
    whole = records(values)
    one = shard(motes)
    expected = seen(motes, [one.process(whole), one.close()])
    assert len(expected["minute"]) > 200
    assert (len(expected[DEAD]) > 30) == trouble
    assert (len(expected["minute.late"]) > 30) == trouble

    at = sorted(Random(pieces).sample(range(1, len(whole)), pieces - 1))
    many = shard(motes)
    products = [many.process(piece) for piece in cut(whole, at)]
    assert seen(motes, [*products, many.close()]) == expected
    assert many.counts == one.counts
    assert many.position == one.position == len(whole)


@pytest.mark.parametrize("between", ["", "  - alert: {raise: m > 0}\n"])
def test_a_row_of_a_window_that_cannot_be_processed_is_told_without_blaming_a_record(
    between: str, tmp_path: Path
) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text(
        """
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {n: int}
steps:
  - window: {tumbling: 1s, aggregate: {m: sum(n)}}
  - derive: {small: CAST(m AS SMALLINT)}
sinks: [{from: derive, kafka: {topic: out}}]
""".replace("  - derive", f"{between}  - derive")
    )
    mill = config.read(file, {})
    own = Shard(mill, mill.source.format.decoder(mill.source.reading), ["derive"])
    value = b'{"dev": "a", "ts": 1, "n": 70000}'
    assert not own.process(Records.of("raw", 3, [value], [b"k"], np.array([-1]), np.array([5]))).letters
    (letter,) = own.close().letters
    assert (letter.topic, letter.partition, letter.offset, letter.key, letter.value) == ("raw", 3, 5, None, None)
    assert letter.reason.startswith(
        f"a row of `{'alert' if between else 'window'}` in step `derive`: `CAST(m AS SMALLINT)`"
    )
    assert own.counts.dead == 1


RESAMPLED = """
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: s, idle: 1m}
  fields: {n: int}
steps:
  - {id: even, resample: {every: 10s, how: last, gap: 1h}}
  - derive: {small: CAST(n AS SMALLINT)}
sinks: [{from: derive, kafka: {topic: out}}]
"""


def resampling(folder: Path) -> Shard:
    file = folder / "mill.yaml"
    file.write_text(RESAMPLED)
    mill = config.read(file, {})
    return Shard(mill, mill.source.format.decoder(mill.source.reading), ["derive"])


def test_a_row_that_resample_made_and_that_cannot_be_processed_blames_no_record(tmp_path: Path) -> None:
    mill = resampling(tmp_path)
    product = mill.process(records([b'{"dev": "a", "ts": 5, "n": 70000}', b'{"dev": "a", "ts": 12, "n": 1}']))
    (letter,) = product.letters
    assert (letter.offset, letter.key, letter.value) == (1, None, None)
    assert letter.reason.startswith("a row of `even` in step `derive`: `CAST(n AS SMALLINT)`")


def test_a_row_that_the_end_makes_and_that_cannot_be_processed_is_told_too(tmp_path: Path) -> None:
    mill = resampling(tmp_path)
    mill.process(records([b'{"dev": "a", "ts": 5, "n": 70000}']))
    product = mill.close()
    assert len(product.letters) == mill.counts.dead == 360
    assert not product.rows


def test_a_silent_device_gets_its_grid_rows_as_time_goes_on(tmp_path: Path) -> None:
    # a: 5s, then silent; b goes on. idle 1m: from 65s on the clock takes a along, looking every 15s.
    mill = resampling(tmp_path)
    made: list[tuple[int, int]] = []
    mill.process(records([b'{"dev": "a", "ts": 5, "n": 1}']))
    for number, now in enumerate(range(5, 605, 5), 1):
        product = mill.process(records([b'{"dev": "b", "ts": %d, "n": 1}' % now], number))
        for rows in product.rows.values():
            mine = [device == b"a" for device in product.devices.ids(rows.device).values()]
            made += [(now, ts // 1_000_000) for ts in rows.ts[mine].tolist()]
    assert [ts for _, ts in made] == list(range(10, 600, 10))
    assert max(now - ts for now, ts in made) <= 75
    assert max(now - ts for now, ts in made if ts > 70) <= 15 + 10
