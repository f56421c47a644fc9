"""Tests of `dedupe`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators import dedupe
from operators.base import SpecError
from operators.batch import Schema, Text, Type
from operators.clock import FORGET
from operators.dedupe import Dedupe
from tests.operators.rows import (
    DEVICES,
    HOUR,
    MINUTE,
    NINE,
    SCHEMA,
    SECOND,
    Row,
    Runner,
    clocked,
    cut,
    run,
    to_batch,
)

SPECS: list[dict[str, Any]] = [
    {"by": ["n"], "within": "10m"},
    {"by": "status", "within": "10s"},
    {"by": ["temperature", "ok"], "within": "1us"},
    {"by": ["ok"], "within": "0s"},
    {"by": ["ts"], "within": "1h"},
    {"by": ["ok", "ok", "device"], "within": "2s"},
    {"by": ["device"], "within": "800d"},
    {"by": ["humidity", "status", "n", "ok"], "within": "36000d"},
]


def oracle(spec: Dedupe, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Hold each row against all rows of its device that were let through."""
    out: dict[str, list[Row]] = {"": [], "duplicates": []}
    through: dict[bytes, list[tuple[list[Any], int]]] = defaultdict(list)
    for row in rows:
        if row.watermark == FORGET:
            through[row.device].clear()
        if not row.live:
            out[""].append(replace(row, values={}))
            continue
        named = {**row.values, str(schema.time): row.ts, schema.device[0]: row.device}
        key = [named[name] for name in spec.by]  # Python too holds None to equal None, and -0.0 to equal 0.0
        if any(
            key == known and abs(ts - row.ts) <= spec.within and row.watermark <= ts + spec.within
            for known, ts in through[row.device]
        ):
            out["duplicates"].append(row)
            out[""].append(replace(row, live=False, values={}))
        else:
            through[row.device].append((key, row.ts))
            out[""].append(row)
    return out


def kept(spec: Dedupe, *readings: tuple[float, int], lateness: int = 0) -> list[float]:
    """Give the seconds of the rows let through, of readings (second, n) of one device."""
    rows = clocked([(b"a", NINE + int(at * SECOND), {"n": n}) for at, n in readings], lateness=lateness)
    return [(row.ts - NINE) / SECOND for row in run(spec, rows).main]


def seq(within: str = "10s") -> Dedupe:
    return Dedupe.model_validate({"by": ["n"], "within": within})


def test_a_missing_value_is_a_missing_value_whatever_its_bits() -> None:
    runner = Runner(Dedupe.model_validate({"by": "temperature", "within": "10s"}))
    batch = to_batch(clocked([(b"a", NINE, {}), (b"a", NINE, {})]), SCHEMA, runner.devices)
    missing = np.array([np.nan, -np.nan])
    assert len(set(missing.view(np.uint64).tolist())) == 2
    assert runner.state.on_batch(batch.adding({"temperature": missing})).main.live.tolist() == [True, False]


def test_a_row_that_was_seen_goes_no_further_and_is_put_aside() -> None:
    #   0s  1s  2s  3s
    #   7   8   7   9
    #           dup
    rows = clocked([(b"a", NINE + at * SECOND, {"n": n}) for at, n in enumerate([7, 8, 7, 9])])
    made = run(seq(), rows)
    assert [row["n"] for row in made.main] == [7, 8, 9]
    assert [(row.offset, row["n"], row.ts) for row in made.rows["duplicates"]] == [(2, 7, NINE + 2 * SECOND)]
    assert [(row.live, row.ts, row.watermark, row.offset) for row in made.rows[""]][2] == (
        False,
        NINE + 2 * SECOND,
        NINE + 2 * SECOND,
        2,
    )


def test_every_row_is_either_let_through_or_put_aside() -> None:
    rows = clocked([(DEVICES[at % 3], NINE + at * SECOND, {"n": at % 2}) for at in range(200)])
    made = run(seq(), rows)
    assert sorted(row.offset for row in [*made.main, *made.rows["duplicates"]]) == list(range(200))
    assert made.rows["duplicates"]


