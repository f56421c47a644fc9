"""Counts the calls that Python makes: where they are as many whatever the rows of a batch, nothing is done per event."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], object]) -> Counter[str]:
    """Count the calls that Python makes, of functions and of C functions, by name."""
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            counted[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            counted[getattr(argument, "__qualname__", str(argument))] += 1

    gc.disable()  # what runs at a collection isn't the work's
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return counted
