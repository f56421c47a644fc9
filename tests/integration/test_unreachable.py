"""A Kafka that can't be used: one clear line within ten seconds, and an exit code that isn't 0."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.kafka.broker import SASL_PASSWORD, SASL_USER, Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, produce, read

PIPELINE = """
name: {name}
source:
  kafka:
    topics: [{raw}]
    brokers: {brokers}
    config: {config}
  device: id
  time: {{field: ts, unit: ms}}
  fields: {{x: float}}
steps:
  - filter: x > 0
sinks:
  - {{from: filter, kafka: {{topic: {out}}}}}
"""
SASL = "{{security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.username: {user}, sasl.password: {password}}}"


def outcome(folder: Path, text: str, *, flow: bool = False) -> tuple[int, str, float]:
    """Run a pipeline; gives the exit code, what it said, and the seconds it took."""
    file = folder / "pipeline.yaml"
    file.write_text(text)
    command = ["-m", "bytewax.run", f"pipelines:flow({str(file)!r})"] if flow else ["-m", "pipelines", "run", str(file)]
    begin = time.monotonic()
    process = Process(command, {"SECRET": "hunter2", "TELEMILL_ALLOCATOR": "system"}, folder / "log")
    code = process.wait()
    return code, process.log(), time.monotonic() - begin


def says_one_line(code: int, log: str, seconds: float, *words: str) -> None:
    assert code == 1, log
    assert log.count("\n") == 1, log
    assert all(word in log for word in words), log
    assert seconds < 10


@pytest.mark.parametrize("flow", [False, True])
def test_no_broker_there(tmp_path: Path, flow: bool) -> None:
    text = PIPELINE.format(name="p", raw="a", out="b", brokers="localhost:1", config="{}")
    says_one_line(*outcome(tmp_path, text, flow=flow), "no broker answers at localhost:1", "refused")


def test_no_host_of_that_name(tmp_path: Path) -> None:
    text = PIPELINE.format(name="p", raw="a", out="b", brokers="nowhere.invalid:9092", config="{}")
    says_one_line(*outcome(tmp_path, text), "nowhere.invalid:9092")


@pytest.mark.parametrize("missing", ["raw", "out"])
def test_no_such_topic(kafka: Broker, topics: Topics, tmp_path: Path, missing: str) -> None:
    names = {**topics("raw", "out"), missing: "not-there"}
    text = PIPELINE.format(name="p", brokers=kafka.servers, config="{}", **names)
    says_one_line(*outcome(tmp_path, text), "no such topic", "`not-there`", "--create --topic not-there")


def test_a_wrong_password_and_the_right_one(kafka: Broker, topics: Topics, tmp_path: Path) -> None:
    if kafka.sasl_servers is None:
        pytest.skip("this broker has no listener that asks for a password")
    names = topics("raw", "out")
    wrong = SASL.format(user=SASL_USER, password='"${SECRET}"').replace("{{", "{").replace("}}", "}")
    text = PIPELINE.format(name=names["raw"], brokers=kafka.sasl_servers, config=wrong, **names)
    code, log, seconds = outcome(tmp_path, text)
    says_one_line(code, log, seconds, "refused", "check the login")
    assert "hunter2" not in log

    produce(kafka.servers, names["raw"], [(b"a", b'{"id": "a", "ts": 1, "x": 1}')])
    right = SASL.format(user=SASL_USER, password=SASL_PASSWORD).replace("{{", "{").replace("}}", "}")
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE.format(name=names["raw"], brokers=kafka.sasl_servers, config=right, **names))
    run = Process(["-m", "pipelines", "run", str(file), "--until-end"], {}, tmp_path / "log2")
    assert run.wait() == 0, run.log()
    assert len(read(kafka.servers, names["out"])) == 1


def test_a_setting_that_librdkafka_does_not_know(tmp_path: Path) -> None:
    text = PIPELINE.format(name="p", raw="a", out="b", brokers="localhost:1", config="{sesion.timeout: 5}")
    says_one_line(*outcome(tmp_path, text), "sesion.timeout", "`config` under `kafka`")
