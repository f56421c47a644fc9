"""Where memory comes from: the process that starts itself again, what it finds and refuses, and what it leaves behind."""

from __future__ import annotations

import ctypes.util
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import pipelines
from pipelines import allocator
from pipelines.__main__ import OWN_PROCESS, app

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an allocator is chosen on Linux only")

ROOT = Path(pipelines.__file__).parent.parent
TELEMILL = Path(sys.executable).parent / "telemill"
INSTALLED = [allocator._SONAMES[name][0] for name in allocator._SONAMES if allocator.find(allocator._SONAMES[name])]
needs_one = pytest.mark.skipif(not INSTALLED, reason="neither mimalloc, jemalloc nor tcmalloc is installed")
PIPELINE = """\
name: mill
source:
  kafka: {{topics: [raw], brokers: "{brokers}"}}
  device: dev
  time: {{field: ts, unit: ms}}
  fields: {{temperature: float}}
sinks:
  - {{from: source, kafka: {{topic: out}}}}
"""
AGAIN = """
import json, os, sys
from pathlib import Path
from pipelines import allocator
seen = {"pid": os.getpid(), "arguments": sys.argv[1:], "marked": os.environ.get(allocator.MARK),
        "preloaded": os.environ.get("LD_PRELOAD"), "warnings": sys.warnoptions}
print(json.dumps(seen))
allocator._start_with = lambda wanted: allocator.restart(Path(sys.argv[1]))
allocator.choose("auto")
print(json.dumps({"marked": os.environ.get(allocator.MARK), "preloaded": os.environ.get("LD_PRELOAD")}))
sys.exit(7)
"""
"""Starts itself again with the library in its first argument, and tells what it sees before and after."""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as in a process that was started without an allocator of its own."""
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.delenv(allocator.MARK, raising=False)
    monkeypatch.setattr(allocator, "provider", lambda: Path("/lib/libc.so.6"))


def written(file: Path, brokers: str) -> Path:
    file.write_text(PIPELINE.format(brokers=brokers))
    return file


def clean() -> dict[str, str]:
    """Give this process's environment without what chooses an allocator."""
    return {k: v for k, v in os.environ.items() if k not in {"LD_PRELOAD", "TELEMILL_ALLOCATOR", allocator.MARK}}


@contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a pipeline whose broker takes connections and never answers, from when it has connected."""
    with socket.create_server(("127.0.0.1", 0)) as silent, (folder / "log").open("wb") as log:
        file = written(folder / "mill.yaml", f"127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(60)
        with subprocess.Popen([*command, str(file)], cwd=ROOT, env=clean(), stderr=log) as run:
            try:
                connection, _ = silent.accept()
                with connection:
                    yield run
            finally:
                run.kill()


def libm() -> str:
    """Find a library that can be preloaded and isn't an allocator."""
    name = ctypes.util.find_library("m")
    assert name is not None
    (path,) = allocator.find([name])
    return str(path)


def telling(*command: str, preload: str | None = None) -> tuple[list[Mapping[str, object]], str, int]:
    """Run the script above; gives what it told, what stood on stderr, and the exit code."""
    env = clean() if preload is None else {**clean(), "LD_PRELOAD": preload}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr, done.returncode


def test_a_process_starts_again_once_as_it_was_and_leaves_its_environment_as_it_found_it() -> None:
    library = libm()
    (first, again, after), stderr, code = telling("-W", "error", "-c", AGAIN, library, "two words", preload=library)
    assert (first["marked"], again["marked"], after["marked"]) == (None, library, None)
    assert (first["preloaded"], again["preloaded"], after["preloaded"]) == (library, f"{library}:{library}", library)
    for same in ("pid", "arguments", "warnings"):
        assert first[same] == again[same]
    assert again["arguments"] == [library, "two words"]
    assert code == 7
    assert stderr == f"{library} was preloaded to no effect; memory comes from the C library\n"


def test_an_environment_without_ld_preload_is_left_without() -> None:
    (_, again, after), _, _ = telling("-c", AGAIN, libm())
    assert again["preloaded"] == libm()
    assert after["preloaded"] is None


@needs_one
@pytest.mark.parametrize("command", [[str(TELEMILL)], [sys.executable, "-m", "pipelines"]], ids=["telemill", "module"])
def test_a_run_has_its_memory_from_the_allocator_and_keeps_its_pid(command: list[str], tmp_path: Path) -> None:
    with running(tmp_path, *command, "run") as run:
        maps = Path(f"/proc/{run.pid}/maps").read_text()
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == -signal.SIGTERM
    assert INSTALLED[0].partition(".")[0] in maps
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert INSTALLED[0] in line
    assert "`--allocator system` leaves it to the C library" in line


def test_a_run_leaves_memory_to_the_c_library_where_it_is_told_to(tmp_path: Path) -> None:
    with running(tmp_path, sys.executable, "-m", "pipelines", "run", "--allocator", "system") as run:
        maps = Path(f"/proc/{run.pid}/maps").read_text()
    assert "/libc" in maps
    assert not any(soname.partition(".")[0] in maps for soname in INSTALLED)
    assert (tmp_path / "log").read_text() == ""


def test_a_quiet_run_says_nothing_of_its_memory(tmp_path: Path) -> None:
    with running(tmp_path, sys.executable, "-m", "pipelines", "run", "--quiet"):
        assert (tmp_path / "log").read_text() == ""


