"""Numbers as text, drawn in the many ways there are to write one, and where they are hard to round."""

from __future__ import annotations

import math
import struct
from decimal import Context, Decimal
from fractions import Fraction
from random import Random

_EXACT = Context(prec=1_200)
"""Digits enough for the middle between any two floats."""
_EDGES = (2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**15, 10**16, 10**18, 10**19, 10**22, 10**23)


def any_float(random_: Random) -> float:
    """Draw the bits of a float: infinities and NaNs are among them."""
    (value,) = struct.unpack("<d", struct.pack("<Q", random_.getrandbits(64)))
    return float(value)


def finite(random_: Random) -> float:
    """Draw the bits of a float that is a number, one in eight of them subnormal or nearly."""
    bits = random_.getrandbits(64)
    if random_.randrange(8) == 0:
        bits &= (1 << 63) | ((1 << random_.randint(1, 53)) - 1)
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    return float(value) if math.isfinite(value) else 0.0


def edge_float(random_: Random) -> float:
    """Draw a power of two or of ten or a neighbour of it, or a whole number that has halves of floats beside it."""
    kind = random_.randrange(3)
    if kind == 2:
        return float(random_.getrandbits(random_.randint(53, 75)))
    power = 2.0 ** random_.randint(-1_074, 1_023) if kind == 0 else 10.0 ** random_.randint(-323, 308)
    return random_.choice((power, math.nextafter(power, 0), math.nextafter(power, math.inf)))


def number(random_: Random) -> str:  # noqa: PLR0911  # one of many
    """Write a number in one of the many ways there are."""
    kind = random_.randrange(7)
    if kind == 0:
        return repr(finite(random_))
    if kind == 1:
        return repr(random_.gauss(0, 100))
    if kind == 2:
        return (
            f"{random_.randrange(10 ** random_.randrange(1, 12))}.{random_.randrange(10 ** random_.randrange(1, 12))}"
        )
    if kind == 3:
        return f"-{random_.randrange(1, 10 ** random_.randrange(1, 19))}E{random_.randrange(-300, 280):+}"
    if kind == 4:
        return _halfway(random_)
    if kind == 5:
        return f"{random_.random() * 10 ** random_.randrange(-20, 20):.{random_.randrange(1, 18)}e}"
    return str(random_.randrange(-(10**18), 10**18))


def hard_number(random_: Random) -> str:
    """Write a number that is hard to round, or at a limit."""
    kind = random_.randrange(6)
    if kind == 0:
        return _near_halfway(random_)
    if kind == 1:  # subnormal, or too small
        return f"{random_.randrange(1, 10 ** random_.randint(1, 19))}e-{random_.randint(300, 345)}"
    if kind == 2:  # the largest, or too large
        return f"{random_.randrange(1, 10 ** random_.randint(1, 19))}E+{random_.randint(280, 310)}"
    if kind == 3:
        return str(random_.choice((-1, 1)) * random_.choice(_EDGES) + random_.randint(-3, 3))
    if kind == 4:
        return f"{random_.choice(_EDGES) + random_.randint(-3, 3)}e{random_.randint(-30, 30)}"
    digits = str(random_.getrandbits(random_.randint(50, 140)))
    point = random_.randint(0, len(digits))
    return f"{digits[:point].lstrip('0') or '0'}.{random_.choice(('', '0' * random_.randint(1, 30)))}{digits[point:]}0"


def _halfway(random_: Random) -> str:
    """Write a number that lies halfway between two floats, if it can be written in 19 digits."""
    value = Fraction(2 * random_.randrange(1 << 52, 1 << 53) + 1, 2) * Fraction(2) ** random_.randrange(-8, 8)
    digits = value.denominator.bit_length() - 1
    return f"{value.numerator * 5**digits}e-{digits}"


def _near_halfway(random_: Random) -> str:
    """Write what lies halfway between any two floats in so many digits, rounded: just above it, just below it, or on it."""
    below = finite(random_)
    above = math.nextafter(below, math.inf)
    if math.isinf(above):
        return repr(below)
    middle = _EXACT.divide(_EXACT.add(Decimal(below), Decimal(above)), Decimal(2))
    return f"{middle:.{random_.choice((16, 17, 17, 18, 18, 19, 25))}e}"
