"""What `telemill explain` shows: the graph as a tree, and the same as data."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import fastavro
import pytest
from rich.console import Console
from typer.testing import CliRunner

import pipelines
from pipelines import config
from pipelines.__main__ import app
from pipelines.explain import as_json, mermaid, tree
from pipelines.plan import Pipeline

MOTES = Path(pipelines.__file__).parent / "examples" / "motes.yaml"


@pytest.fixture(scope="module")
def motes() -> Pipeline:
    return config.read(MOTES, {"KAFKA_BROKERS": "kafka:9092"})


@pytest.fixture(scope="module")
def shown(motes: Pipeline) -> dict[str, Any]:
    made = as_json(motes)
    assert json.loads(json.dumps(made)) == made, "it is plain data"
    return made


TREE = """\
motes: motes.raw at kafka:9092 as group motes
├── source
│     mote_id text, ts time, temperature float, humidity float
│   └── clean  filter {where: temperature BETWEEN -40 AND 85 AND humidity BETWEEN 0 AND 100}
│         mote_id text, ts time, temperature float, humidity float
│       └── comfort  derive {columns: {dew_point: temperature - (100 - humidity) / 5}}
│             mote_id text, ts time, temperature float, humidity float, dew_point float
│           ├── minute  window.tumbling {aggregate: {t_mean: mean(temperature), h_mean: mean(humidity), h_max: max(humidity), n: count()}, size: 1m}
│           │     mote_id text, window_start time, window_end time, t_mean float, h_mean float, h_max float, n int
│           │   ├── minute.late
│           │   │     mote_id text, ts time, temperature float, humidity float, dew_point float, window_start time, window_end time, late_by float
│           │   │   └── → motes.late (json)
│           │   └── → motes.processed (avro)
│           └── odd  detect.level_shift {field: humidity}
│                 mote_id text, ts time, temperature float, humidity float, dew_point float, score float, expected float, side text
│               └── kettle  alert {raise: score > 3, clear: score < 1, for: 10s}
│                     mote_id text, at time, alert_id text, pipeline text, alert text, state text, severity text, since time, peak float, count int, temperature float, humidity float, dew_point float, score float, expected float, side text
│                   └── → motes.alerts (json)
└── dead: records that can't be processed
    └── → motes.dead
