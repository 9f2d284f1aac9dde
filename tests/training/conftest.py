"""Small real runs: the embedded simulator's small town, a few dozen steps."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.exported_policy import TOLD
from tests.made_once import made_once
from tests.small_stage import SMALL, changed
from tests.webhook import webhook


class Run:
    """A run directory and the `td3-hpc train` processes that work on it."""

    def __init__(self, directory: Path, config: Path) -> None:
        self.directory = directory
        self.config = config
        self.process: subprocess.Popen[str] | None = None
        self.checkout: Path | None = None
        """The folder of the package that the next processes run; None: this one's."""

    def start(self, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "td3_hpc",
            "train",
            str(self.config),
            "--run-dir",
            str(self.directory),
            *options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=self.checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    def finish(self, timeout: float = 240) -> tuple[int, str]:
        """Exit code and output of the process."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def train(self, *options: str) -> tuple[int, str]:
        self.start(*options)
        return self.finish()

    def events(self, kind: str | None = None) -> list[dict]:
        path = self.directory / "record.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in events if kind in (None, event["event"])]

    def wait_for(self, condition, timeout: float = 120):
        """Poll until condition(self) is true and return its value; fails with the output when the run ends first."""
        assert self.process is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = condition(self)
            if value:
                return value
            if self.process.poll() is not None:
                pytest.fail(f"the run ended with {self.process.returncode} before that: {self.process.stdout.read()}")
            time.sleep(0.02)
        pytest.fail(f"not within {timeout} s; last events: {self.events()[-3:]}")

    def steps_stand_still(self, seconds: float = 1.0) -> bool:
        """Whether the record's last event is older than that."""
        return time.time() - self.events()[-1]["time"] > seconds

    def simulator_pid(self, purpose: str = "training") -> int:
        return json.loads((self.directory / "simulators" / f"simulator-{purpose}.json").read_text())["pid"]

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate(timeout=30)


@contextlib.contextmanager
def run_factory(directory: Path) -> Iterator[Callable[..., Run]]:
    """`make(name, **{"training.total_steps": 60})` is a Run of the small stage with changes; all end with the block."""
    runs = []

    def make(name: str = "run", **changes) -> Run:
        config = directory / f"{name}.yaml"
        config.write_text(yaml.safe_dump(changed(SMALL, changes)))
        runs.append(Run(directory / name, config))
        return runs[-1]

    yield make
    for run in runs:
        run.kill()


@pytest.fixture
def make_run(tmp_path):
    """Factory: see `run_factory`."""
    with run_factory(tmp_path) as make:
        yield make


@pytest.fixture
def ended(make_run, small_run):
    """A Run that has come to its end: a copy of the one that is made for all tests."""
    assert small_run.code == 0, small_run.output
    run = make_run("ended", **TOLD)
    shutil.copytree(small_run.run_dir, run.directory)
    return run


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory):
    """The directory of a run that was stopped while it learned, in the middle of an episode: for all tests.

    It was stopped as a terminal that is closed does: nobody reads its output any more, and SIGHUP comes.
    """

    def make_it(folder):
        with run_factory(folder) as make:
            run = make("stopped", **TOLD)
            run.start()
            run.process.stdout.close()
            run.wait_for(lambda run: max((event["step"] for event in run.events()), default=0) >= 26)
            run.process.send_signal(signal.SIGHUP)
            assert run.process.wait(60) == 75, run.events("failed")

    return made_once(tmp_path_factory, "stopped", make_it) / "stopped"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An https server that keeps what is posted to it."""
    with webhook(tmp_path) as (server, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        yield server
