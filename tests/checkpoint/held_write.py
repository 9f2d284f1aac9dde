"""Holding a checkpoint that is being written."""

import threading
from typing import Any

import pytest

from td3_hpc.checkpoint import store

PATIENCE_S = 60.0


class HeldWrite:
    """From now on, what writes a checkpoint's state waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun, self._may_go_on = threading.Event(), threading.Event()
        real = store.tree_image

        def held(*arguments: Any) -> Any:
            self._begun.set()
            assert self._may_go_on.wait(PATIENCE_S)
            return real(*arguments)

        monkeypatch.setattr(store, "tree_image", held)

    def wait_until_begun(self) -> None:
        assert self._begun.wait(PATIENCE_S)

    def go_on(self) -> None:
        self._may_go_on.set()
