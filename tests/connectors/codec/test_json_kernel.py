"""The kernel that reads JSON: numbers are those of Python to the last bit, and no index lies outside of an array."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.codec.base import FieldPath, Reading, Records, Unit
from connectors.codec.json_scan import JsonScan
from operators.batch import Type
from tests.connectors.codec.agreement import READINGS, agree

ROOT = Path(__file__).parents[3]
INF = float("inf")


def floats(texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Read numbers; gives them, and which were read."""
    scan = JsonScan(Reading((FieldPath("x", ("x",), Type.FLOAT),), (), (), Unit.US, 0))
    values = [b'{"x": %b}' % text.encode() for text in texts]
    at = np.arange(len(values))
    decoded, left = scan.scan(Records.of("raw", 0, values, [b"k"] * len(values), at, at))
    column = decoded.columns["x"]
    assert isinstance(column, np.ndarray)
    return column, np.setdiff1d(at, left)


def halfway(random_: random.Random) -> str:
    """Write a number that lies halfway between two floats, if it can be written in 19 digits."""
    value = Fraction(2 * random_.randrange(1 << 52, 1 << 53) + 1, 2) * Fraction(2) ** random_.randrange(-8, 8)
    digits = value.denominator.bit_length() - 1
    return f"{value.numerator * 5**digits}e-{digits}"


def number(random_: random.Random) -> str:  # noqa: PLR0911  # one of many
    """Write a number in one of the many ways there are."""
    kind = random_.randrange(7)
    if kind == 0:
        value = struct.unpack("d", struct.pack("Q", random_.getrandbits(64)))[0]
        return repr(value) if abs(value) < INF else "0.0"
    if kind == 1:
        return repr(random_.gauss(0, 100))
    if kind == 2:
        return (
            f"{random_.randrange(10 ** random_.randrange(1, 12))}.{random_.randrange(10 ** random_.randrange(1, 12))}"
        )
    if kind == 3:
        return f"-{random_.randrange(1, 10 ** random_.randrange(1, 19))}E{random_.randrange(-300, 280):+}"
    if kind == 4:
        return halfway(random_)
    if kind == 5:
        return f"{random_.random() * 10 ** random_.randrange(-20, 20):.{random_.randrange(1, 18)}e}"
    return str(random_.randrange(-(10**18), 10**18))


def test_numbers_are_those_of_python_to_the_last_bit() -> None:
    random_ = random.Random(1)
    texts = [number(random_) for _ in range(50_000)]
    got, read = floats(texts)
    expected = np.array([float(texts[at]) for at in read.tolist()])
    wrong = np.flatnonzero(got.view(np.int64) != expected.view(np.int64))
    assert not len(wrong), [(texts[read[at]], got[at], expected[at]) for at in wrong[:5].tolist()]
    assert len(read) > 0.9 * len(texts), "few are left to the library"


@pytest.mark.parametrize(
    "text",
    [
        "0", "0.0", "-0.0", "1", "-1", "0.1", "1e22", "1e23", "9007199254740993", "9007199254740993.0", "1e-7", "0e5",
        "1.7976931348623157e308", "2.2250738585072014e-308", "8.41e21", "9223372036854775807e-5", "123456789012345678",
        "4503599627370496.5", "4503599627370497.5", "0.3", "179769313486231570e291", "0.000000000000000000001",
    ],
)  # fmt: skip
def test_numbers_at_the_edges_are_read(text: str) -> None:
    got, read = floats([text])
    assert len(read) == 1, "it is left to the library"
    assert struct.pack("d", got[0]) == struct.pack("d", float(text))


@pytest.mark.parametrize("text", ["1e309", "5e-324", "-0", "1" * 20, "0." + "1" * 20, "1e-308", "1" * 400])
def test_what_is_not_sure_is_left_to_the_library(text: str) -> None:
    _, read = floats([text])
    assert len(read) == 0
    agree([b'{"dev": "a", "ts": 1, "x": %b}' % text.encode()], READINGS["one field"])


@pytest.mark.parametrize(
    "text",
    ["01", "+1", ".5", "5.", "1e", "1e+", "--1", "-", "0x1", "1_0", "NaN", "Infinity", "1.e5", "1 2", "tru", "nul"],
)
def test_what_is_no_number_is_not_read(text: str) -> None:
    _, read = floats([text])
    assert len(read) == 0
    agree([b'{"dev": "a", "ts": 1, "x": %b}' % text.encode()], READINGS["one field"])


def test_the_kernel_never_looks_outside_of_its_arrays(tmp_path: Path) -> None:
    """Tests with hostile bytes once more, with every index checked by numba."""
    if "NUMBA_BOUNDSCHECK" in os.environ:
        pytest.skip("this is the run with the check")
    environ = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "disturbed or odd or no_number or iso_8601",
        __file__,
        str(Path(__file__).with_name("test_json_scan.py")),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout[-3_000:]
