"""Numbers in text: those of Python to the last bit, in the notations that are said to be read."""

from __future__ import annotations

import math
import random
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.number import FIVES, LOOSE, POWERS, STRICT, read_number
from connectors.codec.put import NO, REAL, WHOLE
from tests.connectors.codec.numbers import number

JSON = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
PYTHON = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
GRAMMARS = [(STRICT, JSON), (LOOSE, PYTHON)]


def read(text: str, loose: bool) -> tuple[int, int, int, float]:
    """Read the number that a text begins with."""
    data = np.frombuffer(bytearray(text.encode()), np.uint8)
    kind, behind, whole, real = read_number(data, 0, len(data), POWERS, FIVES, loose)
    return kind, behind, whole, real


def check(text: str, loose: bool, grammar: re.Pattern[str]) -> int:
    """Hold what is read against what Python makes of it; gives what it is."""
    kind, behind, whole, real = read(text, loose)
    if kind == NO:
        return kind
    assert grammar.fullmatch(text[:behind])
    assert struct.pack("d", real) == struct.pack("d", float(text[:behind]))
    assert (kind == WHOLE) == bool(re.fullmatch("[+-]?[0-9]+", text[:behind]))
    assert kind == REAL or whole == int(text[:behind])
    found = grammar.match(text)
    assert found is not None
    assert behind == found.end(), "a number goes on as far as it can"
    return kind


@pytest.mark.parametrize(("loose", "grammar"), GRAMMARS, ids=["strict", "loose"])
@settings(max_examples=1_000)
@given(st.text("+-.eE0159", min_size=1, max_size=12))
def test_whatever_is_read_is_the_number_of_python(loose: bool, grammar: re.Pattern[str], text: str) -> None:
    if check(text, loose, grammar) == NO and grammar.fullmatch(text):
        assert not 1e-300 < abs(float(text)) < math.inf, "it could have been read"


def test_numbers_of_every_size_are_those_of_python_in_either_way() -> None:
    random_ = random.Random(2)
    for _ in range(5_000):
        text = number(random_)
        assert check(text, STRICT, JSON) == check(text, LOOSE, PYTHON)
        if not text.startswith("-"):
            check(f"+00{text}", LOOSE, PYTHON)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("+1", WHOLE), ("007", WHOLE), ("00000000000000000000007", WHOLE), ("-01", WHOLE), (".5", REAL), ("-.5", REAL), ("1.", REAL),
        ("+1.e2", REAL), (".5e-3", REAL), ("0.", REAL), ("00.5", REAL), ("00000000000000000000000000.5", REAL), (".0", REAL), ("5.e0", REAL),
    ],
)  # fmt: skip
def test_what_only_python_calls_a_number_is_read_where_that_is_asked_for(text: str, kind: int) -> None:
    assert check(text, LOOSE, PYTHON) == kind
    assert read(text, STRICT)[:2] != (kind, len(text))


@pytest.mark.parametrize("text", ["+", "-", ".", "+.", "-.e5", "e5", ".e5", "1e", "1e+", "+-1", "x", "--1", " 1", "_1"])
@pytest.mark.parametrize("loose", [STRICT, LOOSE])
def test_what_is_no_number_is_not_read(text: str, loose: bool) -> None:
    assert read(text, loose)[0] == NO


def test_a_number_ends_where_its_bytes_do() -> None:
    data = np.frombuffer(bytearray(b"12.5e3"), np.uint8)
    ends = [read_number(data, 0, end, POWERS, FIVES, LOOSE) for end in range(1, 7)]
    assert [(behind, real) for kind, behind, _, real in ends if kind != NO] == [
        (1, 1),
        (2, 12),
        (3, 12),
        (4, 12.5),
        (6, 12500),
    ]