def test_each_device_has_its_own_keys() -> None:
    rows = clocked([(device, NINE, {"n": 7}) for device in (b"a", b"b", b"a")])
    assert [row.device for row in run(seq(), rows).main] == [b"a", b"b"]


def test_exactly_within_is_a_duplicate_and_a_microsecond_more_is_none() -> None:
    #   0s                 10s   10.000001s
    #   [-----within-------]
    assert kept(seq(), (0, 7), (10, 7)) == [0]
    assert kept(seq(), (0, 7), (10.000001, 7)) == [0, 10.000001]


def test_a_duplicate_is_not_remembered_itself() -> None:
    #   0s     6s      12s
    #   [---within-)
    #          dup
    #                  let through, though 6s behind the duplicate
    assert kept(seq(), (0, 7), (6, 7), (12, 7)) == [0, 12]


def test_an_older_row_is_held_against_a_newer_one() -> None:
    #   20s  12s   9s
    #        dup   let through: 11s before
    assert kept(seq(), (20, 7), (12, 7), (9, 7), lateness=MINUTE) == [20, 9]


def test_a_row_between_two_that_were_let_through_is_a_duplicate_of_either() -> None:
    #   0s        10s        20s
    #   through              through
    #             dup
    assert kept(seq(), (20, 7), (0, 7), (10, 7), lateness=MINUTE) == [20, 0]


def test_a_key_is_forgotten_once_the_watermark_has_passed_its_time_by_more_than_within() -> None:
    #   0s: 7     watermark 10s: still remembered       watermark 10.000001s: forgotten
    assert kept(seq(), (0, 7), (10, 1), (5, 7)) == [0, 10]
    assert kept(seq(), (0, 7), (10.000001, 1), (5, 7)) == [0, 10.000001, 5]
    assert kept(seq(), (0, 7), (11, 1), (5, 7), lateness=SECOND) == [0, 11]


def test_a_row_so_late_that_nothing_is_remembered_is_let_through_and_leaves_nothing() -> None:
    rows = clocked([(b"a", NINE + at, {"n": n}) for at, n in ((0, 7), (HOUR, 7), (0, 7), (0, 7), (1, 8), (HOUR, 7))])
    runner = Runner(seq())
    assert [row.offset for row in runner.put(rows).main] == [0, 1, 2, 3, 4]
    state: Any = runner.state
    assert state._used == 2, "the rows 0 and 1 alone took a place"


def test_a_key_that_is_forgotten_gives_its_place_to_a_row_nearby() -> None:
    #   0s: 7    9s: 7 is a duplicate    10.5s: the first is forgotten   10.6s: 7 let through, as is remembered
    rows = [(0, 7), (9, 7), (10.5, 1), (10.6, 7), (10.7, 7)]
    assert kept(seq(), *rows) == [0, 10.5, 10.6]


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("temperature", None, None),
        ("temperature", math.nan, None),
        ("temperature", -0.0, 0.0),
        ("status", None, None),
        ("n", None, None),
        ("ok", None, None),
    ],
)
def test_missing_values_equal_each_other_and_so_do_the_zeros(column: str, one: Any, other: Any) -> None:
    spec = Dedupe.model_validate({"by": column, "within": "10s"})
    rows = clocked([(b"a", NINE, {column: one}), (b"a", NINE, {column: other})])
    assert len(run(spec, rows).main) == 1


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("temperature", None, 0.0),
        ("temperature", 5e-324, 0.0),
        ("temperature", math.inf, -math.inf),
        ("n", 2**53, 2**53 + 1),
        ("n", None, 0),
        ("ok", None, False),
        ("ok", True, False),
        ("status", None, ""),
        ("status", "a", "b"),
        ("status", "a", "a\0"),
        ("status", "12345678", "123456789"),
    ],
)
def test_values_that_differ_by_ever_so_little_are_different_keys(column: str, one: Any, other: Any) -> None:
    spec = Dedupe.model_validate({"by": column, "within": "10s"})
    rows = clocked([(b"a", NINE, {column: one}), (b"a", NINE, {column: other})])
    assert len(run(spec, rows).main) == 2


