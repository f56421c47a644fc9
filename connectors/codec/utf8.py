"""Whether bytes are UTF-8 (RFC 3629), as Python decodes it: no overlong forms, no surrogates, nothing beyond U+10FFFF."""

from __future__ import annotations

import numpy as np

from operators.kernel import kernel, word


@kernel(forceinline=True)
def is_utf8(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Say whether the bytes from `at` up to `end` are UTF-8."""
    while at + 8 <= end and word(data, at) & np.uint64(0x8080808080808080) == 0:
        at += 8
    while at < end and data[at] < 0x80:
        at += 1
    return at == end or _rest(data, at, end)


@kernel
def _rest(data, at, end):  # type: ignore[no-untyped-def]  # noqa: C901  # a table
    """Say so from the first letter beyond ASCII on. Table 3-7 of the Unicode Standard."""
    while at < end:
        lead = data[at]
        if lead < 0x80:
            at += 1
            continue
        more = 1 if 0xC2 <= lead < 0xE0 else (2 if 0xE0 <= lead < 0xF0 else (3 if 0xF0 <= lead < 0xF5 else 0))
        if more == 0 or at + more >= end:
            return False
        low, high = 0x80, 0xBF
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
        elif lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
        if not low <= data[at + 1] <= high:
            return False
        for place in range(at + 2, at + 1 + more):
            if not 0x80 <= data[place] <= 0xBF:
                return False
        at += 1 + more
    return True
