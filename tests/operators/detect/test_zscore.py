"""Tests of the detector `zscore`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators.batch import Batch, Schema
from operators.clock import FORGET
from operators.detect.zscore import _TAIL, Zscore, _surprise
from tests.operators.detect.record import Record
from tests.operators.rows import NINE, SCHEMA, SECOND, Near, Row, Runner, clocked, run

SPECS: list[dict[str, Any]] = [
    {"field": "temperature", "half_life": 8, "history": 100, "warmup": 10, "prefix": "t_"},
    {"field": "humidity", "prefix": "h_"},
    {"field": "humidity", "history": 0, "prefix": "h_"},
    {"field": "n", "half_life": 30, "history": 200, "warmup": 25, "prefix": "n_"},
    {"field": "ok", "half_life": 5, "history": 100, "warmup": 12, "prefix": "ok_"},
]
BINS, PER_OCTAVE, NEAREST = 15, 4, 1.5


def decades(z: float) -> float:
    """Minus the decimal logarithm of the chance that a normal value is at least z deviations off on either side."""
    if z < 5:
        return -math.log10(math.erfc(z / math.sqrt(2)))
    # Laplace's continued fraction for the tail over the density; it doesn't underflow.
    ratio = 0.0
    for term in range(200, 0, -1):
        ratio = term / (z + ratio)
    return z * z / 2 / math.log(10) + math.log10(2 * math.pi) / 2 - math.log10(2 / (z + ratio))


@dataclass
class Device:
    """The values of a device, as they were learnt from, each with its weight; and the record of what was scored."""

    values: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    record: Record = field(default_factory=lambda: Record.of(BINS))
    rows: int = 0

    def mean(self) -> float:
        """The weighted mean of what is known."""
        return math.fsum(weight * value for weight, value in zip(self.weights, self.values, strict=True))

    def variance(self) -> float:
        """The weighted mean of the squares of the distances from it."""
        mean = self.mean()
        return math.fsum(weight * (value - mean) ** 2 for weight, value in zip(self.weights, self.values, strict=True))


def oracle(spec: Zscore, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Hold each value against the weighted values before it, each of which is kept."""
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
            added |= follow(devices.setdefault(row.device, Device()), float(given), spec)
        out.append(replace(row, values={**row.values, **{spec.prefix + name: value for name, value in added.items()}}))
    return {"": out}


def follow(device: Device, value: float, spec: Zscore) -> dict[str, Any]:
    """Score a value, then learn from it."""
    added: dict[str, Any] = {}
    learnt = value
    if len(device.values) >= 10:
        mean, deviation = device.mean(), math.sqrt(device.variance())
        least = max(1e-9 * abs(mean), 1e-150)
        if len(device.values) >= spec.warmup:
            scale = max(abs(known) for known in device.values)
            side = "high" if value > mean else ("low" if value < mean else None)
            if abs(value - mean) <= 1e-12 * scale:
                side = AnySide()
            z = student((value - mean) / max(deviation, least), sum(weight**2 for weight in device.weights))
            score = odd(device, z, spec.history) if spec.history else decades(z)
            added = {"score": Near(score, 3e-5), "expected": Near(mean, 1e-12 * scale), "side": side}
        if deviation > least:
            learnt = min(max(value, mean - 4 * deviation), mean + 4 * deviation)
    device.values.append(learnt)
    share = max(1 - 0.5 ** (1 / spec.half_life), 1 / len(device.values))
    device.weights = [weight * (1 - share) for weight in device.weights] + [share]
    return added


def student(off: float, squares: float) -> float:
    """Give the z that is as unlikely as a value so many deviations off, of values whose squared weights add up to this."""
    freedom = 1 / squares - 1
    t = abs(off) * math.sqrt((1 - squares) / (1 + squares))
    return math.sqrt(freedom * math.log1p(min(t * t / freedom, 1e300))) * (8 * freedom + 1) / (8 * freedom + 3)


def odd(device: Device, z: float, history: float) -> float:
    """Score a z by the device's earlier ones as far as there are enough of them, then put it on record."""
    score = decades(z)
    position = PER_OCTAVE * math.log2(z / NEAREST) if z > 0 else -math.inf
    if z >= NEAREST:
        own = max(device.record.surprise(position), decades(NEAREST))
        share = min(device.record.weight / min(500, history), 1) if device.record.beyond(0) >= 5 else 0
        score = share * own + (1 - share) * score
    device.record.add(position)
    device.rows += 1
    if device.rows % 64 == 0:
        # Newer rows weigh 1, older ones less: once in 64 rows all are brought down.
        device.record.fade(0.5 ** (64 / history))
    return score


