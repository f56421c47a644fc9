"""Venvs of their own for peers whose packages don't fit beside telemill's; made on the first call, kept in `.cache`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.throughput.job import Job

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "throughput" / "venvs"
REQUIREMENTS = Path(__file__).with_name("peers") / "requirements"


def python(name: str) -> Path:
    """Give the Python of a peer's venv, whether it is there or not."""
    return CACHE / name / "bin" / "python"


def missing(name: str) -> Callable[[], str | None]:
    """Make the venv of a peer; the call says why that can't be done, or None."""

    def made() -> str | None:
        wanted = REQUIREMENTS / f"{name}.txt"
        stamp = CACHE / name / "requirements.txt"
        if stamp.exists() and stamp.read_bytes() == wanted.read_bytes():
            return None
        shutil.rmtree(CACHE / name, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(CACHE / name)],
            [str(python(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["no message"]
                return f"its packages can't be installed: {said[-1]}"
        stamp.write_bytes(wanted.read_bytes())
        return None

    return made


def module(name: str, venv: str) -> Callable[[Job], Sequence[str]]:
    """Start a peer that is a module of Python, in its own venv."""
    return lambda job: [str(python(venv)), "-m", f"benchmarks.throughput.peers.{name}", job.write()]
