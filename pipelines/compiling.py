"""What is heard of numba while it compiles: that it takes so long that somebody may wonder, and when it can be left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from numba.core import event

from operators.kernel import are_kept

log = logging.getLogger("telemill")

TOLD_SECONDS = 1.0
"""After so much compiling it is told."""


class Compiling(event.Listener):
    """What numba compiles in this process; what it loads doesn't count.

    Attributes:
        told: whether it has been said that kernels are being compiled; it is said once.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.told = False
        self._depth = 0
        self._began = 0.0
        self._seconds = 0.0

    def on_start(self, event: event.Event) -> None:
        """Note that numba begins with a kernel; often with one that another calls, which it is at."""
        del event
        if self._depth == 0:
            self._began = time.monotonic()
        self._depth += 1
        self._tell()

    def on_end(self, event: event.Event) -> None:
        """Note that numba is done with a kernel."""
        del event
        self._depth -= 1
        if self._depth == 0:
            self._seconds += time.monotonic() - self._began
        self._tell()

    def seconds(self) -> float:
        """Say how long it has taken so far."""
        return self._seconds + (time.monotonic() - self._began if self._depth else 0.0)

    def _tell(self) -> None:
        if self.told or self.seconds() < TOLD_SECONDS:
            return
        self.told = True
        if are_kept():
            log.info("compiling kernels, once; the next start is quick")
        else:
            log.warning(
                "compiling kernels, as at every start: there is no folder to keep them in; set NUMBA_CACHE_DIR to one "
                "that can be written to and stays"
            )


@cache
def compiling() -> Compiling:
    """Give what listens to numba in this process, from the first call on."""
    listener = Compiling()
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]  # numba has no types there
    return listener


class _Ending(event.Listener):
    """Leaves numba before its next pass over a kernel."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def on_start(self, event: event.Event) -> None:
        del event
        if self._stopping.is_set():
            raise SystemExit(0)

    def on_end(self, event: event.Event) -> None:
        del event


@contextmanager
def ending(stopping: threading.Event) -> Iterator[None]:
    """End the process as soon as `stopping` is set while the block runs: within about a second if it compiles, else behind it.

    What a signal's handler raises could be lost: LLVM calls back into Python, and so do objects that are dropped.

    Raises:
        SystemExit: 0, if it is set.
    """
    with event.install_listener("numba:run_pass", _Ending(stopping)):
        yield
    if stopping.is_set():
        raise SystemExit(0)
