"""Mistakes in values that came from the environment, which no error may show."""

from __future__ import annotations

from tests.pipelines.mistakes.base import FILTER, SINKS, SOURCE_KAFKA, Says, case

MISTAKES = [
    case(
        "a secret in an expression",
        FILTER,
        "    filter: temprature > '${SECRET}' #!\n",
        Says("steps[0].filter", "a column that exists here", "${SECRET}", "did you mean `temperature`?"),
    ),
    case(
        "a secret as a sink's stream",
        SINKS,
        SINKS + "  - from: ${SECRET} #!\n    kafka: {topic: more}\n",
        Says("sinks[0].from", "a stream", "${SECRET}"),
    ),
    case("a secret as a format", "format: json", "format: ${SECRET} #!", Says("source.format", "one of", "${SECRET}")),
    case(
        "a secret as a unit",
        "unit: ms, lateness: 30s, idle: 5m}",
        "unit: '${SECRET}'} #!",
        Says("source.time.unit", "one of s, ms", "${SECRET}"),
    ),
    case(
        "a secret as a registry's URL",
        "format: json",
        "format: {avro: {registry: '${SECRET}'}} #!",
        Says("source.format.avro.registry", "the URL of a schema registry", "${SECRET}"),
    ),
    case(
        "a secret login of a registry that is none",
        "format: json",
        "format: {avro: {registry: http://a, config: {basic.auth.user.info: '${SECRET}'}}} #!",
        Says("source.format.avro.config", "in the form of {username}:{password}", "`basic.auth.user.info`"),
    ),
    case("a secret as a topic", "[raw]", "['${SECRET} '] #!", Says("source.kafka.topics[0]", "topic", "${SECRET}")),
    case("a secret as a test's stream", "at: minute", "at: ${SECRET} #!", Says("tests[0].at", "stream", "${SECRET}")),
    case(
        "a secret number where text should be",
        SOURCE_KAFKA,
        SOURCE_KAFKA + "    group: ${PIN} #!\n",
        Says("source.kafka.group", "text", "${PIN}", 'quote it: "${PIN}"'),
    ),
]
