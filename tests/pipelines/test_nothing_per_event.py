"""Nothing per event: a batch of 10,000 records costs as many calls of Python as one of 1,000."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import orjson
import pytest

from connectors.codec.avro_framed import head
from connectors.codec.base import Encoder, Records
from operators.binary import Binary
from pipelines import config
from pipelines.plan import Pipeline
from pipelines.shard import Product, Shard
from tests.calls import calls
from tests.connectors.codec.registry_server import RegistryServer
from tests.pipelines.motes import pipeline, records, shard

DEVICES = 20
NONE: Mapping[str, Encoder] = {}
WARM = 20_000


def made(count: int, first: int, kettle: int | None = None) -> Records:
    """Make readings of 20 motes, one a second in all; late ones among them.

    Args:
        count: how many.
        first: the offset of the first.
        kettle: the mote beside which a kettle boils, None for no kettle.
    """
    random = Random(first)
    values: list[bytes | None] = []
    for row in range(count):
        offset = first + row
        boiling = offset % DEVICES == kettle and row >= count - 300
        late = 120_000 if row % 500 == 499 else 0
        reading = {
            "mote_id": f"mote-{offset % DEVICES}",
            "ts": 1_000 * offset - late,
            "humidity": 40 + random.gauss(0, 0.1) + 30 * boiling,
            "temperature": 20 + random.gauss(0, 0.1),
        }
        values.append(orjson.dumps(reading))
    return records(values, first)


def taken(mill: Shard, batch: Records, encoders: Mapping[str, Encoder] = NONE) -> tuple[Counter[str], dict[str, int]]:
    """Count the calls while a batch is processed, and rows are written by the encoder of their stream; say how many rows
    each stream had.
    """
    products: list[Product] = []

    def work() -> None:
        product = mill.process(batch)
        for stream, encoder in encoders.items():
            encoder.encode(product.rows[stream], product.devices)
        products.append(product)

    found = calls(work)
    (product,) = products
    assert not product.letters
    return found, {stream: len(rows) for stream, rows in product.rows.items()}


def warm(motes: Pipeline) -> Shard:
    """Make a shard that knows the motes and has room for all that comes."""
    mill = shard(motes, [sink.stream for sink in motes.sinks])
    for first in range(0, WARM, 10_000):
        mill.process(made(10_000, first))
    return mill


def test_ten_times_the_records_take_no_call_more() -> None:
    motes = pipeline()
    few, streams = taken(warm(motes), made(1_000, WARM, kettle=3))
    many, streams_of_many = taken(warm(motes), made(10_000, WARM, kettle=3))
    assert set(streams) == set(streams_of_many) == {"minute", "kettle", "minute.late"}, "both have all that can happen"
    assert streams["kettle"] == streams_of_many["kettle"], "what is said is about events, not about alerts"
    assert many - few == Counter()
    assert few - many == Counter()
    assert many.total() > 100, "the calls were seen"


EVERY_KIND = """\
name: mill
source:
  kafka: {{topics: [raw]}}
  device: {device}
  time: {{field: ts, unit: {unit}}}
  fields: {{t: float, {fields}}}
steps:
  - filter: t >= 0
sinks:
  - {{from: filter, kafka: {{topic: out}}}}
