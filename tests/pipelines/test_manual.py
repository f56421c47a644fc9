"""The manual: a page of Markdown that links and tables hold together, and the same on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from pipelines.__main__ import app
from pipelines.docstring import Block
from pipelines.manual import anchor, listing, manual, page
from pipelines.reference import OPERATOR, Entry, Option, entries, find

ENTRIES = entries()
PAGE = page(ENTRIES)
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.what} {entry.name}")


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what, crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_is_the_same_to_the_byte() -> None:
    assert page(entries()) == PAGE
    assert not any(line != line.rstrip() for line in PAGE.splitlines())
    assert PAGE.endswith("\n")
    assert not PAGE.endswith("\n\n")


def test_every_entry_has_a_section_to_which_the_tables_lead() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headings == [entry.name for entry in ENTRIES]
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors), "a heading twice would get another anchor"
    assert re.findall(r"\]\(#(.+?)\)", PAGE) == anchors == [anchor(entry) for entry in ENTRIES]


def test_the_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    operators = sum(entry.what == OPERATOR for entry in ENTRIES)
    assert len(tables) >= 2 + 2 * operators
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_every_fence_is_closed() -> None:
    assert len(re.findall(r"^```(?:yaml|text)$", PAGE, re.MULTILINE)) == len(re.findall(r"^```$", PAGE, re.MULTILINE))


ODD = Entry(
    "window.odd",
    OPERATOR,
    "Do it, or 2**3.",
    (Block("Do it **now**.", verbatim=False), Block("a  |" + " " * 100 + "b", verbatim=True)),
    "",
    "steps:\n  - x: 1",
    options=(
        Option("sep", "text", required=True, default="", unit="", description="What is between, `|` or\n`,`."),
        Option("n", "number", required=False, default="6", unit="s", description="How long."),
    ),
    gives="Gives all.",
    outputs={"main": {"a": "int"}, "late": {"b": "text"}},
)


def test_what_is_said_of_an_entry_is_on_the_page() -> None:
    section = page([ODD]).partition("## window.odd\n")[2]
    assert section == (
        "\nDo it \\*\\*now\\*\\*.\n\n```text\na  |" + " " * 100 + "b\n```\n\n"
        "| option | type | default | unit | what it does |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `sep` | text | needed |  | What is between, `\\|` or `,`. |\n"
        "| `n` | number | `6` | s | How long. |\n\n"
        "Gives all.\n\n"
        "| output | columns, in the example |\n"
        "| --- | --- |\n"
        "| `ID` | `a` int |\n"
        "| `ID.late` | `b` text |\n\n"
        "```yaml\nsteps:\n  - x: 1\n```\n"
    )


def test_a_terminal_shows_the_same_and_a_timeline_is_never_wrapped() -> None:
    text = shown(manual(ODD))
    lines = [line.rstrip() for line in text.splitlines()]
    assert "    a  |" + " " * 100 + "b" in lines
    for row in (
        "    sep     text    needed         What is between, `|` or",
        "    n       number  `6`      s     How long.",
    ):
        assert row in lines, text
    assert "    ID.late  `b` text" in lines
    assert "      - x: 1" in lines


@every_entry
@pytest.mark.parametrize("width", [60, 200])
def test_nothing_is_cut_off_however_narrow_the_terminal(entry: Entry, width: int) -> None:
    text = shown(manual(entry), width)
    assert "…" not in text
    for block in entry.text:
        if block.verbatim:
            for line in block.text.splitlines():
                assert f"    {line}".rstrip() in text
        else:
            assert " ".join(block.text.split()) in " ".join(text.split())
    for option in entry.options:
        assert re.search(rf"^ +{option.name} ", text, re.MULTILINE)


def test_the_list_has_a_line_for_each() -> None:
    result = CliRunner().invoke(app, ["operators"], env={"COLUMNS": "40"})
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == len(ENTRIES)
    for line, entry in zip(lines, ENTRIES, strict=True):
        assert line.split("  ")[1] == (entry.call or entry.name)
        assert line.endswith(f"  {entry.summary}")
    assert "detect  Detectors: each adds" in listing(ENTRIES).plain


def test_the_command_shows_one_or_writes_the_page() -> None:
    result = CliRunner().invoke(app, ["operators", "window", "tumbling"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("window.tumbling\n\nWindows of one size")
    assert CliRunner().invoke(app, ["operators", "--markdown"]).stdout == PAGE
    assert CliRunner().invoke(app, ["operators", "count", "--markdown"]).stdout == page(find(["count"]))
    result = CliRunner().invoke(app, ["operators", "--json", "--markdown"])
    assert (result.exit_code, result.stdout) == (2, "")
