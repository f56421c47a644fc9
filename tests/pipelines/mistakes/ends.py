"""Mistakes in the sinks and the tests."""

from __future__ import annotations

from tests.pipelines.mistakes.base import AGGREGATE, ALERTS, GOOD, SINKS, Says, case

MISTAKES = [
    case(
        "a sink for an unknown stream",
        SINKS,
        SINKS + "  - from: minutes #!\n    kafka: {topic: more}\n",
        Says("sinks[0].from", "source, clean, odd, minute, minute.late", "`minutes`", "did you mean `minute`?"),
    ),
    case(
        "a sink for no stream",
        SINKS,
        SINKS + "  - kafka: {topic: more} #!\n",
        Says("sinks[0].from", "a key `from`: the stream", "nothing"),
    ),
    case(
        "an unknown column in the condition of a sink",
        ALERTS,
        ALERTS + "    when: scor > 3 #!\n",
        Says("sinks[1].when", "score, expected, side", "`scor` in `scor > 3`", "did you mean `score`?"),
    ),
    case(
        "a column that the rows of a window haven't got",
        SINKS + "  - from: minute\n",
        SINKS + "  - from: minute\n    when: temperature > 0 #!\n",
        Says("sinks[0].when", "exists here: dev, window_start, window_end, t_mean", "`temperature` in"),
    ),
    case(
        "a condition of a sink that gives a number",
        ALERTS,
        ALERTS + "    when: score + 1 #!\n",
        Says("sinks[1].when", "an expression that gives bool", "`score + 1`, which gives float"),
    ),
    case(
        "a condition of a sink that isn't SQL",
        ALERTS,
        ALERTS + "    when: score > #!\n",
        Says("sinks[1].when", "a SQL expression (", "`score >`"),
    ),
    case(
        "a condition of a sink that looks at other rows",
        ALERTS,
        ALERTS + "    when: score > AVG(score) #!\n",
        Says("sinks[1].when", "its own row", "AVG(score)", "aggregate in a `window` step"),
    ),
    case(
        "a bool as the condition of a sink",
        ALERTS,
        ALERTS + "    when: true #!\n",
        Says("sinks[1].when", "text", "true", 'quote it: "true"'),
    ),
    case(
        "a condition on the dead letters",
        SINKS,
        SINKS + "  - from: dead\n    when: reason = 'x' #!\n    kafka: {topic: more}\n",
        Says("sinks[0].when", "no condition on `dead`", "`reason = 'x'`", "leave it out"),
    ),
    case(
        "a condition on an unknown stream, which is told alone",
        SINKS,
        SINKS + "  - from: minutes #!\n    when: nothing > 0\n    kafka: {topic: more}\n",
        Says("sinks[0].from", "source, clean, odd, minute, minute.late", "`minutes`", "did you mean `minute`?"),
    ),
    case(
        "a sink that writes where the source reads",
        "{topic: alerts}",
        "{topic: raw} #!",
        Says("sinks[1].kafka.topic", "a topic that isn't read", "`raw`", "another topic"),
    ),
    case(
        "a sink's topic with a slash",
        "{topic: alerts}",
        "{topic: my/alerts} #!",
        Says("sinks[1].kafka.topic", "the name of a topic", "`my/alerts`"),
    ),
    case(
        "a setting that a sink may not make",
        "{topic: alerts}",
        "{topic: alerts, config: {enable.idempotence: false}} #!",
        Says("sinks[1].kafka.config.enable.idempotence", "doesn't make itself", "", "use `delivery`"),
    ),
    case(
        "an unknown format of a sink",
        ALERTS,
        ALERTS + "    format: arvo #!\n",
        Says("sinks[1].format", "one of avro, csv, json", "`arvo`", "did you mean `avro`?"),
    ),
    case(
        "a schema for what is written",
        ALERTS,
        ALERTS + "    format: {avro: {schema: reading.avsc}} #!\n",
        Says("sinks[1].format.avro.schema", "no schema in a sink", "reading.avsc", "`format: avro`"),
    ),
    case(
        "a format that is only read",
        ALERTS,
        ALERTS + "    format: csv #!\n",
        Says("sinks[1].format", "a format that rows are written in: avro, json", "`csv`, which is only read"),
    ),
    case(
        "a format that is only read, with options",
        ALERTS,
        ALERTS + "    format: {csv: {columns: [dev]}} #!\n",
        Says("sinks[1].format.csv", "a format that rows are written in: avro, json", "`csv`, which is only read"),
    ),
    case(
        "an unknown way to write times",
        ALERTS,
        ALERTS + "    format: {json: {time: fortnight}} #!\n",
        Says("sinks[1].format.json.time", "one of iso, s, ms, us", "`fortnight`"),
    ),
    case(
        "a name in Avro that Avro doesn't take",
        GOOD[GOOD.index(AGGREGATE) : GOOD.index("  - from: alarm")],
        """\
        t-mean: mean(temperature)
  - id: alarm
    from: odd
    alert: {raise: score > 3}
sinks:
  - from: minute
    kafka: {topic: out}
    format: avro #!
""",
        Says("sinks[0].format", "letters, digits and _", "`t-mean`"),
    ),
    case(
        "a test of an unknown stream",
        "    at: minute\n",
        "    at: minit #!\n",
        Says("tests[0].at", "source, clean, odd, minute, minute.late", "`minit`", "did you mean `minute`?"),
    ),
    case(
        "a test's row with an unknown thing of the record",
        "    input: []\n",
        "    input: [{dev: a, $header: {site: x}}] #!\n",
        Says("tests[0].input[0].$header", "a field, or one of $key, $timestamp, $headers", "`$header`", "did you mean"),
    ),
    case(
        "a test without a name",
        "  - name: nothing comes of nothing\n    at: minute\n",
        "  - at: minute #!\n",
        Says("tests[0].name", "a key `name`: what the test shows", "nothing"),
    ),
    case(
        "a test's input that isn't a list",
        "    input: []\n",
        "    input: {dev: a} #!\n",
        Says("tests[0].input", "a list", "a mapping with `dev`"),
    ),
    case(
        "a test's row that isn't a mapping",
        "    input: []\n",
        "    input:\n      - a #!\n",
        Says("tests[0].input[0]", "a mapping", "`a`"),
    ),
    case(
        "yes, which is text",
        "    expect: []\n",
        "    expect: []\n    close_windows: yes #!\n",
        Says("tests[0].close_windows", "true or false", "`yes`"),
    ),
]
