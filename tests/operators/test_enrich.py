"""Tests of `enrich`."""

from __future__ import annotations

import atexit
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from operators.base import Inputs, SpecError
from operators.batch import Schema, Text, Type
from operators.clock import FORGET
from operators.devices import DeviceTable
from operators.enrich import _UNKNOWN, Enrich
from pipelines import config
from pipelines.located import ConfigError
from pipelines.shard import Shard
from tests.operators.rows import DEVICES, MINUTE, NINE, SCHEMA, Row, Runner, clocked, run, to_batch

_FOLDER = TemporaryDirectory(prefix="telemill-enrich-")
atexit.register(_FOLDER.cleanup)


def put(name: str, rows: Sequence[Mapping[str, Any]] | str) -> str:
    """Write a table; gives the path of the file."""
    file = Path(_FOLDER.name) / name
    if isinstance(rows, str):
        file.write_text(rows)
    elif file.suffix == ".csv":
        pl.DataFrame(rows, infer_schema_length=None).write_csv(file)
    elif file.suffix == ".parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(file)
    elif file.suffix == ".ndjson":
        file.write_text("\n".join(map(json.dumps, rows)))
    else:
        file.write_text(json.dumps(rows))
    return str(file)


DEVICE_TABLE: list[dict[str, Any]] = [
    {"mote": "a", "site": "roof", "high": 60.5},
    {"mote": "b%c/d", "site": None, "high": None},
    {"mote": "unknown", "site": "cellar", "high": 2},
    {"mote": "\\xff\x00", "site": "roof", "high": -1.0},
]
NUMBER_TABLE: list[dict[str, Any]] = [
    {"n": n, "odd": n % 2 != 0, "big": n * 2**9} for n in [-3, 3, 2**53, 0, 2**53 + 1, 78, 79]
]
PAIR_TABLE: list[dict[str, Any]] = [
    {"state": state, "flag": ok, "zone": n, "what": f"{state}/{ok}/{n}"}
    for state, ok, n in [
        ("on", True, 1), ("on", False, 1), ("off", True, 1), ("3", True, 78), ("3", False, 20), ("", True, 0),
        ("-2.5", True, 0), ("-2.5", True, 1), ("on", True, 2),
    ]
]  # fmt: skip
TABLES: dict[str, list[dict[str, Any]]] = {
    put("devices.csv", DEVICE_TABLE): DEVICE_TABLE,
    put("numbers.json", NUMBER_TABLE): NUMBER_TABLE,
    put("pairs.parquet", PAIR_TABLE): PAIR_TABLE,
    put("states.ndjson", PAIR_TABLE[:6]): PAIR_TABLE[:6],
}
DEVICES_CSV, NUMBERS, PAIRS, STATES = TABLES
SPECS: list[dict[str, Any]] = [
    {"file": DEVICES_CSV, "key": {"device": "mote"}, "columns": ["site", "high"], "missing": None},
    {"file": DEVICES_CSV, "key": {"device": "mote"}, "columns": {"high": "float"}, "missing": "drop"},
    {"file": DEVICES_CSV, "key": {"status": "mote"}, "columns": ["site"]},
    {"file": NUMBERS, "key": "n", "columns": {"odd": None, "large": {"from": "big", "type": "int"}}, "missing": "dead"},
    {"file": STATES, "key": {"status": "state", "ok": "flag"}, "columns": ["what"], "missing": "drop"},
    {"file": PAIRS, "key": {"ok": "flag", "n": "zone", "status": "state"}, "columns": ["what"]},
]


