"""A schema registry, as Confluent's REST API has it: schemas by their ids, and ids for schemas of our own.

A registry that can't be reached says nothing about a record. So it is asked again for half a minute, and if it stays
away the run ends: no position is committed behind a record that waits for its schema, so none is lost. An id that the
registry doesn't know, or a schema that can't be used, is about the records that carry it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any

from connectors.codec.avro_schema import expected_of, parsed

log = logging.getLogger("telemill.registry")

_PATIENCE = 30.0
"""Seconds for which a registry that can't be reached is asked again."""
_PAUSE = 0.25
_LONGEST_PAUSE = 4.0
"""Seconds between two questions: at first, doubled each time, at most."""
_DEFAULTS = {"timeout": 10, "max.retries": 0}
_BUSY = {408, 429}
"""What a server answers, besides 5xx, that may be otherwise soon."""
_REFERENCES = 200
"""Subjects that a schema may be made of."""
_LOGIN = re.compile(r"//[^/@\s]*@")


class RegistryFailure(Exception):  # noqa: N818  # as KafkaFailure
    """Something about a registry that ends the run. Its text is one line that says what, where, and what to do."""


class UnknownSchemaError(Exception):
    """The registry doesn't know an id, or a subject that the schema refers to; it may soon."""


class UnfitSchemaError(Exception):
    """A schema that can't be used, now and for ever."""


class Registry:
    """Asks a registry.

    Args:
        url: of its root; several that stand in for each other are separated by commas.
        config: settings of confluent-kafka's SchemaRegistryClient.
    """

    def __init__(self, url: str, config: Mapping[str, Any]) -> None:
        """Ask nothing yet."""
        self._url = url
        self._config = config
        self._shown = _LOGIN.sub("//", url)
        self._client: Any = None

    def schema(self, number: int) -> Any:  # fastavro's parsed schemas are untyped
        """Give the schema with this id, parsed, with those that it refers to put in.

        Raises:
            UnknownSchemaError: if the registry doesn't know it.
            UnfitSchemaError: if the codec can't use it.
            RegistryFailure: if the registry doesn't answer.
        """
        try:
            found = self._ask(methodcaller("get_schema", number))
            if found.schema_type != "AVRO":
                message = f"schema {number} is of the type {found.schema_type}, not AVRO"
                raise UnfitSchemaError(message)
            others: dict[str, Any] = {}
            self._refer(found, others, set())
        except _NotThereError as error:
            message = f"schema {number} isn't known to the registry at {self._shown}: {error}"
            raise UnknownSchemaError(message) from None
        try:
            schema = parsed(json.loads(found.schema_str), others)
            expected = expected_of(schema)
        except Exception as error:  # noqa: BLE001  # fastavro raises many kinds for a bad schema
            message = f"schema {number} isn't one of Avro ({type(error).__name__}: {str(error)[:200]})"
            raise UnfitSchemaError(message) from None
        if expected is not None:
            message = f"schema {number} can't be used: expected {expected}"
            raise UnfitSchemaError(message)
        return schema

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Give the id of a schema under a subject; it is registered there unless it was before.

        Raises:
            RegistryFailure: if the registry refuses it, or doesn't answer.
        """
        from confluent_kafka.schema_registry import Schema  # noqa: PLC0415  # it takes a tenth of a second

        made = Schema(json.dumps(schema), "AVRO")
        try:
            number = self._ask(methodcaller("lookup_schema", subject, made)).schema_id
        except _NotThereError:
            try:
                number = self._ask(methodcaller("register_schema", subject, made), f"the subject {subject}: ")
            except _NotThereError as error:
                raise RegistryFailure(self._refused(f"the subject {subject}: {error}")) from None
        if not isinstance(number, int):
            message = f"the schema registry at {self._shown} gives no id for the subject {subject}"
            raise RegistryFailure(message)
        return number

    def _refer(self, schema: Any, others: dict[str, Any], seen: set[tuple[str, int]]) -> None:
        """Get the schemas that one refers to, and those that they do, by the names of their types."""
        for reference in schema.references or ():
            place = (str(reference.subject), int(reference.version))
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > _REFERENCES:
                message = f"it refers to more than {_REFERENCES} others"
                raise UnfitSchemaError(message)
            found = self._ask(methodcaller("get_version", *place, deleted=True)).schema
            self._refer(found, others, seen)
            try:
                raw = json.loads(found.schema_str)
            except ValueError as error:
                message = f"version {place[1]} of {place[0]}, to which it refers, is no JSON ({error})"
                raise UnfitSchemaError(message) from None
            others[reference.name] = raw
            if isinstance(raw, dict) and "name" in raw:
                space = raw.get("namespace")
                others[f"{space}.{raw['name']}" if space and "." not in raw["name"] else raw["name"]] = raw

    def _ask(self, question: Callable[[Any], Any], about: str = "") -> Any:  # what the client gives
        """Ask until there is an answer, for as long as there is hope."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415  # as above

        if self._client is None:
            self._client = self._opened()
        pause, until, warned = _PAUSE, time.monotonic() + _PATIENCE, False
        while True:
            try:
                return question(self._client)
            except SchemaRegistryError as error:
                status, code = error.http_status_code, error.error_code
                if status == 404 and isinstance(code, int) and 40400 < code < 40500:
                    raise _NotThereError(error.error_message) from None
                reason = f"{_line(error.error_message)} (HTTP {status})"
                if status < 500 and status not in _BUSY:
                    raise RegistryFailure(self._refused(about + reason, status)) from None
            except Exception as error:  # noqa: BLE001  # the client raises many kinds, for what it can't read too
                reason = f"{type(error).__name__}: {_line(error)}" if str(error) else type(error).__name__
            if time.monotonic() + pause > until:
                message = (
                    f"no schema registry answers at {self._shown}: {reason}; is it running there, and `registry` right? "
                    "Nothing is lost: the next run begins at the records that wait for it"
                )
                raise RegistryFailure(message)
            if not warned:
                log.warning(
                    "no schema registry answers at %s: %s; asking again for %.0f s", self._shown, reason, _PATIENCE
                )
                warned = True
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _opened(self) -> Any:  # confluent-kafka's client
        try:
            return open_client(self._url, self._config)
        except Exception as error:  # noqa: BLE001  # it raises many kinds: for files of TLS, for example
            reason = _line(error)
            message = f"the client of the schema registry doesn't take these settings: {reason}; see `config` beside `registry`"
            raise RegistryFailure(message) from None

    def _refused(self, reason: str, status: int = 0) -> str:
        fix = {
            401: "; see `config` beside `registry`: basic.auth.user.info, for example",
            403: "; may this login do that?",
            404: "; is `registry` the URL of its root?",
            409: "; the rows that the topic had before and those of this pipeline differ too much for the compatibility set there",
        }.get(status, "")
        return f"the schema registry at {self._shown} refused: {reason}{fix}"


class _NotThereError(Exception):
    """The registry doesn't know what it was asked for."""


def open_client(url: str, config: Mapping[str, Any]) -> Any:  # confluent-kafka's client
    """Make a client; nothing is asked.

    Raises:
        Exception: many kinds, for settings that it doesn't take.
    """
    from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415  # as above

    return SchemaRegistryClient({**_DEFAULTS, **config, "url": url})


def _line(error: object) -> str:
    """Give what an error says as a line, without a login that may stand in a URL."""
    return _LOGIN.sub("//", " ".join(str(error).split())[:300])
