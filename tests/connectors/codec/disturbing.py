"""Bytes that were disturbed on their way."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


def disturbed(random_: Random, value: bytes, pieces: Sequence[bytes]) -> bytes:
    """Flip bits of a value, cut it, take parts of it away, put pieces into it, or write a part twice: up to four times."""
    made = bytearray(value)
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        at = random_.randint(0, len(made))
        to = min(at + random_.randint(0, 2), len(made))
        kind = random_.randrange(8)
        if kind <= 3:
            made[at:to] = random_.choice(pieces)
        elif kind <= 5 and at < len(made):
            made[at] ^= 1 << random_.randrange(8)
        elif kind == 6:
            made[at:at] = made[max(at - random_.randint(1, 8), 0) : at]
        elif kind == 7:
            del made[at:]
    return bytes(made)