"""


def of_every_kind(count: int, first: int) -> Records:
    """Make records with a field of every kind, all values present."""
    values: list[bytes | None] = []
    for offset in range(first, first + count):
        record = {
            "site": "s",
            "rig": offset % DEVICES,
            "iso": f"2010-05-09T12:{offset // 60 % 60:02}:{offset % 60:02}Z",
        }
        record |= {"t": offset / 2, "n": offset, "ok": offset % 2 == 0, "status": ["on", "off", "idle"][offset % 3]}
        values.append(orjson.dumps({**record, "ts": offset, "s": offset + 0.5}))
    return records(values, first)


@pytest.mark.parametrize(
    ("device", "unit", "fields"),
    [
        ("rig", "ms", "n: int, ok: bool"),
        ("rig", "ms", "status: text"),
        ("[site, rig]", "ms", "n: int"),
        ("rig", "iso", "n: int"),
        ("rig", "s", "n: int"),
    ],
    ids=["int and bool", "text", "a device of two fields", "time as text", "time with a fraction"],
)
def test_nor_does_any_kind_of_field(device: str, unit: str, fields: str, tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    text = EVERY_KIND.format(device=device, unit=unit, fields=fields)
    file.write_text(
        text.replace("field: ts, unit: iso", "field: iso, unit: iso").replace("ts, unit: s}", "s, unit: s}")
    )
    mill = shard(config.read(file, {}), ["filter"])
    mill.process(of_every_kind(10_000, 0))
    few, _ = taken(mill, of_every_kind(1_000, 10_000))
    many, _ = taken(mill, of_every_kind(10_000, 20_000))
    assert many - few == Counter()


def test_nor_do_headers(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    fields = "site: {type: text, header: site}, fw: {type: int, header: fw}, gain: {type: float, header: g}"
    file.write_text(EVERY_KIND.format(device="{header: rig}", unit="ms", fields=fields))

    def headed(count: int, first: int) -> Records:
        values: dict[str, list[bytes | None]] = {
            "site": [b"berlin", None, b"rome"],
            "fw": [b"3", b"4", None, b"5"],
            "g": [b"1.5", b"2"],
            "rig": [b"rig-%d" % rig for rig in range(DEVICES)],
        }
        headers = {name: Binary.of(own * (count // len(own)) + own[: count % len(own)]) for name, own in values.items()}
        return replace(of_every_kind(count, first), headers=headers)

    mill = shard(config.read(file, {}), ["filter"])
    mill.process(headed(10_000, 0))
    few, rows = taken(mill, headed(1_000, 10_000))
    many, more = taken(mill, headed(10_000, 20_000))
    assert (rows["filter"], more["filter"]) == (1_000, 10_000)
    assert many - few == Counter()


FROM_BYTES_TO_BYTES = """\
name: mill
source:
  kafka: {{topics: [raw]}}
  format: {read}
  device: id
  time: {{field: ts, unit: ms}}
  fields: {{watts: float}}
steps:
  - window: {{tumbling: 1m, aggregate: {{n: count(), mean: mean(watts), high: max(watts)}}}}
  - id: odd
    from: source
    detect: {{zscore: {{field: watts}}}}
sinks:
  - {{from: window, kafka: {{topic: out}}, format: {written}}}
  - {{from: odd, when: score > 20, kafka: {{topic: alerts}}}}
"""
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "watts", "type": ["null", "double"]},
    ],
}


def avro(document: dict[str, Any]) -> bytes:
    """Write a document by the schema."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), document)
    return stream.getvalue()


def line(document: dict[str, Any]) -> bytes:
    """Write a document as a line of CSV."""
    return b"%b,%d,%f" % (document["id"].encode(), document["ts"], document["watts"])


def under_a_header(document: dict[str, Any]) -> bytes:
    """Write a document as two lines of CSV."""
    return b"id,ts,watts\n" + line(document)


@pytest.mark.parametrize("written", ["json", "avro"])
@pytest.mark.parametrize(
    ("read", "write"),
    [
        ("json", orjson.dumps),
        ("{avro: {schema: reading.avsc}}", avro),
        ("{csv: {columns: [id, ts, watts], missing: [NA]}}", line),
        ("{csv: {header: true}}", under_a_header),
    ],
    ids=["json", "avro", "csv", "csv with headers"],
)
def test_nor_does_any_format_from_bytes_to_bytes(
    read: str, write: Callable[[dict[str, Any]], bytes], written: str, tmp_path: Path
) -> None:
    (tmp_path / "reading.avsc").write_bytes(orjson.dumps(SCHEMA))
    file = tmp_path / "mill.yaml"
    file.write_text(FROM_BYTES_TO_BYTES.format(read=read, written=written))
    no_more_calls(config.read(file, {}), write)


@pytest.mark.parametrize("schemas", [1, 2], ids=["one schema", "two schemas"])
def test_nor_does_a_registry(schemas: int, registry: RegistryServer, tmp_path: Path) -> None:
    names = [["id", "ts", "watts"], ["ts", "watts", "id"]][:schemas]
    fields = {field["name"]: field for field in SCHEMA["fields"]}
    written = [{**SCHEMA, "fields": [fields[name] for name in order]} for order in names]
    heads = [head(registry.add(schema)) for schema in written]
    parsed = list(map(fastavro.parse_schema, written))
    turn = itertools.cycle(range(schemas))

    def write(document: dict[str, Any]) -> bytes:
        number = next(turn)
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed[number], document)
        return heads[number] + stream.getvalue()

    format_ = f"{{avro: {{registry: '{registry.url}'}}}}"
    file = tmp_path / "mill.yaml"
    file.write_text(FROM_BYTES_TO_BYTES.format(read=format_, written=format_))
    no_more_calls(config.read(file, {}), write)
    assert len(registry.asked) == schemas


