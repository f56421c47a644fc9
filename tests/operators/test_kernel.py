"""Tests of what kernels are compiled with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError

from operators.kernel import kernel, put_word, word


def test_a_kernel_that_allocates_does_not_compile() -> None:
    @kernel
    def allocate(rows):  # type: ignore[no-untyped-def]  # compiled: numba infers
        return np.empty(rows)

    with pytest.raises((TypingError, RuntimeError)):
        allocate(3)


@kernel
def _through(data, at, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    put_word(out, at, word(data, at))


@pytest.mark.parametrize("at", range(9))
def test_words_are_read_and_written_at_any_place(at: int) -> None:
    data = np.arange(1, 18, dtype=np.uint8)
    out = np.zeros(17, np.uint8)
    _through(data, at, out)
    assert out.tolist() == [number if at < number <= at + 8 else 0 for number in data.tolist()]


def test_a_kernel_is_compiled_anew_when_a_kernel_of_another_module_has_changed(tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    inner, outer = tmp_path / "connectors" / "inner.py", tmp_path / "connectors" / "outer.py"
    (tmp_path / "connectors" / "__init__.py").write_text("")
    outer.write_text(
        "from operators.kernel import kernel\nfrom connectors.inner import one\n\n\n@kernel\ndef two():\n    return one() + 1\n"
    )
    command = "from connectors.outer import two; print(two(), sum(two.stats.cache_hits.values()))"
    seen = []
    for number in (1, 1, 5):
        text = f"from operators.kernel import kernel\n\n\n@kernel(forceinline=True)\ndef one():\n    return {number}\n"
        if not inner.exists() or inner.read_text() != text:
            inner.write_text(text)
            os.utime(inner, (number, number))
        environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}", "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", command], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        seen.append(done.stdout.split())
    assert seen == [["2", "0"], ["2", "1"], ["6", "0"]]
