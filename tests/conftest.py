"""Hypothesis profiles, and a fixture of many tests.

The profiles are short on a desk, and repeatable in CI. No deadline: that a test takes long says that the machine is busy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.connectors.codec.registry_server import RegistryServer

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("desk", max_examples=60, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    """Give a schema registry of the test's own."""
    server = RegistryServer()
    yield server
    server.close()
