"""A schema registry: what it answers, what it refuses, and where it isn't there."""

from __future__ import annotations

import json
import logging
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.codec.registry import Registry, RegistryFailure, UnfitSchemaError, UnknownSchemaError
from tests.connectors.codec.registry_server import RegistryServer

AIR = {"type": "record", "name": "Air", "namespace": "org.x", "fields": [{"name": "t", "type": "double"}]}
READING = {
    "type": "record",
    "name": "Reading",
    "namespace": "org.x",
    "fields": [{"name": "dev", "type": "string"}, {"name": "air", "type": "Air"}, {"name": "out", "type": ["null", "org.x.Air"]}],
}  # fmt: skip
PLAIN = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing: a clock that each pause moves on. Gives the pauses."""
    made: list[float] = []
    clock = SimpleNamespace(sleep=made.append, monotonic=lambda: sum(made))
    monkeypatch.setattr("connectors.codec.registry.time", clock)
    return made


def names(schema: Any) -> list[str]:
    return [field["name"] for field in schema["fields"]]


def test_a_schema_is_given_by_its_id_and_asked_for_once(registry: RegistryServer) -> None:
    number = registry.add(PLAIN)
    asked = Registry(registry.url, {})
    assert [names(asked.schema(number)) for _ in range(3)] == [["n"]] * 3
    assert registry.asked == [f"GET /schemas/ids/{number}"]


def test_schemas_that_one_refers_to_are_put_in(registry: RegistryServer) -> None:
    registry.add(AIR, subject="air")
    number = registry.add(READING, references=[("org.x.Air", "air", 1)])
    fields = Registry(registry.url, {}).schema(number)["fields"]
    assert fields[1]["type"]["fields"] == [{"name": "t", "type": "double"}]
    assert fields[2]["type"] == ["null", "org.x.Air"]


def test_a_schema_that_two_refer_to_is_put_in_once(registry: RegistryServer) -> None:
    registry.add(AIR, subject="air")
    for name in ("Left", "Right"):
        inner = {"type": "record", "name": name, "namespace": "org.x", "fields": [{"name": "air", "type": "Air"}]}
        registry.add(inner, subject=name, references=[("org.x.Air", "air", 1)])
    whole = {"type": "record", "name": "W", "fields": [{"name": n, "type": f"org.x.{n}"} for n in ("Left", "Right")]}
    number = registry.add(whole, references=[(f"org.x.{name}", name, 1) for name in ("Left", "Right")])
    left, right = Registry(registry.url, {}).schema(number)["fields"]
    assert left["type"]["fields"][0]["type"]["name"] == "org.x.Air"
    assert right["type"]["fields"][0]["type"] == "org.x.Air"


def test_a_union_of_types_of_other_subjects_is_read(registry: RegistryServer) -> None:
    registry.add(AIR, subject="air")
    number = registry.add(["null", "org.x.Air"], references=[("org.x.Air", "air", 1)])
    assert Registry(registry.url, {}).schema(number)[1]["fields"][0]["name"] == "t"


def test_references_in_a_circle_come_to_an_end(registry: RegistryServer) -> None:
    registry.add(PLAIN, subject="one", references=[("x.B", "two", 1)])
    registry.add(AIR, subject="two", references=[("x.A", "one", 1)])
    number = registry.add(PLAIN | {"name": "Q"}, references=[("x.A", "one", 1)])
    assert names(Registry(registry.url, {}).schema(number)) == ["n"]
    assert len(registry.asked) == 3


def test_an_endless_row_of_references_is_refused(registry: RegistryServer) -> None:
    for place in range(300):
        registry.add(PLAIN | {"name": f"R{place}"}, subject=f"s{place}", references=[("x", f"s{place + 1}", 1)])
    with pytest.raises(UnfitSchemaError, match="more than 200 others"):
        Registry(registry.url, {}).schema(1)
    assert len(registry.asked) < 220


def test_an_id_that_is_not_known_is_told_as_such(registry: RegistryServer) -> None:
    with pytest.raises(
        UnknownSchemaError, match=rf"^schema 7 isn't known to the registry at {registry.url}: Schema 7 not found$"
    ):
        Registry(registry.url, {}).schema(7)


def test_a_subject_that_a_schema_refers_to_and_that_is_gone_is_not_known(registry: RegistryServer) -> None:
    number = registry.add(READING, references=[("org.x.Air", "air", 1)])
    with pytest.raises(UnknownSchemaError, match="Version 1 not found"):
        Registry(registry.url, {}).schema(number)


@pytest.mark.parametrize("kind", ["JSON", "PROTOBUF"])
def test_a_schema_of_another_kind_is_told_as_such(kind: str, registry: RegistryServer) -> None:
    number = registry.add("{}", kind=kind)
    with pytest.raises(UnfitSchemaError, match=f"^schema 1 is of the type {kind}, not AVRO$"):
        Registry(registry.url, {}).schema(number)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{", "isn't one of Avro"),
        ('{"type": "recrd"}', "isn't one of Avro"),
        ('"org.x.Nowhere"', "isn't one of Avro"),
        ("[" * 5_000 + "]" * 5_000, "isn't one of Avro"),
        ({"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}, "no record contains itself"),
        ({"type": "record", "name": "N", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}, "takes bytes"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_is_told_as_such(schema: Any, told: str, registry: RegistryServer) -> None:
    with pytest.raises(UnfitSchemaError, match=f"^schema 1 .*{told}"):
        Registry(registry.url, {}).schema(registry.add(schema))


def test_a_registry_that_stays_away_ends_the_run_after_half_a_minute(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}"
    with caplog.at_level(logging.WARNING), pytest.raises(RegistryFailure) as caught:
        Registry(url, {}).schema(1)
    assert str(caught.value).startswith(
        f"no schema registry answers at {url.replace('user:secret@', '')}: ConnectError:"
    )
    assert 20 < sum(pauses) <= 30
    (record,) = [record for record in caplog.records if record.name == "telemill.registry"]
    assert "asking again for 30 s" in record.getMessage()
    assert "secret" not in caplog.text + str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [(503, b"{}"), (500, b'{"error_code": 50001, "message": "Error in the backend"}'), (429, b""), (200, b"<html>"), (200, b"[]")],
)  # fmt: skip
def test_a_registry_that_is_away_for_a_while_is_asked_again(
    answer: tuple[int, bytes], registry: RegistryServer, pauses: list[float]
) -> None:
    number = registry.add(PLAIN)
    registry.failing = [answer] * 4
    assert names(Registry(registry.url, {}).schema(number)) == ["n"]
    assert pauses == [0.25, 0.5, 1, 2]


@pytest.mark.parametrize("answer", [(503, b"{}"), (200, b"<html>")])
def test_a_registry_that_gives_nothing_to_be_read_ends_the_run(
    answer: tuple[int, bytes], registry: RegistryServer
) -> None:
    registry.failing = [answer] * 100
    with pytest.raises(RegistryFailure, match="no schema registry answers at"):
        Registry(registry.url, {}).schema(1)


@pytest.mark.parametrize(
    ("status", "body", "fix"),
    [
        (401, b'{"error_code": 401, "message": "Unauthorized"}', "basic.auth.user.info"),
        (403, b'{"error_code": 40301, "message": "Forbidden"}', "may this login do that"),
        (404, b"<html>nothing here</html>", "is `registry` the URL of its root"),
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}', "is `registry` the URL of its root"),
        (404, b'{"status": 404, "error": "Not Found"}', "is `registry` the URL of its root"),
    ],
)
def test_what_is_not_about_a_schema_ends_the_run_at_once(
    status: int, body: bytes, fix: str, registry: RegistryServer, pauses: list[float]
) -> None:
    registry.failing = [(status, body)]
    with pytest.raises(RegistryFailure, match=rf"refused: .*\(HTTP {status}\).*{fix}"):
        Registry(registry.url, {}).schema(1)
    assert pauses == []


def test_a_login_stands_in_the_settings_or_in_the_url(registry: RegistryServer) -> None:
    number = registry.add(PLAIN)
    registry.login = "me:s3cret"
    assert names(Registry(registry.url, {"basic.auth.user.info": "me:s3cret"}).schema(number)) == ["n"]
    assert names(Registry(registry.url.replace("//", "//me:s3cret@"), {}).schema(number)) == ["n"]
    with pytest.raises(RegistryFailure) as caught:
        Registry(registry.url, {"basic.auth.user.info": "me:wr0ng"}).schema(number)
    assert "wr0ng" not in str(caught.value)


def test_files_of_tls_that_are_not_there_are_told_at_once(registry: RegistryServer, pauses: list[float]) -> None:
    with pytest.raises(RegistryFailure, match=r"doesn't take these settings: .*; see `config`"):
        Registry(registry.url, {"ssl.ca.location": "/nowhere/ca.pem"}).schema(1)
    assert pauses == []


def test_a_second_registry_stands_in_for_the_first(registry: RegistryServer) -> None:
    number = registry.add(PLAIN)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert names(Registry(f"{url},{registry.url}", {}).schema(number)) == ["n"]


# Registering


def test_a_schema_is_registered_under_its_subject(registry: RegistryServer) -> None:
    registry.add(AIR)
    number = Registry(registry.url, {}).register("out-value", PLAIN)
    assert registry.subject("out-value") == [number]
    assert json.loads(registry.text(number)) == PLAIN


def test_one_that_was_registered_before_is_only_looked_up(registry: RegistryServer) -> None:
    number = registry.add(PLAIN, subject="out-value")
    registry.refuses = "the subject is read-only"
    assert Registry(registry.url, {}).register("out-value", PLAIN) == number
    assert registry.asked == ["POST /subjects/out-value"]


def test_a_schema_that_the_registry_refuses_is_told_with_its_subject_and_what_it_says(registry: RegistryServer) -> None:
    registry.add(AIR, subject="out-value")
    registry.refuses = (
        "Schema being registered is incompatible with an earlier schema: READER_FIELD_MISSING_DEFAULT_VALUE"
    )
    with pytest.raises(RegistryFailure) as caught:
        Registry(registry.url, {}).register("out-value", PLAIN)
    told = str(caught.value)
    assert told.startswith(
        f"the schema registry at {registry.url} refused: the subject out-value: {registry.refuses} (HTTP 409); "
    )


def test_an_answer_without_an_id_is_told(registry: RegistryServer) -> None:
    registry.failing = [(200, b"{}")]
    with pytest.raises(RegistryFailure, match="gives no id for the subject out-value"):
        Registry(registry.url, {}).register("out-value", PLAIN)
