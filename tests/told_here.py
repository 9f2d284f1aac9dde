"""A command of td3-hpc in the tests' own process, which has PyTorch loaded: for commands that are refused at once."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from td3_hpc.entry import main


class Told(NamedTuple):
    """How it ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Here = Callable[..., Told]


@pytest.fixture
def told_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """`told_here("evaluate", "1k", "--best")`."""

    def run(*words: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["td3-hpc", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Told(int(ended.value.code or 0), *capfd.readouterr())

    return run
