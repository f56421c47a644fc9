"""Docstrings as they are written in this house: prose, timelines that stand indented, and sections such as `Example:`."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

_SECTION = re.compile(r"([A-Z][A-Za-z ]*):")
_SPECIAL = re.compile(r"[*<\\]")
_SENTENCE = re.compile(r"(.*?[.!?])(?:\s|$)", re.DOTALL)


class Block(NamedTuple):
    """A paragraph, or lines that are to stay as they are: a timeline, a table, code."""

    text: str
    verbatim: bool

    def markdown(self) -> str:
        """Write it as Markdown."""
        return f"```text\n{self.text}\n```" if self.verbatim else escaped(self.text)


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring in its parts.

    Attributes:
        blocks: what stands before the first section, in order.
        sections: the name of each section to its text, without its indentation.
    """

    blocks: tuple[Block, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first sentence, on one line."""
        text = self.blocks[0].text if self.blocks else ""
        sentence = _SENTENCE.match(text)
        return " ".join((sentence[1] if sentence else text).split())

    def markdown(self) -> str:
        """Write the blocks as Markdown."""
        return "\n\n".join(block.markdown() for block in self.blocks)


def escaped(text: str) -> str:
    r"""Keep Markdown from taking `2**128` for bold, or `<b>` for a tag; what stands in backticks is left alone.

    >>> print(escaped("2**128 in `a*b`"))
    2\*\*128 in `a*b`
    """
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _SPECIAL.sub(r"\\\g<0>", part) for part in parts)


def of_module(of: type) -> Docstring:
    """Read the docstring of the module that a class stands in."""
    return parse(sys.modules[of.__module__].__doc__)


def of_class(of: type) -> Docstring:
    """Read a class's own docstring, not one that it inherits."""
    return parse(vars(of).get("__doc__"))


def parse(text: str | None) -> Docstring:
    r"""Take a docstring apart.

    >>> parse("Keep rows. All.\n\n    a  b\n\nExample:\n    x: 1\n").blocks
    (Block(text='Keep rows. All.', verbatim=False), Block(text='a  b', verbatim=True))
    """
    sections: dict[str, list[str]] = {}
    blocks: list[list[str]] = []
    here: list[str] | None = None
    lines = inspect.cleandoc(text or "").splitlines()
    for number, line in enumerate(lines):
        begins = _SECTION.fullmatch(line)
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if begins and following.startswith(" "):
            here = sections.setdefault(begins[1], [])
        elif here is not None and (not line or line.startswith(" ")):
            here.append(line)
        else:
            here = None
            # An indented line goes on with a list item or paragraph above it, unless a blank line stands between.
            if line and (not blocks or not blocks[-1] or not lines[number - 1]):
                verbatim = blocks and blocks[-1][0].startswith(" ") and line.startswith(" ")
                if verbatim:
                    blocks[-1] += ["", line]
                    continue
                blocks.append([line])
            elif line:
                blocks[-1].append(line)
    return Docstring(
        tuple(Block(_dedented(block), block[0].startswith(" ")) for block in blocks),
        {name: _dedented(block) for name, block in sections.items()},
    )


def _dedented(lines: list[str]) -> str:
    return inspect.cleandoc("\n".join(["", *lines]))
