"""Mistakes in steps that don't fit the rows that they are given."""

from __future__ import annotations

from tests.pipelines.mistakes.base import AGGREGATE, ALERT, FILTER, RANGE, Says, case

MISTAKES = [
    case(
        "an unknown column in a filter",
        FILTER,
        "    filter: temprature > 0 #!\n",
        Says("steps[0].filter", "dev, ts, temperature, humidity, status", "`temprature` in", "`temperature`?"),
    ),
    case(
        "an unknown column in a derive",
        FILTER,
        "    derive:\n      twice: temprature * 2 #!\n",
        Says("steps[0].derive.twice", "dev, ts, temperature, humidity, status", "`temprature` in", "`temperature`?"),
    ),
    case(
        "an unknown column in an aggregate",
        AGGREGATE,
        "        t_mean: mean(temprature) #!\n",
        Says("steps[2].window.aggregate.t_mean", "ts, temperature, humidity, status", "`temprature`", "`temperature`?"),
    ),
    case(
        "an unknown column for a detector",
        RANGE,
        "    detect: {range: {field: humidty, low: 0}} #!\n",
        Says("steps[1].detect.range.field", "temperature, humidity", "`humidty`", "did you mean `humidity`?"),
    ),
    case(
        "a smoother of text",
        FILTER,
        "    smooth:\n      kalman:\n        q: 0.1\n        field: status #!\n",
        Says("steps[0].smooth.kalman.field", "a number column", "`status`, which is text"),
    ),
    case(
        "a column that exists to put smoothed values into",
        FILTER,
        "    smooth:\n      kalman:\n        field: humidity\n        into: temperature #!\n",
        Says(
            "steps[0].smooth.kalman.into", "a name that doesn't exist yet", "`temperature` exists", "`into: humidity_"
        ),
    ),
    case(
        "an unknown column to find duplicates by",
        FILTER,
        "    dedupe:\n      within: 10m\n      by:\n        - dev\n        - statos #!\n",
        Says("steps[0].dedupe.by[1]", "dev, ts, temperature, humidity, status", "`statos`", "did you mean `status`?"),
    ),
    case(
        "a table that isn't there",
        FILTER,
        "    enrich:\n      file: nowhere.csv #!\n      key: dev\n      columns: [site]\n",
        Says(
            "steps[0].enrich.file", "a file that can be read (No such file", "`nowhere.csv`", "relative to the pipeline"
        ),
    ),
    case(
        "a table in a file that is none",
        FILTER,
        "    enrich: {file: devices.xlsx, key: dev, columns: [site]} #!\n",
        Says("steps[0].enrich.file", "ends in .csv, .json, .ndjson, .jsonl, .parquet", "`devices.xlsx`"),
    ),
    case(
        "an unknown column in an alert",
        ALERT,
        "    alert: {raise: scor > 3, clear: expectd < 1} #!!\n",
        Says("steps[3].alert.raise", "score, expected, side", "`scor`", "did you mean `score`?"),
        Says("steps[3].alert.clear", "score, expected, side", "`expectd`", "did you mean `expected`?"),
    ),
    case(
        "a silence without a unit",
        ALERT,
        "    alert: {raise: score > 3, missing: 5} #!\n",
        Says("steps[3].alert.missing", "a duration such as", "5", "say the unit: `5s`?"),
    ),
    case(
        "an alert that nothing raises",
        ALERT,
        "    alert: {severity: critical} #!\n",
        Says("steps[3].alert", "a condition in `raise`, or in `missing`", "", "`raise: score > 3`, or `missing: 5m`"),
    ),
    case(
        "an alert that clears what it doesn't raise",
        ALERT,
        "    alert: {missing: 5m, clear: score < 1} #!\n",
        Says("steps[3].alert.clear", "a `raise` beside `clear`", "`score < 1`", "or leave it out"),
    ),
    case(
        "an unknown column in the title of an alert",
        ALERT,
        "    alert: {raise: score > 3, title: '{dev}: {scor} since {since}'} #!\n",
        Says("steps[3].alert.title", "dev, at, alert_id, pipeline", "`{scor}`", "did you mean `score`?"),
    ),
    case(
        "a title whose braces YAML takes for a mapping",
        ALERT,
        "    alert: {raise: score > 3, title: {dev}} #!\n",
        Says("steps[3].alert.title", "a text with columns in braces", "a mapping with `dev`", "quote it"),
    ),
    case(
        "a format of a number in a title for a text",
        ALERT,
        "    alert: {raise: score > 3, title: '{dev:.1f}'} #!\n",
        Says("steps[3].alert.title", "a format for a float or int alone", "`{dev:.1f}`, which is text", "`{dev}`"),
    ),
    case(
        "levels of severity of which there are none",
        ALERT,
        "    alert: {raise: score > 3, severity: {}} #!\n",
        Says("steps[3].alert.severity", "levels from low to high", "an empty mapping", "critical: score > 6"),
    ),
    case(
        "an unknown column in a level of severity",
        ALERT,
        "    alert: {raise: score > 3, severity: {warning: score > 3, critical: scor > 6}} #!\n",
        Says("steps[3].alert.severity.critical", "score, expected, side", "`scor`", "did you mean `score`?"),
    ),
    case(
        "a peak of a text",
        ALERT,
        "    alert: {raise: score > 3, peak: side} #!\n",
        Says("steps[3].alert.peak", "a number column", "`side`, which is text"),
    ),
    case(
        "an alert that flaps within no time",
        ALERT,
        "    alert: {raise: score > 3, flapping: {changes: 6}} #!\n",
        Says("steps[3].alert.flapping.within", "a key `within`: Within how long", "nothing"),
    ),
    case(
        "an alert that flaps without a change",
        ALERT,
        "    alert: {raise: score > 3, flapping: {changes: 1, within: 10m}} #!\n",
        Says("steps[3].alert.flapping.changes", "a number of at least 2", "1"),
    ),
    case(
        "a column that ended at a window",
        ALERT,
        ALERT + "  - from: minute\n    filter: temperature > 0 #!\n",
        Says("steps[4].filter", "exists here: dev, window_start, window_end, t_mean", "`temperature` in"),
    ),
    case(
        "a derived name that the device has",
        FILTER,
        "    derive:\n      dev: status #!\n",
        Says("steps[0].derive.dev", "a name other than the device's and the time's", "`dev`"),
    ),
    case(
        "a mean of text",
        AGGREGATE,
        "        t_mean: mean(status) #!\n",
        Says("steps[2].window.aggregate.t_mean", "float, int, bool", "`status`, which is text", "`count`"),
    ),
    case(
        "an unknown aggregate",
        AGGREGATE,
        "        t_mean: maen(temperature) #!\n",
        Says("steps[2].window.aggregate.t_mean", "an aggregate: ", "`maen`", "`mean`?"),
    ),
    case(
        "an aggregate that isn't a call",
        AGGREGATE,
        "        t_mean: temperature #!\n",
        Says("steps[2].window.aggregate.t_mean", "such as mean(temperature)", "`temperature`"),
    ),
    case(
        "an aggregate without brackets",
        AGGREGATE,
        "        t_mean: count #!\n",
        Says("steps[2].window.aggregate.t_mean", "an aggregate", "`count`", "`count()`"),
    ),
    case(
        "a mean of nothing",
        AGGREGATE,
        "        t_mean: mean() #!\n",
        Says("steps[2].window.aggregate.t_mean", "a column in `mean(...)`", "`mean()`"),
    ),
    case(
        "an aggregate with a window's own name",
        AGGREGATE,
        "        window_end: mean(temperature) #!\n",
        Says("steps[2].window.aggregate.window_end", "a name other than", "`window_end`"),
    ),
    case(
        "a filter that gives a number",
        FILTER,
        "    filter: temperature + 1 #!\n",
        Says("steps[0].filter", "an expression that gives bool", "`temperature + 1`, which gives float"),
    ),
    case(
        "SQL that isn't any",
        FILTER,
        "    filter: temperature > #!\n",
        Says("steps[0].filter", "a SQL expression (", "`temperature >`"),
    ),
    case(
        "an unknown SQL function",
        FILTER,
        "    filter: sqrrt(temperature) > 1 #!\n",
        Says("steps[0].filter", "a SQL expression (", "`sqrrt(temperature) > 1`"),
    ),
    case(
        "an aggregate in an expression",
        FILTER,
        "    filter: temperature > AVG(temperature) #!\n",
        Says("steps[0].filter", "its own row", "AVG(temperature)", "aggregate in a `window` step"),
    ),
    case(
        "a window function in an expression",
        FILTER,
        "    filter: SUM(temperature) OVER (ORDER BY ts) > 1 #!\n",
        Says("steps[0].filter", "its own row", "OVER (ORDER BY ts)", "aggregate in a `window` step"),
    ),
    case(
        "a look at another row",
        FILTER,
        "    filter: LAG(temperature) OVER (ORDER BY ts) > 1 #!\n",
        Says("steps[0].filter", "an expression that needs nothing but its own row", "LAG(temperature)"),
    ),
    case(
        "a look at the clock",
        FILTER,
        "    filter: ts < NOW() #!\n",
        Says("steps[0].filter", "its own row", "NOW()", "event time is a column of the rows"),
    ),
    case(
        "a sum of text and a number",
        FILTER,
        "    filter: status + 1 > 0 #!\n",
        Says("steps[0].filter", "an expression whose types fit", "`status + 1 > 0`"),
    ),
    case(
        "a range without limits",
        RANGE,
        "    detect: {range: {field: humidity}} #!\n",
        Says("steps[1].detect", "`low`, `high` or both", "`field`"),
    ),
    case(
        "a range that is empty",
        RANGE,
        "    detect: {range: {field: humidity, low: 5, high: 1}} #!\n",
        Says("steps[1].detect", "`low` at most `high` (here 5.0 and 1.0)", ""),
    ),
    case(
        "a limit that is no number",
        RANGE,
        "    detect: {range: {field: humidity, low: cold}} #!\n",
        Says("steps[1].detect.range.low", "a number", "`cold`"),
    ),
    case(
        "a detector on text",
        RANGE,
        "    detect: {range: {field: status, low: 0}} #!\n",
        Says("steps[1].detect.range.field", "a number column", "`status`, which is text"),
    ),
    case(
        "a warmup that is too short",
        RANGE,
        "    detect: {level_shift: {field: humidity, warmup: 5}} #!\n",
        Says("steps[1].detect.level_shift.warmup", "a number of at least 20", "5"),
    ),
    case(
        "a second detector without a prefix",
        ALERT,
        ALERT + "  - id: second\n    from: odd\n    detect: #!\n      range: {field: temperature, low: 0}\n",
        Says("steps[4].detect.prefix", "names that don't exist yet", "`score` exists here", "`prefix: temperature_`"),
    ),
    case(
        "an alert on columns that it writes itself",
        "  - id: alarm\n    from: odd\n" + ALERT,
        """\
  - id: named
    from: odd
    derive: {state: status, severity: status}
  - id: alarm
    alert: {raise: score > 3} #!
""",
        Says("steps[4].alert", "no columns that the alert's rows have too", "`severity`, `state`", "rename them"),
    ),
]
