"""The command line, `telemill`."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

if TYPE_CHECKING:
    from pipelines.picture import Picture
    from pipelines.plan import Pipeline

app = typer.Typer(
    name="telemill",
    help="Device telemetry in Kafka to clean data, windowed statistics and alerts in Kafka, from a YAML file.",
    epilog="Begin with `telemill demo`: it needs no Kafka. Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True, soft_wrap=True, highlight=False)
log = logging.getLogger("telemill")

OWN_PROCESS = object()
"""What a command finds in its context where the process is telemill's own, and may be started again. Who calls `app` from a
process of their own leaves it out."""
_COLOURS = {"  -": "red", "  +": "green"}

File = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline's YAML file.", show_default=False)]
Allocator = Literal["auto", "system", "mimalloc", "jemalloc", "tcmalloc"]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell only what goes wrong.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell more: what librdkafka says, and every dead letter.")
]


@app.command()
def run(
    context: typer.Context,
    pipeline: File,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop where the topics end now, instead of waiting for more.")
    ] = False,
    close_windows: Annotated[
        bool, typer.Option("--close-windows", help="With --until-end: give out what windows still hold at the end.")
    ] = False,
    instance: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="TELEMILL_INSTANCE",
            help="This worker's name in the consumer group; it must differ from every other worker's. "
            "Left out, it is made from the group, the host and the first free number on it.",
        ),
    ] = None,
    allocator: Annotated[
        Allocator,
        typer.Option(
            envvar="TELEMILL_ALLOCATOR",
            help="Where memory comes from. With mimalloc, jemalloc or tcmalloc reading from Kafka may cost less; auto takes "
            "the first that is installed (on Linux), and the run starts itself again with it. system leaves it to the C "
            "library.",
        ),
    ] = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a pipeline until it is stopped.

    Reads the source topics as a member of the pipeline's consumer group, and writes to the topics of its sinks. Start it
    once more, on this host or another, and the two share the partitions. SIGTERM or Ctrl-C ends it in good order: what
    was read is delivered and committed.

    The same as a Bytewax dataflow: `python -m bytewax.run "pipelines:flow('PIPELINE')"`
    """
    _logging(quiet=quiet, verbose=verbose)
    if close_windows and not until_end:
        _usage("--close-windows goes with --until-end: only a run that ends has windows left to close")
    if context.obj is OWN_PROCESS:
        _allocate(allocator)
    spec = _read(pipeline)
    from connectors.kafka.client import KafkaFailure
    from pipelines import runtime
    from pipelines.worker import Options

    try:
        handle = runtime.run(spec, Options(until_end, close_windows, instance))
    except KafkaFailure as error:
        _fail(str(error))
    if not quiet:
        from pipelines import summary

        err.print(summary.of_run(handle))
    if handle.failure is not None:
        log.debug("what ended the run", exc_info=handle.failure)
        _fail(str(handle.failure) or type(handle.failure).__name__)


@app.command()
def check(pipeline: File) -> None:
    """Check a pipeline without running it.

    Every mistake is told at once, with its line, what was expected, what was given, and a likely fix. Kafka isn't asked.
    """
    spec = _read(pipeline)
    typer.echo(f"{pipeline}: fine. {len(spec.steps)} steps, {len(spec.sinks)} sinks, {len(spec.tests)} tests")