class AnySide(str):
    """Where a value is the mean, but for rounding, it may be on any side of it."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # equal to all of them

    def __eq__(self, other: object) -> bool:
        """Whether it is a side."""
        return other in {"high", "low", None}


def of_humidity(values: Sequence[float | None], device: bytes = b"a") -> list[Row]:
    return clocked([(device, NINE + at * SECOND, {"humidity": value}) for at, value in enumerate(values)])


HUMIDITY = Schema({"humidity": SCHEMA.columns["humidity"]}, ("device",), "ts")


def scored(values: Sequence[float | None], **options: Any) -> list[tuple[float, float | None, str | None]]:
    made = run(Zscore.model_validate({"field": "humidity", **options}), of_humidity(values), HUMIDITY)
    return [(row["score"], row["expected"], row["side"]) for row in made.main]


def scores_of_noise(devices: int, values: int, seed: int = 7, **options: Any) -> Any:
    """Score normal noise of many devices; gives a row a value and a column a device."""
    spec = Zscore.model_validate({"field": "humidity", **options})
    state = Runner(spec, HUMIDITY).state
    rows = devices * values
    time = np.arange(rows)
    noise = np.random.default_rng(seed).normal(40, 1, rows)
    device = (time % devices).astype(np.uint32)
    out = state.on_batch(Batch(device, time, time, time, np.ones(rows, np.bool_), {"humidity": noise}))
    return np.asarray(out.main.columns["score"]).reshape(values, devices)


def noise(rows: int, seed: int = 7, level: float = 40.0) -> list[float]:
    random = Random(seed)
    return [random.gauss(level, 1) for _ in range(rows)]


def test_nothing_is_scored_before_the_warmup_is_over() -> None:
    out = scored([*noise(20), 90.0])
    assert {score for score, _, _ in out[:20]} == {0.0}
    assert {expected for _, expected, _ in out[:20]} == {None}
    assert out[20][0] > 5


@pytest.mark.parametrize(("spike", "side"), [(48.0, "high"), (32.0, "low")])
def test_a_spike_is_scored_against_the_mean_before_it_and_says_where_it_went(spike: float, side: str) -> None:
    values = noise(1000)
    assert scored([*values, spike], history=0)[-1][0] > 10
    score, expected, where = scored([*values, spike])[-1]
    assert score > 4, "a thousand values tell no more"
    assert expected == scored([*values, 40.0])[-1][1] == pytest.approx(40, abs=0.3)
    assert where == side


def test_z_and_its_score_are_as_the_docstring_says() -> None:
    shown = {1: 0.5, 2: 1.3, 3: 2.6, 4: 4.2, 5: 6.2, 6: 8.7}
    assert {z: round(float(_surprise(float(z * z), _TAIL)), 1) for z in shown} == shown


def test_the_tail_is_exact_to_two_in_a_hundred_thousand_decades_and_rises_without_end() -> None:
    grid = [at / 1000 for at in range(40_000)] + [10 ** (at / 10) for at in range(17, 1500)]
    found = [float(_surprise(z * z, _TAIL)) for z in grid]
    for z, score in zip(grid, found, strict=True):
        assert score == pytest.approx(decades(z), rel=1e-12, abs=2e-5), z
    assert all(0 <= before < after < math.inf for before, after in pairwise(found))


@pytest.mark.parametrize("half_life", [10, 40, 200])
def test_of_normal_noise_a_score_is_in_decades_of_surprise_from_the_warmup_on(half_life: float) -> None:
    scores = scores_of_noise(4000, 600, half_life=half_life, warmup=10, history=0)
    for part in (scores[10:110], scores[-100:]):
        for decade in (1, 2, 3):
            assert (part > decade).mean() * 10**decade == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("known", [10, 20, 100])
@pytest.mark.parametrize("off", [0.3, 1.0, 2.0, 3.5, 5.0, 40.0])
def test_a_score_is_students_chance_of_a_value_further_off(known: int, off: float) -> None:
    values = noise(known)
    mean = sum(values) / known
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (known - 1) * (1 + 1 / known))
    score = scored([*values, mean + off * deviation], warmup=known)[-1][0]
    exact = -math.log10(students_tail(off, known - 1))
    assert exact - max(0.06 * exact, 1e-4) < score < exact + 1e-3
    if exact < 5:
        assert score == pytest.approx(exact, abs=0.05)


def students_tail(t: float, freedom: int) -> float:
    """Integrate Student's density beyond t on both sides, over the angle whose tangent is t / sqrt(freedom)."""
    whole = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2)) * math.sqrt(math.pi)
    width = math.pi / 2 - math.atan(t / math.sqrt(freedom))
    steps = 20_000
    middles = (width * (at + 0.5) / steps for at in range(steps))
    return 2 * width / steps * math.fsum(math.sin(middle) ** (freedom - 1) for middle in middles) / whole


