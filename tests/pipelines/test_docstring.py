"""Docstrings are taken apart without losing what stands in them."""

from __future__ import annotations

import sys

import pytest

from operators.aggregate.base import aggregates
from operators.base import kinds
from pipelines import docstring
from pipelines.docstring import Block, parse

DOC = """Sum things up. All of
them, e.g. these.

    at 10:00   a  b

                 c

Behind the timeline:
- one
  more of it
- two

Note: this is prose.

Example:
    steps:
      - x: 1

      - y: 2

References:
    Somebody, "Something", 1999.

And more prose.
"""


def test_prose_and_timelines_are_kept_apart_and_in_order() -> None:
    assert parse(DOC).blocks == (
        Block("Sum things up. All of\nthem, e.g. these.", verbatim=False),
        Block("at 10:00   a  b\n\n             c", verbatim=True),
        Block("Behind the timeline:\n- one\n  more of it\n- two", verbatim=False),
        Block("Note: this is prose.", verbatim=False),
        Block("And more prose.", verbatim=False),
    )


def test_a_section_loses_its_indentation_and_nothing_else() -> None:
    assert parse(DOC).sections == {
        "Example": "steps:\n  - x: 1\n\n  - y: 2",
        "References": 'Somebody, "Something", 1999.',
    }


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("Sum things\nup. All of them.", "Sum things up."),
        ("At version 1.5 it began", "At version 1.5 it began"),
        ("Fixed limits: a value outside is odd. Else not.", "Fixed limits: a value outside is odd."),
        ("", ""),
        (None, ""),
    ],
)
def test_the_summary_is_the_first_sentence_on_one_line(text: str | None, summary: str) -> None:
    assert parse(text).summary == summary


def test_markdown_keeps_a_timeline_and_what_would_be_taken_for_bold() -> None:
    assert parse("Twice 2**3 `a**b`, <b>.\n\n    x **\n\nMore.").markdown() == (
        "Twice 2\\*\\*3 `a**b`, \\<b>.\n\n```text\nx **\n```\n\nMore."
    )


def test_a_class_that_has_no_docstring_does_not_speak_with_the_one_above_it() -> None:
    class Above:
        """Above."""

    class Below(Above):
        pass

    assert docstring.of_class(Below).blocks == ()


@pytest.mark.parametrize("found", [*kinds().values(), *aggregates().values()], ids=lambda found: found.__module__)
def test_nothing_of_a_docstring_is_lost(found: type) -> None:
    doc = docstring.of_module(found)
    kept = " ".join([*(block.text for block in doc.blocks), *doc.sections.values(), *(f"{n}:" for n in doc.sections)])
    written = sys.modules[found.__module__].__doc__ or ""
    assert sorted(kept.split()) == sorted(written.split())
