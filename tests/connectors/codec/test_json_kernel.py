"""The kernel that reads JSON: numbers are those of Python to the last bit, and no index lies outside of an array."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.codec.base import FieldPath, Reading, Records, Unit
from connectors.codec.json_scan import JsonScan
from operators.batch import Type
from tests.connectors.codec.agreement import READINGS, agree, compare_floats
from tests.connectors.codec.numbers import hard_number, number

ROOT = Path(__file__).parents[3]


def floats(texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Read numbers; gives them, and which were read."""
    scan = JsonScan(Reading((FieldPath("x", ("x",), Type.FLOAT),), (), (), Unit.US, 0))
    values = [b'{"x": %b}' % text.encode() for text in texts]
    at = np.arange(len(values))
    decoded, left = scan.scan(Records.of("raw", 0, values, [b"k"] * len(values), at, at))
    column = decoded.columns["x"]
    assert isinstance(column, np.ndarray)
    return column, np.setdiff1d(at, left)


@pytest.mark.parametrize(("draw", "most"), [(number, 0.1), (hard_number, 0.6)])
def test_numbers_are_those_of_python_to_the_last_bit(draw: Callable[[Random], str], most: float) -> None:
    random_ = Random(1)
    made = compare_floats([draw(random_) for _ in range(50_000)])
    assert not made.differences
    assert made.left < most * 50_000, "few are left to the library"


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
