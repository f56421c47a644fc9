"""Run a command that must not outlive whoever started it, however that one ends.

A test run can be ended by Ctrl-C, by a CI's SIGTERM or by kill -9, and the last leaves no time to clean up. So the
command is held by a small process of its own, this file run as a script, whose stdin is a pipe that only the starter
can write to: when the starter is gone, however it went, the kernel closes the pipe, and the holder kills the command
and removes its folder. The holder is in a session of its own, so a Ctrl-C at the terminal doesn't reach the command
before the starter could end it in good order.

The holder itself could be killed: on Linux the kernel then kills the command (prctl PR_SET_PDEATHSIG), elsewhere it
would stay. Setting PR_SET_PDEATHSIG from the starter alone was rejected: it fires when the *thread* that started the
command ends, and a fault test may well restart a broker from a thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

TERMINATE, KILL, GONE = b"t", b"k", b""
PR_SET_PDEATHSIG = 1


class Leash:
    """A running command, its output in `log`; it is killed and `folder` is removed when this process ends.

    `pid` is the command's own, not its holder's; None if the command could not be started: the log says why.
    """

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        holder = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(folder), *command]
        with log.open("ab") as output:
            self._holder = subprocess.Popen(
                holder,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        line = self._holder.stdout.readline() if self._holder.stdout else b""
        self.pid = int(line) if line else None

    def terminate(self) -> None:
        """Ask the command to end (SIGTERM)."""
        self._order(TERMINATE)

    def kill(self) -> None:
        """End the command at once (SIGKILL)."""
        self._order(KILL)

    def ended(self) -> bool:
        """Whether the command has ended."""
        return self._holder.poll() is not None

    def wait(self, seconds: float) -> int:
        """Wait until the command has ended; its exit code, negative if a signal ended it; TimeoutExpired if late."""
        code = self._holder.wait(seconds)
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe:
                pipe.close()
        # A process can exit with 0 to 255 only: the holder adds 128 to the signal's number, as a shell does.
        return 128 - code if code > 128 else code

    def _order(self, order: bytes) -> None:
        """Send the holder a letter; none is needed any more if it has ended."""
        if self._holder.stdin and not self._holder.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._holder.stdin.write(order)


def _die_with_holder() -> Callable[[], None] | None:
    """Give what the command does before it starts, so that the kernel ties it to the holder; None if it can't."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _hold(folder: str, command: Sequence[str]) -> int:
    """Start the command, write its pid to stdout, follow orders from stdin until it has ended; its exit code."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the wake-up pipe
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=_die_with_holder(),  # noqa: PLW1509  (this process has one thread, so it can't deadlock)
    )
    with contextlib.suppress(BrokenPipeError):
        os.write(1, b"%d\n" % child.pid)
    orders = [0, ended]
    while child.poll() is None:
        ready, _, _ = select.select(orders, [], [])
        if ended in ready:
            os.read(ended, 64)
        if 0 in ready:
            order = os.read(0, 1)
            if order == TERMINATE:
                child.terminate()
            else:
                child.kill()
            if order == GONE:
                child.wait()
                shutil.rmtree(folder, ignore_errors=True)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(_hold(sys.argv[1], sys.argv[2:]))
