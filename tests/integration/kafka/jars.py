"""Find a Java and Kafka's jars: what it takes to run a broker with no Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.integration.kafka.ways import Unavailable

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(__file__).parents[3] / ".cache"
OLDEST_JAVA = 17
"""Kafka 4's brokers need it."""
COPY_SECONDS = 240
"""For 43 MB on a slow line; less than a test may take, so that the message is ours."""


def find_java() -> str:
    """Give the path of a Java of at least version 17, JAVA_HOME's first; raises Unavailable with what is wrong."""
    homes = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    found = "no java on the PATH"
    for java in (*map(str, homes), shutil.which("java")):
        if not java:
            continue
        try:
            # Run it: macOS has a /usr/bin/java that only says where to get one. The version is written to stderr.
            answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
        except (OSError, subprocess.SubprocessError):
            found = f"{java} does not run"
            continue
        version = re.search(r'version "(\d+)', answer.stderr)
        if version and int(version[1]) >= OLDEST_JAVA:
            return java
        found = f"{java} is older than {OLDEST_JAVA}"
    raise Unavailable(found)


def find_jars() -> Path:
    """Give the folder of Kafka's jars, copied there by Maven on the first call; raises Unavailable if it can't.

    The folder is complete or absent: it is filled under another name and then renamed. It holds the pom.xml it was
    made from, so a changed one makes it anew.
    """
    pom = POM.read_bytes()
    version = re.search(r"<kafka\.version>(.+?)<", pom.decode())
    folder = CACHE / f"kafka-jars-{version[1] if version else 'unknown'}"
    if _is_made_from(pom, folder):
        return folder
    maven = shutil.which("mvn")
    if not maven:
        message = "no mvn on the PATH"
        raise Unavailable(message)
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="copying-") as temporary:
        filling = Path(temporary) / "jars"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command.append(f"-DoutputDirectory={filling}")
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=COPY_SECONDS, check=True)
        except subprocess.TimeoutExpired as error:
            message = f"mvn took more than {COPY_SECONDS} s to copy Kafka's jars"
            raise Unavailable(message) from error
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stdout.splitlines() if "ERROR" in line] or ["no message"]
            message = f"mvn could not copy Kafka's jars: {lines[0]}"
            raise Unavailable(message) from error
        (filling / POM.name).write_bytes(pom)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            filling.rename(folder)
        except OSError:
            # Another run was faster: then its folder serves as well.
            if not _is_made_from(pom, folder):
                raise
    return folder


def _is_made_from(pom: bytes, folder: Path) -> bool:
    """Whether the folder is there and of this very pom.xml."""
    made_from = folder / POM.name
    return made_from.is_file() and made_from.read_bytes() == pom
