"""Records that hold several readings, from bytes to windows and alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.codec.base import Records
from pipelines import config
from pipelines.plan import DEAD, Pipeline
from pipelines.rehearsal import _records as made_up
from tests.pipelines.motes import cut, records, seen, shard

EACH = """\
name: mill
source:
  kafka: {topics: [raw]}
  each: data.readings
  device: [gateway, data.readings.id]
  time: {field: data.readings.ts, unit: ms, lateness: 2s, idle: 20s}
  fields: {t: {type: float, path: data.readings.t}, site: text}
steps:
  - id: known
    filter: t < 1000
  - id: five
    window: {tumbling: 5s, aggregate: {n: count(), mean: mean(t), last: last(t)}}
  - id: hot
    from: known
    alert: {raise: t > 80, clear: t < 75, for: 1s}
sinks:
  - {from: five, kafka: {topic: out}}
  - {from: five.late, kafka: {topic: late}}
  - {from: hot, kafka: {topic: alerts}}
  - {from: dead, kafka: {topic: dead}}
"""
ONE = EACH.replace("  each: data.readings\n", "")


def mill(folder: Path, text: str) -> Pipeline:
    file = folder / "mill.yaml"
    file.write_text(text)
    return config.read(file, {})


def gateways() -> list[dict[str, Any]]:
    """Make records of two gateways with up to 6 readings of three sensors each, some of them late, some records empty."""
    found = []
    for number in range(60):
        readings = [
            {
                "id": f"s{at % 3}",
                "ts": 1_000 * (number + at // 2) - 9_000 * (at == 4),
                "t": 60 + (number * 7 + at * 11) % 40,
            }
            for at in range(number % 7)
        ]
        found.append({"gateway": f"g{number % 2}", "site": "north", "data": {"readings": readings}})
    return found


def test_a_shard_makes_of_readings_in_one_record_what_it_makes_of_a_record_each(tmp_path: Path) -> None:
    together = gateways()
    apart = [
        {**record, "data": {"readings": reading}, "$of": offset}
        for offset, record in enumerate(together)
        for reading in record["data"]["readings"]
    ]
    each, one = mill(tmp_path, EACH), mill(tmp_path, ONE)
    many = shard(each)
    found = seen(each, [many.process(records([*map(orjson.dumps, together)])), many.close()])
    single = shard(one)
    expected = seen(one, [single.process(records([*map(orjson.dumps, apart)])), single.close()])
    last = len(together) - 1
    for stream, rows in expected.items():
        moved = [(apart[offset]["$of"] if offset < len(apart) - 1 else last, ts, row) for offset, ts, row in rows]
        assert [plain(row) for row in found[stream]] == [plain(row) for row in moved], stream
        assert found[stream] or stream == DEAD
    ids = [row["alert_id"] for _, _, row in found["hot"] if row["state"] == "raised"]
    assert len(set(ids)) == len(ids) > 1


def plain(row: tuple[int, int, dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Give a row without what tells where its record was."""
    _, ts, values = row
    return ts, {name: value for name, value in values.items() if name != "alert_id"}


@pytest.mark.parametrize("at", [[1], [7, 8, 30], list(range(1, 60))], ids=str)
def test_any_cut_between_records_gives_the_same(at: list[int], tmp_path: Path) -> None:
    each = mill(tmp_path, EACH)
    values: list[bytes | None] = [orjson.dumps(record) for record in gateways()]
    values[20], values[33] = b"{}", values[33].replace(b'"s2"', b"null")  # type: ignore[union-attr]  # isn't None
    whole, pieces = shard(each), shard(each)
    found = seen(each, [pieces.process(piece) for piece in cut(records(values), at)])
    assert found == seen(each, [whole.process(records(values))])
    assert [letter.offset for letter in found[DEAD]] == [20, 33]


def test_a_record_with_one_bad_reading_is_dead_as_it_came_and_none_of_it_goes_on(tmp_path: Path) -> None:
    each = mill(tmp_path, EACH)
    bad = orjson.dumps(
        {"gateway": "g", "data": {"readings": [{"id": 1, "ts": 1, "t": 5}, {"id": 1, "ts": 2, "t": "high"}]}}
    )
    good = orjson.dumps({"gateway": "g", "data": {"readings": [{"id": 1, "ts": 1, "t": 5}]}})
    product = shard(each).process(records([bad, good, b'{"gateway":"g","data":{}}']))
    assert product.records == 3
    assert product.rows["source"].offset.tolist() == [1]
    assert [(letter.offset, letter.value, letter.reason) for letter in product.letters] == [
        (0, bad, "reading 1: field `data.readings.t`: expected a number, given text: 'high'"),
        (2, b'{"gateway":"g","data":{}}', "field `data.readings`: expected a list of readings, given nothing"),
    ]


def test_a_rehearsal_makes_records_with_a_reading_up(tmp_path: Path) -> None:
    each = mill(tmp_path, EACH)
    product = shard(each).process(made_up(each.source))
    assert not product.letters
    assert product.rows["source"].offset.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("most", [1, 7, 50, 10**6])
def test_records_are_cut_into_pieces_by_their_bytes(most: int) -> None:
    values = [b"x" * (size * 7 % 23) for size in range(40)]
    values[3] = b"y" * 60
    whole = records([*values, None])
    pieces = whole.pieces(most)
    assert [value for piece in pieces for value in piece.values.to_list()] == [*values, None]
    assert [offset for piece in pieces for offset in piece.offset.tolist()] == whole.offset.tolist()
    assert all(size(piece) <= most + max(map(len, values)) for piece in pieces)
    assert len(pieces) <= size(whole) // most + 1
    assert records([]).pieces(most)[0].values.to_list() == []


def size(piece: Records) -> int:
    return int(piece.values.size.clip(0).sum())
