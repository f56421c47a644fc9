"""librdkafka itself, past confluent-kafka's objects: the library, the functions that are called, and a client's handle.

The library is the one that confluent-kafka has loaded, found through its extension module, and the handle is the
`rd_kafka_t *` that stands behind the object's head. Both are looked at before anything is done with them; where they
aren't what they should be, `Unavailable` says why and confluent-kafka's own calls serve. Of `rd_kafka_message_t` what
stands in librdkafka's header is read, which is the same on every 64-bit machine since version 0.9.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from ctypes import c_char_p, c_int, c_int32, c_size_t, c_ssize_t, c_void_p
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, cimpl

ERR, TOPIC, PARTITION, PAYLOAD, LEN, KEY, KEY_LEN, OFFSET, PRIVATE, MESSAGE = 0, 8, 16, 24, 32, 40, 48, 56, 64, 72
"""Of rd_kafka_message_t, where each member stands, and its size; bytes."""


class Unavailable(Exception):  # noqa: N818  # it is no error: confluent-kafka's own calls serve
    """Why librdkafka can't be called directly."""


class Library:
    """The functions of librdkafka that are called."""

    def __init__(self) -> None:
        """Find the library that confluent-kafka has loaded.

        Raises:
            Unavailable: where it can't be found, or this isn't a machine whose structs are known.
        """
        if sys.implementation.name != "cpython" or ctypes.sizeof(c_void_p) != 8 or sys.byteorder != "little":
            message = f"{sys.implementation.name} on a machine of {8 * ctypes.sizeof(c_void_p)} bits isn't known to it"
            raise Unavailable(message)
        try:
            # Looking a name up in a module finds it in the libraries too that the module has loaded.
            library = ctypes.CDLL(str(cimpl.__file__))
            self.name = _function(library, "rd_kafka_name", c_char_p, c_void_p)
            self.queue_new = _function(library, "rd_kafka_queue_new", c_void_p, c_void_p)
            self.queue_of = _function(library, "rd_kafka_queue_get_partition", c_void_p, c_void_p, c_char_p, c_int32)
            self.queue_forward = _function(library, "rd_kafka_queue_forward", None, c_void_p, c_void_p)
            self.queue_destroy = _function(library, "rd_kafka_queue_destroy", None, c_void_p)
            self.consume = _function(
                library, "rd_kafka_consume_batch_queue", c_ssize_t, c_void_p, c_int, c_void_p, c_size_t
            )
            self.topic_name = _function(library, "rd_kafka_topic_name", c_char_p, c_void_p)
            self.message_errstr = _function(library, "rd_kafka_message_errstr", c_char_p, c_void_p)
            self.topic_new = _function(library, "rd_kafka_topic_new", c_void_p, c_void_p, c_char_p, c_void_p)
            self.topic_destroy = _function(library, "rd_kafka_topic_destroy", None, c_void_p)
            self.produce = _function(
                library, "rd_kafka_produce_batch", c_int, c_void_p, c_int32, c_int, c_void_p, c_int
            )
            self.produce_one = _function(library, "rd_kafka_produceva", c_void_p, c_void_p, c_void_p, c_size_t)
            self.error_code = _function(library, "rd_kafka_error_code", c_int, c_void_p)
            self.error_destroy = _function(library, "rd_kafka_error_destroy", None, c_void_p)
            self.waiting = _function(library, "rd_kafka_outq_len", c_int, c_void_p)
            self.main_queue = _function(library, "rd_kafka_queue_get_main", c_void_p, c_void_p)
            self.queue_poll = _function(library, "rd_kafka_queue_poll", c_void_p, c_void_p, c_int)
            self.event_type = _function(library, "rd_kafka_event_type", c_int, c_void_p)
            self.event_message = _address(library, "rd_kafka_event_message_next")
            self.event_error = _function(library, "rd_kafka_event_error", c_int, c_void_p)
            self.event_text = _function(library, "rd_kafka_event_error_string", c_char_p, c_void_p)
            self.event_fatal = _function(library, "rd_kafka_event_error_is_fatal", c_int, c_void_p)
            self.event_destroy = _function(library, "rd_kafka_event_destroy", None, c_void_p)
            self.sasl_in_background = _function(
                library, "rd_kafka_sasl_background_callbacks_enable", c_void_p, c_void_p
            )
            self.destroy = _address(library, "rd_kafka_message_destroy")
            self.timestamp = _address(library, "rd_kafka_message_timestamp")
            self.headers = _address(library, "rd_kafka_message_headers")
            self.last_header = _address(library, "rd_kafka_header_get_last")
        except (OSError, AttributeError) as error:
            message = f"{error}"
            raise Unavailable(message) from None

    def handle(self, client: Any) -> int:
        """Give the `rd_kafka_t *` of one of confluent-kafka's clients.

        Raises:
            Unavailable: where it isn't where it should be.
        """
        known = isinstance(client, Consumer | Producer)  # another object may be smaller than what is looked at
        handle = (c_void_p.from_address(id(client) + object.__basicsize__).value or 0) if known else 0
        kind = "consumer" if isinstance(client, Consumer) else "producer"
        if handle % 8 or not _is_mapped(handle) or f"#{kind}-".encode() not in (self.name(handle) or b""):
            message = "confluent-kafka keeps its handle elsewhere"
            raise Unavailable(message)
        return handle


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), c_void_p).value or 0


def _is_mapped(address: int) -> bool:
    """Say whether memory that can be written stands at an address; where that can't be told, whether there may be some."""
    if not address:
        return False
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if begin <= address < end:
                return "w" in rights
        return False
    return True
