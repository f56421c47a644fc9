"""The driver: puts readings into Kafka through the librdkafka inside confluent-kafka, a batch of messages a call.

confluent-kafka's own `produce_batch` takes a dict a message; for 16 million of them that is most of a benchmark's time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
import numpy as np

from benchmarks.throughput.encode import KEY, Encoder
from benchmarks.throughput.readings import Readings

MESSAGE = np.dtype(
    {
        "names": ["err", "partition", "payload", "len", "key", "key_len"],
        "formats": ["i4", "i4", "u8", "u8", "u8", "u8"],
        "offsets": [0, 16, 24, 32, 40, 48],
        "itemsize": 72,
    }
)
"""rd_kafka_message_t on a 64 bit machine."""
BATCH = 20_000
_PRODUCER, _COPY, _PARTITION = 0, 2, 8
_MOST_WAITING = 1_000_000


class DriverFailed(Exception):  # noqa: N818  # reads as what happened
    """Readings couldn't be put into Kafka."""


def find() -> Path:
    """Give the librdkafka that confluent-kafka's wheel brings.

    Raises:
        FileNotFoundError: if it brings none, as where it was built from source.
    """
    package = Path(confluent_kafka.__file__).parent
    for folder in (package.parent / "confluent_kafka.libs", package / ".dylibs"):
        for file in sorted(folder.glob("librdkafka*")):
            return file
    message = f"no librdkafka beside {package}: install confluent-kafka from its wheel"
    raise FileNotFoundError(message)


class Driver:
    """A producer for readings. Use it in a `with` statement.

    Args:
        servers: of Kafka.
        config: more settings of librdkafka.
    """

    def __init__(self, servers: str, config: Mapping[str, str] | None = None) -> None:
        self.library = _declared(ctypes.CDLL(str(find())))
        settings = {
            "bootstrap.servers": servers,
            "enable.idempotence": "true",
            "linger.ms": "20",
            "batch.size": "1000000",
            "batch.num.messages": "50000",
            "queue.buffering.max.messages": str(2 * _MOST_WAITING),
            "queue.buffering.max.kbytes": "2000000",
            "log_level": "3",
            **(config or {}),
        }
        error = ctypes.create_string_buffer(512)
        conf = self.library.rd_kafka_conf_new()
        for key, value in settings.items():
            if self.library.rd_kafka_conf_set(conf, key.encode(), value.encode(), error, len(error)):
                raise DriverFailed(error.value.decode())
        self.handle = self.library.rd_kafka_new(_PRODUCER, conf, error, len(error))
        if not self.handle:
            raise DriverFailed(error.value.decode())

    def __enter__(self) -> Driver:  # noqa: PYI034  # nobody inherits
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the producer go; what isn't flushed is lost."""
        self.library.rd_kafka_destroy(self.handle)

    def produce(self, topic: str, partitions: int, readings: Readings, format_: str) -> None:
        """Put readings into a topic, a device into one partition, and wait until they are there.

        Raises:
            DriverFailed: if not all of them are taken and delivered.
        """
        sender = Sender(self, topic, partitions, format_)
        for begin in range(0, len(readings), BATCH):
            self.wait(_MOST_WAITING)
            sender.send(readings, begin, min(begin + BATCH, len(readings)))
        if self.library.rd_kafka_flush(self.handle, 120_000):
            message = f"not everything was delivered to {topic} within 120 s"
            raise DriverFailed(message)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let all that is produced be seen at once, at the end. It takes a `transactional.id`."""
        self._agreed(self.library.rd_kafka_init_transactions(self.handle, 60_000))
        self._agreed(self.library.rd_kafka_begin_transaction(self.handle))
        yield
        self._agreed(self.library.rd_kafka_commit_transaction(self.handle, 120_000))

    def _agreed(self, error: int | None) -> None:
        if error:
            raise DriverFailed(self.library.rd_kafka_error_string(error).decode())

    def wait(self, most: int) -> None:
        """Wait until no more than so many messages are under way."""
        while self.library.rd_kafka_outq_len(self.handle) > most:
            self.library.rd_kafka_poll(self.handle, 10)


class Sender:
    """Puts readings into one topic.

    Args:
        driver: the producer.
        topic: to put them into.
        partitions: of the topic; a device is in one of them.
        format_: of the messages.
    """

    def __init__(self, driver: Driver, topic: str, partitions: int, format_: str) -> None:
        self._driver, self._partitions = driver, partitions
        self._topic = driver.library.rd_kafka_topic_new(driver.handle, topic.encode(), None)
        # In a transaction librdkafka can't take a message for a topic that it doesn't know yet.
        known = ctypes.c_void_p()
        if driver.library.rd_kafka_metadata(driver.handle, 0, self._topic, ctypes.byref(known), 30_000):
            message = f"no metadata of {topic}"
            raise DriverFailed(message)
        driver.library.rd_kafka_metadata_destroy(known)
        self._encoder = Encoder(format_, BATCH)
        self._messages = np.zeros(BATCH, MESSAGE)
        self._messages["key"] = self._encoder.keys.ctypes.data + np.arange(BATCH) * len(KEY)
        self._messages["key_len"] = len(KEY)

    def send(self, readings: Readings, begin: int, end: int) -> None:
        """Hand a slice of at most `BATCH` readings to librdkafka.

        Raises:
            DriverFailed: if it doesn't take them.
        """
        messages, library = self._messages, self._driver.library
        count = self._encoder.encode(readings, begin, end)
        starts = self._encoder.starts[: count + 1]
        messages["partition"][:count] = readings.device[begin:end] % self._partitions
        messages["payload"][:count] = self._encoder.buffer.ctypes.data + starts[:-1]
        messages["len"][:count] = np.diff(starts)
        taken = library.rd_kafka_produce_batch(self._topic, -1, _COPY | _PARTITION, messages.ctypes.data, count)
        library.rd_kafka_poll(self._driver.handle, 0)
        if taken < count:
            wrong = messages["err"][:count]
            reason = library.rd_kafka_err2str(int(wrong[wrong != 0][0])).decode()
            message = f"librdkafka took {taken} of {count} messages: {reason}"
            raise DriverFailed(message)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Say what the functions take and give: a pointer is cut to 32 bits where that isn't known."""
    pointer, text, size, whole = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    for name, result, arguments in (
        ("conf_new", pointer, []),
        ("conf_set", whole, [pointer, text, text, text, size]),
        ("new", pointer, [whole, pointer, text, size]),
        ("destroy", None, [pointer]),
        ("topic_new", pointer, [pointer, text, pointer]),
        ("metadata", whole, [pointer, whole, pointer, pointer, whole]),
        ("metadata_destroy", None, [pointer]),
        ("produce_batch", whole, [pointer, ctypes.c_int32, whole, pointer, whole]),
        ("init_transactions", pointer, [pointer, whole]),
        ("begin_transaction", pointer, [pointer]),
        ("commit_transaction", pointer, [pointer, whole]),
        ("error_string", text, [pointer]),
        ("err2str", text, [whole]),
        ("outq_len", whole, [pointer]),
        ("poll", whole, [pointer, whole]),
        ("flush", whole, [pointer, whole]),
    ):
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return library