def test_all_columns_together_make_the_key() -> None:
    spec = Dedupe.model_validate({"by": ["n", "status"], "within": "10s"})
    values = [(1, "a"), (1, "b"), (2, "a"), (1, "a")]
    rows = clocked([(b"a", NINE, {"n": n, "status": status}) for n, status in values])
    assert [row.offset for row in run(spec, rows).main] == [0, 1, 2]


def test_with_the_time_in_the_key_only_rows_of_one_time_are_duplicates() -> None:
    spec = Dedupe.model_validate({"by": ["ts", "n"], "within": "10m"})
    assert kept(spec, (0, 7), (1, 7), (0, 7), (1, 8), (1, 7)) == [0, 1, 1]


def test_text_is_held_by_what_it_says_and_not_by_its_code() -> None:
    spec = Dedupe.model_validate({"by": ["status"], "within": "10s"})
    runner = Runner(spec)
    first, second = (["x", "y"], [0, 1], [True, True]), (["y", "no", "z", "x"], [0, 2, 3], [False, True, False])
    for texts, codes, through in (first, second):
        rows = clocked([(b"a", NINE, {}) for _ in codes])
        batch = to_batch(rows, SCHEMA, runner.devices).adding({"status": Text(np.array(codes, np.int32), texts)})
        assert runner.state.on_batch(batch).main.live.tolist() == through


def test_a_device_that_was_forgotten_begins_anew() -> None:
    again = Row(b"a", NINE, NINE, 2, live=True, values={"n": 7})
    gone = Row(b"a", int(FORGET), int(FORGET), 1, live=False)
    rows = [replace(again, offset=0), replace(again, device=b"b", offset=1), gone, again, replace(again, device=b"b")]
    made = run(seq(), rows)
    assert [(row.device, row.offset) for row in made.main] == [(b"a", 0), (b"b", 1), (b"a", 2)]
    assert made.rows[""][2] == gone


_NUMBERED = Schema({"n": Type.INT}, ("device",), "ts")