@pytest.mark.parametrize("spacing", [20, 100])
def test_what_comes_again_is_as_odd_as_it_is_often(spacing: int) -> None:
    values = noise(30_000)
    values[5_000::spacing] = [48.0 + at % 5 for at in range(len(values[5_000::spacing]))]
    scores = [score for score, _, _ in scored(values)][5_000::spacing]
    assert max(scores[:3]) > 4
    assert np.mean(scores[-200:]) == pytest.approx(math.log10(spacing), abs=0.5)
    assert [score for score, _, _ in scored(values, history=0)][-spacing:][0] > 4, "unless there is no record"


@pytest.mark.parametrize("rows", [30, 300, 3_000])
def test_a_value_further_off_scores_more_and_there_is_no_end_to_it(rows: int) -> None:
    runner = Runner(Zscore.model_validate({"field": "humidity", "history": 1000}), HUMIDITY)
    runner.put(of_humidity(noise(rows)))
    known = runner.state.snapshot()
    mean, variance = known["learnt"][0, 1:3]
    found = []
    for step in range(1, 400):
        runner.state = runner._build(known)
        found.append(runner.put(of_humidity([mean + math.sqrt(variance) * 1.03**step / 4])).main[0]["score"])
    assert found[0] < 0.2
    assert all(before <= after for before, after in pairwise(found))
    assert all(before < after for before, after in pairwise(found[150:]))


def test_the_score_goes_over_from_that_of_normal_noise_to_that_of_the_record() -> None:
    random = Random(5)
    values = [40 + random.gauss(0, 1) * random.choice([1, 1, 1, 5]) for _ in range(4_000)]
    by_normal, by_record = ([score for score, _, _ in scored(values, history=history)] for history in (0, 5000))
    assert by_record[:21] == by_normal[:21]
    differ = [abs(one - other) for one, other in zip(by_normal, by_record, strict=True)]
    assert max(differ[20:40]) < 0.1
    odd = [at for at in range(520, 4_000) if by_normal[at] > 2.5]
    assert len(odd) > 100
    assert sum(by_record[at] > 2.5 for at in odd) < 20


def test_a_record_fades_by_half_in_a_half_life_and_is_reset_with_its_device() -> None:
    runner = Runner(Zscore.model_validate({"field": "humidity", "history": 128}), HUMIDITY)
    rows = of_humidity(noise(20 + 64 * 100))
    runner.put(rows)
    record = runner.state.snapshot()["record"][0]
    assert record[BINS] == pytest.approx(64 / (math.sqrt(2) - 1), rel=1e-5)
    assert 0.02 < record[:BINS].sum() / record[BINS] < 0.3
    gone = Row(b"a", int(FORGET), int(FORGET), rows[-1].offset, live=False)
    runner.put([gone])
    assert not runner.state.snapshot()["record"].any()


def test_weights_fall_by_half_in_a_half_life() -> None:
    values = noise(3000)
    runner = Runner(Zscore.model_validate({"field": "humidity", "half_life": 25}), HUMIDITY)
    runner.put(of_humidity(values))
    weights = 0.5 ** (np.arange(3000)[::-1] / 25)
    weights /= weights.sum()
    mean = (weights * values).sum()
    # Of the oldest values, which count alike at first, 2**-100 is left.
    learnt = runner.state.snapshot()["learnt"][0]
    assert learnt.tolist() == pytest.approx([3000, mean, (weights * (values - mean) ** 2).sum(), (weights**2).sum()])


def test_an_anomaly_doesnt_hide_the_next_one() -> None:
    values = noise(1000)
    for at in range(500, 1000, 50):
        values[at] = 1e6
    found = [score for score, _, _ in scored(values, history=0)[500::50]]
    assert min(found) > 0.8 * max(found) > 100
    assert min(score for score, _, _ in scored(values)[500:701:50]) > 6, "four on record leave the fifth as odd"


