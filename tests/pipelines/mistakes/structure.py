"""Mistakes in the keys of a pipeline."""

from __future__ import annotations

from tests.pipelines.mistakes.base import ALERTS, FIELD, GOOD, SOURCE_KAFKA, TIME, Says, case

MISTAKES = [
    case(
        "an unknown key at the top",
        "name: mill\n",
        "name: mill\ncolour: red #!\n",
        Says("colour", "one of the keys name, source, steps, sinks, tests", "unknown key `colour`"),
    ),
    case(
        "a misspelt key at the top",
        "name: mill\n",
        "name: mill\ndelivry: at_least_once #!\n",
        Says("delivry", "delivery", "unknown key `delivry`", "did you mean `delivery`?"),
    ),
    case(
        "an unknown key of the source's Kafka",
        SOURCE_KAFKA,
        SOURCE_KAFKA + "    broker: localhost #!\n",
        Says("source.kafka.broker", "topics, brokers, group, start, config", "`broker`", "did you mean `brokers`?"),
    ),
    case(
        "an unknown key of a field",
        FIELD,
        "    temperature: {type: float, pth: data.t} #!\n",
        Says("source.fields.temperature.pth", "type, path", "unknown key `pth`", "did you mean `path`?"),
    ),
    case(
        "an unknown key of a sink",
        ALERTS,
        ALERTS + "    fromat: json #!\n",
        Says("sinks[1].fromat", "from, when, kafka, format", "`fromat`", "did you mean `format`?"),
    ),
    case("no name", "name: mill\nsource:", "source: #!", Says("name", "a key `name`: the pipeline's name", "nothing")),
    case(
        "no source",
        GOOD[GOOD.index("source:") : GOOD.index("steps:")],
        "",
        Says("source", "a key `source`: where records come from", "nothing"),
    ),
    case(
        "no sinks",
        GOOD[GOOD.index("sinks:") : GOOD.index("tests:")],
        "",
        Says("sinks", "a key `sinks`: where rows go", "nothing"),
    ),
    case(
        "no topics",
        "  kafka:\n    topics: [raw]\n",
        "  kafka: {} #!\n",
        Says("source.kafka.topics", "a key `topics`", "nothing"),
    ),
    case("an empty list of topics", "[raw]\n", "[] #!\n", Says("source.kafka.topics", "at least one", "a list of 0")),
    case(
        "no device",
        "source:\n  kafka:\n    topics: [raw]\n  format: json\n  device: dev\n",
        "source: #!\n  kafka:\n    topics: [raw]\n",
        Says("source.device", "a key `device`: the field or fields that name a device", "nothing"),
    ),
    case(
        "no fields",
        "  fields:\n" + FIELD + "    humidity: float\n    status: text\n",
        "  fields: {} #!\n",
        Says("source.fields", "at least one", "an empty mapping"),
    ),
    case(
        "a number as the name",
        "name: mill\n",
        "name: 5 #!\n",
        Says("name", "text", "5", 'quote it: "5"'),
    ),
    case(
        "a bool as the name",
        "name: mill\n",
        "name: true #!\n",
        Says("name", "text", "true", 'quote it: "true"'),
    ),
    case("nothing as the name", "name: mill\n", "name: #!\n", Says("name", "text", "nothing")),
    case("a name with a space", "name: mill\n", "name: my mill #!\n", Says("name", "letters", "`my mill`")),
    case(
        "a list where a mapping should be", TIME, "  time: [ts] #!\n", Says("source.time", "a mapping", "a list of 1")
    ),
    case(
        "a mapping where a list should be",
        GOOD[GOOD.index("sinks:") : GOOD.index("tests:")],
        "sinks: #!\n  from: minute\n  kafka: {topic: out}\n",
        Says("sinks", "a list", "a mapping with `from`, `kafka`"),
    ),
    case(
        "text where a mapping should be",
        "  kafka:\n    topics: [raw]\n",
        "  kafka: raw #!\n",
        Says("source.kafka", "a mapping", "`raw`"),
    ),
    case(
        "a delivery that isn't there yet",
        "name: mill\n",
        "name: mill\ndelivery: exactly_once #!\n",
        Says("delivery", "at_least_once", "`exactly_once`", "did you mean `at_least_once`?"),
    ),
]
