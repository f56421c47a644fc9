"""Headers of records on a real Kafka: they become columns, name the device, and stand in dead letters again."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from confluent_kafka import Producer

from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, read

PIPELINE = """
name: {raw}
source:
  kafka: {{topics: [{raw}], brokers: "${{KAFKA_BROKERS}}"}}
  device: {{header: mqtt.client, name: device}}
  time: {{field: ts, unit: ms}}
  fields:
    temperature: float
    site: {{type: text, header: site}}
    firmware: {{type: int, header: fw}}
    gain: {{type: float, header: gain}}
    indoors: {{type: bool, header: indoors}}
sinks:
  - {{from: source, when: firmware IS NULL OR firmware >= 2, kafka: {{topic: {out}}}}}
  - {{from: dead, kafka: {{topic: {dead}}}}}
"""
Headers = list[tuple[str, str | bytes | None]]
LARGE = Random(1).randbytes(2_000_000)
"""More than the topic of the dead letters takes, and nothing that compression makes small."""
GOOD: list[tuple[Headers, dict[str, Any] | None]] = [
    (
        [("site", "berlin"), ("mqtt.client", "m1"), ("fw", "3"), ("gain", "1.5"), ("indoors", "true")],
        {"device": "m1", "site": "berlin", "firmware": 3, "gain": 1.5, "indoors": True},
    ),
    ([("mqtt.client", "m2")], {"device": "m2", "site": None, "firmware": None, "gain": None, "indoors": None}),
    ([("mqtt.client", "m1"), ("site", "a"), ("site", "zürich")], {"device": "m1", "site": "zürich"}),
    ([("mqtt.client", "m1"), ("fw", None), ("site", "")], {"device": "m1", "firmware": None, "site": ""}),
    ([("mqtt.client", "m1"), ("fw", "1")], None),
    ([("mqtt.client", "m1"), ("", "x"), ("other", LARGE)], {"device": "m1"}),
]
BAD: list[tuple[Headers, str]] = [
    (
        [("site", "berlin")],
        "header `mqtt.client`: expected 1 to 1,000 bytes that name the device, given a record without",
    ),
    ([("mqtt.client", "m1"), ("fw", "x")], "header `fw`: expected a whole number of at most 64 bits, given text: 'x'"),
    ([("mqtt.client", "m1"), ("site", b"\xff")], "header `site`: expected text in UTF-8, given bytes: b'\\xff'"),
    (
        [("mqtt.client", "m1"), ("gain", "0x1"), ("indoors", "no")],
        "header `gain`: expected a number, given text: '0x1'",
    ),
    ([("mqtt.client", LARGE)], "header `mqtt.client`: expected 1 to 1,000 bytes that name the device, given 2,000,000"),
]


def test_headers_become_columns_and_those_that_do_not_fit_dead_letters(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", partitions=1, config={"max.message.bytes": "3000000"}) | topics("out", "dead", partitions=1)
    producer: Any = Producer({"bootstrap.servers": kafka.servers, "message.max.bytes": "3000000", "log_level": 0})
    for index, (headers, _) in enumerate([*GOOD, *BAD]):
        value = json.dumps({"ts": index, "temperature": index / 2})
        producer.produce(names["raw"], value, b"k", headers=headers)
    assert producer.flush(30) == 0
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE.format(**names))
    process = Process(
        ["-m", "pipelines", "run", str(file), "--until-end"], {"KAFKA_BROKERS": kafka.servers}, tmp_path / "log"
    )
    assert process.wait() == 0, process.log()
    assert "confluent-kafka's objects" not in process.log()

    rows = [json.loads(message.value or b"") for message in read(kafka.servers, names["out"])]
    expected = [(index / 2, own) for index, (_, own) in enumerate(GOOD) if own is not None]
    assert [row["temperature"] for row in rows] == [temperature for temperature, _ in expected]
    for row, (_, own) in zip(rows, expected, strict=True):
        assert {name: row[name] for name in own} == own

    letters = read(kafka.servers, names["dead"])
    assert len(letters) == len(BAD)
    for letter, (own_headers, reason) in zip(letters, BAD, strict=True):
        assert letter.headers["telemill.reason"].startswith(reason)
        assert letter.key == b"k"
        for name, given in own_headers:
            raw = given.encode() if isinstance(given, str) else given or b""
            assert letter.headers[name] == raw[: len(raw) if raw != LARGE else 1_000].decode(errors="backslashreplace")
