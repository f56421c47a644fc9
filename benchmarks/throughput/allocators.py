"""Other memory allocators, put under a process by LD_PRELOAD.

librdkafka allocates in its own threads what the reader frees in another; glibc does that at a price, these don't.
"""

from __future__ import annotations

import argparse
import sys
from ctypes.util import find_library

SYSTEM = "system"
KNOWN = ("mimalloc", "jemalloc")


def library(name: str) -> str | None:
    """Give what LD_PRELOAD takes for an allocator; None where it isn't installed, or can't be preloaded."""
    return find_library(name) if sys.platform == "linux" else None


def choose(wanted: str) -> str:
    """Give the allocator for `--allocator`: of `auto` the first that is installed.

    Raises:
        ArgumentTypeError: if one is wanted by its name and isn't there.
    """
    if wanted == "auto":
        return next((name for name in KNOWN if library(name)), SYSTEM)
    if wanted != SYSTEM and not library(wanted):
        message = f"lib{wanted} isn't installed; take --allocator system, or auto"
        raise argparse.ArgumentTypeError(message)
    return wanted


def add_option(parser: argparse.ArgumentParser, whose: str = "telemill") -> None:
    """Add `--allocator`, which becomes one that is there."""
    told = f"memory allocator for {whose}; auto, if left out, is the first of {', '.join(KNOWN)} that is installed"
    parser.add_argument(
        "--allocator", type=choose, default="auto", help=told, metavar=f"{{{','.join([SYSTEM, *KNOWN, 'auto'])}}}"
    )


def environment(name: str) -> dict[str, str]:
    """Give what to add to a process's environment."""
    found = None if name == SYSTEM else library(name)
    return {"LD_PRELOAD": found} if found else {}
