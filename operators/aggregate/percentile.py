"""The value below which a given share of a column's values lies.

`percentile(x, 99.9)` or, shorter, `p99_9(x)`. Of n values in order, x[0] to x[n - 1], it is the one at rank (n - 1) times
the share; between two ranks it is interpolated linearly, as numpy's default does. Missing values don't count; of no
values it is missing. It is a float, whatever the column; an int beyond 2**53 is rounded to one.

Up to 64 values are kept as they are, and the result is exact. Beyond that, values are counted in bins (DDSketch: Masson,
Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", PVLDB 12(12), 2019,
doi 10.14778/3352063.3352135), without ever putting bins together. The value at a rank is at most 1 % off then, and so is
what lies between two ranks, unless their values have different signs: it is off by at most 1 % of the parts that both
give. The lowest and the highest value are exact, and nothing given lies beyond them. The bound holds from 5e-324 (to
which results that small are rounded) to the largest float, and whatever was merged: what is kept depends on the values
alone, and not on their order, or on which were put together first. Infinite values have bins of their own: one is
below or above all others; between it and another rank the result is infinite, or missing between both of them.

A pane takes 80 bytes, and pages of 520: one for the first 64 values; then one for every 64 bins that hold something, each
of which reaches over a factor of 3.5 in the values. That is one or two pages for the temperature of a room, and 2,296
(1.2 MB) for values over all that a float can hold, of either sign. Pages of panes that are done with are used again.
Eight pages of a pane that follow each other are found at once, or four of each sign; where values spread further, some
take a step for each page that lies below theirs.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Column, Type
from operators.kernel import kernel

_BITS = 6
_PAGE = 1 << _BITS
"""Numbers in a page: the values while they are so few, or how many values each bin has."""
_NEAR = 8
"""How many pages of a pane are found without a search."""
_AHEAD = 64
"""How many operations are looked ahead."""
_LEAST = 256
"""How many pages there are at first."""


class Percentile(Aggregate):
    """The value below which a share of the values lies: `percentile(x, 99.9)`, `p99_9(x)`; float."""

    number: ClassVar[str | None] = "a percentage from 0 to 100"
    short: ClassVar[re.Pattern[str] | None] = re.compile(r"p(\d+)(?:_(\d+))?")
    result = Type.FLOAT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep a sketch."""
        super().__init__(column, number)
        if number is None or not 0 <= number <= 100:
            message = "a percentage from 0 to 100"
            raise ValueError(message)
        self._step = round(number * 10**7)
        """How far from one rank to the next the percentage takes; in whole parts, so a rank that is whole is whole."""
        self.fields: dict[str, tuple[Any, Any]] = {
            "n": (np.int64, 0),
            "low": (np.float64, np.inf),
            "high": (np.float64, -np.inf),
            "first": (np.int32, -1),  # the page with the lowest key; the others hang on it in order
            "near": ((np.int32, (_NEAR,)), -1),  # pages used last, each where its key says
            "keys": (
                (np.int16, (_NEAR,)),
                2**15 - 1,
            ),  # and their keys: it saves a look at the page
        }

    def heap(self) -> dict[str, NDArray[Any]]:
        """Give the pages: their numbers; the key of each and the next page; the first free one, and how many are free.

        The key of a page is the number of its first bin / 64.
        """
        return {
            "numbers": np.empty((0, _PAGE)),
            "links": np.empty((0, 2), np.int32),
            "free": np.array([-1, 0]),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Put in the values."""
        floats = np.asarray(values) + 0.0  # makes floats of ints, and of -0.0, which is equal and yet another, 0.0
        ahead = np.zeros(_AHEAD + 1, np.int64)
        done = 0
        while True:
            done = _update(
                done, into, of, floats, floats.view(np.int64), ahead, arrays["n"], arrays["low"], arrays["high"],
                arrays["first"], arrays["near"], arrays["keys"], arrays["numbers"], arrays["links"], arrays["free"],
            )  # fmt: skip
            if done == len(into):
                return
            _grow(arrays)

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the percentiles."""
        out = np.empty(len(pane))
        _percentile(
            pane, self._step, arrays["n"], arrays["low"], arrays["high"], arrays["first"], arrays["numbers"],
            arrays["links"], _MIDDLES, np.empty(_PAGE), out,
        )  # fmt: skip
        return out

    def release(self, arrays: Arrays, pane: Panes) -> None:
        """Give back the pages."""
        _release(pane, arrays["first"], arrays["links"], arrays["free"])


def _grow(arrays: Arrays) -> None:
    """Make twice as many pages; the new ones are free."""
    known = len(arrays["links"])
    more = max(known, _LEAST)
    links = np.zeros((more, 2), np.int32)
    links[:, 1] = np.arange(known + 1, known + more + 1)
    links[-1, 1] = arrays["free"][0]
    arrays["numbers"] = np.concatenate([arrays["numbers"], np.zeros((more, _PAGE))])
    arrays["links"] = np.concatenate([arrays["links"], links])
    arrays["free"] = np.array([known, arrays["free"][1] + more])


# A float is 2**e * (1 + s), with s from 0 to below 1. Its bin is 35 e + floor(6 s**3 - 21 s**2 + 50 s): 35 times the cubic
# that comes closest to the logarithm to base 2, as in CubicallyInterpolatedMapping of Datadog's own DDSketch. Along the
# natural logarithm of the value the bins rise by (1 + s) (18 s**2 - 42 s + 50), which is 50 at s = 0 and s = 2/3, and more
# elsewhere. So a bin ends at most gamma = exp(1 / 50) times above where it begins, and 2 / (1 / begin + 1 / end) is at
# most (gamma - 1) / (gamma + 1) = tanh(1 / 100) = 0.99997 % off all in it.


def _middles() -> NDArray[np.float64]:
    """Give for each bin from 1 to 2 the value that is nearest, in relation, to all in it."""
    bounds = np.arange(36) / 35
    for _ in range(8):  # Newton's method
        bounds -= (((6 * bounds - 21) * bounds + 50) * bounds - np.arange(36)) / ((18 * bounds - 42) * bounds + 50)
    return np.asarray(2 / (1 / (1 + bounds[:-1]) + 1 / (1 + bounds[1:])))


_MIDDLES = _middles()


@kernel(inline="always")
def _bin(bits):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the bin of a float's bits: 0 for 0.0, the negative ones below it."""
    magnitude = bits & 0x7FFFFFFFFFFFFFFF
    exponent = magnitude >> 52
    if exponent == 0:
        if magnitude == 0:
            return 0
        exponent = 1
        while magnitude < 0x10000000000000:  # a subnormal number
            magnitude <<= 1
            exponent -= 1
    s = (magnitude & 0xFFFFFFFFFFFFF) * 2.0**-52
    number = 35 * (exponent + 51) + int(((6 * s - 21) * s + 50) * s) + 1
    return number if bits >= 0 else -number


@kernel(inline="always")
def _place(key):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say where a page is among the near ones: eight in a row don't meet, nor do four of each sign of equal size."""
    sign = key >> 63
    return (key ^ sign) + (sign & _NEAR // 2) & _NEAR - 1


@kernel
def _middle(number, middles):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the value that stands for a bin."""
    if number == 0:
        return 0.0
    exponent = (abs(number) - 1) // 35 - 51
    value = np.inf if exponent > 2046 else math.ldexp(middles[(abs(number) - 1) % 35], exponent - 1023)
    return value if number > 0 else -value


@kernel
def _insert(pane, before, key, first, numbers, links, free):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put a page without values behind a page of a pane, or in front of all (-1)."""
    new = free[0]
    free[0] = links[new, 1]
    free[1] -= 1
    links[new, 0] = key
    if before >= 0:
        links[new, 1], links[before, 1] = links[before, 1], new
    else:
        links[new, 1], first[pane] = first[pane], new
    numbers[new] = 0.0
    return new


@kernel
def _find(pane, key, first, near, keys, numbers, links, free):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the page of a key, or put one in; the next time it is near."""
    before, page = -1, first[pane]
    while page >= 0 and links[page, 0] < key:
        before, page = page, links[page, 1]
    if page < 0 or links[page, 0] != key:
        page = _insert(pane, before, key, first, numbers, links, free)
    place = _place(key)
    near[pane, place], keys[pane, place] = page, key
    return page


@kernel
def _count_values(pane, few, page, low, high, first, near, keys, numbers, links, free):  # type: ignore[no-untyped-def]
    """Count the values that stand in a page in the bins of a pane."""
    words = numbers.view(np.int64)
    for at in range(few):
        low[pane], high[pane] = min(low[pane], numbers[page, at]), max(high[pane], numbers[page, at])
        number = _bin(words[page, at])
        key = number >> _BITS
        place = _place(key)
        found = near[pane, place]
        if keys[pane, place] != key:
            found = _find(pane, key, first, near, keys, numbers, links, free)
        numbers[found, number & _PAGE - 1] += 1


@kernel
def _to_bins(pane, few, low, high, first, near, keys, numbers, links, free):  # type: ignore[no-untyped-def]  # compiled
    """Count the values that a pane has kept as they are, and give their page back."""
    page = first[pane]
    first[pane] = -1
    _count_values(pane, few, page, low, high, first, near, keys, numbers, links, free)
    _give_back(page, links, free)


@kernel
def _give_back(page, links, free):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put a page and those that hang on it in front of the free ones."""
    while page >= 0:
        behind = links[page, 1]
        links[page, 1], free[0] = free[0], page
        free[1] += 1
        page = behind


@kernel
def _merge(pane, other, n, low, high, first, near, keys, numbers, links, free):  # type: ignore[no-untyped-def]  # compiled
    """Put all that another pane holds into a pane."""
    mine, each = first[pane], first[other]
    if n[pane] + n[other] <= _PAGE:
        if n[pane] == 0 and n[other] > 0:
            mine = _insert(pane, -1, 0, first, numbers, links, free)
        for at in range(n[other]):
            numbers[mine, n[pane] + at] = numbers[each, at]
        n[pane] += n[other]
        return
    if 0 < n[pane] <= _PAGE:
        _to_bins(pane, n[pane], low, high, first, near, keys, numbers, links, free)
        mine = first[pane]
    if n[other] <= _PAGE:
        _count_values(pane, n[other], each, low, high, first, near, keys, numbers, links, free)
    else:
        low[pane], high[pane] = min(low[pane], low[other]), max(high[pane], high[other])
        before = -1
        while each >= 0:
            key = links[each, 0]
            while mine >= 0 and links[mine, 0] < key:
                before, mine = mine, links[mine, 1]
            if mine < 0 or links[mine, 0] != key:
                mine = _insert(pane, before, key, first, numbers, links, free)
            for at in range(_PAGE):
                numbers[mine, at] += numbers[each, at]
            each = links[each, 1]
    n[pane] += n[other]


@kernel
def _update(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # compiled, and a call a row would cost too much
    done, into, of, values, bits, ahead, n, low, high, first, near, keys, numbers, links, free
):
    """Carry out operations; gives how many are done. It stops before one for which the free pages might not do."""
    for op in range(done, len(into)):
        at = (op - done) % _AHEAD
        if at == 0 and len(bits) and len(links):
            # Where there are many panes, they and their pages come from memory: reading ahead, in loops that do little
            # else, lets many of these waits go on at once.
            stop = min(op + _AHEAD, len(into))
            for next_ in range(op, stop):
                ahead[next_ - op] = _bin(bits[max(of[next_], 0)])
            some, seen = 0, 0.0
            for next_ in range(op, stop):
                some += n[into[next_]] + keys[into[next_], _NEAR - 1]
            for next_ in range(op, stop):
                number = ahead[next_ - op]
                seen += numbers[near[into[next_], _place(number >> _BITS)], number & _PAGE - 1]
            ahead[_AHEAD] = some + int(seen > 0)  # or the compiler would leave it all out
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what < 0:
            need = 2 * _PAGE
            page = first[~what]
            while page >= 0:
                need += 1
                page = links[page, 1]
            if free[1] < need:
                return op
            _merge(pane, ~what, n, low, high, first, near, keys, numbers, links, free)
            continue
        if free[1] <= _PAGE:
            return op
        many = n[pane]
        n[pane] = many + 1
        if many < _PAGE:
            if many == 0:
                _insert(pane, -1, 0, first, numbers, links, free)
            numbers[first[pane], many] = values[what]
            continue
        if many == _PAGE:
            _to_bins(pane, many, low, high, first, near, keys, numbers, links, free)
        value = values[what]
        low[pane], high[pane] = min(low[pane], value), max(high[pane], value)
        number = ahead[at]
        key = number >> _BITS
        place = _place(key)
        page = near[pane, place]
        if keys[pane, place] != key:
            page = _find(pane, key, first, near, keys, numbers, links, free)
        numbers[page, number & _PAGE - 1] += 1
    return len(into)


@kernel
def _release(pane, first, links, free):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(pane)):
        _give_back(first[pane[at]], links, free)


@kernel
def _between(lower, upper, part):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Interpolate, without a difference, for that of two large numbers may be too large."""
    if part == 0 or lower == upper:
        return lower
    if math.isinf(lower) or math.isinf(upper):
        return lower + upper
    return min(max((1 - part) * lower + part * upper, lower), upper)


@kernel
def _at_rank(rank, page, numbers, links, middles):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the value that stands for the bin of a rank."""
    seen = 0.0
    while page >= 0:
        for at in range(_PAGE):
            seen += numbers[page, at]
            if seen > rank:
                return _middle(links[page, 0] * _PAGE + at, middles)
        page = links[page, 1]
    return np.nan


@kernel
def _percentile(pane, step, n, low, high, first, numbers, links, middles, few, out):  # type: ignore[no-untyped-def]
    """Find the values at the two ranks around the percentage, in steps of 1e-9, of each pane."""
    for row in range(len(pane)):
        own = pane[row]
        if own < 0 or n[own] == 0:
            out[row] = np.nan
            continue
        last = n[own] - 1
        below = step * last // 1_000_000_000
        above = min(below + 1, last)
        if last < _PAGE:
            for at in range(last + 1):
                value, place = numbers[first[own], at], at
                while place > 0 and few[place - 1] > value:
                    few[place] = few[place - 1]
                    place -= 1
                few[place] = value
            lower, upper = few[below], few[above]
        else:
            least, most = low[own], high[own]
            lower, upper = least, most
            if 0 < below < last:
                lower = min(max(_at_rank(below, first[own], numbers, links, middles), least), most)
            elif below == last:
                lower = most
            if above < last:
                upper = min(max(_at_rank(above, first[own], numbers, links, middles), least), most)
        out[row] = _between(lower, upper, step * last % 1_000_000_000 / 1e9)
