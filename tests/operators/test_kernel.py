"""Tests of what kernels are compiled with."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import NumbaError

from operators.kernel import kernel


@kernel
def _doubled(values, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(values)):
        out[at] = 2 * values[at]


@kernel(inline="always")
def _allocating(values, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    out[:] = values  # copied first, in case that they overlap


def test_a_kernel_works_on_the_arrays_that_it_is_given() -> None:
    out = np.zeros(3)
    _doubled(np.array([1.0, 2.0, 3.0]), out)
    assert out.tolist() == [2, 4, 6]


def test_a_kernel_that_allocates_is_refused() -> None:
    with pytest.raises(NumbaError, match="NRT required"):
        _allocating(np.zeros(3), np.zeros(3))