def no_more_calls(pipeline: Pipeline, write: Callable[[dict[str, Any]], bytes]) -> None:
    """Hold the calls that ten times the records take against those of the records."""
    mill = shard(pipeline, ["window"])
    sink = pipeline.sinks[0]
    assert sink.schema is not None
    encoders = {"window": sink.format.encoder(sink.schema, "window")}

    def minutes(count: int, number: int) -> Records:
        """Make so many records, one a mote every 30 s, so that the more there are, the more windows close."""
        return records(
            [
                write(
                    {
                        "id": f"dev-{row % DEVICES}",
                        "ts": 100_000_000 * number + 30_000 * (row // DEVICES),
                        "watts": 20 + row % 7 / 4,
                    }
                )
                for row in range(count)
            ],
            10_000 * number,
        )

    for number in (0, 1):
        taken(mill, minutes(10_000, number), encoders)
    few, streams = taken(mill, minutes(1_000, 2), encoders)
    many, streams_of_many = taken(mill, minutes(10_000, 3), encoders)
    assert streams["window"] * 9 < streams_of_many["window"]
    assert many - few == Counter()


EACH = """\
name: mill
source:
  kafka: {{topics: [raw]}}
  format: {read}
  each: readings
  device: [gateway, readings.id]
  time: {{field: readings.ts, unit: ms}}
  fields: {{watts: {{type: float, path: readings.watts}}, site: text}}
steps:
  - filter: watts >= 0
sinks:
  - {{from: filter, kafka: {{topic: out}}}}
"""
LISTS = {
    "type": "record",
    "name": "readings",
    "fields": [
        {"name": "gateway", "type": "string"},
        {"name": "readings", "type": {"type": "array", "items": SCHEMA}},
        {"name": "site", "type": ["null", "string"]},
    ],
}


def avro_lists(document: dict[str, Any]) -> bytes:
    """Write a document by the schema of lists."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(LISTS), document)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("read", "write"), [("json", orjson.dumps), ("{avro: {schema: lists.avsc}}", avro_lists)], ids=["json", "avro"]
)
def test_nor_do_readings_in_one_record(read: str, write: Callable[[dict[str, Any]], bytes], tmp_path: Path) -> None:
    (tmp_path / "lists.avsc").write_bytes(orjson.dumps(LISTS))
    file = tmp_path / "mill.yaml"
    file.write_text(EACH.format(read=read))
    mill = shard(config.read(file, {}), ["filter"])

    def lists(count: int, each: int, first: int) -> Records:
        """Make so many records of so many readings, every fifth without any."""
        return records(
            [
                write(
                    {
                        "gateway": f"g{row % 3}",
                        "readings": [
                            {"id": f"dev-{at % DEVICES}", "ts": 1_000 * row, "watts": 20 + at / 4}
                            for at in range(each if row % 5 else 0)
                        ],
                        "site": "s",
                    }
                )
                for row in range(count)
            ],
            first,
        )

    for first in (0, 10_000):
        taken(mill, lists(2_000, 10, first))
    few, rows = taken(mill, lists(100, 5, 20_000))
    many, rows_of_many = taken(mill, lists(1_000, 10, 30_000))
    assert (rows["filter"], rows_of_many["filter"]) == (400, 8_000)
    assert many - few == Counter()


SENML = """\
name: mill
source:
  kafka: {topics: [raw]}
  format: senml
  device: n
  time: {field: t, unit: s}
  fields: {v: float, u: text, vs: text}
steps:
  - filter: v >= 0
sinks:
  - {from: filter, kafka: {topic: out}}
"""


def test_nor_do_measurements_of_a_pack(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text(SENML)
    mill = shard(config.read(file, {}), ["filter"])

    def packs(count: int, each: int, first: int) -> Records:
        """Make so many packs of a base record and so many measurements, every fifth of text."""
        return records(
            [
                orjson.dumps(
                    [
                        {"bn": f"g{row % 3}:", "bt": 1.7e9 + row, "bu": "W"},
                        *({"n": f"s{at}", "t": at / 10, "v": 20 + at / 4} for at in range(each - 1)),
                        {"n": "state", "vs": ["on", "off"][row % 2]},
                    ]
                )
                for row in range(count)
            ],
            first,
        )

    for first in (0, 10_000):
        taken(mill, packs(2_000, 10, first))
    few, rows = taken(mill, packs(150, 10, 20_000))
    many, rows_of_many = taken(mill, packs(1_500, 10, 30_000))
    assert (rows["filter"], rows_of_many["filter"]) == (150 * 9, 1_500 * 9)
    assert many - few == Counter()
