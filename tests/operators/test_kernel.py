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


COMMAND = "from connectors.outer import two; print(two(), sum(two.stats.cache_hits.values()))"
"""Calls a kernel; prints what it gives, and how often it came from the cache."""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A kernel in a module of its own, which calls one of another."""
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "__init__.py").write_text("")
    text = "from operators.kernel import kernel\nfrom connectors.inner import one\n\n\n@kernel\ndef two():\n    return one() + 1\n"
    (tmp_path / "connectors" / "outer.py").write_text(text)
    one_gives(tmp_path, 1)
    return tmp_path


def one_gives(folder: Path, number: int) -> None:
    text = f"from operators.kernel import kernel\n\n\n@kernel(forceinline=True)\ndef one():\n    return {number}\n"
    (folder / "connectors" / "inner.py").write_text(text)


def printed(folder: Path, command: str = COMMAND, **environ: str) -> list[str]:
    """Run Python with the kernel above, and give the words that it prints."""
    path = {"PYTHONPATH": f"{folder}{os.pathsep}{Path.cwd()}", "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, **path, **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_kernel_is_compiled_anew_when_a_kernel_of_another_module_has_changed(two: Path) -> None:
    assert printed(two) == ["2", "0"]
    assert printed(two) == ["2", "1"]
    one_gives(two, 5)
    assert printed(two) == ["6", "0"]


def test_a_kernel_is_not_compiled_anew_where_only_the_dates_of_files_have_changed(two: Path) -> None:
    assert printed(two) == ["2", "0"]
    for file in (two / "connectors").glob("*.py"):
        os.utime(file, (1, 1))
    assert printed(two) == ["2", "1"]


def test_kernels_are_compiled_where_no_folder_can_be_written_to(two: Path) -> None:
    ask = f"{COMMAND}; from operators.kernel import are_kept; print(are_kept())"
    # As in a container whose file system is read-only; root could write anywhere but below a file that is no folder.
    nowhere = {
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator",
        "HOME": "/dev/null",
        "XDG_CACHE_HOME": "/dev/null",
    }
    assert printed(two, ask, **nowhere) == ["2", "0", "False"]
    assert printed(two, ask) == ["2", "0", "True"]


def test_a_cache_that_cannot_be_used_any_more_does_not_stop_a_kernel(two: Path) -> None:
    gone = two / "gone"
    lose = f"import connectors.outer, shutil; shutil.rmtree({str(gone)!r}); open({str(gone)!r}, 'w').close(); {COMMAND}"
    assert printed(two, lose, NUMBA_CACHE_DIR=str(gone)) == ["2", "0"]
