"""Mistakes in the steps, each for itself."""

from __future__ import annotations

from tests.pipelines.mistakes.base import ALERT, FILTER, GOOD, RANGE, WINDOW, Says, case

MISTAKES = [
    case(
        "steps as a mapping",
        GOOD[GOOD.index("steps:") : GOOD.index("sinks:")],
        "steps: #!\n  filter: temperature > 0\n",
        Says("steps", "a list of steps", "a mapping with `filter`", "`- `"),
    ),
    case(
        "steps as a number",
        GOOD[GOOD.index("steps:") : GOOD.index("sinks:")],
        "steps: 5 #!\n",
        Says("steps", "a list of steps", "5", "`- `"),
    ),
    case(
        "an unknown step, and what goes on from it isn't blamed",
        FILTER,
        "    fliter: temperature > 0 #!\n",
        Says("steps[0].fliter", "one of the steps alert, dedupe, derive, detect, enrich, ", "`fliter`", "`filter`?"),
    ),
    case(
        "a step that isn't a mapping",
        ALERT,
        ALERT + "  - filter #!\n",
        Says("steps[4]", "a step such as `filter: temperature > 0`", "`filter`", "`- filter: ...`"),
    ),
    case("an empty step", ALERT, ALERT + "  - #!\n", Says("steps[4]", "a step such as", "nothing")),
    case(
        "a step that does nothing",
        ALERT,
        ALERT + "  - id: idle #!\n",
        Says("steps[4]", "one of the steps alert, dedupe, derive", "none of them"),
    ),
    case(
        "two operations in one step",
        ALERT,
        ALERT + "  - filter: score > 1 #!\n    derive: {x: score}\n",
        Says("steps[4]", "one operation a step", "`filter` and `derive`", "make a step of each"),
    ),
    case(
        "a filter of nothing",
        FILTER,
        "    filter: #!\n",
        Says("steps[0].filter.where", "a key `where`: SQL condition", "nothing"),
    ),
    case("a number to filter by", FILTER, "    filter: 5 #!\n", Says("steps[0].filter", "text", "5", "quote it")),
    case(
        "an unknown option of a filter",
        FILTER,
        "    filter: {where: temperature > 0, wher: x} #!\n",
        Says("steps[0].filter.wher", "one of the keys where", "unknown key `wher`", "did you mean `where`?"),
    ),
    case(
        "a dedupe without a horizon",
        FILTER,
        "    dedupe: {by: [status]} #!\n",
        Says("steps[0].dedupe.within", "a key `within`: How far apart, in event time", "nothing"),
    ),
    case(
        "a dedupe by nothing",
        FILTER,
        "    dedupe: {by: [], within: 10m} #!\n",
        Says("steps[0].dedupe.by", "at least one", "a list of 0"),
    ),
    case(
        "an enrich without a key",
        FILTER,
        "    enrich: {file: nowhere.csv, columns: [site]} #!\n",
        Says("steps[0].enrich.key", "a key `key`: What the join is by", "nothing"),
    ),
    case("a derive without columns", FILTER, "    derive: {} #!\n", Says("steps[0].derive", "at least one", "empty")),
    case("a derive that is text", FILTER, "    derive: x #!\n", Says("steps[0].derive", "a mapping", "`x`")),
    case(
        "a window without aggregates",
        "    window:\n" + WINDOW,
        "    window: #!\n      tumbling: 1m\n",
        Says("steps[2].window.aggregate", "a key `aggregate`: Name of the output column to an aggregate", "nothing"),
    ),
    case(
        "agregate",
        "    window:\n" + WINDOW,
        "    window:\n      tumbling: 1m\n      agregate: {n: count()} #!\n",
        Says(
            "steps[2].window.agregate",
            "one of the keys aggregate, ",
            "unknown key `agregate`",
            "did you mean `aggregate`?",
        ),
    ),
    case(
        "an unknown kind of window",
        "    window:\n" + WINDOW,
        "    window: #!\n      tumblin: 1m\n      aggregate: {n: count()}\n",
        Says("steps[2].window", "tumbling", "`tumblin`", "did you mean `tumbling`?"),
    ),
    case(
        "the kind of a window alone",
        "    window:\n" + WINDOW,
        "    window: tumbling #!\n",
        Says("steps[2].window", "tumbling", "`tumbling`", "`window: {tumbling: ...}`"),
    ),
    case(
        "an unknown detector",
        RANGE,
        "    detect: {level_shfit: {field: humidity}} #!\n",
        Says("steps[1].detect", "level_shift, range", "`level_shfit`", "did you mean `level_shift`?"),
    ),
    case(
        "two detectors in one step",
        RANGE,
        "    detect: {range: {field: humidity, low: 0}, level_shift: {field: humidity}} #!\n",
        Says("steps[1].detect", "one of", "`range` and `level_shift`"),
    ),
    case(
        "options of a detector that aren't a mapping",
        RANGE,
        "    detect: {range: humidity} #!\n",
        Says("steps[1].detect.range", "the options of `range` as a mapping", "`humidity`"),
    ),
    case(
        "an option beside the operator and under it",
        "      tumbling: 1m\n",
        "      tumbling: {size: 1m, aggregate: {n: count()}} #!\n",
        Says("steps[2].window.tumbling.aggregate", "each option once", "beside `tumbling` too"),
    ),
    case(
        "the size of a window twice",
        "      tumbling: 1m\n",
        "      tumbling: 1m #!\n      size: 2m\n",
        Says("steps[2].window.tumbling", "each option once", "`size`, which stands beside", "take `size` out"),
    ),
    case(
        "a window size without a unit",
        "tumbling: 1m",
        "tumbling: 60 #!",
        Says("steps[2].window.tumbling", "a duration such as 500ms, 30s, 5m", "60", "say the unit: `60s`?"),
    ),
    case(
        "a window size of zero",
        "tumbling: 1m",
        "tumbling: 0s #!",
        Says("steps[2].window.tumbling", "a duration above zero", "`0s`"),
    ),
    case(
        "a window size that is none",
        "tumbling: 1m",
        "tumbling: soon #!",
        Says("steps[2].window.tumbling", "a duration such as", "`soon`"),
    ),
    case(
        "a window size below zero",
        "tumbling: 1m",
        "tumbling: -1m #!",
        Says("steps[2].window.tumbling", "a duration such as", "`-1m`"),
    ),
    case(
        "a window size of ages",
        "tumbling: 1m",
        "tumbling: 40000d #!",
        Says("steps[2].window.tumbling", "at most 100 years", "`40000d`"),
    ),
    case(
        "an unknown stream to read",
        "    from: clean\n",
        "    from: claen #!\n",
        Says("steps[2].from", "a stream from above: source, clean, odd", "`claen`", "did you mean `clean`?"),
    ),
    case(
        "a stream from below",
        "    from: clean\n",
        "    from: alarm #!\n",
        Says("steps[2].from", "a stream from above: source, clean, odd", "`alarm`"),
    ),
    case(
        "a list of streams to read",
        "    from: clean\n",
        "    from: [clean, odd] #!\n",
        Says("steps[2].from", "a stream from above: source, clean, odd", "a list of 2"),
    ),
    case(
        "an id that another step has",
        FILTER,
        FILTER + "  - id: clean #!\n    filter: humidity > 0\n",
        Says("steps[1].id", "an id that no other step has", "`clean`, which a step above has"),
    ),
    case(
        "an id that begins with a digit",
        FILTER,
        FILTER + "  - id: 1st #!\n    filter: humidity > 0\n",
        Says("steps[1].id", "a name of letters, digits and _", "`1st`"),
    ),
    case(
        "an id that is taken",
        FILTER,
        FILTER + "  - id: source #!\n    filter: humidity > 0\n",
        Says("steps[1].id", "not source or dead", "`source`"),
    ),
    case(
        "a step whose output nobody reads",
        ALERT,
        ALERT + "  - derive: {twice: score * 2} #!\n",
        Says("steps[4]", "a step whose output is read", "`derive`, which nobody reads", "`from: derive`"),
    ),
]
