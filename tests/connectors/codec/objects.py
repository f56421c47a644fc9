"""Records of JSON, drawn: an object with most of what readings read, and others of its shape."""

from __future__ import annotations

import re
from random import Random

from connectors.codec.base import Unit
from tests.connectors.codec.numbers import hard_number, number

PIECES = (
    b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"0", b"-", b"e", b".", b" ", b"\xff", b"\x00", b'"x":1,', b"null", b"\xc3\xa9",
)  # fmt: skip
"""What is put where bytes are disturbed."""
_TIMES = {
    Unit.S: ("1700000000", "1700000000", "1.5e9", "1700000000.25"),
    Unit.MS: ("1700000000000", "1700000000000", "1700000000000.5", "0"),
    Unit.US: ("1700000000000000", "1.7e15", "-1"),
    Unit.NS: ("1700000000000000000", "1700000000000000001", "1.7e18"),
    Unit.ISO: (
        '"2023-11-14T22:13:20Z"', '"2023-01-31T12:00:00.25+01:00"', '"2020-02-29T00:00:00Z"',
    ),
}  # fmt: skip
_TEXTS = (
    '""', '"on"', '"a/b"', '"50%"', '"é"', '"😀"', '"a\\\\n"', '"a\\"b"', '"\\u00e9"', '"\\ud83d"', '"2026-01-31T12:00:00Z"', '"' + "x" * 1_001 + '"',
)  # fmt: skip
_ODD_TIMES = (
    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "2023-01-31T24:00:00Z", "2023-01-31T12:60:00Z",
    "2023-01-31T12:00:60Z", "2023-01-31T12:00:00+24:00", "2023-01-31T12:00:00-01:60", "2023-01-31t12:00:00z",
    "2023-01-31T12:00:00.1234567Z", "2023-01-31T12:00:00.Z", "2023-01-31T12:00Z", "0000-01-01T00:00:00Z",
)  # fmt: skip
_KEYS = ("x", "n", "ts", "dev", "ok", "data", "deep", "text", "part", "other", "", "é", "xx")
_LEAF = re.compile(rb'(?<![0-9]:)(?<=[:,\[ ])(?:-?[0-9][0-9.eE+-]*|null|true|false|"[^"\\]*"(?!\s*:))')


class Objects:
    """Draws records.

    Args:
        random_: draws.
        unit: of the event time.
    """

    def __init__(self, random_: Random, unit: Unit) -> None:
        self._random = random_
        self._unit = unit

    def written(self) -> bytes:
        """Draw a record: an object as it is read mostly, or any value."""
        kind = self._random.randrange(40)
        text = self._value(3) if kind == 0 else self._any_object(3) if kind == 1 else self._usual()
        ends = ("", "", "", " ", "\r\n\t")
        return (self._random.choice(ends) + text + self._random.choice(ends)).encode()

    def alike(self, value: bytes) -> bytes:
        """Write other values in place of those of a record: it stays of its shape."""
        return _LEAF.sub(lambda found: self._near(found[0]), value)

    def _near(self, written: bytes) -> bytes:
        """Write a value in place of another: a number with other digits at its end mostly."""
        if self._random.randrange(32) == 0:
            return (self._number() if self._often() else self._leaf()).encode()
        if len(written) > 3 and written.isdigit():
            return written[:-2] + b"%02d" % self._random.randrange(100)
        return b"%d" % self._random.randrange(100) if written.isdigit() else written

    def _usual(self) -> str:
        fields = {
            "dev": self._mostly('"a"', '"b"', "7", "-7"),
            "ts": self._time(),
            "x": self._number() if self._often() else self._mostly("1", "-2.5", "null"),
            "n": self._mostly("0", "-12", "null", str(self._random.getrandbits(self._random.randint(1, 70)))),
            "data": self._data() if self._random.randrange(20) else self._mostly("null"),
            "other": self._value(2),
        }
        return self._object([(name, text) for name, text in fields.items() if name in {"dev", "ts"} or self._often()])

    def _data(self) -> str:
        fields = {
            "ok": self._mostly("true", "false", "null"),
            "deep": self._object([("text", self._mostly('"on"', '"off"', '""', "null"))]),
            "part": self._mostly('"p"', '"a/b"', "12"),
            "ts": self._time(),
        }
        return self._object([(name, text) for name, text in fields.items() if self._random.randrange(40)])

    def _mostly(self, *texts: str) -> str:
        return self._random.choice(texts) if self._random.randrange(40) else self._leaf()

    def _any_object(self, depth: int) -> str:
        count = self._random.choice((0, 1, 2, 3, 6))
        return self._object([(self._random.choice(_KEYS), self._value(depth - 1)) for _ in range(count)])

    def _value(self, depth: int) -> str:
        kind = self._random.randrange(4) if depth else 0
        if kind <= 1:
            return self._leaf()
        if kind == 2:
            return self._any_object(depth)
        return "[" + ",".join(self._value(depth - 1) for _ in range(self._random.randrange(4))) + "]"

    def _object(self, pairs: list[tuple[str, str]]) -> str:
        if not self._often():
            self._random.shuffle(pairs)
        comma, colon = self._random.choice(((",", ":"), (",", ":"), (", ", ": "), ("\n , ", " :\t")))
        return "{" + comma.join(f'"{name}"{colon}{text}' for name, text in pairs) + "}"

    def _leaf(self) -> str:
        kind = self._random.randrange(16)
        if kind <= 2:
            return self._number()
        if kind == 3:
            return self._random.choice(_TEXTS)
        return self._random.choice(("null", "null", "true", "false", '"on"', '"off"', "1", "-2.5", "-0"))

    def _number(self) -> str:
        return hard_number(self._random) if self._random.randrange(8) == 0 else number(self._random)

    def _time(self) -> str:
        times = _TIMES[self._unit] if self._random.randrange(40) else _TIMES[self._random.choice(list(Unit))]
        if self._unit is Unit.ISO and self._random.randrange(20) == 0:
            return f'"{self._random.choice(_ODD_TIMES)}"'
        return self._mostly(*times)

    def _often(self) -> bool:
        return self._random.randrange(8) > 0
