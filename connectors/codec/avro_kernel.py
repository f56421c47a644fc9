"""The kernel that reads Avro: it carries out the program that a schema was made into, datum by datum.

A datum that it doesn't take is said not to be read: numbers of more than 63 bits, what isn't UTF-8, what ends too early or
too late, and values that don't fit what they are put into.
"""

from __future__ import annotations

import numpy as np

from connectors.codec.put import FALSE, NULL, REAL, STRING, TRUE, WHOLE, put_value
from connectors.codec.utf8 import is_utf8
from operators.kernel import float32_of, float_of, kernel, word

DEEP = 32
"""How deeply arrays and maps are taken within each other."""
DIGITS = 20
"""Characters of a whole number, at most."""
# What a step of a program does.
STEPS = (
    NOTHING, TRUTH, LONG, FLOAT, DOUBLE, BYTES, TEXT, FIXED, ENUM, UNION, JUMP, BLOCK, AGAIN, REFUSE, END, CONSTANT,
) = tuple(range(16))  # fmt: skip
# What the numbers of a step are: what it does, one of its own, where its value is put (-1: nowhere), another of its own.
_WHAT, _OWN, _PUT, _MORE = range(4)


@kernel
def decode(  # type: ignore[no-untyped-def]  # noqa: ANN201, C901, PLR0912, PLR0915  # a machine is one loop
    data, begin, size, program, targets, symbols, digits, room, puts, left,
    words, spans, counts, table, ok,
):  # fmt: skip
    """Read every datum; `ok` says which were read.

    `targets` holds the steps that unions go to, `symbols` where those of enums and constant texts stand in `data`, and from
    `digits` on `data` has `room` bytes a datum for the digits of whole numbers that name devices.
    """
    for row in range(len(begin)):
        at, end = begin[row], begin[row] + size[row]
        step, depth, good = 0, -1, size[row] >= 0
        free = digits + row * room  # the same place in each pass, whatever is refused before
        items = size[row]  # of arrays and maps, at most: one without bytes costs nothing to claim
        while good:
            what, own, put, more = program[step, _WHAT], program[step, _OWN], program[step, _PUT], program[step, _MORE]
            step += 1
            first, last, kind, whole, real = at, at, NULL, np.int64(0), 0.0
            if what == LONG:
                at, whole = read_long(data, at, end)
                good = at >= 0
                kind, real = WHOLE, float(whole)
                if good and more:
                    first = free
                    free = _write(whole, data, free)
                    last = free
            elif what == DOUBLE:
                good = at + 8 <= end
                if good:
                    kind, real = REAL, float_of(word(data, at))
                    at += 8
            elif what == TEXT:
                at, whole = read_long(data, at, end)
                good = at >= 0 and 0 <= whole <= end - at and is_utf8(data, at, at + whole)
                if good:
                    first, last, kind = at, at + whole, STRING
                    at = last
            elif what == UNION:
                at, whole = read_long(data, at, end)
                good = at >= 0 and 0 <= whole < more
                if good:
                    step = targets[own + whole]
                continue
            elif what == JUMP:
                step = own
                continue
            elif what == END:
                good = at == end
                break
            elif what == FLOAT:
                good = at + 4 <= end
                if good:
                    kind, real = REAL, _float(data, at)
                    at += 4
            elif what == TRUTH:
                good = at < end and data[at] <= 1
                if good:
                    kind = TRUE if data[at] == 1 else FALSE
                    at += 1
            elif what == BYTES:
                at, whole = read_long(data, at, end)
                good = at >= 0 and 0 <= whole <= end - at
                at += whole
            elif what == FIXED:
                good = own <= end - at
                at += own
            elif what == ENUM:
                at, whole = read_long(data, at, end)
                good = at >= 0 and 0 <= whole < own
                if good:
                    first, last, kind = symbols[more + whole, 0], symbols[more + whole, 1], STRING
            elif what == BLOCK:
                at, whole = read_block(data, at, end)
                good = at >= 0 and whole <= items and depth + 1 < DEEP
                items -= whole
                if good and whole == 0:
                    step = own
                elif good:
                    depth += 1
                    left[depth] = whole
                continue
            elif what == AGAIN:
                left[depth] -= 1
                step = own + 1
                if left[depth] == 0:
                    depth -= 1
                    step = own
                continue
            elif what == CONSTANT:  # a value that doesn't stand in the datum: what kind, and its number, bits or symbol
                kind = own
                if kind == STRING:
                    first, last = symbols[more, 0], symbols[more, 1]
                elif kind == REAL:
                    real = float_of(np.uint64(more))
                else:
                    whole, real = more, float(more)
            elif what == REFUSE:
                good = False
            if good and put >= 0:
                good = put_value(
                    data, first, last, row, kind, whole, real, put, puts, words, spans, counts, table,
                )  # fmt: skip
        ok[row] &= good


@kernel(forceinline=True)
def read_long(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Read a number of up to 63 bits; gives the place behind it, or -1, and the number."""
    found = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(63):
        byte = np.uint64(data[at])
        at += 1
        found |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            return at, np.int64(found >> np.uint64(1)) ^ -np.int64(found & np.uint64(1))
        shift += np.uint64(7)
    return -1, np.int64(0)


@kernel(forceinline=True)
def read_block(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Read how many items a block has, and past its size; gives the place behind, or -1, and the number."""
    at, whole = read_long(data, at, end)
    if at >= 0 and whole < 0:  # then its size in bytes follows
        whole = -whole
        at, _ = read_long(data, at, end)
    return at, whole


@kernel(forceinline=True)
def _float(data, at):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Read a float of four bytes."""
    bits = np.uint32(0)
    for place in range(4):
        bits |= np.uint32(data[at + place]) << np.uint32(8 * place)
    return float(float32_of(bits))


@kernel(forceinline=True)
def _write(whole, data, at):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write a number in digits; gives the place behind."""
    if whole < 0:
        data[at] = 45
        at += 1
    rest = np.uint64(abs(whole))
    count, power = 1, np.uint64(10)
    while count < 19 and rest >= power:
        count += 1
        power *= np.uint64(10)
    for place in range(at + count - 1, at - 1, -1):
        data[place] = 48 + rest % np.uint64(10)
        rest //= np.uint64(10)
    return at + count
