"""Tests of the state machine of `alert`: everything that can happen to a device, with all options together."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from operators.alert import Alert
from tests.operators.rows import MINUTE, NINE, PIPELINE, SCHEMA, SECOND, STEP, Row, Runner, clocked, cut, run
from tests.operators.test_alert import oracle

# Sequences in which alerts come and go, devices fall silent and come back, and every option has something to do.

_DEVICES = st.sampled_from([b"a", b"a", b"b"])
_STEPS = st.sampled_from([0, SECOND, SECOND, SECOND, 2 * SECOND, 5 * SECOND, 15 * SECOND, MINUTE, -SECOND, 1])
_VALUES = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([70.0, 76.0, 90.0, None]),
        "humidity": st.just(20.0),
        "score": st.sampled_from([0.0, 1.0, 1.5, 1.5, 3.0, None]),
        "n": st.integers(-3, 3),
        "ok": st.sampled_from([True, False, None]),
        "status": st.sampled_from(["3", "3", "3", "-2.5", "x"]),
    }
)
_SHORT = st.sampled_from(["1s", "2s", "3s", "10s"])


@st.composite
def anything(draw: st.DrawFn) -> Alert:
    """Draw options, together as they come."""
    options: dict[str, Any] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "cooldown": _SHORT,
        "missing": _SHORT,
        "title": st.just("{device} {state} {since} {temperature:.2f}"),
    }
    if draw(st.integers(0, 9)):
        options["raise"] = draw(st.sampled_from(["score > 1", "temperature > 74", "NOT ok"]))
        optional |= {
            "clear": st.sampled_from(["score < 1", "temperature < 75"]),
            "for": _SHORT,
            "severity": st.just({"low": "score > 1", "odd": "CAST(status AS DOUBLE) > 0", "high": "score > 2"}),
            "flapping": st.fixed_dictionaries({"changes": st.integers(2, 4), "within": _SHORT}),
            "peak": st.sampled_from(["temperature", "n", "ok"]),
        }
    else:
        options["missing"] = draw(_SHORT)
    options |= {name: draw(values) for name, values in optional.items() if name not in options and draw(st.booleans())}
    return Alert.model_validate(options)


@st.composite
def stories(draw: st.DrawFn, reach: int) -> list[Row]:
    """Draw readings behind a clock, some taken out by a filter; at times the shard is idle, or a device forgotten."""
    at, readings = NINE, []
    for device, step, values in draw(st.lists(st.tuples(_DEVICES, _STEPS, _VALUES), min_size=1, max_size=30)):
        at += step
        readings.append((device, at, values))
    places = st.integers(1, len(readings))
    rows = clocked(
        readings,
        draw(st.sampled_from([0, SECOND, 5 * SECOND])),
        draw(st.sampled_from([SECOND, 4 * SECOND, 30 * SECOND])),
        reach,
        idles=draw(st.dictionaries(places, st.sampled_from([SECOND, MINUTE]), max_size=2)),
        forgets=draw(st.dictionaries(st.integers(1, len(readings) - 1), _DEVICES, max_size=1))
        if len(readings) > 1
        else {},
        close=draw(st.booleans()),
    )
    filtered = draw(st.sets(st.integers(0, len(rows) - 1), max_size=3))
    together = draw(st.sampled_from([1, 1, 3]))
    return [
        replace(row, live=row.live and at not in filtered, offset=row.offset // together) for at, row in enumerate(rows)
    ]


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_happens_with_whatever_options_is_as_the_oracle_has_it(data: st.DataObject) -> None:
    spec = data.draw(anything(), label="spec")
    rows = data.draw(stories(spec.reach()), label="rows")
    whole = run(spec, rows)
    expected = oracle(spec, SCHEMA, rows, PIPELINE, STEP)
    assert whole.rows == {side: expected[side] for side in whole.rows}
    assert [reject.offset for reject in whole.rejects] == [row.offset for row in expected["rejects"]]
    runner = Runner(spec)
    first, second = cut(rows, [data.draw(st.integers(0, len(rows)), label="cut")])
    before = runner.put(first)
    runner.resume()
    after = runner.put(second)
    assert {side: before.rows[side] + after.rows[side] for side in whole.rows} == whole.rows


@settings(max_examples=100)
@given(data=st.data())
def test_the_rows_of_an_alert_follow_each_other_as_they_should(data: st.DataObject) -> None:
    spec = data.draw(anything(), label="spec")
    told: dict[str, list[Row]] = defaultdict(list)
    for row in run(spec, data.draw(stories(spec.reach()), label="rows")).main:
        told[row["alert_id"]].append(row)
    for rows in told.values():
        states = "".join(row["state"][0] for row in rows)
        assert re.fullmatch("re*c?", states), "raised once, cleared at most once, and nothing behind that"
        assert len({(row.device, row["since"], row.values.get("reason")) for row in rows}) == 1
        ats = [row.ts for row in rows]
        assert ats == sorted(ats)


@pytest.mark.parametrize(
    "what",
    [
        ("raised", "condition"), ("escalated", "condition"), ("cleared", "condition"), ("raised", "missing"),
        ("cleared", "missing"), ("raised", "flapping"), ("escalated", "flapping"), ("cleared", "flapping"),
    ],
)  # fmt: skip
def test_the_stories_that_are_drawn_have_everything_in_them(what: tuple[str, str]) -> None:
    spec = Alert.model_validate({
        "raise": "score > 1", "missing": "3s", "flapping": {"changes": 2, "within": "10s"},
        "severity": {"low": "score > 1", "high": "score > 2"},
    })  # fmt: skip
    find(
        stories(spec.reach()),
        lambda rows: what in {(row["state"], row["reason"]) for row in run(spec, rows).main},
        settings=settings(max_examples=5_000, phases=[Phase.generate]),
    )
