"""What the loops over rows are compiled with.

A kernel is compiled once and cached beside its file, lets other threads run, and allocates nothing: numba's runtime for
memory is off in it, so one that allocates doesn't compile. That also frees it from counting references: with a view of
a row for each reading (`slot = slots[device]`), counting took four fifths of the time that a window's kernel took. numba's cache doesn't notice a change of the options
here: empty it after one (`make clean`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit

kernel: Any = partial(njit, cache=True, nogil=True, _nrt=False)
"""Compile a function of arrays and numbers: `@kernel`, or `@kernel(inline="always")`."""
