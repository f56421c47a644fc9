"""A faster malloc for `telemill run`: the process starts itself again with one in front of LD_PRELOAD.

librdkafka's threads allocate what ours frees. glibc's malloc makes that as dear as all the rest of reading a record;
mimalloc, jemalloc and tcmalloc don't, and glibc's own settings don't help. A process gets its malloc when it is started, so
it executes itself once more (execve): the PID, the open files and the arguments stay, and supervisors see nothing of it.
The new one takes LD_PRELOAD back out of its environment, so that what it starts itself (as librdkafka does with `kinit`)
has the memory and the environment that the user gave it.

Linux only: elsewhere LD_PRELOAD isn't, or means something else.

Run as a script, this file prints where the memory of such a process comes from.
"""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

log = logging.getLogger("telemill")

Wanted: TypeAlias = Literal["auto", "system", "mimalloc", "jemalloc", "tcmalloc"]

MARK = "TELEMILL_STARTED_AGAIN_WITH"
"""Names, in the environment of a process that was started again, the library that it was started with."""
_SONAMES = {
    "mimalloc": ("libmimalloc.so.2", "libmimalloc.so.3"),
    "jemalloc": ("libjemalloc.so.2",),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
}
"""The libraries of each allocator, the one to be taken first."""
_PACKAGES = {"mimalloc": "libmimalloc2.0", "jemalloc": "libjemalloc2", "tcmalloc": "libtcmalloc-minimal4"}
"""Where Debian has them."""
_SYSTEM = ("libc.", "libc-", "ld-musl")
"""How the files begin that a C library's own malloc is in."""
_TRIAL_SECONDS = 5.0


class AllocatorError(Exception):
    """The allocator that was asked for can't be had. The text is one line that says why, and what to do."""


def choose(wanted: Wanted) -> None:
    """See to it that this process has the allocator that is wanted; it may start itself again, and then doesn't return.

    For a process of our own only, before it has begun anything.

    Args:
        wanted: `auto` takes the first that is installed, and is content with none; `system` leaves all as it is.

    Raises:
        AllocatorError: if there is no such allocator here, or another one is preloaded already.
    """
    started_with = _restarted()
    if wanted == "system":
        return
    if sys.platform != "linux" or not sys.executable:
        if wanted != "auto":
            message = "an allocator can be chosen on Linux only; elsewhere leave it `auto`"
            raise AllocatorError(message)
        return
    present = provider()
    if started_with is not None:
        if present == started_with.resolve():
            log.info("memory comes from %s; `--allocator system` leaves it to the C library", started_with)
        else:
            log.warning("%s was preloaded to no effect; memory comes from the C library", started_with)
    elif present is None or not present.name.startswith(_SYSTEM):
        # Whoever chose it knows better, and two in one process may not get on (AddressSanitizer wants to be the first).
        if wanted != "auto" and (present is None or wanted not in present.name):
            message = f"memory comes from {present or 'elsewhere'} already; is that in LD_PRELOAD?"
            raise AllocatorError(message)
        log.debug("memory comes from %s, as this process was started", present or "elsewhere than the C library")
    else:
        _start_with(wanted)


def provider() -> Path | None:
    """Find the file that this process has its malloc from; None if that can't be told."""
    try:
        # Not `malloc` itself: a Python that isn't position-independent (Debian's) has an address of its own for that.
        function = ctypes.CDLL(None).malloc_usable_size
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except (AttributeError, OSError):
        return None
    for line in maps.rstrip("\n").split("\n"):
        span, *_, path = line.split(maxsplit=5)
        first, _, end = span.partition("-")
        if int(first, 16) <= address < int(end, 16):
            return Path(path)
    return None


def find(sonames: Iterable[str]) -> list[Path]:
    """Find libraries, in the order given, where the dynamic loader finds them; those that aren't there are left out."""
    names = list(sonames)
    # The loader knows best where it looks (LD_LIBRARY_PATH, its cache, its own folders), and tells what it would load
    # without running any of it. ctypes.util.find_library starts compilers to find out, for a tenth of a second each.
    told = _try(["-c", ""], {**_preloading(*names), "LD_TRACE_LOADED_OBJECTS": "1"})
    found = {}
    for line in told.splitlines():
        name, _, path = line.strip().partition(" => ")
        found[name] = Path(path.rpartition(" (")[0])
    return [found[name] for name in names if name in found]


def works(library: Path) -> bool:
    """Try in a process of its own whether a library can be preloaded, and memory comes from it then."""
    return _try([__file__], _preloading(str(library))).strip() == str(library.resolve())


def restart(library: Path) -> NoReturn:
    """Execute this process anew, its interpreter and arguments as they were, with a library in front of LD_PRELOAD."""
    sys.stdout.flush()
    sys.stderr.flush()
    environ = {**_preloading(str(library)), MARK: str(library)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606  # ourselves, with no shell


def _start_with(wanted: str) -> None:
    """Start again with the allocator that is wanted, or else return."""
    names = list(_SONAMES) if wanted == "auto" else [wanted]
    found = find(soname for name in names for soname in _SONAMES[name])
    for library in found:
        if works(library):
            restart(library)
        log.info("%s is installed, but can't be preloaded", library)
    if wanted != "auto":
        state = "can't be preloaded" if found else "isn't installed"
        message = f"{wanted} {state} here: install it (Debian and Ubuntu: `apt install {_PACKAGES[wanted]}`)"
        raise AllocatorError(message)
    if not found:
        log.debug(
            "memory comes from the C library; with mimalloc, jemalloc or tcmalloc installed, reading from Kafka costs "
            "less (Debian and Ubuntu: `apt install %s`)",
            _PACKAGES["mimalloc"],
        )


def _restarted() -> Path | None:
    """Give the library that this process was started again with, and put its environment back as it was; None if it wasn't."""
    library = os.environ.pop(MARK, None)
    if library is None:
        return None
    rest = os.environ.pop("LD_PRELOAD", "").removeprefix(library).removeprefix(":")
    if rest:
        os.environ["LD_PRELOAD"] = rest
    return Path(library)


def _preloading(*libraries: str) -> Mapping[str, str]:
    """Give this process's environment with libraries in front of LD_PRELOAD."""
    before = os.environ.get("LD_PRELOAD")
    return {**os.environ, "LD_PRELOAD": ":".join([*libraries, *([before] if before else [])])}


def _try(arguments: Iterable[str], environ: Mapping[str, str]) -> str:
    """Give what a small Python prints; nothing if it fails."""
    command = [sys.executable, "-I", "-S", *arguments]
    try:
        done = subprocess.run(  # noqa: S603  # ourselves
            command, env=environ, capture_output=True, text=True, errors="replace", timeout=_TRIAL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout


if __name__ == "__main__":
    sys.stdout.write(f"{provider()}\n")