def test_a_command_inside_another_process_leaves_that_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocator, "choose", lambda _: pytest.fail("this process isn't telemill's own"))
    assert CliRunner().invoke(app, ["run", str(tmp_path / "nowhere.yaml")]).exit_code == 2


@pytest.mark.usefixtures("environ")
def test_the_first_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: list[Path] = []
    libraries = [tmp_path / "libmimalloc.so.2", tmp_path / "libjemalloc.so.2"]
    monkeypatch.setattr(allocator, "find", lambda _: libraries)
    monkeypatch.setattr(allocator, "works", libraries[1].__eq__)
    monkeypatch.setattr(allocator, "restart", taken.append)
    allocator.choose("auto")
    assert taken == [libraries[1]]


@pytest.mark.usefixtures("environ")
def test_where_none_is_installed_what_to_install_is_told_to_those_who_ask_for_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(allocator, "_SONAMES", {"mimalloc": ("libmimalloc-of-nobody.so.2",)})
    with caplog.at_level(logging.DEBUG, "telemill"):
        allocator.choose("auto")
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "`apt install libmimalloc2.0`" in record.getMessage()


@pytest.mark.usefixtures("environ")
def test_one_that_is_demanded_and_not_there_is_a_mistake_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(allocator._SONAMES, "tcmalloc", ("libtcmalloc-of-nobody.so.4",))
    file = written(tmp_path / "mill.yaml", "localhost:1")
    result = CliRunner().invoke(
        app, ["run", str(file), "--allocator", "tcmalloc"], obj=OWN_PROCESS, env={"COLUMNS": "200"}
    )
    assert result.exit_code == 2
    assert "tcmalloc isn't installed here: install it (Debian and Ubuntu: `apt install libtcmalloc-" in result.stderr


@pytest.mark.usefixtures("environ")
def test_one_that_cannot_be_preloaded_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Path(libm()).read_bytes()
    broken = tmp_path / "libmimalloc.so.2"
    monkeypatch.setattr(allocator, "find", lambda _: [broken])
    monkeypatch.setattr(allocator, "restart", lambda _: pytest.fail("it doesn't work"))
    for contents in (b"no library", library[: len(library) // 2], library):  # the last is one, but no allocator
        broken.write_bytes(contents)
        with caplog.at_level(logging.INFO, "telemill"):
            allocator.choose("auto")
        assert caplog.messages == [f"{broken} is installed, but can't be preloaded"]
        caplog.clear()
        with pytest.raises(allocator.AllocatorError, match="mimalloc can't be preloaded here"):
            allocator.choose("mimalloc")
        caplog.clear()


def test_the_loader_says_what_it_finds_in_the_order_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libmine.so.1").write_bytes(Path(libm()).read_bytes())
    (tmp_path / "libbroken.so.1").write_bytes(b"no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert allocator.find(["libof-nobody.so.1", "libbroken.so.1", "libmine.so.1"]) == [tmp_path / "libmine.so.1"]
    names = ["libpthread.so.0", "libm.so.6"]
    assert [path.name for path in allocator.find(names)] == names
    assert [path.name for path in allocator.find(names[::-1])] == names[::-1]


@pytest.mark.usefixtures("environ")
def test_an_allocator_that_is_there_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_start_with", lambda wanted: pytest.fail(f"started again with {wanted}"))
    for there in ("/lib/libjemalloc.so.2", "/lib/libasan.so.8", "/usr/bin/python"):
        monkeypatch.setattr(allocator, "provider", lambda there=there: Path(there))
        allocator.choose("auto")
        allocator.choose("system")
    monkeypatch.setattr(allocator, "provider", lambda: Path("/lib/libjemalloc.so.2"))
    allocator.choose("jemalloc")
    with pytest.raises(allocator.AllocatorError, match=r"memory comes from /lib/libjemalloc.so.2 already"):
        allocator.choose("mimalloc")
    monkeypatch.setattr(allocator, "provider", lambda: None)
    allocator.choose("auto")


@needs_one
@pytest.mark.parametrize("python", [sys.executable, *filter(None, [shutil.which("python3", path="/usr/bin")])])
def test_where_memory_comes_from_is_seen_in_any_python(python: str) -> None:
    def provider(**environ: str) -> Path:
        command = [python, "-I", "-S", str(allocator.__file__)]
        return Path(
            subprocess.run(command, env={**clean(), **environ}, capture_output=True, text=True, check=True).stdout
        )

    assert provider().name.startswith(allocator._SYSTEM)
    assert provider(LD_PRELOAD=INSTALLED[0]).name.startswith(INSTALLED[0].partition(".")[0])
    assert provider(LD_PRELOAD=libm()).name.startswith(allocator._SYSTEM)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_away_from_linux_the_system_s_is_taken_and_another_refused(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(allocator, "_start_with", lambda wanted: pytest.fail(f"started again with {wanted}"))
    allocator.choose("auto")
    allocator.choose("system")
    with pytest.raises(allocator.AllocatorError, match="on Linux only"):
        allocator.choose("mimalloc")


@needs_one
@pytest.mark.usefixtures("environ")
def test_the_choice_costs_two_small_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    run = subprocess.run

    def counted(command: list[str], **how: Any) -> Any:
        started.append(command)
        return run(command, **how)

    monkeypatch.setattr(subprocess, "run", counted)
    monkeypatch.setattr(allocator, "restart", lambda _: None)
    monkeypatch.setattr(allocator, "_SONAMES", {"first": tuple(INSTALLED[:1])})
    allocator.choose("auto")
    assert len(started) == 2
    assert all({"-I", "-S"} < set(command) for command in started)
