"""The kernels that read CSV: no index lies outside of an array, and no line is longer than Python takes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.codec.base import FieldPath, Reading, Unit
from connectors.codec.csv import Csv
from connectors.codec.csv_kernel import LONGEST
from operators.batch import Type
from tests.connectors.codec.agreement import agree_by, records

ROOT = Path(__file__).parents[3]
KEYED = Reading((FieldPath("text", ("text",), Type.TEXT),), (), (), Unit.US, 0)


@pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST])
def test_lines_are_taken_as_long_as_python_takes_a_cell(size: int) -> None:
    assert csv.field_size_limit() == LONGEST
    decoder: Any = Csv(columns=["text"]).decoder(KEYED)
    _, left = decoder._scan.scan(decoder._lines(records([b"x" * size] * 4).take(slice(3, 4))))
    assert len(left) == (size > LONGEST)
    agree_by(decoder, [b"x" * size] * 4)
    agree_by(decoder, [b"\xc3\xa9" * (size // 2)] * 4)


def test_the_kernels_never_look_outside_of_their_arrays(tmp_path: Path) -> None:
    """Tests with hostile bytes once more, with every index checked by numba."""
    if "NUMBA_BOUNDSCHECK" in os.environ:
        pytest.skip("this is the run with the check")
    environ = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    here = [
        str(Path(__file__).with_name(name)) for name in ("test_csv_kernel.py", "test_csv_scan.py", "test_csv_lines.py")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *here]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout[-3_000:]
