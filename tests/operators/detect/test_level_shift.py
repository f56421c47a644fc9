"""Tests of the detector `level_shift`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from operators.batch import Schema
from operators.clock import FORGET
from operators.detect.level_shift import LevelShift
from tests.operators.detect.record import Record
from tests.operators.rows import NINE, SCHEMA, SECOND, Near, Row, Runner, clocked, run

SPECS: list[dict[str, Any]] = [
    {"field": "temperature", "fast": 2, "slow": 12, "history": 60, "warmup": 20, "prefix": "t_"},
    {"field": "humidity", "fast": 1, "slow": 30, "history": 5000, "warmup": 25, "prefix": "h_"},
    {"field": "n", "fast": 4, "slow": 20, "history": 100, "warmup": 40, "prefix": "n_"},
    {"field": "ok", "fast": 0.5, "slow": 8, "history": 30, "warmup": 20, "prefix": "ok_"},
]
BINS, PER_OCTAVE, LOWEST = 96, 4, -12


@dataclass
class Device:
    """What is known of a device."""

    n: int = 0
    fast: float = 0.0
    slow: float = 0.0
    deviation: float = 0.0
    record: Record = field(default_factory=lambda: Record.of(BINS))


def place(difference: float, usual: float) -> float:
    """Where a difference stands in the record, in bins: its logarithm, in quarters of an octave."""
    if difference == 0:
        return 0.0
    if usual == 0:
        return float(BINS)
    ratio = abs(difference) / usual
    octaves = math.log2(ratio) - LOWEST if ratio > 0 else -math.inf
    return min(max(octaves * PER_OCTAVE, 0.0), float(BINS))


def oracle(spec: LevelShift, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Compare a fast and a slow mean of each device, in units of its usual deviation, with its own record."""
    fast_rate = 1 - 0.5 ** (1 / spec.fast)
    slow_rate = 1 - 0.5 ** (1 / spec.slow)
    decay = 0.5 ** (1 / spec.history)
    devices: dict[bytes, Device] = {}
    out = []
    for row in rows:
        if row.watermark == FORGET:
            devices.pop(row.device, None)
        if not row.live:
            out.append(replace(row, values={}))
            continue
        added: dict[str, Any] = {"score": 0.0, "expected": None, "side": None}
        given: Any = row[spec.field]
        if given is not None and abs(given) <= 1e150:
            added |= follow(devices.setdefault(row.device, Device()), float(given), spec, (fast_rate, slow_rate, decay))
        out.append(replace(row, values={**row.values, **{spec.prefix + name: value for name, value in added.items()}}))
    return {"": out}


def follow(device: Device, value: float, spec: LevelShift, rates: tuple[float, float, float]) -> dict[str, Any]:
    """Score a value, then learn from it."""
    fast_rate, slow_rate, decay = rates
    if device.n == 0:
        device.fast = device.slow = value
    device.n += 1
    slow_share = max(slow_rate, 1 / device.n)
    device.fast += max(fast_rate, 1 / device.n) * (value - device.fast)
    difference = device.fast - device.slow
    usual = max(device.deviation, 1e-9 * abs(device.slow))
    position = place(difference, usual)
    added: dict[str, Any] = {}
    if device.n > spec.warmup:
        side = "high" if difference > 0 else ("low" if difference < 0 else None)
        added = {
            "score": Near(max(device.record.surprise(position), 0.0), 1e-6),
            "expected": Near(device.slow),
            "side": side,
        }
    device.record.add(position)
    if device.n % 64 == 0:
        # The record's newest rows weigh 1, the older ones less: once in 64 rows all are brought down.
        device.record.fade(decay**64)
    off = abs(value - device.slow)
    if device.n > 20:
        off = min(off, 8 * usual)
    device.deviation += slow_share * (off - device.deviation)
    device.slow += slow_share * (value - device.slow)
    return added


def scored(values: Sequence[float | None], **options: Any) -> list[tuple[float, float | None, str | None]]:
    schema = Schema({"humidity": SCHEMA.columns["humidity"]}, ("device",), "ts")
    rows = clocked([(b"a", NINE + at * SECOND, {"humidity": value}) for at, value in enumerate(values)])
    made = run(LevelShift.model_validate({"field": "humidity", **options}), rows, schema)
    return [(row["score"], row["expected"], row["side"]) for row in made.main]


def noise(rows: int, seed: int = 7) -> list[float | None]:
    random = Random(seed)
    return [random.gauss(40, 1) for _ in range(rows)]


def test_nothing_is_scored_before_the_warmup_is_over() -> None:
    out = scored([*noise(400), 90.0])
    assert {score for score, _, _ in out[:400]} == {0.0}
    assert {expected for _, expected, _ in out[:400]} == {None}
    assert out[400][1] is not None


