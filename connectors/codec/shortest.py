"""The shortest decimal that reads back as the same float, as Python's `repr` and orjson write it.

The method is Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020): one product with a power of ten for the
value and for each of its two borders tells the shortest decimal between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.kernel import bits_of, kernel, multiply_high

LONGEST = 25
"""Characters of a float, at most."""
_LEAST, _MOST = -292, 324


def _tens() -> NDArray[np.uint64]:
    """Give 10**k for k from -292 to 324, rounded up to 128 bits behind the first that is set: high and low word."""
    out = np.empty((_MOST - _LEAST + 1, 2), np.uint64)
    for k in range(_LEAST, _MOST + 1):
        above, below = 10 ** max(k, 0), 10 ** max(-k, 0)
        shift = 128 - (above.bit_length() - below.bit_length())
        found = 0
        for bits in (shift, shift + 1, shift - 1):
            found = -(-(above << max(bits, 0)) // (below << max(-bits, 0)))
            if found.bit_length() == 128:
                break
        out[k - _LEAST] = found >> 64, found & 0xFFFFFFFFFFFFFFFF
    return out


TENS = _tens()
"""Powers of ten, from -292 to 324."""


@kernel(forceinline=True)
def write_float(data, at, value, tens):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Write a finite float; gives the place behind."""
    word = bits_of(value)
    if word >> np.uint64(63):
        data[at] = 45
        at += 1
    fraction = word & np.uint64((1 << 52) - 1)
    power = np.int64((word >> np.uint64(52)) & np.uint64(0x7FF))
    if power == 0 and fraction == 0:
        return _plain(data, at, np.uint64(0), 1, 1, 0)
    if power == 0:
        digits, exponent = _shortest(fraction, -1074, False, tens)  # noqa: FBT003  # a kernel
    else:
        digits, exponent = _shortest(fraction | np.uint64(1 << 52), power - 1075, fraction == 0 and power > 1, tens)
    while digits % np.uint64(10) == 0:
        digits //= np.uint64(10)
        exponent += 1
    count, limit = 1, np.uint64(10)
    while count < 19 and digits >= limit:
        limit *= np.uint64(10)
        count += 1
    return _plain(data, at, digits, count, count + exponent, exponent)


@kernel(forceinline=True)
def _shortest(c, q, narrow, tens):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give digits and a power of ten for `c * 2**q`; `narrow`: the float below is only half as far away as that above."""
    odd = c & np.uint64(1)
    border = np.uint64(4) * c
    right, left = border + np.uint64(2), border - np.uint64(1 if narrow else 2)
    k = (q * 1_262_611 - (524_031 if narrow else 0)) >> 22
    shift = np.uint64(q + ((-k * 1_741_647) >> 19) + 1)
    high, low = tens[-k + 292, 0], tens[-k + 292, 1]
    lower, middle, upper = (
        _rounded(high, low, left << shift), _rounded(high, low, border << shift), _rounded(high, low, right << shift),
    )  # fmt: skip
    s = middle >> np.uint64(2)
    if s >= np.uint64(10):
        below = s // np.uint64(10) * np.uint64(10)
        above = below + np.uint64(10)
        down, up = lower + odd <= below << np.uint64(2), (above << np.uint64(2)) + odd <= upper
        if down != up:
            return (below if down else above), k
    t = s + np.uint64(1)
    down, up = lower + odd <= s << np.uint64(2), (t << np.uint64(2)) + odd <= upper
    if down != up:
        return (s if down else t), k
    half = (s + t) << np.uint64(1)
    return (s if middle < half or (middle == half and s & np.uint64(1) == 0) else t), k


@kernel(forceinline=True)
def _rounded(high, low, factor):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the upper 64 bits of a product of 128 by 64 bits, the last of them set where anything is left below."""
    low_of = high * factor + multiply_high(low, factor)
    carry = np.uint64(low_of < high * factor)
    return (multiply_high(high, factor) + carry) | np.uint64(low_of > np.uint64(1))


@kernel(forceinline=True)
def _plain(data, at, digits, count, point, exponent):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write digits, of which `point` stand before the decimal point, the way that orjson does."""
    if 0 < point <= 16:
        if exponent >= 0:  # 1200.0
            at = write_digits(data, at, digits, count)
            for _ in range(exponent):
                data[at] = 48
                at += 1
            data[at], data[at + 1] = 46, 48
            return at + 2
        write_digits(data, at + 1, digits, count)  # 12.34
        for place in range(at, at + point):
            data[place] = data[place + 1]
        data[at + point] = 46
        return at + count + 1
    if -5 < point <= 0:  # 0.0012
        data[at], data[at + 1] = 48, 46
        at += 2
        for _ in range(-point):
            data[at] = 48
            at += 1
        return write_digits(data, at, digits, count)
    write_digits(data, at + 1, digits, count)  # 1.2e-7, 1e+16
    data[at] = data[at + 1]
    at += 1
    if count > 1:
        data[at] = 46
        at += count
    data[at] = 101
    at += 1
    power = point - 1
    data[at] = 45 if power < 0 else 43
    at += 1
    power = abs(power)
    return write_digits(data, at, np.uint64(power), 1 if power < 10 else (2 if power < 100 else 3))


@kernel(forceinline=True)
def write_digits(data, at, digits, count):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Write so many digits of a uint64; gives the place behind."""
    for place in range(at + count - 1, at - 1, -1):
        data[place] = 48 + digits % np.uint64(10)
        digits //= np.uint64(10)
    return at + count


@kernel(forceinline=True)
def write_whole(data, at, whole):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Write an int64; gives the place behind."""
    rest = np.uint64(whole)
    if whole < 0:
        data[at] = 45
        at += 1
        rest = np.uint64(0) - rest
    count, limit = 1, np.uint64(10)
    while count < 19 and rest >= limit:
        limit *= np.uint64(10)
        count += 1
    return write_digits(data, at, rest, count)
