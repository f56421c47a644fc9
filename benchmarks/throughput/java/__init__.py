"""The peers in Java: compiled by Maven on the first call, into a folder that is made anew when a source changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.throughput.job import Job
from tests.integration.kafka.jars import find_java
from tests.integration.kafka.ways import Unavailable

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "throughput"
HEAP = ("-Xms512m", "-Xmx2g")
OPENED = (
    "java.lang",
    "java.lang.reflect",
    "java.net",
    "java.io",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
)
"""What Flink's own configuration opens on Java 17."""


class NotBuilt(Exception):  # noqa: N818  # reads as what happened
    """Maven couldn't build the peers; the message is its first error."""


def missing() -> str | None:
    """Say why Java's peers can't run here; None if they can."""
    try:
        find_java()
    except Unavailable as reason:
        return str(reason)
    if not shutil.which("mvn"):
        return "no mvn on the PATH"
    try:
        build()
    except NotBuilt as reason:
        return str(reason)
    return None


def build() -> Path:
    """Give the folder with `classes` and `jars`.

    Raises:
        NotBuilt: if Maven fails, as without a network on the first call.
    """
    sources = [HERE / "pom.xml", *sorted(HERE.rglob("*.java"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = CACHE / f"java-{digest[:12]}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as temporary:
        made = Path(temporary) / "made"
        command = [
            shutil.which("mvn") or "mvn",
            "-q",
            "-B",
            "-f",
            str(HERE / "pom.xml"),
            f"-Dmade.in={made}",
            "compile",
        ]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={made / 'jars'}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
            message = f"mvn could not build the peers in Java: {(errors or ['no message'])[0]}"
            raise NotBuilt(message)
        made.rename(folder)
    return folder


def program(name: str) -> Callable[[Job], Sequence[str]]:
    """Start a peer that is a class of Java."""

    def command(job: Job) -> Sequence[str]:
        folder = build()
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        path = f"{folder / 'classes'}:{folder / 'jars'}/*"
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        return [find_java(), *HEAP, *opened, quiet, "-cp", path, f"telemill.{name}", job.write()]

    return command
