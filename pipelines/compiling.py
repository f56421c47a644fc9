"""Says that kernels are being compiled, where that takes so long that somebody may wonder."""

from __future__ import annotations

import logging
import time
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