def oracle(spec: Enrich, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Look for each row through the whole table."""
    out: dict[str, list[Row]] = {"": [], "rejects": []}
    for row in rows:
        if not row.live:
            out[""].append(replace(row, values={}))
            continue
        device = row.device.decode("utf-8", "backslashreplace")
        named = {**row.values, schema.device[0]: device}
        found = [line for line in TABLES[spec.file] if all(line[of] == named[name] for name, of in spec.key.items())]
        line = found[0] if found else {}
        if not found and spec.missing != "null":
            out[""].append(replace(row, live=False, values={}))
            out["rejects"] += [row] if spec.missing == "dead" else []
            continue
        added = {name: line.get(column.from_ or name) for name, column in spec.columns.items()}
        out[""].append(replace(row, values={**row.values, **added}))
    return out


def enrich(**options: Any) -> Enrich:
    return Enrich.model_validate(options)


def sites(**options: Any) -> Enrich:
    return enrich(**{"file": DEVICES_CSV, "key": {"device": "mote"}, "columns": ["site"], **options})


READINGS = clocked([(device, NINE, {"n": at}) for at, device in enumerate([b"a", b"b", b"b%c/d", b"a"])])


def test_each_row_gets_the_columns_of_its_device() -> None:
    made = run(sites(), READINGS)
    assert [(row.device, row["n"], row["site"]) for row in made.main] == [
        (b"a", 0, "roof"), (b"b", 1, None), (b"b%c/d", 2, None), (b"a", 3, "roof"),
    ]  # fmt: skip


def test_a_row_that_is_dropped_still_tells_the_time() -> None:
    made = run(sites(missing="drop"), READINGS)
    assert [(row.live, row.offset, row.watermark) for row in made.rows[""]] == [
        (True, 0, NINE), (False, 1, NINE), (True, 2, NINE), (True, 3, NINE),
    ]  # fmt: skip
    assert not made.rejects


def test_a_row_that_is_dead_is_told_with_its_key() -> None:
    spec = enrich(file=PAIRS, key={"device": "what", "status": "state", "n": "zone"}, columns=["flag"], missing="dead")
    rows = clocked([(b"a", NINE, {"status": "on", "n": 1}), (b"a", NINE, {"status": None, "n": None})])
    made = run(spec, rows)
    assert made.rejects == [
        (0, f"{PAIRS} has no row for device a, status on, n 1"),
        (1, f"{PAIRS} has no row for device a, status missing, n missing"),
    ]
    assert not made.main


def test_a_missing_value_in_the_key_equals_nothing() -> None:
    rows = clocked([(b"a", NINE, {"n": None, "status": None, "ok": None})])
    for spec in (SPECS[2], SPECS[3], SPECS[4]):
        assert not run(enrich(**{**spec, "missing": "drop"}), rows).main


def test_every_part_of_a_key_must_fit_in_one_row_of_the_table() -> None:
    table = [{"n": 1, "status": "a", "hit": 1}, {"n": 2, "status": "b", "hit": 2}]
    spec = enrich(file=put("both.json", table), key=["n", "status"], columns=["hit"])
    values = [(1, "a"), (2, "b"), (1, "b"), (2, "a")]
    rows = clocked([(b"a", NINE, {"n": n, "status": status}) for n, status in values])
    assert [row["hit"] for row in run(spec, rows).main] == [1, 2, None, None]


def test_a_key_of_csv_is_read_as_the_rows_have_it() -> None:
    file = put("keys.csv", "key,what\n007,agent\n7,seven\n")
    rows = clocked([(b"a", NINE, {"status": status, "n": 7}) for status in ("007", "7", "07")])
    spec = enrich(file=file, key={"status": "key"}, columns=["what"])
    assert [row["what"] for row in run(spec, rows).main] == ["agent", "seven", None]
    with pytest.raises(SpecError) as caught:  # as numbers the two are one
        enrich(file=file, key={"n": "key"}, columns=["what"]).outputs(SCHEMA)
    assert caught.value.problems[0].given == "n 7 in row 1 and in row 2"


def test_a_device_that_is_a_number_in_the_file_is_found_by_its_text() -> None:
    spec = enrich(file=put("ids.json", [{"id": 17, "x": "y"}]), key={"device": "id"}, columns=["x"])
    rows = clocked([(device, NINE, {}) for device in (b"17", b"017")])
    assert [row["x"] for row in run(spec, rows).main] == ["y", None]


def test_one_part_of_a_device_may_be_the_key() -> None:
    schema = Schema({"n": Type.INT}, ("site", "sensor"), "ts")
    spec = enrich(file=put("parts.json", [{"sensor": "b/c", "x": 1.5}]), key="sensor", columns=["x"])
    rows = clocked([(device, NINE, {"n": 1}) for device in (b"a/b%2Fc", b"b/c", b"x/b%2Fc")])
    assert [row["x"] for row in run(spec, rows, schema).main] == [1.5, None, 1.5]


def test_a_time_is_a_key_too() -> None:
    schema = Schema({"window_start": Type.TIME}, ("device",), "ts")
    file = put("days.csv", "day,shift\n2023-03-16T09:00:00Z,early\n2023-03-16T10:01:00+01:00,late\n")
    rows = clocked([(b"a", NINE + at, {"window_start": NINE + at}) for at in (0, 1, MINUTE)])
    for key in ({"window_start": "day"}, {"ts": "day"}):
        made = run(enrich(file=file, key=key, columns=["shift"]), rows, schema)
        assert [row["shift"] for row in made.main] == ["early", None, "late"]


def test_text_is_found_by_what_it_says_and_not_by_its_code() -> None:
    runner = Runner(enrich(**SPECS[2]))
    for texts, code in ((["a", "x"], 0), (["x", "y", "a"], 2)):
        batch = to_batch(clocked([(b"a", NINE, {})]), SCHEMA, runner.devices)
        out = runner.state.on_batch(batch.adding({"status": Text(np.array([code], np.int32), texts)})).main
        site = out.columns["site"]
        assert isinstance(site, Text)
        assert site.to_list() == ["roof"]


class Another(DeviceTable):
    """A device table in which slot 0 is given to another device."""

    name = "a"

    def texts(self, part: int) -> list[str]:
        del part
        return [self.name]


def test_a_slot_that_another_device_gets_is_looked_up_again() -> None:
    devices = Another(("device",))
    state = sites().build(Inputs(SCHEMA, devices))
    reading = to_batch(clocked([(b"a", NINE, {})]), SCHEMA, devices)
    gone = to_batch([Row(b"a", int(FORGET), int(FORGET), 1, live=False)], SCHEMA, devices)

    def found() -> list[str | None]:
        site = state.on_batch(reading).main.columns["site"]
        assert isinstance(site, Text)
        return site.to_list()

    assert found() == ["roof"]
    devices.name = "unknown"
    assert found() == ["roof"], "a device is looked up once"
    state.on_batch(gone)
    assert found() == ["cellar"]


def test_devices_that_are_forgotten_at_once_are_all_looked_up_again() -> None:
    runner = Runner(sites())
    rows = clocked([(device, NINE, {}) for device in (b"a", b"b%c/d")])
    runner.put(rows)
    runner.put([Row(row.device, int(FORGET), int(FORGET), 2, live=False) for row in rows])
    state: Any = runner.state
    assert {code for codes in state._slots.values() for code in codes[:2].tolist()} == {_UNKNOWN}


def test_thousands_of_keys_are_found() -> None:
    table = [{"id": f"d{at}", "n": at * 3, "x": at / 4} for at in range(5_000)]
    by_device = enrich(file=put("many.csv", table), key={"device": "id"}, columns=["x"])
    by_number = enrich(file=put("many.csv", table), key="n", columns=["x"])
    rows = clocked([(b"d%d" % (at * 7 % 6_000), NINE, {"n": at}) for at in range(6_000)])
    assert [row["x"] for row in run(by_device, rows).main] == [
        at * 7 % 6_000 / 4 if at * 7 % 6_000 < 5_000 else None for at in range(6_000)
    ]
    assert [row["x"] for row in run(by_number, rows).main] == [at / 12 if at % 3 == 0 else None for at in range(6_000)]


def test_types_are_those_of_the_file_or_those_that_are_named() -> None:
    columns = {
        "site": "text",
        "top": {"from": "high", "type": "float"},
        "high": None,
        "as_text": {"from": "high", "type": "text"},
    }
    schema = sites(columns=columns).outputs(SCHEMA)[""]
    added = {name: type_ for name, type_ in schema.columns.items() if name not in SCHEMA.columns}
    assert added == {"site": Type.TEXT, "top": Type.FLOAT, "high": Type.FLOAT, "as_text": Type.TEXT}


def snapshot_of(text: str) -> tuple[Enrich, Any]:
    spec = enrich(file=put("changing.csv", text), key={"device": "id"}, columns=["x"])
    return spec, spec.build(Inputs(SCHEMA, DeviceTable(("device",)))).snapshot()


def test_a_table_that_has_changed_since_the_snapshot_is_told_and_taken(caplog: pytest.LogCaptureFixture) -> None:
    _, snapshot = snapshot_of("id,x\na,1\n")
    with caplog.at_level(logging.WARNING, "telemill"):
        same, _ = snapshot_of("id,x\na,1\n")
        same.build(Inputs(SCHEMA, DeviceTable(("device",))), snapshot)
        assert not caplog.records
        other, _ = snapshot_of("id,x\na,2\n")
        devices = DeviceTable(("device",))
        state = other.build(Inputs(SCHEMA, devices, step="sites"), snapshot)
    (record,) = caplog.records
    assert record.name == "telemill"
    assert record.getMessage() == f"step `sites`: {other.file}: the table has changed since the snapshot"
    out = state.on_batch(to_batch(clocked([(b"a", NINE, {})]), SCHEMA, devices)).main
    assert np.asarray(out.columns["x"]).tolist() == [2]


Told = tuple[tuple[str, ...], str, str, str | None]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"columns": ["sit", "high", "nowhere"]},
            [
                (("columns", "sit"), "mote, site, high", "`sit`", "did you mean `site`?"),
                (("columns", "nowhere"), "mote, site, high", "`nowhere`", None),
            ],
        ),
        (
            {"key": {"devise": "moat"}, "columns": ["sit"]},
            [
                (("key", "devise"), "rows or the device: device, ts", "`devise`", "did you mean `device`?"),
                (("key", "devise"), "mote, site, high", "`moat`", "did you mean `mote`?"),
                (("columns", "sit"), "mote, site, high", "`sit`", "did you mean `site`?"),
            ],
        ),
        (
            {"key": {"temperature": "high"}},
            [(("key", "temperature"), "text, int, bool or time", "which is float", "CAST(temperature AS BIGINT)")],
        ),
        (
            {"columns": {"status": {"from": "site"}, "ts": {"from": "high"}}},
            [
                (("columns", "status"), "don't exist yet", "`status` exists", "`file_status: {from: site}`"),
                (("columns", "ts"), "don't exist yet", "`ts` exists", "`file_ts: {from: high}`"),
            ],
        ),
        (
            {"columns": {"site": "float", "high": "int"}, "key": {"n": "mote"}},
            [
                (("columns", "site"), "a number in every row of `site`", "row 1: `roof`", None),
                (("columns", "high"), "a whole number", "row 1: `60.5`", None),
                (("key", "n"), "a whole number of at most 64 bits in every row of `mote`", "row 1: `a`", None),
            ],
        ),
        ({"key": {"status": "site"}}, [(("key", "status"), "a value in every row of `site`", "row 2 without one", None)]),
    ],
)  # fmt: skip
def test_all_that_does_not_fit_is_told_at_once(options: dict[str, Any], told: list[Told]) -> None:
    with pytest.raises(SpecError) as caught:
        sites(**options).outputs(SCHEMA)
    for problem, (at, expected, given, fix) in zip(caught.value.problems, told, strict=True):
        assert problem.at == at
        assert expected in problem.expected
        assert given in str(problem.given)
        assert (fix or "") in (problem.fix or "")
        assert (fix is None) == (problem.fix is None)


def test_the_first_key_that_is_there_twice_is_named_with_both_rows() -> None:
    table = [{"id": name, "n": n, "x": 1} for name, n in [("b", 1), ("a", 1), ("c", 1), ("a", 1), ("b", 1), ("a", 1)]]
    for key, given in (({"device": "id"}, "device a"), ({"device": "id", "n": "n"}, "device a, n 1")):
        with pytest.raises(SpecError) as caught:
            enrich(file=put("twice.csv", table), key=key, columns=["x"]).outputs(SCHEMA)
        (problem,) = caught.value.problems
        assert (problem.at, problem.expected) == (("key",), "every key once in the file")
        assert problem.given == f"{given} in row 2 and in row 4"


@pytest.mark.parametrize(
    "options",
    [
        {"file": "nowhere.csv"},
        {"file": "table.xlsx"},
        {"file": put("broken.json", "{")},
        {"file": put("empty.csv", "a,b\n")},
        {"columns": []},
        {"columns": {"site": "string"}},
        {"key": []},
        {"key": 5},
        {"missing": "ignore"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sites(**options)


def test_the_options_are_written_back_as_they_are_read() -> None:
    for spec in map(Enrich.model_validate, SPECS):
        assert Enrich.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec
    assert sites().model_dump(by_alias=True, exclude_defaults=True)["columns"] == {"site": {}}


PIPELINE = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {n: int}
steps:
  - enrich:
      file: tables/devices.csv
      key: {dev: mote}
      columns:
        site: text
        high: float
      missing: null
sinks:
  - {from: enrich, kafka: {topic: out}}
tests:
  - name: a reading gets its site
    at: enrich
    input: [{dev: a, ts: 0, n: 1}, {dev: b, ts: 0, n: 1}]
    expect: [{dev: a, n: 1, site: roof, high: 60.5}, {dev: b, site: null, high: null}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Write a pipeline beside its tables."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "devices.csv").write_text(Path(DEVICES_CSV).read_text())

    def write(text: str) -> Path:
        file = tmp_path / "mill.yaml"
        file.write_text(text)
        return file

    return write


def test_the_path_is_relative_to_the_file_of_the_pipeline(folder: Callable[[str], Path]) -> None:
    from pipelines.testing import run_tests

    (result,) = run_tests(config.read(folder(PIPELINE), {}))
    assert not result.differences


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (
            "devices.csv",
            "device.csv",
            9,
            ["steps[0].enrich.file", "No such file", "`tables/device.csv`", "relative to"],
        ),
        ("devices.csv", "devices.xls", 9, ["steps[0].enrich.file", "ends in .csv, .json", "`tables/devices.xls`"]),
        ("site: text", "sits: text", 12, ["steps[0].enrich.columns.sits", "did you mean `site`?"]),
        ("high: float", "high: int", 13, ["steps[0].enrich.columns.high", "row 1: `60.5`"]),
        ("high: float", "high: flaot", 13, ["steps[0].enrich.columns.high", "did you mean `float`?"]),
        ("{dev: mote}", "{dev: moat}", 10, ["steps[0].enrich.key.dev", "did you mean `mote`?"]),
        ("{dev: mote}", "moat", 10, ["steps[0].enrich.key", "a column of the rows or the device"]),
        ("missing: null", "missing: nil", 14, ["steps[0].enrich.missing", "one of null, drop, dead", "`nil`"]),
        ("      key: {dev: mote}\n", "", 8, ["steps[0].enrich.key", "a key `key`: What the join is by"]),
    ],
)
def test_a_mistake_is_told_at_its_line(
    old: str, new: str, line: int, words: list[str], folder: Callable[[str], Path]
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.read(folder(PIPELINE.replace(old, new)), {})
    assert caught.value.mistakes[0].line == line, caught.value
    for word in words:
        assert word in str(caught.value)


def test_the_word_null_is_as_good_as_yamls_own(folder: Callable[[str], Path]) -> None:
    for text in ("missing: null", 'missing: "null"', "missing: ~"):
        (step,) = config.read(folder(PIPELINE.replace("missing: null", text)), {}).steps
        assert isinstance(step.spec, Enrich)
        assert step.spec.missing == "null"


def test_it_remembers_nothing_that_a_restart_would_lose(folder: Callable[[str], Path]) -> None:
    pipeline = config.read(folder(PIPELINE), {})
    decoder = pipeline.source.format.decoder(pipeline.source.reading)
    assert Shard(pipeline, decoder, []).stateful == ()


def test_every_device_of_the_tests_is_met() -> None:
    found = {device.decode("utf-8", "backslashreplace") for device in DEVICES} & {row["mote"] for row in DEVICE_TABLE}
    assert len(found) == 3
