"""Numbers in text, read by kernels: the nearest float to the last bit, as Python reads them.

Small ones are rounded with one operation (Clinger, "How to read floating point numbers accurately", PLDI 1990), others by a
product with a power of five (Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51(8),
2021, doi 10.1002/spe.2984). What isn't sure is said not to be read: ints of more than 18 digits, floats of more than 19 or
that are subnormal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectors.codec.put import NO, REAL, WHOLE
from operators.kernel import float_of, kernel, multiply_high


def _fives() -> NDArray[np.uint64]:
    """Give 5**q for q from -342 to 308, as the 128 bits behind the first one that is set: high and low word.

    Truncated for q >= 0, and rounded up for q < 0, as in table 3 of Lemire's paper.
    """
    out = np.empty((651, 2), np.uint64)
    for q in range(-342, 309):
        power = 5 ** abs(q)
        bits = power.bit_length()
        if q >= 0:
            word = power >> (bits - 128) if bits > 128 else power << (128 - bits)
        else:
            word = (1 << (bits + 127 if q >= -27 else 2 * bits + 128)) // power + 1
            word >>= max(word.bit_length() - 128, 0)
        out[q + 342] = word >> 64, word & 0xFFFFFFFFFFFFFFFF
    return out


FIVES = _fives()
"""Powers of five, from -342 to 308."""
POWERS = np.array([10.0**power for power in range(23)])
"""Powers of ten that a float holds exactly."""
STRICT, LOOSE = False, True
"""Which numbers are read: those of JSON, or also such as `+1`, `007`, `.5` and `1.`."""


@kernel(forceinline=True)
def read_number(data, at, end, powers, fives, loose):  # type: ignore[no-untyped-def]  # noqa: ANN201, C901, PLR0911, PLR0912  # a grammar
    """Read the number that begins at `at`.

    Args:
        data: uint8.
        at: where it begins, before `end`.
        end: where the bytes end that it may have.
        powers: `POWERS`.
        fives: `FIVES`.
        loose: `STRICT` or `LOOSE`.

    Returns:
        `WHOLE`, `REAL`, or `NO` where there is none or it can't be told which it is; the place behind it; the int that it is,
        if `WHOLE`; and the float nearest to it.
    """
    negative = data[at] == 45
    at += negative or (loose and data[at] == 43)
    begin = at
    digits = np.uint64(0)
    while at < end and 48 <= data[at] <= 57:
        digits = digits * np.uint64(10) + np.uint64(data[at] - 48)
        at += 1
    count = at - begin
    if not loose and (count == 0 or (count > 1 and data[begin] == 48)):
        return NO, at, np.int64(0), 0.0
    exponent, real = 0, False
    if at < end and data[at] == 46:
        real = True
        at += 1
        point = at
        while at < end and 48 <= data[at] <= 57:
            digits = digits * np.uint64(10) + np.uint64(data[at] - 48)
            at += 1
        exponent = point - at
        count -= exponent
        if not loose and exponent == 0:
            return NO, at, np.int64(0), 0.0
    if count == 0:
        return NO, at, np.int64(0), 0.0
    if count > 19:  # but for zeros in front, which aren't among them
        zero = begin
        while zero < at and (data[zero] == 48 or data[zero] == 46):
            count -= data[zero] == 48
            zero += 1
        if count > 19:
            return NO, at, np.int64(0), 0.0
    if at < end and (data[at] == 101 or data[at] == 69):
        real = True
        at += 1
        minus = at < end and data[at] == 45
        if at < end and (data[at] == 45 or data[at] == 43):
            at += 1
        begin, power = at, 0
        while at < end and 48 <= data[at] <= 57:
            power = min(power * 10 + np.int64(data[at] - 48), 100_000)
            at += 1
        if at == begin:
            return NO, at, np.int64(0), 0.0
        exponent += -power if minus else power
    if not real:
        if count > 18 or (negative and digits == 0):
            return NO, at, np.int64(0), 0.0
        whole = -np.int64(digits) if negative else np.int64(digits)
        return WHOLE, at, whole, float(whole)  # rounds as Python does
    value = _float(digits, exponent, powers, fives)
    if value < 0:
        return NO, at, np.int64(0), 0.0
    return REAL, at, np.int64(0), -value if negative else value


@kernel(forceinline=True)
def _float(digits, exponent, powers, fives):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0911  # as in the paper
    """Give the float nearest to `digits` times a power of ten; -1 where this can't be told."""
    if digits == 0:
        return 0.0
    if digits <= np.uint64(1 << 53) and -22 <= exponent <= 22:  # both are exact, so one operation rounds once
        value = float(digits)
        return value / powers[-exponent] if exponent < 0 else value * powers[exponent]
    if not -342 <= exponent <= 308:
        return -1.0
    shift = 0
    word = digits
    while word >> np.uint64(63) == 0:
        word <<= np.uint64(1)
        shift += 1
    five = fives[exponent + 342, 0]
    low, high = word * five, multiply_high(word, five)
    if high & np.uint64(0x1FF) == np.uint64(
        0x1FF
    ):  # what the low word of the power adds may carry into the digits kept
        more = multiply_high(word, fives[exponent + 342, 1])
        low += more
        if low < more:
            high += np.uint64(1)
    if low == np.uint64(0xFFFFFFFFFFFFFFFF) and not -27 <= exponent <= 55:
        return -1.0
    upper = high >> np.uint64(63)
    mantissa = high >> (upper + np.uint64(9))
    power = ((152_170 + 65_536) * exponent >> 16) + 63 + np.int64(upper) - shift + 1_023
    if power <= 0:
        return -1.0
    halfway = mantissa << (upper + np.uint64(9)) == high
    if halfway and low <= np.uint64(1) and -4 <= exponent <= 23 and mantissa & np.uint64(3) == np.uint64(1):
        mantissa &= ~np.uint64(1)  # to the even one
    mantissa += mantissa & np.uint64(1)
    mantissa >>= np.uint64(1)
    if mantissa >= np.uint64(1 << 53):
        mantissa = np.uint64(1 << 52)
        power += 1
    if power >= 0x7FF:
        return -1.0
    return float_of((mantissa & np.uint64((1 << 52) - 1)) | np.uint64(power) << np.uint64(52))