@pytest.mark.parametrize(("shift", "about"), [(10, 40), (100, 130)])
def test_a_shift_that_lasts_is_learnt(shift: float, about: int) -> None:
    values = [*noise(2000), *noise(1000, seed=8, level=40 + shift)]
    out = scored(values, history=0)[2000:]
    odd = [at for at, (score, _, _) in enumerate(out) if score > 3]
    assert len(odd) == pytest.approx(about, abs=about / 5)
    assert odd[-1] < 2 * about
    assert out[-1][1] == pytest.approx(40 + shift, abs=max(0.5, shift / 20))
    by_record = [score for score, _, _ in scored(values)[2000:]]
    assert min(by_record[:4]) > 3
    assert max(by_record[2 * about :]) < 3


@pytest.mark.parametrize("level", [40.0, 0.1, 0.0, -1e9])
def test_a_constant_value_is_no_anomaly_and_the_first_other_one_is(level: float) -> None:
    out = scored([level] * 500 + [level + 1.0])
    assert {score for score, _, _ in out[:500]} == {0.0}
    assert out[-1][2] == "high"
    assert out[-1][1] == level
    assert (out[-1][0] > 100) == (level != -1e9), "a billionth of the level is as good as nothing"


def test_a_constant_that_comes_to_life_is_learnt() -> None:
    out = scored([40.0] * 500 + noise(1000))
    assert sum(score > 3 for score, _, _ in out[500:]) < 150
    assert max(score for score, _, _ in out[-400:]) < 5


def test_a_large_mean_costs_no_precision() -> None:
    near = [round(value * 2**20) / 2**20 for value in noise(2000)]
    far = [value + 2.0**26 for value in near]
    for (score, _, side), (other, _, where) in zip(scored(near), scored(far), strict=True):
        assert score == pytest.approx(other, abs=1e-6)
        assert side == where


@pytest.mark.parametrize("missing", [None, math.inf, -math.inf, 1.1e150, -1e200])
def test_a_missing_value_scores_zero_and_changes_nothing(missing: float | None) -> None:
    values = noise(100)
    out = scored([value for pair in values for value in (pair, missing)])
    assert out[::2] == scored(values)
    assert set(out[1::2]) == {(0.0, None, None)}


@pytest.mark.parametrize("broken", [1e150, -1e150, 1e300, 1.7e308])
@pytest.mark.parametrize("at", [0, 9, 10, 100])
def test_a_broken_reading_makes_no_score_that_isnt_a_number(broken: float, at: int) -> None:
    values = [*noise(at), broken, -broken, *noise(300), 1e149, 0.0, *([0.0] * 5000), 1e150]
    assert all(math.isfinite(score) and score >= 0 for score, _, _ in scored(values, half_life=5))
    assert all(math.isfinite(score) and score >= 0 for score, _, _ in scored([*([0.0] * 30), broken, -broken]))


def test_a_broken_reading_behind_the_first_ten_is_soon_forgotten() -> None:
    out = scored([*noise(15), 1e150, *noise(100, seed=8), 55.0])
    assert out[-1][0] > 8
    assert out[-1][1] == pytest.approx(40, abs=1)


@pytest.mark.parametrize("at", [0, 1, 8, 9, 10, 11, 19, 20, 21, 43, 44, 83, 84, 147, 148])
def test_an_outlier_counts_as_in_the_oracle_wherever_the_counting_changes(at: int) -> None:
    # From the 11th value on an outlier is held back; with the 44th the weights become exponential, and behind the 84th
    # and the 148th the record is faded.
    values = noise(250)
    values[at] = 1000.0
    spec = Zscore.model_validate({"field": "humidity", "half_life": 30, "history": 100})
    rows = of_humidity(values)
    assert run(spec, rows, HUMIDITY).rows == oracle(spec, HUMIDITY, rows, "", "")


def test_devices_dont_see_each_other() -> None:
    values = noise(100)
    alone = scored(values)
    readings = [(device, NINE, {"humidity": value}) for value in values for device in (b"a", b"b")]
    made = run(Zscore.model_validate({"field": "humidity"}), clocked(readings), HUMIDITY)
    for device in (b"a", b"b"):
        assert [(row["score"], row["expected"], row["side"]) for row in made.main if row.device == device] == alone


@pytest.mark.parametrize(
    "options",
    [
        {"half_life": 4.9},
        {"half_life": math.inf},
        {"warmup": 9},
        {"history": 99},
        {"history": 1e7},
        {"history": math.inf},
        {"history": -1},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        Zscore.model_validate({"field": "humidity", **options})
