"""Mistakes in the source."""

from __future__ import annotations

from tests.pipelines.mistakes.base import FIELD, GOOD, SOURCE_KAFKA, TIME, Says, case

CSV_READ = GOOD[GOOD.index("  format: json") : GOOD.index("steps:")]

MISTAKES = [
    case(
        "a topic with a space",
        "[raw]",
        "[my topic] #!",
        Says("source.kafka.topics[0]", "the name of a topic", "`my topic`"),
    ),
    case("a number as a topic", "[raw]", "[5] #!", Says("source.kafka.topics[0]", "text", "5", 'quote it: "5"')),
    case(
        "a start that doesn't exist",
        SOURCE_KAFKA,
        SOURCE_KAFKA + "    start: newest #!\n",
        Says("source.kafka.start", "one of earliest, latest", "`newest`"),
    ),
    case(
        "a setting of librdkafka that has a key of its own",
        SOURCE_KAFKA,
        SOURCE_KAFKA + "    config:\n      group.id: mine #!\n",
        Says("source.kafka.config.group.id", "that telemill doesn't make itself", "", "use group"),
    ),
    case(
        "several such settings",
        SOURCE_KAFKA,
        SOURCE_KAFKA + "    config:\n      group.id: mine #!\n      acks: all #!\n",
        Says("source.kafka.config.group.id", "that telemill doesn't make itself", "", "use group"),
        Says("source.kafka.config.acks", "that telemill doesn't make itself", "", "use `delivery`"),
    ),
    case(
        "an unknown format",
        "format: json",
        "format: jsn #!",
        Says("source.format", "one of avro, csv, json", "`jsn`", "did you mean `json`?"),
    ),
    case(
        "an unknown option of a format",
        "format: json",
        "format: {json: {tiem: ms}} #!",
        Says("source.format.json.tiem", "time", "unknown key `tiem`", "did you mean `time`?"),
    ),
    case(
        "Avro without a schema",
        "format: json",
        "format: avro #!",
        Says("source.format", "`format: {avro: {schema: FILE.avsc}}`", "avro"),
    ),
    case(
        "a schema file that isn't there",
        "format: json",
        "format: {avro: {schema: nowhere.avsc}} #!",
        Says("source.format.avro.schema", "a file that can be read (No such file", "`nowhere.avsc`"),
    ),
    case(
        "a schema file that isn't JSON",
        "format: json",
        "format: {avro: {schema: not_json.avsc}} #!",
        Says("source.format.avro.schema", "a file with an Avro schema", "`not_json.avsc`"),
    ),
    case(
        "a schema file that isn't a schema",
        "format: json",
        "format: {avro: {schema: not_avro.avsc}} #!",
        Says("source.format.avro.schema", "a file with an Avro schema", "`not_avro.avsc`"),
    ),
    case(
        "a field that the schema hasn't",
        GOOD[GOOD.index("  format: json") : GOOD.index("    status: text\n")] + "    status: text\n",
        """\
  format: {avro: {schema: reading.avsc}}
  device: dev
  time: {field: ts, unit: ms}
  fields:
    temperature: float
    humidity: float
    status: text #!
""",
        Says("source.fields.status", "a field of the Avro schema: dev, humidity, temperature, ts", "`status`"),
    ),
    case(
        "an array whose items have no bytes",
        "format: json",
        "format: {avro: {schema: endless.avsc}} #!",
        Says("source.format.avro.schema", "each item of an array takes bytes", "`endless.avsc`"),
    ),
    case(
        "a registry that is no URL",
        "format: json",
        "format: {avro: {registry: localhost:8081}} #!",
        Says("source.format.avro.registry", "the URL of a schema registry, such as http://", "`localhost:8081`"),
    ),
    case(
        "one of several registries that is no URL",
        "format: json",
        "format: {avro: {registry: 'http://a:8081,b:8081'}} #!",
        Says("source.format.avro.registry", "the URL of a schema registry", "`http://a:8081,b:8081`"),
    ),
    case(
        "an unknown setting of a registry",
        "format: json",
        "format: {avro: {registry: http://a, config: {basic.auth: me}}} #!",
        Says(
            "source.format.avro.config",
            "SchemaRegistryClient takes (Unrecognized properties: basic.auth)",
            "`basic.auth`",
        ),
    ),
    case(
        "a setting of a registry that should be a number",
        "format: json",
        "format: {avro: {registry: http://a, config: {max.retries: many}}} #!",
        Says("source.format.avro.config", "(max.retries must be a number", "`max.retries`"),
    ),
    case(
        "a setting of a registry that is empty",
        "format: json",
        "format: {avro: {registry: http://a, config: {proxy: }}} #!",
        Says("source.format.avro.config.proxy", "a value", "nothing"),
    ),
    case(
        "settings without a registry",
        "format: json",
        "format: {avro: {schema: reading.avsc, config: {timeout: 5}}} #!",
        Says("source.format.avro.config", "where there is a `registry`", "`timeout`"),
    ),
    case(
        "a registry's URL among its settings",
        "format: json",
        "format: {avro: {registry: http://a, config: {url: http://b}}} #!",
        Says("source.format.avro.config", "settings without the URL", "`url`", "`registry` is the URL"),
    ),
    case(
        "a field that no record of a registry has",
        GOOD[GOOD.index("  format: json") : GOOD.index("    status: text\n")] + "    status: text\n",
        """\
  format: {avro: {registry: http://registry}}
  device: dev
  time: {field: ts, unit: ms}
  fields:
    temperature: float
    humidity: {path: air.rel-hum, type: float} #!
    status: text
""",
        Says("source.fields.humidity", "letters, digits and _, as Avro names them", "`air.rel-hum`"),
    ),
    case(
        "CSV without columns",
        "format: json",
        "format: csv #!",
        Says("source.format", "`format: {csv: {columns: [NAME, ...]}}`", "csv without columns"),
    ),
    case(
        "CSV without columns, though with options",
        "format: json",
        'format: {csv: {separator: ";"}} #!',
        Says("source.format", "`format: {csv: {columns: [NAME, ...]}}`", "csv without columns"),
    ),
    case(
        "no column for a device, a time and a field",
        CSV_READ,
        """\
  format: {csv: {columns: [device, ts_ms, temperature, humidity, state]}}
  device: dev #!
  time: {field: data.ts, unit: ms, lateness: 30s, idle: 5m} #!
  fields:
    temperature: float
    humidity: {path: air.humidty, type: float} #!
    status: text #!
""",
        Says("source.device", "one of the columns device, ts_ms, temperature", "`dev`", "did you mean `device`?"),
        Says("source.time", "one of the columns", "`data.ts`", "CSV has no fields in fields"),
        Says("source.fields.humidity", "one of the columns", "`air.humidty`", "did you mean `humidity`?"),
        Says("source.fields.status", "one of the columns", "`status`", "did you mean `state`?"),
    ),
    case(
        "a column that stands twice",
        "format: json",
        "format: {csv: {columns: [dev, ts, temperature, humidity, status, ts]}} #!",
        Says("source.format.csv.columns", "different names; `ts` stands there more than once", "a list of 6"),
    ),
    case(
        "a column without a name",
        "format: json",
        'format: {csv: {columns: [dev, ts, temperature, humidity, status, ""]}} #!',
        Says("source.format.csv.columns", "a name for every cell", "a list of 6"),
    ),
    case(
        "no columns at all",
        "format: json",
        "format: {csv: {columns: []}} #!",
        Says("source.format.csv.columns", "at least one", "a list of 0"),
    ),
    case(
        "columns as a text",
        "format: json",
        'format: {csv: {columns: "dev,ts"}} #!',
        Says("source.format.csv.columns", "a list", "`dev,ts`"),
    ),
    case(
        "columns, and a header line that names them",
        "format: json",
        "format: {csv: {columns: [dev, ts, temperature, humidity, status], header: true}} #!",
        Says(
            "source.format.csv.columns", "no `columns` with `header: true`", "a list of 5", "leave one of the two out"
        ),
    ),
    case(
        "a separator of two letters",
        "format: json",
        'format: {csv: {header: true, separator: "::"}} #!',
        Says("source.format.csv.separator", "one ASCII character", "`::`"),
    ),
    case(
        "a separator that stands in numbers",
        "format: json",
        'format: {csv: {header: true, separator: "."}} #!',
        Says("source.format.csv.separator", "one ASCII character that stands in no number", "`.`"),
    ),
    case(
        "a digit as a separator",
        "format: json",
        "format: {csv: {header: true, separator: 0}} #!",
        Says("source.format.csv.separator", "text", "0"),
    ),
    case(
        "a tab that isn't written as one",
        "format: json",
        "format: {csv: {header: true, separator: \\t}} #!",
        Says("source.format.csv.separator", "one ASCII character", "`\\t`", 'write "\\t", in double quotes'),
    ),
    case(
        "a number as a text that is missing",
        "format: json",
        "format: {csv: {header: true, missing: [NA, -999]}} #!",
        Says("source.format.csv.missing[1]", "text", "-999", 'quote it: "-999"'),
    ),
    case(
        "times of SenML in another unit than its own",
        GOOD[GOOD.index("  format: json") : GOOD.index("  fields:")],
        """\
  format: senml
  device: n
  time: {field: t, unit: ms} #!
""",
        Says("source.time", "`unit: s`, in which SenML's times are", "`unit: ms`"),
    ),
    case(
        "a list that the schema hasn't",
        GOOD[GOOD.index("  format: json") : GOOD.index("    status: text\n")] + "    status: text\n",
        """\
  format: {avro: {schema: reading.avsc}}
  each: ts #!
  device: dev
  time: {field: ts, unit: ms}
  fields:
    temperature: float
    humidity: float
    status: text
""",
        Says("source.each", "an array of the Avro schema", "`ts`"),
    ),
    case(
        "a list that no path goes through",
        "  device: dev\n",
        "  each: readings #!\n  device: dev\n",
        Says("source.each", "such as `path: readings.temperature`", "`readings`, which no path", "or leave `each` out"),
    ),
    case(
        "a field that a list stands in",
        "  fields:\n" + FIELD,
        "  each: data.readings #!\n  fields:\n    data: text\n"
        + FIELD.replace("float", "{type: float, path: data.readings.t}"),
        Says("source.each", "such as `data.readings.temperature`", "`data`, which the list stands in"),
    ),
    case(
        "a list with an empty key in its path",
        "  device: dev\n",
        "  each: readings. #!\n  device: dev\n",
        Says("source.each", "the path of a list", "`readings.`"),
    ),
    case(
        "a list that is a list",
        "  device: dev\n",
        "  each: [readings] #!\n  device: dev\n",
        Says("source.each", "text", "a list of 1"),
    ),
    case(
        "both ways to name a device",
        "device: dev",
        "device: {fields: [dev], key: dev} #!",
        Says("source.device", "a field, a list of fields, or `{key: NAME}`", "`fields`, `key`"),
    ),
    case(
        "a device of a key and a header",
        "device: dev",
        "device: {key: dev, header: dev} #!",
        Says("source.device", "or `{header: NAME}`", "`key`, `header`"),
    ),
    case(
        "a device with a name alone",
        "device: dev",
        "device: {name: dev} #!",
        Says("source.device", "or `{header: NAME}`", "a mapping with `name`"),
    ),
    case(
        "a name for a device that has one",
        "device: dev",
        "device: {key: dev, name: rig} #!",
        Says("source.device.name", "a `header` that the name is of", "`rig`", "leave it out"),
    ),
    case(
        "a header whose name no column can have",
        "device: dev",
        "device: {header: mqtt.client} #!",
        Says("source.device.header", "a `name` for rows", "`mqtt.client`", "add `name: device`"),
    ),
    case(
        "a column with the name of the device's header",
        "  device: dev\n" + TIME + "  fields:\n" + FIELD,
        "  device: {header: unit}\n" + TIME + "  fields:\n" + FIELD + "    unit: text #!\n",
        Says("source.fields.unit", "columns besides the device and the time", "which is the device", "leave it out"),
    ),
    case(
        "an empty list of device fields",
        "device: dev",
        "device: [] #!",
        Says("source.device", "a field, a list of fields, or `{key: NAME}`", "a list of 0"),
    ),
    case(
        "two parts of a device with one name",
        "device: dev",
        "device: [dev, gate.dev] #!",
        Says("source.device", "different names", "`dev`, `dev`, `ts`"),
    ),
    case(
        "a time with the device's name",
        "  device: dev\n  time: {field: ts, ",
        "  device: dev #!\n  time: {field: dev, ",
        Says("source.device", "different names for device and time", "`dev`, `dev`"),
    ),
    case(
        "a time without a unit",
        TIME,
        "  time: {field: ts} #!\n",
        Says("source.time", "a `unit`: s, ms, us, ns or iso", "none", "add `unit: ms`"),
    ),
    case(
        "a unit without a field",
        TIME,
        "  time: {unit: ms} #!\n",
        Says("source.time.unit", "a `field`", "none", "leave `unit` out"),
    ),
    case(
        "an unknown unit",
        "unit: ms, lateness: 30s, idle: 5m}",
        "unit: millis} #!",
        Says("source.time.unit", "one of s, ms, us, ns, iso", "`millis`"),
    ),
    case(
        "idle below lateness",
        "idle: 5m}",
        "idle: 10s} #!",
        Says("source.time.idle", "at least the lateness (30s)", "10s"),
    ),
    case(
        "the default of idle below lateness",
        "lateness: 30s, idle: 5m}",
        "lateness: 1h} #!",
        Says("source.time.idle", "at least the lateness (1h)", "5m, the default"),
    ),
    case(
        "a lateness without a unit",
        "lateness: 30s, idle: 5m}",
        "lateness: 30} #!",
        Says("source.time.lateness", "a duration such as", "30", "`30s`?"),
    ),
    case(
        "an idle time of zero",
        "idle: 5m}",
        "idle: 0s} #!",
        Says("source.time.idle", "a duration above zero", "`0s`"),
    ),
    case(
        "a column with the device's name",
        FIELD,
        FIELD + "    dev: text #!\n",
        Says("source.fields.dev", "columns besides the device and the time", "which is the device", "leave it out"),
    ),
    case(
        "a column with the time's name",
        FIELD,
        FIELD + "    ts: int #!\n",
        Says("source.fields.ts", "columns besides the device and the time", "which is the event time", "leave it out"),
    ),
    case(
        "a column with a name that no expression could use",
        FIELD,
        FIELD + "    dew-point: float #!\n",
        Says("source.fields.dew-point", "a name of letters, digits and _", "`dew-point`"),
    ),
    case(
        "an unknown type of a field",
        FIELD,
        "    temperature: flaot #!\n",
        Says("source.fields.temperature.type", "one of float, int, bool, text", "`flaot`", "did you mean `float`?"),
    ),
    case(
        "a header beside a path",
        FIELD,
        "    temperature: {type: float, path: data.t, header: t} #!\n",
        Says(
            "source.fields.temperature.path", "either a `path` or a `header`", "`data.t` beside the header `t`", "leave"
        ),
    ),
    case(
        "a header without a name",
        FIELD,
        '    temperature: {type: float, header: ""} #!\n',
        Says("source.fields.temperature.header", "the name of a header", "``"),
    ),
    case(
        "a header with a zero byte in its name",
        FIELD,
        '    temperature: {type: float, header: "t\\0"} #!\n',
        Says("source.fields.temperature.header", "the name of a header", "`t"),
    ),
    case(
        "a number as the name of a header",
        FIELD,
        "    temperature: {type: float, header: 5} #!\n",
        Says("source.fields.temperature.header", "text", "5", 'quote it: "5"'),
    ),
    case(
        "a header misspelt",
        FIELD,
        "    temperature: {type: float, headers: t} #!\n",
        Says("source.fields.temperature.headers", "header", "unknown key `headers`", "did you mean `header`?"),
    ),
    case(
        "a header of a field without a type",
        FIELD,
        "    temperature: {header: t} #!\n",
        Says("source.fields.temperature.type", "a key `type`: float, int, bool or text", "nothing"),
    ),
    case(
        "a field whose type is left out",
        FIELD,
        "    temperature: {path: data.t} #!\n",
        Says("source.fields.temperature.type", "a key `type`: float, int, bool or text", "nothing"),
    ),
]
