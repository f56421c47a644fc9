"""The Avro schema of a reading, for systems that take it as Python; `pipelines/reading.avsc` is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("pipelines") / "reading.avsc"
READING: Any = json.loads(FILE.read_bytes())