def trouble(count: int, seed: int) -> list[Row]:
    """Give readings of a few devices that come late and twice, with so many keys that the table is made anew often."""
    random = Random(seed)
    readings = []
    for at in range(count):
        now = NINE + at * SECOND // 10 - random.choice([0, 0, 5, 30, 90]) * SECOND
        readings.append((random.choice(DEVICES), now, {"n": random.choice([at, at // 3, at - 40, at % 5])}))
    return clocked(readings, lateness=MINUTE, forgets={count // 2: DEVICES[0], count * 3 // 4: DEVICES[1]})


@pytest.mark.parametrize("within", ["0s", "1s", "20s", "10m"])
@pytest.mark.parametrize("least", [2, 1_024])
def test_however_often_the_table_is_made_anew_the_rows_are_the_same(
    within: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedupe, "_LEAST", least)
    spec, rows = seq(within), trouble(4_000, seed=least)
    expected = oracle(spec, _NUMBERED, rows, "", "")
    assert len(expected["duplicates"]) >= 10
    for seed, pieces in enumerate([1, 3, 100]):
        at = sorted(Random(seed).sample(range(len(rows)), pieces - 1))
        runner = Runner(spec, _NUMBERED)
        assert runner.put_pieces(cut(rows, at)).rows == expected


def test_a_snapshot_in_the_middle_of_many_keys_changes_nothing() -> None:
    spec, rows = seq("20s"), trouble(4_000, seed=3)
    runner = Runner(spec, _NUMBERED)
    made: dict[str, list[Row]] = {"": [], "duplicates": []}
    for piece in cut(rows, range(500, 4_000, 500)):
        for side, out in runner.put(piece).rows.items():
            made[side] += out
        runner.resume()
    assert made == oracle(spec, _NUMBERED, rows, "", "")


def test_memory_follows_what_is_remembered_and_not_what_came() -> None:
    runner = Runner(seq("10s"))
    state: Any = runner.state
    for hour in range(30):
        rows = clocked([(b"a", NINE + hour * HOUR + at * SECOND, {"n": at}) for at in range(1_000)])
        runner.put(rows)
    assert len(state.snapshot()["keys"]) == 11, "the last ten seconds, both ends"
    assert state._table.nbytes <= 192 * 11 + 384 * 1_000, "and room for some batches"


def test_a_key_takes_192_bytes_at_most_and_the_table_shrinks_again() -> None:
    runner = Runner(seq("1h"))
    state: Any = runner.state
    many = 50_000
    for first in range(0, many, 1_000):
        runner.put(clocked([(b"a", NINE + at, {"n": at}) for at in range(first, first + 1_000)]))
    assert len(state.snapshot()["keys"]) == many
    assert state.snapshot()["keys"].nbytes == 32 * many
    assert 64 * many <= state._table.nbytes <= 192 * many + 384 * 1_000
    most = state._table.nbytes
    for later in range(2, 100):
        runner.put(clocked([(b"a", NINE + 2 * later * HOUR + at, {"n": at}) for at in range(1_000)]))
    assert state._table.nbytes < most / 4


def test_the_keys_of_a_device_that_is_forgotten_leave_the_memory() -> None:
    runner = Runner(seq("1h"))
    runner.put(clocked([(b"a", NINE + at, {"n": at}) for at in range(100)]))
    assert len(runner.state.snapshot()["keys"]) == 100
    runner.put([Row(b"a", int(FORGET), int(FORGET), 100, live=False)])
    assert len(runner.state.snapshot()["keys"]) == 0


def test_one_key_of_many_devices_is_spread_over_the_table() -> None:
    runner = Runner(seq())
    state: Any = runner.state
    rows = clocked([(b"d%d" % at, NINE, {"n": 7}) for at in range(100)])
    places = state._hashes(to_batch(rows, SCHEMA, runner.devices))[:, 0] & 0xFFFF
    assert len(set(places.tolist())) > 90


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        # vectors_sip128 of the reference implementation, github.com/veorq/SipHash, vectors.h
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        (16, "6ee2a4ca67b054bbfd3315bf85230577"),
        (63, "5150d1772f50834a503e069a973fbd7c"),
    ],
)
def test_the_hash_is_siphash_as_published(length: int, digest: str) -> None:
    data = np.arange(2 * length, dtype=np.uint8) % max(length, 1)
    first, second = dedupe._hashed(data.astype(np.uint8), np.array([length, 2 * length]))
    assert first.astype("<u8").tobytes().hex() == digest
    assert second.astype("<u8").tobytes().hex() == digest, "the second of two stretches alike"


def test_columns_that_arent_there_are_all_told() -> None:
    spec = Dedupe.model_validate({"by": ["n", "statos", "nowhere"], "within": "1m"})
    with pytest.raises(SpecError) as caught:
        spec.outputs(SCHEMA)
    assert [(problem.at, problem.given, problem.fix) for problem in caught.value.problems] == [
        (("by", 1), "`statos`", "did you mean `status`?"),
        (("by", 2), "`nowhere`", None),
    ]
    assert "a column that exists here: device, ts, temperature" in caught.value.problems[0].expected


def test_what_comes_out_are_the_columns_that_came_in() -> None:
    assert seq().outputs(SCHEMA) == {"": SCHEMA, "duplicates": SCHEMA}


def test_rows_of_a_window_are_deduplicated_by_their_own_times() -> None:
    schema = Schema({"window_start": Type.TIME, "n": Type.INT}, ("device",), None)
    spec = Dedupe.model_validate({"by": ["window_start"], "within": "1h"})
    rows = clocked([(b"a", NINE + at, {"window_start": start, "n": at}) for at, start in enumerate([5, None, 5, None])])
    assert [row["n"] for row in run(spec, rows, schema).main] == [0, 1]


@pytest.mark.parametrize("options", [{"by": [], "within": "1m"}, {"by": ["n"]}, {"within": "1m"}])
def test_a_key_and_a_horizon_are_needed(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Dedupe.model_validate(options)


def test_the_options_are_written_back_as_they_are_read() -> None:
    spec = Dedupe.model_validate({"by": "n", "within": "90s"})
    assert spec.model_dump(mode="json") == {"by": ["n"], "within": "1m30s"}
    assert Dedupe.model_validate(spec.model_dump(mode="json")) == spec
