"""What a user writes, and how it becomes a running dataflow.

`flow` is for Bytewax's own way to run a dataflow:

    python -m bytewax.run "pipelines:flow('my.yaml')"
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytewax.dataflow import Dataflow


def flow(path: str, *, until_end: bool = False, close_windows: bool = False, instance: str | None = None) -> Dataflow:
    """Make the Bytewax dataflow of a pipeline file, once its Kafka has answered.

    Args:
        path: the pipeline file.
        until_end: stop where the partitions end now.
        close_windows: close what is open at that end.
        instance: the worker's name in the consumer group; one of its own if None.

    Raises:
        SystemExit: 2 if the file has mistakes, 1 if Kafka can't be used; what is wrong is on stderr by then.
    """
    from connectors.kafka.client import KafkaFailure
    from pipelines import config, runtime
    from pipelines.located import ConfigError
    from pipelines.worker import Options

    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        pipeline = config.read(Path(path))
        runtime.check(pipeline)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    except KafkaFailure as error:
        sys.stderr.write(f"telemill: {error}\n")
        raise SystemExit(1) from None
    options = Options(until_end=until_end, close_windows=close_windows, instance=instance)
    return runtime.dataflow(pipeline, options)[0]
