"""What tests that start supervisors share."""

import os
from collections.abc import Iterator

import pytest

from tests.processes import descendants, wait_until_gone


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails the test where a process outlives the fixtures that take this one."""
    before = set(descendants(os.getpid()))
    yield
    assert wait_until_gone([process for process in descendants(os.getpid()) if process not in before]) == []