@app.command()
def explain(
    pipeline: File,
    as_json: Annotated[bool, typer.Option("--json", help="Give it as JSON, Avro schemas included.")] = False,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Give it as a Mermaid flowchart, to put into Markdown behind ```mermaid.")
    ] = False,
) -> None:
    """Show what a pipeline does: its graph, with the columns and types behind every step."""
    if as_json and as_mermaid:
        _usage("--json or --mermaid, not both")
    spec = _read(pipeline)
    from pipelines import explain as explaining

    if as_json:
        sys.stdout.write(json.dumps(explaining.as_json(spec), indent=2) + "\n")
    elif as_mermaid:
        sys.stdout.write(explaining.mermaid(spec))
    else:
        out.print(explaining.tree(spec))


@app.command()
def test(pipeline: File) -> None:
    """Run the tests that stand under `tests` in a pipeline.

    Each puts rows in and compares what comes out of one stream; no Kafka is needed.
    """
    spec = _read(pipeline)
    from pipelines.testing import run_tests

    if not spec.tests:
        _fail(f"{pipeline} has no tests: add some under `tests`, each with name, at, input and expect")
    results = run_tests(spec)
    for result in results:
        word, style = ("failed", "bold red") if result.differences else ("ok", "green")
        out.print(Text(f"{word:6} ", style) + Text(result.test.name), soft_wrap=True)
        if result.differences:
            out.print(Text(f"       {pipeline}:{result.test.line}, at {result.test.at}"), soft_wrap=True)
        for line in result.differences:
            out.print(Text(f"       {line}", _COLOURS.get(line[:3], "")), soft_wrap=True)
    failed = sum(bool(result.differences) for result in results)
    typer.echo(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def backtest(
    pipeline: File,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, NDJSON (either also as .gz) or Parquet.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the results; backtest-NAME if left out."),
    ] = None,
    file_format: Annotated[
        Literal["parquet", "csv", "ndjson"], typer.Option("--format", help="Of the results.")
    ] = "parquet",
    sort: Annotated[
        bool,
        typer.Option(
            "--sort",
            help="Take the rows by event time, not in the order of the file. For a file that has one device after the "
            "other: else the first would take the clock to its end, and move the others on as if they had been silent.",
        ),
    ] = False,
    keep_open: Annotated[
        bool, typer.Option("--keep-open", help="Leave windows open at the end that aren't complete.")
    ] = False,
    plot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Draw a column, into a PNG for each device; again for a panel more. Several with commas between share "
            "a panel. STREAM.COLUMN is the column of that stream.",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="With --plot: a device to draw; again for more. The first 4 if left out."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run a pipeline over a file instead of Kafka, and write what comes out into files.

    The columns of the file are the fields of the pipeline's source, named by their path (`data.temp`) or as in the
    pipeline (`temp`), with a column each for the device and for the time. Times in CSV are numbers in the source's unit,
    or ISO 8601 with an offset; in Parquet they may be timestamps. Each stream that a sink reads becomes a file, and so do
    the rows that can't be processed, with the reason. The order of the file is the order of arrival, and at its end all
    windows close.
    """
    if device and not plot:
        _usage("--device goes with --plot: it says whose picture to draw")
    spec = _read(pipeline)
    from connectors.files.base import FileError
    from connectors.files.results import FileFormat
    from connectors.files.table import open_table
    from pipelines import backtest as trying
    from pipelines import backtest_report as report

    options = trying.Options(output or Path(f"backtest-{spec.name}"), FileFormat(file_format), sort, keep_open)
    picture = None
    try:
        table = open_table(file, spec.source.reading, spec.source.schema)
        trying.prepare(spec, file, options)
        if plot:
            from pipelines.picture import Picture

            picture = Picture(spec, plot, device or ())
    except ValueError as error:
        err.print(f"telemill: {error}", markup=False)
        raise typer.Exit(2) from None
    for note in table.notes:
        err.print(f"telemill: {note}", markup=False)
    try:
        outcome = trying.backtest(spec, table, options, out, picture)
    except (FileError, OSError) as error:
        _fail(str(error))
    if not quiet:
        report.tell(outcome, file, out)
    for doubt in report.doubts(outcome):
        err.print(f"telemill: {doubt}", markup=False)
    if outcome.first is None:
        _fail("no row could be read, so nothing has come out")
    if picture:
        _draw(picture, options.output, quiet=quiet)


@app.command()
def operators(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="`tumbling`, `window.tumbling` or `window tumbling`; a group such as `window`; an aggregate such as "
            "`mean`. Left out, all are listed.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Give them as JSON, for tools.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Give them as a page of Markdown.")] = False,
) -> None:
    """Tell what the operators and aggregates do: options, outputs and an example of each."""
    if as_json and as_markdown:
        _usage("--json or --markdown, not both")
    from pipelines import manual, reference

    try:
        found = reference.find(names) if names else reference.entries()
    except LookupError as error:
        _usage(str(error))
    if as_json:
        sys.stdout.write(json.dumps([entry.as_json() for entry in found], indent=2, ensure_ascii=False) + "\n")
    elif as_markdown:
        sys.stdout.write(manual.page(found))
    elif names:
        for number, entry in enumerate(found):
            out.print(*([""] if number else []), manual.manual(entry), sep="\n", crop=False)
    else:
        out.print(manual.listing(found), soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a pipeline file, with which an editor completes it and marks mistakes.

    Save it (`telemill schema > telemill.schema.json`) and name it in the first line of the pipeline:
    `# yaml-language-server: $schema=telemill.schema.json`
    """
    from pipelines import schema as describing

    sys.stdout.write(json.dumps(describing.schema(), indent=2, ensure_ascii=False) + "\n")


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the picture.")] = Path(
        "telemill-demo.png"
    ),
    verbose: Verbose = False,
) -> None:
    """See it work: real sensor data through the example pipeline, with a Kafka inside this process.

    Takes some ten seconds and needs nothing. Shows the alerts as they are raised, and holds them against the labelled
    anomalies in a table and a picture.
    """
    _logging(quiet=not verbose, verbose=verbose)
    if not output.parent.is_dir():
        _usage(f"--output: there is no folder {output.parent} to save the picture in")
    from connectors.kafka.client import KafkaFailure
    from pipelines import demo as showing

    try:
        showing.demo(output, out)
    except (KafkaFailure, RuntimeError) as error:
        _fail(str(error))
    command, example = _command(), os.path.relpath(showing.PIPELINE)
    out.print(f"\nThe picture is in [bold]{output}[/]. Try next:")
    out.print(
        f"  {command} explain {example}", "  # what the pipeline does, step by step", highlight=False, soft_wrap=True
    )
    out.print(f"  {command} test {example}", "  # the tests that stand in it", highlight=False, soft_wrap=True)
    out.print(
        f"  {command} run {example}",
        "  # the same on a Kafka of your own, at localhost:9092",
        highlight=False,
        soft_wrap=True,
    )


def _draw(picture: Picture, folder: Path, *, quiet: bool) -> None:
    from pipelines.picture import PictureError

    try:
        drawn = picture.save(folder)
    except (PictureError, OSError) as error:
        _fail(str(error))
    if not quiet:
        for line in (*(f"picture: {file}" for file in drawn), *picture.left_out()):
            out.print(line, markup=False, highlight=False, soft_wrap=True)


def _read(file: Path) -> Pipeline:
    from pipelines import config
    from pipelines.located import ConfigError

    try:
        return config.read(file)
    except ConfigError as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from None


def _logging(*, quiet: bool, verbose: bool) -> None:
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    if err.is_terminal:
        handler: logging.Handler = RichHandler(console=err, show_path=False, rich_tracebacks=False)
        handler.setFormatter(logging.Formatter("%(message)s", "%X"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger("telemill").setLevel(level)
    logging.getLogger().addHandler(handler)


def _allocate(wanted: Allocator) -> None:
    from pipelines import allocator

    try:
        allocator.choose(wanted)
    except allocator.AllocatorError as error:
        _usage(f"--allocator {wanted}: {error}")


def _command() -> str:
    """Give the command as this user would type it."""
    path = Path(sys.argv[0])
    if path.name != "telemill":
        return f"{Path(sys.executable).name} -m pipelines"
    near = os.path.relpath(path)
    return near if os.sep in sys.argv[0] and not near.startswith("..") else "telemill"


def _usage(message: str) -> NoReturn:
    raise typer.BadParameter(message)


def _fail(message: str) -> NoReturn:
    err.print(f"telemill: {message}", markup=False)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line, in a process of its own."""
    app(prog_name="telemill", obj=OWN_PROCESS)


if __name__ == "__main__":
    main()
