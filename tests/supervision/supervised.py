"""Waiting for a supervised simulator."""

import time

import pytest

from td3_hpc.supervision.supervisor_handle import Address, SupervisorHandle

READY_S = 30


def ready(handle: SupervisorHandle, after: int = 0) -> Address:
    """The address of a generation later than `after`."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        address = handle.address(timeout_s=0.2)
        if address is not None and address.generation > after:
            return address
    pytest.fail(f"not ready: {handle.events()}")