"""


def test_the_tree_runs_from_the_source_through_the_steps_to_the_sinks(motes: Pipeline) -> None:
    console = Console(file=io.StringIO(), width=300)
    console.print(tree(motes))
    assert isinstance(console.file, io.StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == TREE.splitlines()


def test_columns_out_of_headers_are_told(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    text = MOTES.read_text().replace("device: mote_id", "device: {header: mqtt.client, name: mote_id}")
    file.write_text(text.replace("temperature: float #", "temperature: {type: float, header: t} #"))
    bridge = config.read(file, {"KAFKA_BROKERS": "kafka:9092"})
    console = Console(file=io.StringIO(), width=300)
    console.print(tree(bridge))
    assert isinstance(console.file, io.StringIO)
    expected = TREE.replace("├── source\n", "├── source  headers {mote_id: mqtt.client, temperature: t}\n")
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == expected.splitlines()
    assert as_json(bridge)["source"]["headers"] == {"mote_id": "mqtt.client", "temperature": "t"}


def test_a_condition_stands_behind_its_sink(tmp_path: Path) -> None:
    file = tmp_path / "hot.yaml"
    sink = "  - {from: minute, when: t_mean > 30 AND n < 5, kafka: {topic: motes.hot}, format: avro}\n"
    file.write_text(MOTES.read_text().replace("\nsinks:\n", f"\nsinks:\n{sink}"))
    hot = config.read(file, {"KAFKA_BROKERS": "kafka:9092"})
    console = Console(file=io.StringIO(), width=300)
    console.print(tree(hot))
    assert isinstance(console.file, io.StringIO)
    expected = TREE.replace(
        "│           │   └── → motes.processed (avro)\n",
        "│           │   ├── → motes.hot (avro) when t_mean > 30 AND n < 5\n│           │   └── → motes.processed (avro)\n",
    )
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == expected.splitlines()
    assert "motes.hot<br>avro<br>when t_mean #62; 30 AND n #60; 5" in mermaid(hot)
    shown = as_json(hot)
    first, second, *_ = shown["sinks"]
    assert (first["from"], first["topic"], first["when"]) == ("minute", "motes.hot", "t_mean > 30 AND n < 5")
    assert first["avro_schema"] == second["avro_schema"], "a condition changes nothing of the rows"
    assert "when" not in second
    assert shown["streams"] == as_json(config.read(MOTES, {}))["streams"]


def test_the_json_says_what_is_read(shown: dict[str, Any]) -> None:
    assert shown["name"] == "motes"
    assert shown["source"] == {"topics": ["motes.raw"], "brokers": "kafka:9092", "group": "motes", "headers": {}}


def test_the_json_has_the_columns_of_every_stream_in_the_order_in_which_they_are_written(shown: dict[str, Any]) -> None:
    streams = shown["streams"]
    assert list(streams) == ["source", "clean", "comfort", "minute", "minute.late", "odd", "kettle", "kettle.late"]
    assert list(streams["minute"].items()) == [
        ("mote_id", "text"),
        ("window_start", "time"),
        ("window_end", "time"),
        ("t_mean", "float"),
        ("h_mean", "float"),
        ("h_max", "float"),
        ("n", "int"),
    ]
    assert list(streams["kettle"])[:3] == ["mote_id", "at", "alert_id"]


def test_the_json_has_every_step_with_all_its_options_defaults_too(shown: dict[str, Any]) -> None:
    steps = {step["id"]: step for step in shown["steps"]}
    assert list(steps) == ["clean", "comfort", "minute", "odd", "kettle"]
    assert steps["odd"]["from"] == "comfort"
    assert steps["kettle"] == {
        "id": "kettle",
        "operator": "alert",
        "from": "odd",
        "options": {
            "raise": "score > 3",
            "clear": "score < 1",
            "for": "10s",
            "severity": "warning",
            "cooldown": "0s",
            "missing": None,
            "flapping": None,
            "peak": None,
            "title": None,
        },
        "outputs": ["kettle", "kettle.late"],
    }
    assert steps["minute"]["operator"] == "window.tumbling"
    assert steps["minute"]["options"]["size"] == "1m"
    assert steps["odd"]["options"]["warmup"] == 400


def test_the_json_has_the_avro_schema_of_what_an_avro_sink_writes(shown: dict[str, Any]) -> None:
    sinks = {sink["from"]: sink for sink in shown["sinks"]}
    assert list(sinks) == ["minute", "kettle", "minute.late", "dead"]
    assert sinks["kettle"] == {"from": "kettle", "topic": "motes.alerts", "format": "json"}
    time = {"type": "long", "logicalType": "timestamp-micros"}
    assert sinks["minute"]["avro_schema"] == {
        "type": "record",
        "name": "minute",
        "fields": [
            {"name": "mote_id", "type": "string"},
            {"name": "window_start", "type": ["null", time], "default": None},
            {"name": "window_end", "type": ["null", time], "default": None},
            {"name": "t_mean", "type": ["null", "double"], "default": None},
            {"name": "h_mean", "type": ["null", "double"], "default": None},
            {"name": "h_max", "type": ["null", "double"], "default": None},
            {"name": "n", "type": ["null", "long"], "default": None},
        ],
    }
    fastavro.parse_schema(sinks["minute"]["avro_schema"])


def test_the_options_that_json_shows_are_those_that_yaml_takes(shown: dict[str, Any], tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    steps = []
    for step in shown["steps"]:
        group, _, kind = step["operator"].partition(".")
        # `derive` takes its columns without a key above them.
        options = step["options"]["columns"] if group == "derive" else step["options"]
        steps.append({"id": step["id"], "from": step["from"], group: {kind: options} if kind else options})
    file = tmp_path / "again.yaml"
    yaml = YAML()
    whole = yaml.load(MOTES)
    whole["steps"] = steps
    whole["source"]["kafka"]["brokers"] = "kafka:9092"
    yaml.dump(whole, file)
    assert as_json(config.read(file, {})) == shown


FLOWCHART = """\
flowchart TD
    source[("source<br>motes.raw<br>json")]
    step_clean["clean<br>filter<br>where: temperature BETWEEN -40 AND 85 AND humidity BETWEEN 0 AND 100"]
    source --> step_clean
    step_comfort["comfort<br>derive<br>columns: {dew_point: temperature - (100 - humidity) / 5}"]
    step_clean --> step_comfort
    step_minute["minute<br>window.tumbling<br>aggregate: {t_mean: mean(temperature), h_mean: mean(humidity), h_max: max(humidi#8230;<br>size: 1m"]
    step_comfort --> step_minute
    step_odd["odd<br>detect.level_shift<br>field: humidity"]
    step_comfort --> step_odd
    step_kettle["kettle<br>alert<br>raise: score #62; 3<br>clear: score #60; 1<br>for: 10s"]
    step_odd --> step_kettle
    sink_1[("motes.processed<br>avro")]
    step_minute --> sink_1
    sink_2[("motes.alerts<br>json")]
    step_kettle --> sink_2
    sink_3[("motes.late<br>json")]
    step_minute -- late --> sink_3
    sink_4[("motes.dead<br>as it came")]
    source -. dead .-> sink_4
