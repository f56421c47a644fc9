"""Mistakes in the YAML itself."""

from __future__ import annotations

from tests.pipelines.mistakes.base import TIME, Says, case

MISTAKES = [
    case(
        "a bracket is left open",
        "[raw]\n  format: json\n",
        "[raw\n  format: json #!\n",
        Says("", "YAML", "expected ',' or ']'", "brackets"),
    ),
    case(
        "a quote is left open",
        "    expect: []\n",
        "    expect: 'x\n#!",
        Says("", "quoted", "unexpected end", "quotes"),
    ),
    case(
        "a line is indented with a tab",
        "  device: dev\n",
        "\tdevice: dev #!\n",
        Says("", "YAML", r"'\t'", "indentation"),
    ),
    case("a line is indented too little", "  device: dev\n", " device: dev #!\n", Says("", "YAML", "", "indentation")),
    case(
        "an alias has no anchor",
        "  device: dev\n",
        "  device: *nowhere #!\n",
        Says("", "YAML", "undefined alias", ""),
    ),
    case("a second document follows", "tests:\n", "--- #!\ntests:\n", Says("", "single document", "another document")),
    case(
        "a key stands twice",
        "  device: dev\n",
        "  device: dev\n  device: other #!\n",
        Says("source.device", "each key once", "`device`, which stands on line 6 already"),
    ),
    case(
        "a key is a list",
        "  device: dev\n",
        "  device: dev\n  ? [a, b] #!\n  : c\n",
        Says("source", "keys that are text", "list"),
    ),
    case(
        "a merge takes in something else than a mapping",
        TIME,
        "  time:\n    <<: 5 #!\n    field: ts\n    unit: ms\n",
        Says("source.time", "a mapping to merge", "5"),
    ),
    case(
        "a variable isn't set",
        "name: mill\n",
        "name: ${WHO} #!\n",
        Says("name", "variable WHO to be set", "${WHO}", "export WHO="),
    ),
    case(
        "a variable isn't closed",
        "name: mill\n",
        "name: ${SECRET #!\n",
        Says("name", "`${NAME}` or `${NAME:-default}`", "${SECRET", "`$${` for a plain `${`"),
    ),
    case("a variable has no name", "name: mill\n", "name: ${1} #!\n", Says("name", "`${NAME}`", "${1}", "$${")),
    case(
        "a tag of its own",
        "name: mill\n",
        "name: !mine mill #!\n",
        Says("name", "without a tag", "!mine"),
    ),
    case(
        "a tag of Python's on a list",
        "name: mill\n",
        "name: !!python/object/apply:os.mkdir [executed] #!\n",
        Says("name", "without a tag", "python/object/apply:os.mkdir"),
    ),
    case(
        "a tag of Python's on a text",
        "  device: dev\n",
        "  device: !!python/name:os.system dev #!\n",
        Says("source.device", "without a tag", "python/name:os.system"),
    ),
    case(
        "a tag of YAML's own, which would be ignored",
        "  device: dev\n",
        "  device: !!binary ZGV2 #!\n",
        Says("source.device", "without a tag", "binary"),
    ),
    case(
        "an alias contains itself",
        "name: mill\n",
        "name: mill\nanchors: &a {b: *a} #!\n",
        Says(".".join(["anchors", *["b"] * 50]), "levels", "more", "an alias may contain itself"),
    ),
]
