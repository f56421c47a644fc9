"""What holds for every operator, present and future: exactly-once stands on it.

An operator's own test module, at the same path as the operator, gives `SPECS` (options to try) and `oracle`.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from operators.base import Inputs, Operator, kinds
from operators.batch import Batch, Schema, Text, Type
from operators.binary import Binary
from operators.clock import FORGET
from operators.devices import DeviceTable
from tests.operators.rows import (
    AT_THE_END,
    DEVICES,
    MINUTE,
    NINE,
    PIPELINE,
    SCHEMA,
    SECOND,
    STEP,
    Near,
    Row,
    Runner,
    clocked,
    cut,
    from_batch,
    run,
    test_module,
    to_batch,
)
from tests.operators.streams import cuts, streams

KINDS = sorted(kinds())
every_kind = pytest.mark.parametrize("kind", KINDS, ids=".".join)


def specs(kind: tuple[str, ...]) -> list[Operator]:
    return [kinds()[kind].model_validate(options) for options in test_module("tests.operators", kind, NEEDS).SPECS]


NEEDS = ("SPECS", "oracle")


def drawn(data: st.DataObject, kind: tuple[str, ...]) -> tuple[Operator, list[Row]]:
    spec = data.draw(st.sampled_from(specs(kind)), label="spec")
    return spec, data.draw(streams(spec.reach()), label="rows")


def test_the_operators_are_found() -> None:
    assert {("filter",), ("derive",), ("alert",), ("window", "tumbling"), ("detect", "range")} <= set(kinds())


@every_kind
def test_an_operator_has_a_test_module_with_specs_and_an_oracle(kind: tuple[str, ...]) -> None:
    assert specs(kind), "SPECS is empty"


def test_a_missing_test_module_is_named() -> None:
    with pytest.raises(
        AssertionError, match=r"`detect\.nowhere` has no tests: write tests/operators/detect/test_nowhere"
    ):
        test_module("tests.operators", ("detect", "nowhere"), NEEDS)
    with pytest.raises(AssertionError, match="has no `SPECS`"):
        test_module("tests.operators", ("batch",), NEEDS)


@every_kind
@given(data=st.data())
def test_any_cut_into_batches_gives_the_same_rows(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    whole = Runner(spec).put(rows)
    pieces = cut(rows, data.draw(cuts(rows), label="cuts"))
    assert Runner(spec).put_pieces(pieces) == whole


@every_kind
@settings(max_examples=40)
@given(data=st.data())
def test_a_state_resumed_from_a_snapshot_goes_on_as_if_nothing_had_happened(
    kind: tuple[str, ...], data: st.DataObject
) -> None:
    spec, rows = drawn(data, kind)
    whole = Runner(spec).put(rows)
    before, after = cut(rows, [data.draw(st.integers(0, len(rows)), label="cut")])

    old = Runner(spec)
    first = old.put(before)
    snapshot = old.state.snapshot()
    copies = {name: array.copy() for name, array in snapshot.items()}
    new = Runner(spec)
    new.devices, new.state = old.devices, old.state
    new.resume()
    old.put(after)
    same(snapshot, copies, "a snapshot is a copy: it doesn't change when its state goes on")

    second = new.put(after)
    assert {side: first.rows[side] + second.rows[side] for side in first.rows} == whole.rows
    assert sorted(first.rejects + second.rejects) == whole.rejects


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_a_state_takes_nothing_but_copies_from_a_snapshot(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    before, after = cut(rows, [len(rows) // 2])
    runner = Runner(spec)
    runner.put(before)
    snapshot = runner.state.snapshot()
    copies = {name: array.copy() for name, array in snapshot.items()}
    runner.state = runner._build(snapshot)
    runner.put(after)
    same(snapshot, copies, "a snapshot serves twice: a state that is made from it leaves it alone")


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_where_punctuations_are_not_wanted_the_rows_are_the_same(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    whole = Runner(spec).put(rows)
    found = Runner(spec, punctuated=False).put(rows)
    assert found.rejects == whole.rejects
    for side, made in whole.rows.items():
        assert [row for row in found.rows[side] if row.live] == [row for row in made if row.live], f"output `{side}`"


@every_kind
@given(data=st.data())
def test_the_kernel_equals_the_oracle(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    made = run(spec, rows)
    oracle = test_module("tests.operators", kind, NEEDS).oracle
    expected: Mapping[str, list[Row]] = oracle(spec, SCHEMA, rows, PIPELINE, STEP)
    for side in made.rows:
        assert made.rows[side] == expected.get(side, []), f"output `{side}`"
    assert [reject.offset for reject in made.rejects] == [row.offset for row in expected.get("rejects", [])]


@every_kind
@settings(max_examples=40)
@given(data=st.data())
def test_rows_may_share_an_offset_as_readings_of_one_record_do(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    apart, shared = run(spec, rows), run(spec, [replace(row, offset=row.offset // 3) for row in rows])
    for side in apart.rows:
        expected = [replace(row, offset=row.offset // 3) for row in apart.rows[side]]
        assert list(map(unnamed, shared.rows[side])) == list(map(unnamed, expected)), f"output `{side}`"
    assert [reject.offset for reject in shared.rejects] == [reject.offset // 3 for reject in apart.rejects]


def unnamed(row: Row) -> Row:
    """Leave out the id of an alert, which is made from the offset."""
    return replace(row, values={name: value for name, value in row.values.items() if name != "alert_id"})


@pytest.fixture(scope="module")
def crowd() -> tuple[Batch, DeviceTable]:
    """Three readings of each of 100,000 devices, which are so far apart that windows close between them; then the end."""
    count = 100_000
    devices = DeviceTable(SCHEMA.device)
    slots = devices.slots(Binary.of([b"device %d" % number for number in range(count)]))
    random = np.random.default_rng(7)
    device = np.concatenate([random.permutation(slots) for _ in range(4)])
    times = np.repeat([0, 20 * SECOND, 2 * MINUTE, 0], count) + device % 1_000
    ends = np.arange(4 * count) >= 3 * count
    ts = np.where(ends, AT_THE_END, NINE + times)
    watermark = np.where(ends, AT_THE_END, ts - 5 * SECOND)
    values: dict[Type, Any] = {
        Type.FLOAT: random.normal(20, 5, 4 * count),
        Type.INT: random.integers(-3, 4, 4 * count),
        Type.BOOL: random.integers(0, 2, 4 * count).astype(np.int8),
        Type.TEXT: Text(random.integers(0, 2, 4 * count).astype(np.int32), ["3", "-2.5"]),
    }
    columns = {name: values[type_] for name, type_ in SCHEMA.columns.items()}
    return Batch(device, ts, watermark, np.arange(4 * count), ~ends, columns), devices


@every_kind
def test_a_device_among_a_hundred_thousand_gets_what_it_gets_alone(
    kind: tuple[str, ...], crowd: tuple[Batch, DeviceTable]
) -> None:
    batch, devices = crowd
    spec, *_ = specs(kind)
    watched = [0, 1, 4_095, 65_536, 99_999]

    def of_watched(rows: Batch) -> dict[str, list[Row]]:
        state = spec.build(Inputs(SCHEMA, devices, PIPELINE, STEP))
        out = state.on_batch(rows)
        made = {"": out.main, **out.sides}
        return {
            side: from_batch(made[side].take(np.isin(made[side].device, watched)), schema, devices)
            for side, schema in spec.outputs(SCHEMA).items()
        }

    among = of_watched(batch)
    assert among == of_watched(batch.take(np.isin(batch.device, watched)))
    assert among[""], "nothing came out"


@every_kind
@settings(max_examples=30)
@given(data=st.data())
def test_what_comes_out_keeps_time(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    for side, out in run(spec, rows).rows.items():
        assert [row.offset for row in out] == sorted(row.offset for row in out), f"offsets of `{side}` don't go back"
        for device in DEVICES:
            for life in lives(device, rows, out, side):
                assert life == sorted(life), f"the watermarks of `{side}` don't fall within a device"


def lives(device: bytes, rows: Sequence[Row], out: Sequence[Row], side: str) -> list[list[int]]:
    """Give the watermarks of a device, of each time between which it was forgotten on its own.

    The main output says itself where that was. What a side output holds comes from live rows, whose offsets tell.
    """
    forgotten = [row.offset for row in rows if row.device == device and row.watermark == FORGET]
    found: list[list[int]] = [[] for _ in range(len(forgotten) + 1)]
    life = 0
    for row in out:
        if row.device == device:
            life = sum(offset < row.offset for offset in forgotten) if side else life
            found[life].append(row.watermark)
            life += row.watermark == FORGET and not side
    return found


@every_kind
@given(data=st.data())
def test_that_a_device_is_forgotten_gets_through(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, rows = drawn(data, kind)
    wanted = Counter((row.device, row.offset) for row in rows if row.watermark == FORGET)
    out = [row for row in run(spec, rows).rows[""] if row.watermark == FORGET]
    assert Counter((row.device, row.offset) for row in out) == wanted
    assert not any(row.live for row in out), "a row never says so itself"


@every_kind
@settings(max_examples=40)
@given(data=st.data())
def test_a_device_that_is_forgotten_comes_again_as_a_new_one(kind: tuple[str, ...], data: st.DataObject) -> None:
    spec, first = drawn(data, kind)
    last = first[-1].offset if first else 0
    gone = [Row(device, int(FORGET), int(FORGET), last, live=False) for device in {row.device: 0 for row in first}]
    second = [replace(row, offset=last + 1 + row.offset) for row in data.draw(streams(spec.reach()), label="again")]
    whole, before, after = (run(spec, rows) for rows in ([*first, *gone, *second], [*first, *gone], second))
    assert {side: before.rows[side] + after.rows[side] for side in before.rows} == whole.rows
    assert sorted(before.rejects + after.rejects) == whole.rejects


@every_kind
def test_the_end_of_time_gets_through(kind: tuple[str, ...]) -> None:
    """When a run ends, the steps behind must hear of it, or what they have open is lost."""
    values = {"temperature": 20.0, "humidity": 40.0, "score": 0.0, "n": 1, "ok": True, "status": "on"}
    rows = clocked([(device, NINE, values) for device in DEVICES], close=True)
    for spec in specs(kind):
        last = {row.device: row.watermark for row in run(spec, rows).rows[""]}
        assert all(last.get(device, 0) >= AT_THE_END for device in DEVICES), spec


@every_kind
def test_what_comes_out_is_what_outputs_says(kind: tuple[str, ...]) -> None:
    values = {"temperature": 20.0, "humidity": 40.0, "score": 0.0, "n": 1, "ok": True, "status": "on"}
    rows = clocked([(b"a", NINE, values), (b"a", NINE + MINUTE, values), (b"a", NINE - MINUTE, values)], close=True)
    for spec in specs(kind):
        runner = Runner(spec)
        out = runner.state.on_batch(to_batch(rows, SCHEMA, runner.devices))
        for side, batch in {"": out.main, **out.sides}.items():
            assert sorted(batch.columns) == sorted(runner.schemas[side].columns), f"columns of `{side}`"


@every_kind
def test_a_batch_without_rows_gives_none(kind: tuple[str, ...]) -> None:
    for spec in specs(kind):
        made = run(spec, [])
        assert not any(made.rows.values())
        assert not made.rejects


@every_kind
def test_an_operator_and_its_options_are_described(kind: tuple[str, ...]) -> None:
    operator = kinds()[kind]
    assert vars(operator).get("__doc__"), f"{operator.__name__} has no docstring"
    for name, option in operator.model_fields.items():
        assert option.description, f"{operator.__name__}.{name} has no description"


@every_kind
def test_the_example_in_the_docstring_runs(kind: tuple[str, ...]) -> None:
    steps = example(kind)
    found = [read(step) for step in steps]
    assert kind in [key for key, _ in found], f"the example doesn't show `{'.'.join(kind)}`"
    columns = {"temperature": Type.FLOAT, "humidity": Type.FLOAT}
    if not any(key[0] == "detect" for key, _ in found):
        columns["score"] = Type.FLOAT
    schema = Schema(columns, ("device",), "ts")
    readings = [(b"a", NINE + at * 10 * SECOND, {"temperature": 15.0 * at, "humidity": 40.0}) for at in range(20)]
    rows = clocked(readings, lateness=5 * SECOND, idle=MINUTE, close=True)
    for key, spec in found:
        made = run(spec, rows, schema)
        assert not made.rejects
        assert made.main or key != kind, "the example gives nothing"
        rows, schema = made.rows[""], spec.outputs(schema)[""]


def example(kind: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read the steps that stand in the docstring of an operator's module."""
    module = sys.modules[kinds()[kind].__module__]
    _, found, block = inspect.cleandoc(module.__doc__ or "").partition("Example:\n")
    assert found, f"the docstring of {module.__name__} has no `Example:`"
    lines = block.splitlines()
    until = next((at for at, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    steps: list[dict[str, Any]] = YAML(typ="safe").load(inspect.cleandoc("\n".join(["", *lines[:until]])))["steps"]
    return steps


def read(step: Mapping[str, Any]) -> tuple[tuple[str, ...], Operator]:
    """Read one step, as DESIGN.md has it: `filter: ...`, or one of a group with its options beside it or under it."""
    ((key, body),) = step.items()
    kind: tuple[str, ...] = (key,)
    beside: dict[str, Any] = {}
    if kind not in kinds():
        ((name, inner),) = [(name, value) for name, value in body.items() if (key, name) in kinds()]
        kind, beside = (key, name), {other: value for other, value in body.items() if other != name}
        body = inner
    operator = kinds()[kind]
    if operator.whole is not None:
        options = {operator.whole: body}
    else:
        options = body if isinstance(body, dict) else {str(operator.primary): body}
    return kind, operator.model_validate({**beside, **options})


def same(got: Mapping[str, Any], expected: Mapping[str, Any], why: str) -> None:
    assert set(got) == set(expected)
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], why)


def test_near_is_near() -> None:
    assert Near(1.0) == 1.0 + 1e-12
    assert Near(1.0) != 1.0 + 1e-6
    assert Near(1.0, slack=1e-3) == 1.0 + 1e-6
    assert Near(float("inf")) != 1.0
    assert Near(1.0) != None  # noqa: E711  # as an operator's missing value is compared
