"""The broker that the integration tests run on does what they rely on, and never outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.integration.kafka.broker import SASL_PASSWORD, SASL_USER, Broker, JavaBroker
from tests.integration.kafka.topics import Topics

ROOT = Path(__file__).parents[2]
SECONDS = 10.0

# Starts a broker, tells where it is, and then waits to be ended by a signal.
# A run in the background (`make test &`, nohup) has signals ignored, and its children inherit that.
HOLD_A_BROKER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.integration.kafka.broker import JavaBroker
with JavaBroker() as broker:
    print(broker.pid, broker.folder, flush=True)
    time.sleep(600)
"""


def produce(servers: str, topic: str, value: bytes) -> None:
    """Write one message and wait until the broker has it."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(SECONDS) == 0


def consume(servers: str, topic: str) -> bytes | None:
    """Read the first message of a topic as a new group."""
    group = {"group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": servers, "log_level": 0, **group})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(SECONDS)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def eventually(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within some seconds."""
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Whether no process with this id runs; one that ended is gone, even if nobody has asked for its exit code."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" in status.read_text()


def test_a_message_goes_in_and_comes_out(kafka: Broker, topics: Topics) -> None:
    topic = topics("out")["out"]
    produce(kafka.servers, topic, b"21.5")
    assert consume(kafka.servers, topic) == b"21.5"


def test_topics_have_the_partitions_and_settings_asked_for_and_names_of_their_own(
    kafka: Broker, topics: Topics
) -> None:
    first = topics("raw", "out", partitions=3, config={"retention.ms": "-1"})
    second = topics("raw", partitions=1)
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    seen = admin.list_topics(timeout=SECONDS).topics
    assert [len(seen[topic].partitions) for topic in (first["raw"], first["out"], second["raw"])] == [3, 3, 1]


def test_a_mistyped_topic_is_not_created(kafka: Broker) -> None:
    if kafka.way == "KAFKA_BOOTSTRAP_SERVERS":
        pytest.skip("what a given broker does with unknown topics is its owner's business")
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.list_topics("mistyped", timeout=SECONDS)
    assert "mistyped" not in admin.list_topics(timeout=SECONDS).topics


def test_the_password_listener_takes_the_right_password_only(kafka: Broker) -> None:
    if kafka.sasl_servers is None:
        pytest.skip(f"only the broker that Java runs has a password listener, and this one is from {kafka.way}")

    def log_in(password: str) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": kafka.sasl_servers or "",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": SASL_USER,
                "sasl.password": password,
                "log_level": 0,
            }
        )

    assert log_in(SASL_PASSWORD).list_topics(timeout=SECONDS).brokers
    with pytest.raises(KafkaException):
        log_in("wrong").list_topics(timeout=2)


def test_a_broker_comes_back_where_it_was_with_what_it_had(java_broker: JavaBroker) -> None:
    servers = java_broker.servers
    topics = Topics(servers)
    topic = topics("out", partitions=1)["out"]
    produce(servers, topic, b"kept")
    for end in (java_broker.kill, java_broker.stop):
        pid = java_broker.pid
        end()
        assert is_gone(pid)
        java_broker.start()
        assert java_broker.servers == servers
        assert consume(servers, topic) == b"kept"


@pytest.mark.usefixtures("kafka")  # skips where Java can't be had, and has copied the jars
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_broker_and_its_folder_go_with_the_process_that_started_it(end: signal.Signals) -> None:
    command = [sys.executable, "-c", HOLD_A_BROKER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        pid, folder = child.stdout.readline().split()
        assert not is_gone(int(pid))
        assert Path(folder).is_dir()
        child.send_signal(end)
        child.wait(SECONDS)
    assert eventually(lambda: is_gone(int(pid)))
    assert eventually(lambda: not Path(folder).exists())