@pytest.mark.parametrize(("shift", "side"), [(8, "high"), (-8, "low")])
def test_a_shift_of_level_is_scored_high_and_says_where_it_went(shift: float, side: str) -> None:
    shifted = [value + shift for value in noise(20, seed=8) if value is not None]
    out = scored([*noise(2000), *shifted])
    _, expected, where = out[-1]
    assert max(score for score, _, _ in out[2000:]) > 3
    assert expected == pytest.approx(40, abs=1)
    assert where == side
    assert max(score for score, _, _ in out[1000:2000]) < 4


def test_a_score_is_in_decades_of_surprise() -> None:
    scores = [score for score, _, _ in scored(noise(30_000))][10_000:]
    for decades in (1, 2, 3):
        share = sum(score > decades for score in scores) / len(scores)
        assert 10**-decades / 4 < share < 10**-decades * 4


def test_an_old_record_fades_by_half_in_a_half_life() -> None:
    runner = Runner(LevelShift.model_validate({"field": "humidity", "history": 64, "warmup": 20, "prefix": "h_"}))
    weights = []
    for at in range(30):
        rows = [(b"a", NINE + (at * 64 + row) * SECOND, {"humidity": value}) for row, value in enumerate(noise(64, at))]
        runner.put(clocked(rows))
        snapshot = runner.state.snapshot()
        weights.append(float(snapshot["levels"][0, 4]))
        assert float(snapshot["record"][0].sum()) == pytest.approx(weights[-1], rel=1e-3)
    assert weights[0] == pytest.approx(32)
    assert weights[-1] == pytest.approx(64)


def test_a_wild_device_is_allowed_to_be_wild() -> None:
    """One that jumps by 10 all the time isn't odd when it does so again; a calm one is."""
    random = Random(3)
    wild: list[float | None] = [40 + 10 * (at // 25 % 2) + random.gauss(0, 0.1) for at in range(3000)]
    calm: list[float | None] = [40 + random.gauss(0, 0.1) for _ in range(2975)]
    assert max(score for score, _, _ in scored(wild)[2000:]) < 3
    assert max(score for score, _, _ in scored([*calm, *wild[-25:]])[-25:]) > 3


@pytest.mark.parametrize("missing", [None, math.inf, -math.inf, 1.1e150, -1e200])
def test_a_missing_value_scores_zero_and_changes_nothing(missing: float | None) -> None:
    values = noise(600)
    with_gaps = [value for pair in values for value in (pair, missing)]
    out = scored(with_gaps)
    assert out[::2] == scored(values)
    assert set(out[1::2]) == {(0.0, None, None)}


def test_a_constant_value_is_no_anomaly_and_the_first_other_one_is() -> None:
    out = scored([40.0] * 500 + [41.0])
    assert max(score for score, _, _ in out[:500]) < 0.5
    assert out[-1][0] > 2
    assert out[-1][2] == "high"


@pytest.mark.parametrize("broken", [1e150, -1e150, 1e300, 1.7e308])
def test_a_broken_reading_at_the_beginning_doesnt_make_a_device_unheard_for_ever(broken: float) -> None:
    values = [40.0, broken, -broken, *noise(600)]
    assert all(math.isfinite(score) and expected is not None for score, expected, _ in scored(values)[500:])


@pytest.mark.parametrize("at", [0, 1, 18, 19, 20, 21, 62, 63, 64, 65])
def test_an_outlier_counts_as_in_the_oracle_wherever_the_counting_changes(at: int) -> None:
    # From the 21st value on an outlier is held down; behind the 64th the record is aged.
    values = noise(150)
    values[at] = 1000.0
    spec = LevelShift.model_validate(
        {"field": "humidity", "fast": 2, "slow": 30, "history": 50, "warmup": 20, "prefix": "h_"}
    )
    rows = clocked([(b"a", NINE + number * SECOND, {"humidity": value}) for number, value in enumerate(values)])
    schema = Schema({"humidity": SCHEMA.columns["humidity"]}, ("device",), "ts")
    assert run(spec, rows, schema).rows == oracle(spec, schema, rows, "", "")


def test_devices_dont_see_each_other() -> None:
    values = noise(500)
    alone = scored(values)
    schema = Schema({"humidity": SCHEMA.columns["humidity"]}, ("device",), "ts")
    readings = [(device, NINE, {"humidity": value}) for value in values for device in (b"a", b"b")]
    made = run(LevelShift.model_validate({"field": "humidity"}), clocked(readings), schema)
    for device in (b"a", b"b"):
        assert [(row["score"], row["expected"], row["side"]) for row in made.main if row.device == device] == alone


@pytest.mark.parametrize("options", [{"fast": 0}, {"slow": -1}, {"history": 0}, {"warmup": 19}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        LevelShift.model_validate({"field": "humidity", **options})
