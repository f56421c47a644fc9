"""Records that can't be processed: each lands on the dead-letter topic as it came, with the reason; the rest goes on."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import fastavro

from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, produce, read

PIPELINE = """
name: {raw}
source:
  kafka: {{topics: [{raw}], brokers: "${{KAFKA_BROKERS}}"}}
  format: {format}
  device: id
  time: {{field: ts, unit: ms}}
  fields: {{x: float, n: int, s: text, code: text}}
steps:
  - derive: {{y: x * 2, number: CAST(code AS BIGINT)}}
sinks:
  - {{from: derive, kafka: {{topic: {out}}}}}
  - {{from: dead, kafka: {{topic: {dead}}}}}
"""
LARGE = 3_000_000
GOOD = {"id": "a", "ts": 1_000, "x": 1.5, "n": 3, "s": "ok", "code": "7"}


def changed(**values: object) -> bytes:
    return json.dumps({**GOOD, **values}).encode()


BAD: dict[str, tuple[bytes | None, str]] = {
    "not JSON": (b"hello", "can't be decoded"),
    "half a JSON text": (b'{"id": "a", "ts": 1', "can't be decoded"),
    "a list": (b"[1, 2]", "expected an object with fields, given a list"),
    "two objects": (b'{"id": "a"}{"id": "b"}', "can't be decoded"),
    "no value at all": (None, "the record has no value"),
    "an empty value": (b"", "the record's value is empty"),
    "bytes that aren't UTF-8": (b'{"id": "\xff", "ts": 1000}', "can't be decoded"),
    "a key twice": (b'{"id": "a", "ts": 1000, "x": 1, "x": 2}', "the key 'x' stands twice"),
    "a key twice, far apart": (b'{"id" :"a", "ts":1000, "d": {"k" : 1, "k":2}}', "the key 'k' stands twice"),
    "endless nesting": (b'{"id": "a", "ts": 1000, "d": ' + b"[" * 100_000, "can't be decoded"),
    "text for a number": (changed(x="1.5"), "field `x`: expected a number, given text: '1.5'"),
    "a bool for a number": (changed(x=True), "field `x`: expected a number, given a bool"),
    "a fraction for a whole number": (changed(n=1.5), "field `n`: expected a whole number"),
    "a whole number too large": (changed(n=2**63), "field `n`: expected a whole number of at most 64 bits"),
    "a number for text": (changed(s=5), "field `s`: expected text, given a number: 5"),
    "an object for text": (changed(s={"a": 1}), "field `s`: expected text, given an object"),
    "no device": (b'{"ts": 1000, "x": 1}', "field `id`: expected text or a whole number that names the device"),
    "a null device": (changed(id=None), "field `id`: expected text or a whole number that names the device"),
    "no time": (b'{"id": "a", "x": 1}', "field `ts`: expected a time as a number of ms"),
    "a time as text": (changed(ts="yesterday"), "field `ts`: expected a time as a number of ms"),
    "a time before the year 1": (changed(ts=-(10**15)), "between the years 1 and 9999"),
    "a time behind the year 9999": (changed(ts=10**18), "between the years 1 and 9999"),
    "a time far ahead": (changed(ts=4_000_000_000_000), "at most 10m ahead of the record's own"),
    "text that isn't a number where one is cast": (changed(code="x7"), "CAST(code AS BIGINT)"),
    "2 MB of something else": (b"x" * 2_000_000, "can't be decoded"),
    "2 MB around a missing device": (json.dumps({"ts": 1_000, "pad": "x" * 2_000_000}).encode(), "field `id`"),
}


def run(kafka: Broker, folder: Path, names: dict[str, str], format_: str) -> str:
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE.format(**names, format=format_))
    command = ["-m", "pipelines", "run", str(file), "--until-end"]
    process = Process(command, {"KAFKA_BROKERS": kafka.servers}, folder / "log")
    assert process.wait() == 0, process.log()
    return process.log()


def test_each_bad_record_is_kept_with_its_bytes_and_reason_and_the_good_ones_around_it_pass(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", "out", "dead", partitions=1, config={"max.message.bytes": str(LARGE)})
    records: list[tuple[bytes | None, bytes | None]] = []
    for index, (value, _) in enumerate(BAD.values()):
        records += [(b"a", changed(ts=1_000 + index)), (b"bad-%d" % index, value)]
    records.append((b"a", changed(ts=1_000 + len(BAD))))
    produce(kafka.servers, names["raw"], records, **{"message.max.bytes": str(LARGE)})
    run(kafka, tmp_path, names, "json")

    letters = read(kafka.servers, names["dead"])
    assert [(letter.key, letter.value) for letter in letters] == records[1::2]
    for letter, (what, (_, reason)), offset in zip(letters, BAD.items(), range(1, 1_000, 2), strict=False):
        assert reason in letter.headers["telemill.reason"], what
        assert letter.headers["telemill.topic"] == names["raw"]
        assert (letter.headers["telemill.partition"], letter.headers["telemill.offset"]) == ("0", str(offset))
        assert letter.headers["telemill.pipeline"] == names["raw"]
    rows = [json.loads(message.value or b"") for message in read(kafka.servers, names["out"])]
    assert [row["ts"] for row in rows] == [
        f"1970-01-01T00:00:01.{index * 1000:06d}Z" if index else "1970-01-01T00:00:01Z" for index in range(len(BAD) + 1)
    ]
    assert {(row["y"], row["number"]) for row in rows} == {(3.0, 7)}


def test_avro_cut_off_anywhere_is_dead_and_the_whole_one_behind_it_passes(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    schema = {
        "type": "record",
        "name": "reading",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "x", "type": ["null", "double"]},
            {"name": "n", "type": "long"},
            {"name": "s", "type": "string"},
            {"name": "code", "type": "string"},
        ],
    }
    (tmp_path / "reading.avsc").write_text(json.dumps(schema))
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), GOOD)
    whole = stream.getvalue()
    bad = [*(whole[:end] for end in range(len(whole))), whole + b"\0", b"\xff" * 30]
    records = [(b"k", value) for value in bad]
    names = topics("raw", "out", "dead", partitions=1)
    produce(kafka.servers, names["raw"], [*records, (b"a", whole)])
    run(kafka, tmp_path, names, "{avro: {schema: reading.avsc}}")
    letters = read(kafka.servers, names["dead"])
    assert [(letter.key, letter.value) for letter in letters] == records
    assert all(letter.headers["telemill.reason"] for letter in letters)
    (row,) = read(kafka.servers, names["out"])
    assert json.loads(row.value or b"")["y"] == 3.0


def test_csv_with_a_bad_line_is_dead_as_a_whole_and_lines_around_it_pass_in_order(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    good = [
        b"a,1000,1.5,3,ok,7\r\na,1001,2.5,,,7\r\n",
        b'a,1002,"3.5",3,"o""k",7',
        b"a,1003,4.5,3,ok,7\na,1004,5.5,3,ok,7",
    ]
    bad = [
        b"a,1000,1,3,ok,7\na,1000,1",
        b'a,1000,1,3,"ok,7',
        b"a,1000,1,3,ok,7\na,1000,1_0,3,ok,7",
        b"\xff,1000,1,3,ok,7",
        b"\n",
    ]
    names = topics("raw", "out", "dead", partitions=1)
    records = [(b"k", value) for value in [good[0], *bad[:3], good[1], *bad[3:], good[2]]]
    produce(kafka.servers, names["raw"], records)
    run(kafka, tmp_path, names, "{csv: {columns: [id, ts, x, n, s, code]}}")
    letters = read(kafka.servers, names["dead"])
    assert [letter.value for letter in letters] == bad
    assert letters[0].headers["telemill.reason"] == "reading 1: expected 6 cells with ',' between them, given 3"
    rows = [json.loads(message.value or b"") for message in read(kafka.servers, names["out"])]
    assert [row["x"] for row in rows] == [1.5, 2.5, 3.5, 4.5, 5.5]


def test_a_dead_letter_that_its_topic_does_not_take_is_cut_and_says_so(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", partitions=1, config={"max.message.bytes": str(LARGE)}) | topics("out", "dead", partitions=1)
    noise = random.Random(1).randbytes(2_000_000)  # nothing that compression makes small
    produce(kafka.servers, names["raw"], [(b"k", noise)], **{"message.max.bytes": str(LARGE)})
    log = run(kafka, tmp_path, names, "json")
    (letter,) = read(kafka.servers, names["dead"])
    assert letter.headers["telemill.truncated"] == "2000000"
    assert letter.value == noise[:100_000]
    assert "too large" in log


def test_without_a_sink_for_dead_letters_the_log_tells_each(kafka: Broker, topics: Topics, tmp_path: Path) -> None:
    names = topics("raw", "out", "dead", partitions=1)
    produce(kafka.servers, names["raw"], [(b"k", b"hello")])
    text = PIPELINE.format(**names, format="json")
    file = tmp_path / "pipeline.yaml"
    file.write_text(text[: text.index("  - {from: dead")])
    command = ["-m", "pipelines", "run", str(file), "--until-end"]
    process = Process(command, {"KAFKA_BROKERS": kafka.servers}, tmp_path / "log")
    assert process.wait() == 0
    assert f"dead: {names['raw']}[0]@0: can't be decoded" in process.log()
