"""What every client of Kafka here has in common: settings, a quiet log, and one clear line when it can't work."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

log = logging.getLogger("telemill.kafka")

_GIVE_UP = 5.0
"""Seconds to wait for a broker before the run is given up: an answer within ten is promised."""
_HOPELESS = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001  # how confluent-kafka names librdkafka's own errors
    KafkaError._SSL,  # noqa: SLF001  # as above
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}


_CALLBACKS = {"error_cb", "on_commit"}


class KafkaFailure(Exception):  # noqa: N818  # KafkaError is confluent-kafka's
    """Something about Kafka that ends the run. Its text is one line that says what, where, and what to do."""


class _Quiet(logging.Handler):
    """Takes librdkafka's own log lines: what matters in them also comes as an error, once."""

    def emit(self, record: logging.LogRecord) -> None:
        log.debug("librdkafka: %s", record.getMessage())


_silent = logging.getLogger("telemill.librdkafka")
_silent.propagate = False
_silent.addHandler(_Quiet())


def settings(brokers: str, config: Mapping[str, str], **own: Any) -> dict[str, Any]:  # as librdkafka
    """Put together a client's settings: the brokers, what the user set, and `own` (`a_b` for `a.b`) above both."""
    fixed = {name if name in _CALLBACKS else name.replace("_", "."): value for name, value in own.items()}
    return {"client.id": "telemill", **config, "bootstrap.servers": brokers, "logger": _silent, **fixed}


def check(brokers: str, config: Mapping[str, str], topics: Iterable[str]) -> None:
    """Make sure before a run that the brokers answer and the topics exist.

    Raises:
        KafkaFailure: within ten seconds, if they don't.
    """
    errors: list[KafkaError] = []
    client = open_client(AdminClient, settings(brokers, config, error_cb=errors.append))
    deadline = time.monotonic() + _GIVE_UP
    while True:
        try:
            known = client.list_topics(timeout=1).topics
            break
        except KafkaException as error:
            errors.append(error.args[0])
        client.poll(0)
        hopeless = [error for error in errors if error.code() in _HOPELESS]
        if hopeless or time.monotonic() > deadline:
            told = [error for error in errors if not error.str().startswith("Failed to get metadata")]
            raise KafkaFailure(_unreachable(brokers, (hopeless or told or errors)[0])) from None
    missing = sorted(set(topics) - set(known))
    if missing:
        names = ", ".join(f"`{topic}`" for topic in missing)
        fix = f"kafka-topics.sh --bootstrap-server {brokers.split(',', maxsplit=1)[0]} --create --topic {missing[0]}"
        message = f"no such topic at {brokers}: {names}; create it first, for example with `{fix}`"
        raise KafkaFailure(message)


def open_client(kind: Any, config: Mapping[str, Any]) -> Any:  # any of the clients
    """Make a client.

    Raises:
        KafkaFailure: if librdkafka doesn't take the settings.
    """
    try:
        return kind(dict(config))
    except (KafkaException, TypeError, ValueError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        message = f"librdkafka doesn't take these settings: {reason}; see `config` under `kafka` in the pipeline"
        raise KafkaFailure(message) from None


def _unreachable(brokers: str, error: KafkaError) -> str:
    reason = " ".join(error.str().split())
    if error.code() in _HOPELESS:
        return f"the broker at {brokers} refused the connection: {reason}; check the login and security.protocol"
    return f"no broker answers at {brokers}: {reason}; is Kafka running there, and `brokers` right?"
