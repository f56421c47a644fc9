"""The manual of operators and aggregates: a page of Markdown, and the same for a terminal.

`make docs` writes docs/operators.md with it; `telemill operators` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipelines.docstring import Block, escaped
from pipelines.reference import AGGREGATE, OPERATOR, Entry, Option, group_summary

_OPTIONS = ("option", "type", "default", "unit", "what it does")
_OUTPUTS = ("output", "columns, in the example")


def page(entries: Sequence[Entry]) -> str:
    """Write entries as a page of Markdown, the same for the same entries to the byte."""
    lines = [
        "# Operators and aggregates",
        "",
        "<!-- Written by `make docs` from the operators themselves. What is changed here is lost. -->",
        "",
        "A step of a pipeline is an operator with its options. `telemill operators NAME` shows the same in a terminal, and",
        "`telemill schema` gives it to an editor. The examples are of rows with the columns `temperature`, `humidity` and",
        "`score`. How windows follow time is told in [Time in telemill](time.md).",
        "",
    ]
    for what, says in ((OPERATOR, "what it does"), (AGGREGATE, "what it gives")):
        rows = [
            (f"[`{entry.call or entry.name}`](#{anchor(entry)})", escaped(entry.summary))
            for entry in entries
            if entry.what == what
        ]
        lines += _table((what, says), rows) if rows else []
    for entry in entries:
        lines += _section(entry)
    return "\n".join(lines).rstrip("\n") + "\n"


def anchor(entry: Entry) -> str:
    """Give the name by which a link finds an entry on the page."""
    return entry.name.replace(".", "")


def _section(entry: Entry) -> Iterator[str]:
    yield from (f"## {entry.name}", "")
    for block in entry.text:
        yield from (block.markdown(), "")
    if entry.takes:
        yield from (_takes(entry), "")
    if entry.options:
        cells = [[f"`{option.name}`", *map(escaped, _cells(option))] for option in entry.options]
        yield from _table(_OPTIONS, cells)
    if entry.short:
        yield from (entry.short, "")
    if entry.gives:
        yield from (escaped(entry.gives), "")
    if entry.outputs:
        yield from _table(_OUTPUTS, [(f"`{name}`", columns) for name, columns in _outputs(entry.outputs)])
    yield from ("```yaml", entry.example, "```", "")
    if entry.references:
        yield from (escaped(entry.references), "")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"
    yield ""


def _takes(entry: Entry) -> str:
    return f"Takes a column of type {', '.join(entry.takes)}."


def _cells(option: Option) -> list[str]:
    """Give what is said of an option behind its name."""
    default = "needed" if option.required else f"`{option.default}`" if option.default else ""
    return [option.type, default, option.unit, option.description]


def _outputs(outputs: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Give each output as `from` names it, and its columns."""
    for name, columns in outputs.items():
        yield (
            f"ID.{name}" if name != "main" else "ID",
            ", ".join(f"`{column}` {type_}" for column, type_ in columns.items()),
        )


def listing(entries: Iterable[Entry]) -> Text:
    """Show entries on a terminal, a line each, by group."""
    shown: list[Text] = []
    for (what, group), members in groupby(entries, lambda entry: (entry.what, entry.name.rpartition(".")[0])):
        title = Text(group or f"{what}s", "bold")
        rows = [(entry.call or entry.name, entry.summary) for entry in members]
        widest = max(len(name) for name, _ in rows)
        lines = [title.append(f"  {group_summary(group)}", "not bold dim") if group else title]
        lines += [Text.assemble("  ", (name.ljust(widest + 2), "cyan"), _inline(summary)) for name, summary in rows]
        shown.append(Text("\n").join(lines))
    return Text("\n\n").join(shown)


def manual(entry: Entry) -> RenderableType:
    """Show all that there is to say of an entry on a terminal."""
    shown: list[RenderableType] = [Text(entry.name, "bold cyan"), Text()]
    for block in entry.text:
        shown += [_block(block), Text()]
    if entry.takes:
        shown += [Text(_takes(entry)), Text()]
    if entry.options:
        shown += [_rich_table(_OPTIONS, ([option.name, *_cells(option)] for option in entry.options)), Text()]
    if entry.short:
        shown += [_inline(entry.short), Text()]
    if entry.gives:
        shown += [_inline(entry.gives), Text()]
    if entry.outputs:
        shown += [_rich_table(_OUTPUTS, _outputs(entry.outputs)), Text()]
    shown.append(_block(Block(entry.example, verbatim=True)))
    if entry.references:
        shown += [Text(), _block(Block(entry.references, verbatim=False))]
    return Group(*shown)


def _block(block: Block) -> Text:
    """Show a paragraph, or lines as they stand: a timeline that were wrapped would tell nothing."""
    if block.verbatim:
        return Text("\n".join(f"    {line}" for line in block.text.splitlines()), no_wrap=True, overflow="ignore")
    items = any(line.startswith("- ") for line in block.text.splitlines())
    return _inline(block.text if items else " ".join(block.text.split()))


def _inline(text: str) -> Text:
    """Show a sentence; what stands in backticks is in another colour, where there are colours."""
    return Text.assemble(*((part, "cyan" if part.startswith("`") else "") for part in re.split("(`[^`]*`)", text)))


def _rich_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Padding:
    rows = list(rows)
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for at in kept:
        table.add_column(head[at], no_wrap=at == 0, overflow="fold", style="cyan" if at == 0 else "")
    for row in rows:
        table.add_row(*(_inline(row[at]) for at in kept))
    return Padding(table, (0, 0, 0, 4))