"""


def test_the_flowchart_has_an_arrow_for_every_stream_that_is_read(motes: Pipeline) -> None:
    assert mermaid(motes) == FLOWCHART


ODD = """\
name: odd
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {temperature: float, status: text}
steps:
  - id: end
    filter: "status != '\\"]; `x` #quot; <b>&amp; | --> {{b}}' AND\\n temperature > 1"
  - id: subgraph
    window: {tumbling: 1m, aggregate: {n: count()}}
  - id: style
    from: subgraph.late
    filter: temperature > 0
sinks:
  - {from: style, kafka: {topic: one}}
  - {from: subgraph, kafka: {topic: two}}
  - {from: source, kafka: {topic: three}}
"""


def test_a_flowchart_holds_nothing_that_means_something_else_to_mermaid(tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(ODD)
    lines = mermaid(config.read(file, {})).splitlines()
    assert lines[0] == "flowchart TD"
    nodes, edges = [], []
    for line in lines[1:]:
        node = re.fullmatch(r'    (\w+)\[\(?"([^"`\[\]|;<>&#]|<br>|#\d+;)*"\)?\]', line)
        edge = re.fullmatch(r"    (\w+) --(?: (\w+) --)?> (\w+)", line)
        assert node or edge, line
        nodes += [node[1]] if node else []
        edges += [edge.groups()] if edge else []
    assert nodes == ["source", "step_end", "step_subgraph", "step_style", "sink_1", "sink_2", "sink_3"]
    assert ("step_subgraph", "late", "step_style") in edges
    assert ("source", None, "sink_3") in edges
    assert {name for start, _, end in edges for name in (start, end)} == set(nodes), "no arrow leads to nothing"
    (filter_,) = [line for line in lines if "step_end[" in line]
    assert "#34;#93;#59; #96;x#96; #35;quot#59; #60;b#62;#38;amp#59;" in filter_, "all of it is still there"


def test_the_command_gives_the_flowchart_or_json_but_not_both() -> None:
    result = CliRunner().invoke(app, ["explain", str(MOTES), "--mermaid"])
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", FLOWCHART)
    result = CliRunner().invoke(app, ["explain", str(MOTES), "--mermaid", "--json"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not both" in result.stderr
