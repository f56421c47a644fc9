"""Avro with a schema registry: from Confluent's serializer through telemill to Confluent's deserializer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.connectors.codec.registry_server import RegistryServer
from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, committed, produce, read

PIPELINE = """
name: {raw}
source:
  kafka: {{topics: [{raw}], brokers: "${{KAFKA_BROKERS}}"}}
  format: {{avro: {{registry: "{url}", config: {{basic.auth.user.info: "${{LOGIN}}", timeout: 2}}}}}}
  device: id
  time: {{field: ts, unit: ms}}
  fields: {{watts: float}}
steps:
  - derive: {{double: watts * 2}}
sinks:
  - from: derive
    kafka: {{topic: {out}}}
    format: {{avro: {{registry: "{url}", config: {{basic.auth.user.info: "${{LOGIN}}"}}}}}}
  - {{from: dead, kafka: {{topic: {dead}}}}}
"""
LOGIN = "mill:s3cret"
FIRST: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "namespace": "org.example",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "watts", "type": "int"},
    ],
}
SECOND: dict[str, Any] = {
    **FIRST,
    "fields": [
        {"name": "firmware", "type": ["null", "string"], "default": None},
        *FIRST["fields"][:2],
        {"name": "watts", "type": "double"},
    ],
}


def written(registry: RegistryServer, schema: Any, topic: str, *readings: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Write readings as a producer with Confluent's serializer does."""
    client = SchemaRegistryClient({"url": registry.url, "basic.auth.user.info": LOGIN})
    serialize = AvroSerializer(client, json.dumps(schema))
    context = SerializationContext(topic, MessageField.VALUE)
    return [(reading["id"].encode(), serialize(reading, context) or b"") for reading in readings]


def run(kafka: Broker, registry: RegistryServer, folder: Path, names: dict[str, str]) -> tuple[int, str]:
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE.format(**names, url=registry.url))
    (folder / "log").unlink(missing_ok=True)
    environ = {"KAFKA_BROKERS": kafka.servers, "LOGIN": LOGIN}
    process = Process(["-m", "pipelines", "run", str(file), "--until-end"], environ, folder / "log")
    return process.wait(120), process.log()


def rows(kafka: Broker, registry: RegistryServer, topic: str) -> list[dict[str, Any]]:
    """Read rows as a consumer with Confluent's deserializer does."""
    client = SchemaRegistryClient({"url": registry.url, "basic.auth.user.info": LOGIN})
    read_row = AvroDeserializer(client)
    context = SerializationContext(topic, MessageField.VALUE)
    return [read_row(message.value, context) for message in read(kafka.servers, topic)]


def test_what_confluents_serializer_writes_comes_out_as_confluents_deserializer_reads(
    kafka: Broker, topics: Topics, registry: RegistryServer, tmp_path: Path
) -> None:
    names = topics("raw", "out", "dead", partitions=1)
    registry.login = LOGIN
    older = written(registry, FIRST, names["raw"], *({"id": "a", "ts": n, "watts": n} for n in range(0, 100, 2)))
    newer = written(registry, SECOND, names["raw"], *({"id": "a", "ts": n, "watts": n + 0.5} for n in range(1, 100, 2)))
    bad = [b"{}", b"\0\0\0\x03\xe7\0", newer[0][1][:-1], b"\0\0"]
    records = [record for pair in zip(older, newer, strict=True) for record in pair]
    produce(kafka.servers, names["raw"], [*records, *((b"a", value) for value in bad)])
    code, log = run(kafka, registry, tmp_path, names)
    assert code == 0, log
    out = rows(kafka, registry, names["out"])
    assert [row["double"] for row in out] == [2 * (n + n % 2 / 2) for n in range(100)]
    assert set(out[0]) == {"id", "ts", "watts", "double"}
    letters = read(kafka.servers, names["dead"])
    assert [letter.value for letter in letters] == bad
    reasons = [letter.headers["telemill.reason"] for letter in letters]
    assert reasons[0].startswith("expected the Confluent wire format")
    assert reasons[1] == f"schema 999 isn't known to the registry at {registry.url}: Schema 999 not found"
    assert reasons[2].startswith("can't be decoded")
    (number,) = registry.subject(f"{names['out']}-value")
    assert json.loads(registry.text(number))["name"] == "derive"
    assert "s3cret" not in log


def test_a_registry_that_stays_away_ends_the_run_and_the_next_one_goes_on_where_it_ended(
    kafka: Broker, topics: Topics, registry: RegistryServer, tmp_path: Path
) -> None:
    names = topics("raw", "out", "dead", partitions=1)
    readings = [{"id": "a", "ts": n, "watts": n} for n in range(10)]
    produce(kafka.servers, names["raw"], written(registry, FIRST, names["raw"], *readings))
    code, _ = run(kafka, registry, tmp_path, names)
    assert code == 0
    assert committed(kafka.servers, names["raw"], names["raw"], 1) == 10

    later = [{"id": "a", "ts": n, "watts": n} for n in range(10, 20)]
    produce(kafka.servers, names["raw"], written(registry, SECOND, names["raw"], *later))
    answers: list[tuple[int, bytes]] = []
    text = registry.text(registry.subject(f"{names['out']}-value")[0])
    # The sink's schema is still looked up; from then on there is nothing but errors.
    answers.append((200, json.dumps({"subject": "out", "version": 1, "id": 2, "schema": text}).encode()))
    registry.failing = answers + [(503, b"")] * 1_000
    code, log = run(kafka, registry, tmp_path, names)
    assert code == 1
    assert f"no schema registry answers at {registry.url}" in log
    assert log.count("asking again for 30 s") == 1
    assert committed(kafka.servers, names["raw"], names["raw"], 1) == 10
    assert read(kafka.servers, names["dead"]) == []

    registry.failing = []
    code, log = run(kafka, registry, tmp_path, names)
    assert code == 0, log
    assert [row["double"] for row in rows(kafka, registry, names["out"])] == [2 * n for n in range(20)]


def test_rows_whose_schema_the_registry_refuses_are_not_begun_with(
    kafka: Broker, topics: Topics, registry: RegistryServer, tmp_path: Path
) -> None:
    names = topics("raw", "out", "dead", partitions=1)
    registry.refuses = "it lacks a field without a default"
    code, log = run(kafka, registry, tmp_path, names)
    assert code == 1
    assert f"refused: the subject {names['out']}-value: it lacks a field without a default (HTTP 409)" in log
    assert committed(kafka.servers, names["raw"], names["raw"], 1) == 0
